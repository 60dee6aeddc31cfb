//! Amazon's binary framing of streams, `application/vnd.amazon.eventstream`.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTSelectObjectAppendix.html>.

/// The type of a header whose value is text.
const TEXT: u8 = 7;
/// Lengths and checks around a message's headers and payload, in bytes.
const FRAME: usize = 16;

/// Writes one message with headers of text.
pub(crate) fn write(buffer: &mut Vec<u8>, headers: &[(&str, &str)], payload: &[u8]) {
    let mut head = Vec::with_capacity(96);
    for (name, value) in headers {
        // Names and values here are a few words long: neither length can be exceeded.
        head.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        head.extend_from_slice(name.as_bytes());
        head.push(TEXT);
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        head.extend_from_slice(&length.to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let start = buffer.len();
    buffer.extend_from_slice(&length(head.len() + payload.len() + FRAME));
    buffer.extend_from_slice(&length(head.len()));
    check(buffer, start);
    buffer.extend_from_slice(&head);
    buffer.extend_from_slice(payload);
    check(buffer, start);
}

/// Appends the checksum of everything from `start` on.
fn check(buffer: &mut Vec<u8>, start: usize) {
    let sum = crc32fast::hash(buffer.get(start..).unwrap_or_default());
    buffer.extend_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_amazons_own_libraries_write_it() {
        // From the test vectors that the AWS SDKs share: an empty message, and one with a payload and no headers.
        let mut empty = Vec::new();
        write(&mut empty, &[], b"");
        assert_eq!(
            empty,
            [
                0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff
            ]
        );
        let mut plain = Vec::new();
        write(&mut plain, &[], b"{'foo':'bar'}");
        assert_eq!(
            plain.get(..12).unwrap(),
            [0, 0, 0, 0x1d, 0, 0, 0, 0, 0xfd, 0x52, 0x8c, 0x5a]
        );
        assert_eq!(plain.get(25..).unwrap(), [0xc3, 0x65, 0x39, 0x36]);
    }
}
