//! Small pictures that are what they say they are, the same for the same digest.

use bytes::Bytes;

use crate::digest::{Digest, Draws};
use crate::media;

/// Pixels of a side.
const SIDE: u8 = 8;

/// A picture of this format: `png`, `jpeg`, `webp` or `gif`. Only the first differs by digest; the others are single pixels.
pub(crate) fn make(format: &str, digest: Digest) -> Bytes {
    let base64 = match format {
        "jpeg" | "jpg" => {
            "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/\
             2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCAABAAEDASIAAhEBAxEB/8QA\
             FQABAQAAAAAAAAAAAAAAAAAAAAP/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFQEBAQAAAAAAAAAAAAAAAAAAAgT/xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oA\
             DAMBAAIRAxEAPwCQC4n/2Q=="
        }
        "webp" => "UklGRh4AAABXRUJQVlA4TBEAAAAvAAAAAAdQreIVuf+BiOh/AAA=",
        "gif" => "R0lGODdhAQABAIEAAHhayAAAAAAAAAAAACwAAAAAAQABAAAIBAABBAQAOw==",
        _ => return png(digest),
    };
    let base64: String = base64.split_whitespace().collect();
    media::decode_standard(&base64).unwrap_or_default().into()
}

/// The media type of a format.
pub(crate) fn media_type(format: &str) -> &'static str {
    match format {
        "jpeg" | "jpg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        _ => "image/png",
    }
}

/// Eight by eight pixels, each of a colour of its own (<https://www.w3.org/TR/png-3/>).
fn png(digest: Digest) -> Bytes {
    let mut draws = Draws::new(digest);
    let mut colours = || {
        let [red, green, blue, ..] = draws.next().to_le_bytes();
        [red, green, blue]
    };
    let pixels: Vec<u8> = (0..SIDE)
        .flat_map(|_| {
            // Each line begins with its filter: none.
            let mut line = vec![0];
            line.extend((0..SIDE).flat_map(|_| colours()));
            line
        })
        .collect();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    // Width, height, eight bits a colour, three colours, and the only methods there are.
    let side = [0, 0, 0, SIDE];
    chunk(
        &mut file,
        *b"IHDR",
        &[&side[..], &side[..], &[8, 2, 0, 0, 0]].concat(),
    );
    chunk(&mut file, *b"IDAT", &stored(&pixels));
    chunk(&mut file, *b"IEND", &[]);
    file.into()
}

fn chunk(file: &mut Vec<u8>, name: [u8; 4], content: &[u8]) {
    let length = u32::try_from(content.len()).unwrap_or_default();
    file.extend_from_slice(&length.to_be_bytes());
    let covered = [&name[..], content].concat();
    file.extend_from_slice(&covered);
    file.extend_from_slice(&crc32fast::hash(&covered).to_be_bytes());
}

/// Bytes as a zlib stream that is not compressed (RFC 1950, RFC 1951 §3.2.4).
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend_from_slice(&length.to_le_bytes());
    stream.extend_from_slice(&(!length).to_le_bytes());
    stream.extend_from_slice(bytes);
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in bytes {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    stream.extend_from_slice(&(high << 16 | low).to_be_bytes());
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_begins_as_it_should_and_a_png_differs_by_digest() {
        let digest = Digest::new(1);
        for format in ["png", "jpeg", "webp", "gif"] {
            let picture = make(format, digest);
            assert_eq!(media::image_type(&picture), Some(media_type(format)));
        }
        assert_eq!(make("png", digest), make("png", digest));
        assert_ne!(make("png", digest), make("png", Digest::new(2)));
    }
}
