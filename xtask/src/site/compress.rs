//! Compressed neighbours: `.br` and `.gz` beside each file that gains by it, so that no request waits for a compressor.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;

use flate2::{Compression, write::GzEncoder};

use super::{cannot, tree};
use crate::Outcome;

/// A file below this size, in bytes, gains nothing.
const WORTHWHILE: usize = 512;

/// Compresses every file below a folder.
pub fn folder(folder: &Path) -> Outcome {
    let files = tree::files(folder)?;
    thread::scope(|scope| {
        let work: Vec<_> = files.iter().map(|file| scope.spawn(|| one(file))).collect();
        work.into_iter().try_for_each(|handle| handle.join().unwrap_or_else(|_| Err("Compression stopped.".to_owned())))
    })
}

fn one(file: &Path) -> Outcome {
    let content = fs::read(file).map_err(|why| cannot(file, &why))?;
    if content.len() < WORTHWHILE {
        return Ok(());
    }
    for (ending, smaller) in [("br", brotli(&content)?), ("gz", gzip(&content)?)] {
        // Pictures and fonts are compressed already.
        if smaller.len() < content.len() / 10 * 9 {
            let beside = file.with_added_extension(ending);
            fs::write(&beside, smaller).map_err(|why| cannot(&beside, &why))?;
        }
    }
    Ok(())
}

fn brotli(content: &[u8]) -> Outcome<Vec<u8>> {
    let mut smaller = Vec::new();
    let settings = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
    brotli::BrotliCompress(&mut &content[..], &mut smaller, &settings)
        .map_err(|why| format!("brotli failed: {why}."))?;
    Ok(smaller)
}

fn gzip(content: &[u8]) -> Outcome<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).and_then(|()| encoder.finish()).map_err(|why| format!("gzip failed: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_comes_out_as_it_was() {
        let text = "turnpike ".repeat(400);
        let mut from_brotli = Vec::new();
        brotli::BrotliDecompress(&mut &brotli(text.as_bytes()).unwrap()[..], &mut from_brotli).unwrap();
        let mut from_gzip = Vec::new();
        let packed = gzip(text.as_bytes()).unwrap();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut from_gzip).unwrap();
        assert_eq!(from_brotli, text.as_bytes());
        assert_eq!(from_gzip, text.as_bytes());
    }
}
