//! Sound that is what it says it is, and in which the words can be heard again: what was read aloud stands in its comment.

use bytes::Bytes;

/// Marks the words within a file.
const MARK: &[u8] = b"trunkline-sim-said:";

/// Samples of a second.
const RATE: u32 = 24_000;

/// What reading a text aloud takes, in milliseconds: fifteen characters a second, as people speak.
pub(crate) fn spoken_milliseconds(text: &str) -> u64 {
    (text.chars().count() as u64 * 1_000).div_ceil(15).max(100)
}

/// A text read aloud, in a format: `mp3`, `opus`, `aac`, `flac`, `wav`, or anything else for plain samples.
pub(crate) fn make(format: &str, text: &str) -> Bytes {
    let milliseconds = spoken_milliseconds(text);
    match format {
        "wav" => wav(text, milliseconds),
        "mp3" => mp3(text, milliseconds),
        "opus" => [&b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0"[..], &said(text)].concat().into(),
        "flac" => [&b"fLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x05\xdc\0\xf0"[..], &[0; 24], &said(text)].concat().into(),
        "aac" => [&[0xff, 0xf1, 0x50, 0x80, 0x02, 0x1f, 0xfc][..], &said(text)].concat().into(),
        _ => samples(milliseconds).into(),
    }
}

/// The media type of a format.
pub(crate) fn media_type(format: &str) -> &'static str {
    match format {
        "wav" => "audio/wav",
        "opus" => "audio/opus",
        "aac" => "audio/aac",
        "flac" => "audio/flac",
        "pcm" => "audio/pcm",
        _ => "audio/mpeg",
    }
}

/// Silence with a faint tooth in it, so that it is not all zeros.
fn samples(milliseconds: u64) -> Vec<u8> {
    let count = usize::try_from(milliseconds * u64::from(RATE) / 1_000).unwrap_or_default();
    (0..count)
        .flat_map(|at| (i16::try_from(at % 64).unwrap_or_default() - 32).to_le_bytes())
        .collect()
}

fn said(text: &str) -> Vec<u8> {
    [MARK, text.as_bytes(), b"\0"].concat()
}

fn wav(text: &str, milliseconds: u64) -> Bytes {
    let samples = samples(milliseconds);
    let mut comment = said(text);
    if comment.len() % 2 == 1 {
        comment.push(0);
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut list = b"INFOICMT".to_vec();
    list.extend_from_slice(&length(comment.len()));
    list.extend_from_slice(&comment);
    let mut chunks = b"WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    chunks.extend_from_slice(&RATE.to_le_bytes());
    chunks.extend_from_slice(&(RATE * 2).to_le_bytes());
    chunks.extend_from_slice(b"\x02\0\x10\0LIST");
    chunks.extend_from_slice(&length(list.len()));
    chunks.extend_from_slice(&list);
    chunks.extend_from_slice(b"data");
    chunks.extend_from_slice(&length(samples.len()));
    chunks.extend_from_slice(&samples);
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&length(chunks.len()));
    file.extend_from_slice(&chunks);
    file.into()
}

/// A comment (<https://id3.org/id3v2.3.0>) and as many silent frames of 64 kbit/s and 24 kHz as it takes.
fn mp3(text: &str, milliseconds: u64) -> Bytes {
    const FRAME: usize = 192;
    let comment = [&b"\0\0\0\0"[..], &said(text)].concat();
    let size = u32::try_from(comment.len()).unwrap_or_default();
    let tag = size + 10;
    // Sizes of tags have seven bits a byte.
    let seven = |shift: u32| u8::try_from(tag >> shift & 0x7f).unwrap_or_default();
    let mut file = vec![
        b'I',
        b'D',
        b'3',
        3,
        0,
        0,
        seven(21),
        seven(14),
        seven(7),
        seven(0),
    ];
    file.extend_from_slice(b"COMM");
    file.extend_from_slice(&size.to_be_bytes());
    file.extend_from_slice(b"\0\0");
    file.extend_from_slice(&comment);
    let frames = usize::try_from(milliseconds.div_ceil(24)).unwrap_or_default();
    for _ in 0..frames {
        file.extend_from_slice(&[0xff, 0xf3, 0x84, 0xc0]);
        file.resize(file.len() + FRAME - 4, 0);
    }
    file.into()
}

/// What is heard in a recording: the words that it says, and how long it lasts in milliseconds.
pub(crate) fn hear(recording: &[u8], name: &str) -> (String, u64) {
    let words = recording
        .windows(MARK.len())
        .position(|window| window == MARK)
        .and_then(|place| {
            recording
                .get(place + MARK.len()..)?
                .split(|byte| *byte == 0)
                .next()
        })
        .map(|words| String::from_utf8_lossy(words).into_owned());
    let words = words.unwrap_or_else(|| format!("This is a simulated transcript of {name}."));
    (words, milliseconds(recording))
}

/// A wave file says how long it lasts; of others eight bytes are taken for a millisecond, which is 64 kbit/s.
fn milliseconds(recording: &[u8]) -> u64 {
    let data = recording.windows(4).position(|window| window == b"data");
    let of_wave = data
        .filter(|_| recording.starts_with(b"RIFF"))
        .and_then(|place| {
            let rate = recording
                .get(28..32)?
                .try_into()
                .ok()
                .map(u32::from_le_bytes)?;
            let there = recording.len().saturating_sub(place + 8) as u64;
            (there * 1_000).checked_div(u64::from(rate))
        });
    of_wave.unwrap_or((recording.len() as u64).div_ceil(8))
}

/// Whether the bytes begin as sound does, or as one of the films of which the sound is heard.
pub(crate) fn is_sound(bytes: &[u8]) -> bool {
    let starts: [&[u8]; 7] = [
        b"RIFF",
        b"ID3",
        b"OggS",
        b"fLaC",
        b"\xff\xf1",
        b"\xff\xfb",
        b"\x1aE\xdf\xa3",
    ];
    starts.iter().any(|start| bytes.starts_with(start))
        || bytes.starts_with(b"\xff\xf3")
        || bytes.get(4..8) == Some(b"ftyp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_aloud_is_heard_again() {
        for format in ["wav", "mp3", "opus", "flac", "aac"] {
            let sound = make(format, "Grüß dich, Welt.");
            assert!(is_sound(&sound), "{format}");
            assert_eq!(hear(&sound, "a").0, "Grüß dich, Welt.", "{format}");
        }
        let wave = make("wav", "fifteen letters");
        assert_eq!(hear(&wave, "a").1, 1_000);
        assert_eq!(make("pcm", "fifteen letters").len(), 48_000);
        assert_eq!(
            hear(&[0; 80], "a.mp3").0,
            "This is a simulated transcript of a.mp3."
        );
    }
}
