//! Waves: the header that makes a file of plain samples, and what such a header says
//! (<http://soundfile.sapp.org/doc/WaveFormat/>).

use bytes::{BufMut, Bytes, BytesMut};

/// How samples are laid out. They have sixteen bits, the low byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Samples of each channel in a second.
    pub(super) rate: u32,
    /// Channels.
    pub(super) channels: u16,
}

/// A file of these samples.
pub(super) fn file(layout: Layout, samples: &[u8]) -> Bytes {
    const HEADER: u32 = 44;
    let length = u32::try_from(samples.len()).unwrap_or(u32::MAX - HEADER);
    let frame = layout.channels.saturating_mul(2);
    let mut file = BytesMut::with_capacity(samples.len() + HEADER as usize);
    file.put_slice(b"RIFF");
    file.put_u32_le(length.saturating_add(HEADER - 8));
    file.put_slice(b"WAVEfmt ");
    file.put_u32_le(16);
    // 1 is "not compressed".
    file.put_u16_le(1);
    file.put_u16_le(layout.channels);
    file.put_u32_le(layout.rate);
    file.put_u32_le(layout.rate.saturating_mul(u32::from(frame)));
    file.put_u16_le(frame);
    file.put_u16_le(16);
    file.put_slice(b"data");
    file.put_u32_le(length);
    file.put_slice(samples);
    file.freeze()
}

/// How long the samples of a file last, in milliseconds; `None` where it is no such file.
pub(super) fn milliseconds(file: &[u8]) -> Option<u64> {
    if file.get(..4)? != b"RIFF" || file.get(8..12)? != b"WAVE" {
        return None;
    }
    let mut bytes_per_second = None;
    let mut place = 12;
    loop {
        let name = file.get(place..place + 4)?;
        let length = number(file, place + 4)? as usize;
        let content = place + 8;
        match name {
            b"fmt " => bytes_per_second = Some(u64::from(number(file, content + 8)?)),
            b"data" => {
                // A recorder that did not know the length yet wrote none, or the largest.
                let there = file.len().saturating_sub(content).min(length);
                let length = if length == 0 {
                    file.len() - content
                } else {
                    there
                };
                return (length as u64 * 1_000).checked_div(bytes_per_second?);
            }
            _ => {}
        }
        // Chunks begin at even places.
        place = content.checked_add(length)?.checked_add(length % 2)?;
    }
}

fn number(file: &[u8], place: usize) -> Option<u32> {
    let bytes = file.get(place..place.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        rate: 24_000,
        channels: 1,
    };

    #[test]
    fn a_file_says_how_long_it_lasts() {
        let file = file(LAYOUT, &vec![0; 72_000]);
        assert_eq!(file.len(), 72_044);
        assert_eq!(milliseconds(&file), Some(1_500));
    }

    #[test]
    fn a_length_that_was_not_known_is_what_is_there() {
        let mut file = file(LAYOUT, &vec![0; 48_000]).to_vec();
        file[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(milliseconds(&file), Some(1_000));
        file[40..44].copy_from_slice(&0_u32.to_le_bytes());
        assert_eq!(milliseconds(&file), Some(1_000));
    }

    #[test]
    fn other_chunks_are_stepped_over() {
        let plain = file(LAYOUT, &vec![0; 48_000]);
        let mut with_list = plain[..36].to_vec();
        with_list.extend_from_slice(b"LIST\x03\0\0\0abc\0");
        with_list.extend_from_slice(&plain[36..]);
        assert_eq!(milliseconds(&with_list), Some(1_000));
    }

    #[test]
    fn arbitrary_bytes_have_no_length_and_break_nothing() {
        bolero::check!()
            .with_test_time(std::time::Duration::from_secs(1))
            .for_each(|bytes: &[u8]| {
                let mut file = b"RIFF....WAVE".to_vec();
                file.extend_from_slice(bytes);
                milliseconds(&file);
                milliseconds(bytes);
            });
    }
}
