//! The journal: what must survive a crash, in files of [blocks](block).
//!
//! Appending is a `write(2)` into the kernel before it returns, so what was appended survives the end of
//! the process; how soon it survives the loss of power is [`Sync`]. Lines that are joined before anybody
//! completes them share one write, which is a block. A segment is done with when everything in it has reached
//! the store. Then it is written over, or deleted where another waits for that already: what a file system has
//! to note for a write in a file that is there is little beside what it has to note for one that grows.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use domain::id::ReplicaId;

use super::record::{self, Record};

mod block;
mod orphan;

pub(super) use block::read_segment;
pub(super) use orphan::Orphan;

/// How soon a record survives the loss of power. The end of the process alone loses nothing either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Within the time in which [`Ledger::sync`](super::Ledger::sync) is called, 50 ms by default.
    Periodic,
    /// Before the call goes out; costs one `fdatasync(2)` per shared write.
    Always,
}

/// Bounds of the journal.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most that all segments may hold, in bytes; new calls are refused beyond it.
    pub max_bytes: u64,
    /// The size at which a segment is followed by the next, in bytes.
    pub segment_bytes: u64,
}

/// Why something is not in the journal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The journal holds as much as it may: the store has not taken anything for long.
    #[error("the journal is full ({0} bytes)")]
    Full(u64),
    /// The file system did not take it.
    #[error("the journal cannot be written: {0}")]
    Io(Arc<io::Error>),
}

/// The most room, in bytes, that is kept for the next block.
const MAX_ROOM: usize = 256 * 1024;

/// A place in the journal. Places are ordered as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Position {
    /// The segment.
    pub segment: u64,
    /// The byte in the segment at which its line begins.
    pub offset: u64,
}

/// One replica's journal.
pub(super) struct Journal {
    directory: PathBuf,
    replica: ReplicaId,
    sync: Sync,
    limits: Limits,
    pending: Mutex<Batch>,
    active: Mutex<Active>,
    segments: Mutex<Segments>,
    /// Held for as long as the process lives: tells others that these segments are not theirs to adopt.
    _lock: File,
}

/// Appends that wait for their shared write.
#[derive(Default)]
struct Batch {
    /// The block that they become: room for its header, and their lines.
    block: Vec<u8>,
    pins: usize,
    outcome: Arc<OnceLock<Result<Position, JournalError>>>,
}

/// Lines that were joined to a write, and stand where it will put them.
pub(super) struct Ticket {
    outcome: Arc<OnceLock<Result<Position, JournalError>>>,
    offset: u64,
}

struct Active {
    number: u64,
    file: Arc<File>,
    /// What was written in this segment. The file may be longer, where it is one that is written over.
    length: u64,
    /// Files with writes that may not have reached the disk.
    unsynced: Vec<Arc<File>>,
    /// The names of files may not have reached the disk.
    is_named: bool,
    /// The file of a segment that is done with, to be written over.
    spare: Option<Arc<File>>,
    /// The files are gone: what is written now would be lost.
    is_closed: bool,
}

#[derive(Default)]
struct Segments {
    by_number: BTreeMap<u64, Segment>,
    total_bytes: u64,
}

#[derive(Default)]
struct Segment {
    bytes: u64,
    /// Records in it that still matter.
    pins: usize,
    sealed: bool,
}

impl Journal {
    /// Opens a journal of this replica's own in `directory`, which is made when it is not there.
    pub(super) fn open(
        directory: &Path,
        replica: ReplicaId,
        sync: Sync,
        limits: Limits,
    ) -> Result<Self, JournalError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let lock = own_lock(&lock_path(directory, replica))?;
        let file = create_segment(&segment_path(directory, replica, 1))?;
        sync_names(directory)?;
        let mut segments = Segments::default();
        segments.by_number.insert(1, Segment::default());
        Ok(Self {
            directory: directory.to_owned(),
            replica,
            sync,
            limits,
            pending: Mutex::default(),
            active: Mutex::new(Active {
                number: 1,
                file: Arc::new(file),
                length: 0,
                unsynced: Vec::new(),
                is_named: true,
                spare: None,
                is_closed: false,
            }),
            segments: Mutex::new(segments),
            _lock: lock,
        })
    }

    /// Whether new calls may be written.
    pub(super) fn check_room(&self) -> Result<(), JournalError> {
        let total = locked(&self.segments).total_bytes;
        if total >= self.limits.max_bytes {
            Err(JournalError::Full(total))
        } else {
            Ok(())
        }
    }

    /// Bytes that all segments hold.
    pub(super) fn bytes(&self) -> u64 {
        locked(&self.segments).total_bytes
    }

    /// Puts whole lines to those that are written next. Whoever joins must [`Journal::complete`].
    pub(super) fn join(&self, lines: &[u8], pins: usize) -> Ticket {
        let mut pending = locked(&self.pending);
        if pending.block.is_empty() {
            pending.block.resize(block::HEADER, 0);
        }
        let offset = pending.block.len() as u64;
        pending.block.extend_from_slice(lines);
        pending.pins += pins;
        Ticket {
            outcome: Arc::clone(&pending.outcome),
            offset,
        }
    }

    /// Writes what was joined, unless somebody has: whoever comes first writes for everybody, and the
    /// others find their outcome there. When it returns, the lines are in the kernel.
    pub(super) fn complete(&self, ticket: &Ticket) -> Result<Position, JournalError> {
        let base = if let Some(shared) = ticket.outcome.get() {
            shared.clone()?
        } else {
            let mut active = locked(&self.active);
            if let Some(shared) = ticket.outcome.get() {
                shared.clone()?
            } else {
                let mut batch = std::mem::take(&mut *locked(&self.pending));
                let written = self.write(&mut active, &mut batch);
                locked(&self.pending).reuse(batch.block);
                // Nobody else sets it: the batch left `pending` while `active` was held.
                ticket.outcome.get_or_init(|| written).clone()?
            }
        };
        Ok(Position {
            offset: base.offset + ticket.offset,
            ..base
        })
    }

    /// Gives up pins on a segment; with the last one it is done with once it is sealed. The file goes, or is
    /// put aside, while nobody has to wait for it.
    pub(super) fn release(&self, number: u64, pins: usize) -> io::Result<()> {
        let is_done = {
            let mut segments = locked(&self.segments);
            if let Some(segment) = segments.by_number.get_mut(&number) {
                segment.pins = segment.pins.saturating_sub(pins);
            }
            segments.forget_if_done(number)
        };
        if is_done {
            self.put_aside(number)
        } else {
            Ok(())
        }
    }

    /// Brings what was written to the disk (`fdatasync(2)`); blocks for as long as the disk takes.
    /// Every file gets its turn; the first failure is the answer.
    pub(super) fn sync(&self) -> io::Result<()> {
        let (files, is_named) = {
            let mut active = locked(&self.active);
            let is_named = std::mem::replace(&mut active.is_named, true);
            (std::mem::take(&mut active.unsynced), is_named)
        };
        let named = if is_named {
            Ok(())
        } else {
            sync_names(&self.directory)
        };
        files
            .iter()
            .map(|file| file.sync_data())
            .fold(named, Result::and)
    }

    /// Where the next record will stand.
    pub(super) fn end(&self) -> Position {
        let active = locked(&self.active);
        Position {
            segment: active.number,
            offset: active.length,
        }
    }

    /// Reads the records from `from` on, at most `limit`, and says where to go on.
    pub(super) fn read(&self, from: Position, limit: usize) -> io::Result<(Vec<Placed>, Position)> {
        let last = self.end();
        let mut records = Vec::new();
        let mut at = from;
        while records.len() < limit {
            let length = if at.segment < last.segment {
                let segments = locked(&self.segments);
                segments.by_number.get(&at.segment).map(|it| it.bytes)
            } else {
                Some(last.offset)
            };
            let path = segment_path(&self.directory, self.replica, at.segment);
            let end = match length {
                Some(length) => read_lines(&path, at, length, limit, &mut records)?,
                // Everything in it was released, so that it is gone: there was nothing left to read.
                None => at,
            };
            if end.offset != at.offset {
                at = end;
            } else if at.segment < last.segment {
                at = Position {
                    segment: at.segment + 1,
                    offset: 0,
                };
            } else {
                break;
            }
        }
        Ok((records, at))
    }

    /// Seals the active segment and starts another, so that the old one can go once it is stored.
    /// Called at the end of the process: what is left behind is then nothing.
    pub(super) fn seal(&self) -> Result<(), JournalError> {
        let mut active = locked(&self.active);
        if active.length > 0 {
            self.rotate(&mut active)
        } else {
            Ok(())
        }
    }

    /// Deletes what is left when everything has reached the store; called last. Nothing can be
    /// appended to a journal that is gone.
    pub(super) fn remove_if_empty(&self) -> io::Result<()> {
        let mut active = locked(&self.active);
        let segments = locked(&self.segments);
        if segments.by_number.values().all(|segment| segment.pins == 0) {
            active.is_closed = true;
            for number in segments.by_number.keys() {
                fs::remove_file(segment_path(&self.directory, self.replica, *number))?;
            }
            if active.spare.take().is_some() {
                fs::remove_file(spare_path(&self.directory, self.replica))?;
            }
            fs::remove_file(lock_path(&self.directory, self.replica))?;
        }
        Ok(())
    }

    fn write(&self, active: &mut Active, batch: &mut Batch) -> Result<Position, JournalError> {
        if active.is_closed {
            return Err(io::Error::other("it is closed").into());
        }
        if active.length >= self.limits.segment_bytes {
            self.rotate(active)?;
        }
        block::seal(&mut batch.block, active.number);
        let base = Position {
            segment: active.number,
            offset: active.length,
        };
        if let Err(error) = self.write_through(active, &batch.block) {
            active.take_back();
            return Err(error.into());
        }
        let written = batch.block.len() as u64;
        active.length += written;
        let mut segments = locked(&self.segments);
        segments.total_bytes += written;
        let segment = segments.by_number.entry(active.number).or_default();
        segment.bytes += written;
        segment.pins += batch.pins;
        Ok(base)
    }

    /// Into the kernel, and as far to the disk as [`Sync`] asks for.
    fn write_through(&self, active: &mut Active, block: &[u8]) -> io::Result<()> {
        active.file.write_all_at(block, active.length)?;
        match self.sync {
            Sync::Always => active.file.sync_data(),
            Sync::Periodic => {
                if active
                    .unsynced
                    .last()
                    .is_none_or(|last| !Arc::ptr_eq(last, &active.file))
                {
                    active.unsynced.push(Arc::clone(&active.file));
                }
                Ok(())
            }
        }
    }

    fn rotate(&self, active: &mut Active) -> Result<(), JournalError> {
        let number = active.number + 1;
        let path = segment_path(&self.directory, self.replica, number);
        let file = match active.spare.take() {
            Some(spare) => {
                fs::rename(spare_path(&self.directory, self.replica), path)?;
                spare
            }
            None => Arc::new(create_segment(&path)?),
        };
        // Bringing a file's data to the disk does not bring its name there.
        active.is_named = false;
        if self.sync == Sync::Always {
            sync_names(&self.directory)?;
            active.is_named = true;
        }
        let old = std::mem::replace(&mut active.number, number);
        active.file = file;
        active.length = 0;
        let is_done = {
            let mut segments = locked(&self.segments);
            segments.by_number.insert(number, Segment::default());
            if let Some(segment) = segments.by_number.get_mut(&old) {
                segment.sealed = true;
            }
            segments.forget_if_done(old)
        };
        if is_done && let Err(error) = self.delete(old) {
            // The next segment is there all the same: no call is to fail for it.
            tracing::warn!(%error, segment = old, "a journal segment could not be deleted");
        }
        Ok(())
    }

    /// Keeps the file of a segment that is done with to be written over, unless there is one.
    fn put_aside(&self, number: u64) -> io::Result<()> {
        let mut active = locked(&self.active);
        if active.spare.is_some() || active.is_closed {
            drop(active);
            return self.delete(number);
        }
        let path = segment_path(&self.directory, self.replica, number);
        let spare = spare_path(&self.directory, self.replica);
        let file = OpenOptions::new().write(true).open(&path)?;
        fs::rename(path, spare)?;
        active.spare = Some(Arc::new(file));
        Ok(())
    }

    fn delete(&self, number: u64) -> io::Result<()> {
        fs::remove_file(segment_path(&self.directory, self.replica, number))
    }
}

impl Batch {
    /// Takes over the room of a block that was written.
    fn reuse(&mut self, mut block: Vec<u8>) {
        if self.block.is_empty() && block.capacity() <= MAX_ROOM {
            block.clear();
            self.block = block;
        }
    }
}

impl Segments {
    /// Forgets a segment that is sealed and in which nothing matters any more; its file is then to be
    /// deleted.
    fn forget_if_done(&mut self, number: u64) -> bool {
        let is_done = |segment: &Segment| segment.sealed && segment.pins == 0;
        if !self.by_number.get(&number).is_some_and(is_done) {
            return false;
        }
        if let Some(segment) = self.by_number.remove(&number) {
            self.total_bytes = self.total_bytes.saturating_sub(segment.bytes);
        }
        true
    }
}

impl Active {
    /// Undoes a write that failed: whoever wrote is told that nothing is there, so that nothing of it
    /// may be found after a crash. What is written next stands in the same place.
    fn take_back(&self) {
        if let Err(error) = self
            .file
            .write_all_at(&[0; block::HEADER], self.length)
            .or_else(|_| self.file.set_len(self.length))
        {
            tracing::error!(%error, "what was half written to the journal could not be taken back");
        }
    }
}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// A record and the place where it stands.
#[derive(Debug)]
pub(super) struct Placed {
    /// Where.
    pub at: Position,
    /// What.
    pub record: Record,
}

/// Reads the records of a segment of this process's own, of which `length` bytes were written, from `from` on
/// until there are `limit` of them.
fn read_lines(
    path: &Path,
    from: Position,
    length: u64,
    limit: usize,
    records: &mut Vec<Placed>,
) -> io::Result<Position> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from.offset))?;
    let rest = file.take(length.saturating_sub(from.offset));
    let mut reader = BufReader::with_capacity(256 * 1024, rest);
    let mut at = from;
    let mut line = Vec::new();
    while records.len() < limit {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            break;
        }
        // Headers of blocks are no records.
        if let Some(record) = record::read_line(&line) {
            records.push(Placed { at, record });
        }
        at.offset += length as u64;
    }
    Ok(at)
}

fn lock_path(directory: &Path, replica: ReplicaId) -> PathBuf {
    directory.join(format!("{replica}.lock"))
}

fn segment_path(directory: &Path, replica: ReplicaId, number: u64) -> PathBuf {
    directory.join(format!("{replica}-{number}.log"))
}

/// The file that is written over next.
fn spare_path(directory: &Path, replica: ReplicaId) -> PathBuf {
    directory.join(format!("{replica}.spare"))
}

fn create_segment(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
}

/// Brings the names of the files in a directory to the disk.
fn sync_names(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Makes and holds the lock of a journal that is one's own.
fn own_lock(path: &Path) -> io::Result<File> {
    loop {
        let lock = File::create(path)?;
        lock.try_lock()?;
        // Between these two, another process may have taken the lock for one that was left behind, and
        // deleted it. Held, it stays.
        if path.exists() {
            return Ok(lock);
        }
    }
}

/// The guarded data. A panic elsewhere cannot leave it half-changed: every change here is a few
/// assignments.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
