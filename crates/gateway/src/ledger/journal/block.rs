//! What one write puts into the journal: the lines that share it, behind a line of their own.
//!
//! That line has three hexadecimal numbers: the CRC-32 of what follows it, from its first space on; the
//! segment; and the length of the lines in bytes. A block that a crash cut short has a wrong checksum, and one
//! that an earlier segment left in the same file has another segment's number: either ends what is read.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{Placed, Position};
use crate::ledger::record;

/// The length of the line before the lines, in bytes.
pub(super) const HEADER: usize = 8 + 1 + 16 + 1 + 8 + 1;
/// Where in it begins what the checksum is of.
const SUMMED: usize = 8;

/// Writes the header of a block that has room for it.
pub(super) fn seal(block: &mut [u8], segment: u64) {
    let length = block.len().saturating_sub(HEADER);
    let Some((checksum, summed)) = block.split_at_mut_checked(SUMMED) else {
        return;
    };
    // There is room for it, so that writing does not fail.
    let written = writeln!(&mut *summed, " {segment:016x} {length:08x}");
    debug_assert!(written.is_ok());
    let written = write!(&mut *checksum, "{:08x}", crc32fast::hash(summed));
    debug_assert!(written.is_ok());
}

/// The length of the lines behind a header of `segment`, and their checksum; `None` where it is none.
fn read_header(header: &[u8; HEADER], segment: u64) -> Option<(usize, u32)> {
    let header = std::str::from_utf8(header).ok()?.strip_suffix('\n')?;
    let mut numbers = header.split(' ');
    let mut number = || u64::from_str_radix(numbers.next()?, 16).ok();
    let (checksum, of, length) = (number()?, number()?, number()?);
    let is_ours = of == segment;
    is_ours.then_some((usize::try_from(length).ok()?, u32::try_from(checksum).ok()?))
}

/// Reads the records of a segment that another process wrote, from the block at `from` on, until there are at
/// least `limit` of them. Ends before the first block that is not whole or not this segment's.
pub(in crate::ledger) fn read_segment(
    path: &Path,
    from: Position,
    limit: usize,
    records: &mut Vec<Placed>,
) -> io::Result<Position> {
    let file = File::open(path)?;
    let file_length = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    reader.seek(SeekFrom::Start(from.offset))?;
    let mut at = from;
    while records.len() < limit {
        let mut header = [0; HEADER];
        let Some((length, checksum)) = read_whole(&mut reader, &mut header)?
            .then(|| read_header(&header, at.segment))
            .flatten()
        else {
            break;
        };
        let begin = at.offset + HEADER as u64;
        if file_length.saturating_sub(begin) < length as u64 {
            break;
        }
        let mut lines = vec![0; length];
        if !read_whole(&mut reader, &mut lines)? {
            break;
        }
        let mut sum = crc32fast::Hasher::new();
        sum.update(header.get(SUMMED..).unwrap_or_default());
        sum.update(&lines);
        if sum.finalize() != checksum {
            break;
        }
        at.offset = begin;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let record = line.strip_suffix(b"\n").and_then(record::read_line);
            records.extend(record.map(|record| Placed { at, record }));
            at.offset += line.len() as u64;
        }
    }
    Ok(at)
}

/// Whether there was as much.
fn read_whole(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}
