//! Where one frame of a WebSocket ends and the next begins, so that a last one can be put in between.

/// Follows one direction.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    /// The bytes of the head that is being read, as far as they have come.
    head: [u8; 14],
    seen: usize,
    /// Bytes of the payload that are still to come.
    payload: u64,
}

/// Why we end it (RFC 6455, 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    GoingAway = 1001,
    PolicyViolation = 1008,
}

impl Boundary {
    /// Whether a frame may be put here.
    pub(super) const fn is_between_frames(&self) -> bool {
        self.seen == 0 && self.payload == 0
    }

    /// Reads on.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.payload > 0 {
                let here = self.payload.min(bytes.len() as u64);
                self.payload -= here;
                bytes = bytes.get(usize::try_from(here).unwrap_or(usize::MAX)..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.head.get_mut(self.seen) {
                *place = *first;
            }
            self.seen += 1;
            bytes = rest;
            if let Some(payload) = self.payload_of_whole_head() {
                (self.seen, self.payload) = (0, payload);
            }
        }
    }

    /// The length that the head tells, once it is whole.
    fn payload_of_whole_head(&self) -> Option<u64> {
        let [_, second, rest @ ..] = &self.head;
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        let (length_bytes, short) = match second & 0x7f {
            126 => (2, 0),
            127 => (8, 0),
            short => (0, short),
        };
        if self.seen < 2 + length_bytes + mask_bytes {
            return None;
        }
        let long = rest.iter().take(length_bytes).fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
        Some(long.max(u64::from(short)))
    }
}

/// A frame that closes, as a server sends it, or as a client does under a mask of zeros.
pub(super) fn close(reason: Reason, masked: bool) -> Vec<u8> {
    let code = (reason as u16).to_be_bytes();
    let mut frame = vec![0x88, 2];
    if masked {
        frame[1] |= 0x80;
        frame.extend([0; 4]);
    }
    frame.extend(code);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_found_however_the_bytes_are_cut() {
        let mut bytes = vec![0x81, 3, b'a', b'b', b'c', 0x82, 0x80, 1, 2, 3, 4];
        bytes.extend([0x82, 126, 1, 0].into_iter().chain([7; 256]));
        bytes.extend([0x82, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0, 9, 9, 9, 9].into_iter().chain([7; 65_536]));
        bytes.extend(close(Reason::GoingAway, false).into_iter().chain(close(Reason::PolicyViolation, true)));
        let whole = |cut: usize| {
            let mut boundary = Boundary::default();
            let mut ends = Vec::new();
            let mut at = 0;
            for piece in bytes.chunks(cut) {
                boundary.pass(piece);
                at += piece.len();
                if boundary.is_between_frames() {
                    ends.push(at);
                }
            }
            ends
        };
        let lengths = [5, 6, 260, 65_550, 4, 8];
        let ends: Vec<_> = lengths
            .iter()
            .scan(0, |at, length| {
                *at += length;
                Some(*at)
            })
            .collect();
        assert_eq!(whole(1), ends);
        for cut in [2, 3, 7, 13, 4096] {
            assert_eq!(whole(cut).last(), ends.last(), "in pieces of {cut}");
        }
    }
}
