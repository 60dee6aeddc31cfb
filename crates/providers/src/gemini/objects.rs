//! Cuts a JSON array of objects into its objects while it arrives: the stream that Google sends without
//! `alt=sse`, and the single object of an error in place of a stream.

use crate::framing::sse::MAX_EVENT;

/// Why bytes cannot be cut into objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ObjectsError {
    #[error("an object of the stream is larger than {MAX_EVENT} bytes")]
    TooLarge,
    #[error("the stream has something between its objects that is not JSON")]
    Unexpected,
}

/// Keeps the object that is not complete.
#[derive(Debug, Default)]
pub(super) struct Objects {
    object: Vec<u8>,
    /// How many brackets and braces are open.
    depth: usize,
    in_string: bool,
    after_backslash: bool,
}

impl Objects {
    /// Takes the next bytes and gives every object that they complete to `each`, until it fails.
    pub(super) fn push<E: From<ObjectsError>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for &byte in bytes {
            if self.depth == 0 {
                match byte {
                    b'{' => self.depth = 1,
                    b'[' | b']' | b',' => continue,
                    _ if is_between(byte) => continue,
                    _ => return Err(ObjectsError::Unexpected.into()),
                }
                self.object.push(byte);
                continue;
            }
            if self.object.len() >= MAX_EVENT {
                return Err(ObjectsError::TooLarge.into());
            }
            self.object.push(byte);
            self.step(byte);
            if self.depth == 0 {
                let result = each(&self.object);
                self.object.clear();
                result?;
            }
        }
        Ok(())
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.after_backslash => self.after_backslash = false,
                b'\\' => self.after_backslash = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
    }
}

/// Whether a byte says nothing: JSON's white space, or a part of a byte order mark.
pub(super) fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0xEF | 0xBB | 0xBF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(pieces: &[&[u8]]) -> Result<Vec<String>, ObjectsError> {
        let mut objects = Objects::default();
        let mut found = Vec::new();
        for piece in pieces {
            objects.push(piece, |object| {
                found.push(String::from_utf8_lossy(object).into_owned());
                Ok::<(), ObjectsError>(())
            })?;
        }
        Ok(found)
    }

    const STREAM: &str = "[{\"a\": \"}]\\\"{\", \"b\": [{}]}\n,\r\n{\"c\":\"ü\"}]\n";

    #[test]
    fn any_split_gives_the_same_objects() {
        let bytes = STREAM.as_bytes();
        let whole = objects(&[bytes]).unwrap();
        assert_eq!(
            whole,
            ["{\"a\": \"}]\\\"{\", \"b\": [{}]}", "{\"c\":\"ü\"}"]
        );
        for at in 0..=bytes.len() {
            let (left, right) = bytes.split_at(at);
            assert_eq!(objects(&[left, right]).unwrap(), whole, "split at {at}");
        }
    }

    #[test]
    fn words_between_objects_are_refused() {
        assert_eq!(objects(&[b"[{} oops {}]"]), Err(ObjectsError::Unexpected));
    }
}
