//! Why an upstream gave no answer, or no end of it: classes for the log and the metric. Partners are told none of it.

use super::{connect::NotSpoken, dial::NotAllowed, places::NoPlace, resolve::Unresolved};
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use std::io::{self, ErrorKind};

/// A class of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The name cannot be resolved.
    Name,
    /// The name leads to an address that connections may not go to.
    AddressNotAllowed,
    /// Nobody listens, or no route leads there.
    Refused,
    /// Connecting took too long, TLS included.
    ConnectTimeout,
    CertificateExpired,
    CertificateWrongName,
    CertificateUnknownAuthority,
    /// Revoked, malformed, or not meant for servers.
    CertificateInvalid,
    /// The upstream does not accept our certificate, or wants one.
    ClientCertificateRefused,
    /// It does not speak the protocol that the product says it does.
    NotSpoken,
    /// Any other trouble of TLS.
    Tls,
    /// Nothing more can be opened here: not the upstream's fault.
    OutOfDescriptors,
    /// The connection was reset or closed before the answer's head.
    Closed,
    /// What came is not HTTP.
    Malformed,
    /// The answer's head did not come in time.
    HeadTimeout,
    /// The answer broke off after its head.
    BodyBroken,
    /// The answer stood still after its head, or took longer in all than the product allows.
    BodyTimeout,
    /// 502, 503 or 504, which upstreams send for what is behind them.
    BadGateway,
}

impl Failure {
    /// The metric's label.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateWrongName => "certificate_wrong_name",
            Self::CertificateUnknownAuthority => "certificate_unknown_authority",
            Self::CertificateInvalid => "certificate_invalid",
            Self::ClientCertificateRefused => "client_certificate_refused",
            Self::NotSpoken => "protocol_not_spoken",
            Self::Tls => "tls",
            Self::OutOfDescriptors => "out_of_descriptors",
            Self::Closed => "closed",
            Self::Malformed => "malformed",
            Self::HeadTimeout => "head_timeout",
            Self::BodyBroken => "body_broken",
            Self::BodyTimeout => "body_timeout",
            Self::BadGateway => "bad_gateway",
        }
    }

    /// Why no connection could be opened, or what ended one.
    pub(crate) fn of(error: &io::Error) -> Self {
        const OUT_OF_FILES: [i32; 2] = [23, 24];
        if error.raw_os_error().is_some_and(|code| OUT_OF_FILES.contains(&code)) {
            return Self::OutOfDescriptors;
        }
        if let Some(inner) = error.get_ref() {
            if inner.is::<NoPlace>() {
                return Self::OutOfDescriptors;
            }
            if inner.is::<NotAllowed>() {
                return Self::AddressNotAllowed;
            }
            if inner.is::<NotSpoken>() {
                return Self::NotSpoken;
            }
            if inner.is::<Unresolved>() {
                return Self::Name;
            }
            if let Some(error) = inner.downcast_ref::<TlsError>() {
                return Self::of_tls(error);
            }
        }
        match error.kind() {
            ErrorKind::TimedOut => Self::ConnectTimeout,
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable => Self::Refused,
            _ => Self::Closed,
        }
    }

    fn of_tls(error: &TlsError) -> Self {
        match error {
            TlsError::InvalidCertificate(error) => match error {
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::CertificateExpired,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::CertificateWrongName
                }
                CertificateError::UnknownIssuer => Self::CertificateUnknownAuthority,
                _ => Self::CertificateInvalid,
            },
            TlsError::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::DecryptError,
            ) => Self::ClientCertificateRefused,
            _ => Self::Tls,
        }
    }

    /// Whether it speaks against the target, so that its breaker counts it.
    pub(crate) const fn blames_target(self) -> bool {
        !matches!(self, Self::OutOfDescriptors | Self::AddressNotAllowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::policy::Protocol;

    const ALL: [Failure; 18] = [
        Failure::Name,
        Failure::AddressNotAllowed,
        Failure::Refused,
        Failure::ConnectTimeout,
        Failure::CertificateExpired,
        Failure::CertificateWrongName,
        Failure::CertificateUnknownAuthority,
        Failure::CertificateInvalid,
        Failure::ClientCertificateRefused,
        Failure::NotSpoken,
        Failure::Tls,
        Failure::OutOfDescriptors,
        Failure::Closed,
        Failure::Malformed,
        Failure::HeadTimeout,
        Failure::BodyBroken,
        Failure::BodyTimeout,
        Failure::BadGateway,
    ];

    #[test]
    fn every_class_has_its_own_label() {
        let labels: std::collections::HashSet<_> = ALL.iter().map(|failure| failure.class()).collect();
        assert_eq!(labels.len(), ALL.len());
        assert!(ALL.iter().enumerate().all(|(index, failure)| *failure as usize == index));
    }

    #[test]
    fn errors_of_connections_are_told_apart() {
        let tls = |error: TlsError| Failure::of(&io::Error::new(ErrorKind::InvalidData, error));
        let certificate = |error| tls(TlsError::InvalidCertificate(error));
        for (failure, wanted) in [
            (Failure::of(&io::Error::from_raw_os_error(24)), Failure::OutOfDescriptors),
            (Failure::of(&io::Error::other(NoPlace)), Failure::OutOfDescriptors),
            (Failure::of(&io::Error::other(NotSpoken(Protocol::Http2))), Failure::NotSpoken),
            (Failure::of(&ErrorKind::ConnectionRefused.into()), Failure::Refused),
            (Failure::of(&ErrorKind::TimedOut.into()), Failure::ConnectTimeout),
            (Failure::of(&ErrorKind::ConnectionReset.into()), Failure::Closed),
            (certificate(CertificateError::Expired), Failure::CertificateExpired),
            (certificate(CertificateError::NotValidForName), Failure::CertificateWrongName),
            (certificate(CertificateError::UnknownIssuer), Failure::CertificateUnknownAuthority),
            (certificate(CertificateError::Revoked), Failure::CertificateInvalid),
            (tls(TlsError::AlertReceived(AlertDescription::CertificateRequired)), Failure::ClientCertificateRefused),
            (tls(TlsError::HandshakeNotComplete), Failure::Tls),
        ] {
            assert_eq!(failure, wanted);
        }
    }
}
