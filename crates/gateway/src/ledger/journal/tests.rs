use std::collections::HashSet;
use std::fs;
use std::sync::Barrier;

use proptest::prelude::*;

use super::*;
use crate::ledger::record::{Intent, write_intent};
use crate::testing::{Directory, replica, request_id};

impl Journal {
    /// Joins and completes at once.
    pub(in crate::ledger) fn append(
        &self,
        lines: &[u8],
        pins: usize,
    ) -> Result<Position, JournalError> {
        self.complete(&self.join(lines, pins))
    }

    /// From here on, nothing can be appended.
    pub(in crate::ledger) fn close_for_good(&self) {
        locked(&self.active).is_closed = true;
    }
}

const ROOMY: Limits = Limits {
    max_bytes: 1 << 30,
    segment_bytes: 1 << 30,
};

fn journal(directory: &Directory, limits: Limits) -> Journal {
    Journal::open(directory.path(), replica(), Sync::Periodic, limits).unwrap()
}

fn a_line() -> (domain::id::RequestId, Vec<u8>) {
    let intent = Intent {
        request_id: request_id(),
        ..crate::ledger::record::tests::intent()
    };
    let mut line = Vec::new();
    write_intent(&intent, &mut line);
    (intent.request_id, line)
}

fn intent_of(placed: &Placed) -> domain::id::RequestId {
    match &placed.record {
        Record::Intent(intent) => intent.request_id,
        other => panic!("{other:?}"),
    }
}

fn segments(directory: &Directory) -> usize {
    directory
        .files()
        .iter()
        .filter(|name| name.contains(".log"))
        .count()
}

#[test]
fn every_record_of_many_threads_stands_where_its_writer_was_told() {
    let directory = Directory::new();
    let journal = journal(
        &directory,
        Limits {
            segment_bytes: 20_000,
            ..ROOMY
        },
    );
    let start = Barrier::new(8);
    let told: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let write = |_| {
                        let (id, line) = a_line();
                        (journal.append(&line, 1).unwrap(), id)
                    };
                    (0..200).map(write).collect::<Vec<_>>()
                })
            })
            .collect();
        writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect()
    });
    let mut found = Vec::new();
    let mut from = Position {
        segment: 1,
        offset: 0,
    };
    loop {
        let (records, to) = journal.read(from, 100).unwrap();
        if to == from {
            break;
        }
        found.extend(records.iter().map(|placed| (placed.at, intent_of(placed))));
        from = to;
    }
    assert!(segments(&directory) > 5);
    assert!(found.is_sorted_by_key(|(at, _)| *at));
    let told: HashSet<_> = told
        .into_iter()
        .map(|(at, id)| (at.segment, at.offset, id))
        .collect();
    let found: HashSet<_> = found
        .into_iter()
        .map(|(at, id)| (at.segment, at.offset, id))
        .collect();
    assert_eq!(told.len(), 1_600);
    assert_eq!(found, told);
}

#[test]
fn a_segment_goes_when_it_is_sealed_and_everything_in_it_is_released() {
    let directory = Directory::new();
    let journal = journal(
        &directory,
        Limits {
            segment_bytes: 1,
            ..ROOMY
        },
    );
    let first = journal.append(&a_line().1, 2).unwrap();
    journal.release(first.segment, 2).unwrap();
    assert_eq!(segments(&directory), 1, "the active segment stays");
    let second = journal.append(&a_line().1, 2).unwrap();
    assert_ne!(first.segment, second.segment);
    assert_eq!(
        segments(&directory),
        1,
        "the sealed one, released before, is gone"
    );
    let third = journal.append(&a_line().1, 1).unwrap();
    journal.release(second.segment, 1).unwrap();
    assert_eq!(
        segments(&directory),
        2,
        "one record of the second still matters"
    );
    journal.release(second.segment, 1).unwrap();
    assert_eq!(segments(&directory), 1);
    let line = fs::read(segment_path(
        &journal.directory,
        journal.replica,
        third.segment,
    ))
    .unwrap();
    assert_eq!(journal.bytes(), line.len() as u64);
}

#[test]
fn a_reader_passes_over_a_segment_that_is_gone() {
    let directory = Directory::new();
    let journal = journal(
        &directory,
        Limits {
            segment_bytes: 1,
            ..ROOMY
        },
    );
    let first = journal.append(&a_line().1, 1).unwrap();
    let after_it = journal.end();
    let (id, line) = a_line();
    journal.append(&line, 1).unwrap();
    journal.release(first.segment, 1).unwrap();
    let (records, _) = journal.read(after_it, 10).unwrap();
    assert_eq!(records.iter().map(intent_of).collect::<Vec<_>>(), [id]);
}

#[test]
fn a_full_journal_refuses_and_has_room_again_when_it_is_released() {
    let directory = Directory::new();
    let journal = journal(
        &directory,
        Limits {
            max_bytes: 100,
            segment_bytes: 1,
        },
    );
    assert!(journal.check_room().is_ok());
    let first = journal.append(&a_line().1, 1).unwrap();
    assert!(matches!(journal.check_room(), Err(JournalError::Full(_))));
    journal.seal().unwrap();
    journal.release(first.segment, 1).unwrap();
    assert!(journal.check_room().is_ok());
}

/// A block of `segment` with these lines.
fn a_block(segment: u64, lines: &[u8]) -> Vec<u8> {
    let mut block = vec![0; block::HEADER];
    block.extend_from_slice(lines);
    block::seal(&mut block, segment);
    block
}

/// What is read of a file with these bytes as segment 2, a block at a time.
fn read_back(bytes: &[u8]) -> (Vec<domain::id::RequestId>, u64) {
    let directory = Directory::new();
    let path = directory.path().join("x.log");
    fs::write(&path, bytes).unwrap();
    let mut records = Vec::new();
    let mut from = Position {
        segment: 2,
        offset: 0,
    };
    loop {
        let limit = records.len() + 1;
        let to = read_segment(&path, from, limit, &mut records).unwrap();
        if to == from {
            return (records.iter().map(intent_of).collect(), to.offset);
        }
        from = to;
    }
}

#[test]
fn a_block_that_was_cut_short_anywhere_ends_what_is_read() {
    let (first, one) = a_line();
    let (second, two) = a_line();
    let whole = a_block(2, &one);
    let (_, cut) = a_line();
    let cut = a_block(2, &[two, cut].concat());
    for length in 0..cut.len() {
        let bytes = [&whole, cut.get(..length).unwrap()].concat();
        assert_eq!(read_back(&bytes), (vec![first], whole.len() as u64));
    }
    let bytes = [whole.clone(), cut.clone()].concat();
    let (ids, to) = read_back(&bytes);
    assert_eq!(ids.get(..2), Some([first, second].as_slice()));
    assert_eq!(to, bytes.len() as u64);
    let mut changed = bytes;
    changed[whole.len() + block::HEADER + 10] ^= 1;
    assert_eq!(read_back(&changed), (vec![first], whole.len() as u64));
}

proptest! {
    #[test]
    fn a_block_with_any_byte_changed_is_not_read(at: prop::sample::Index, to: u8) {
        let mut block = a_block(2, &a_line().1);
        let index = at.index(block.len());
        // Another spelling of the same checksum is no change.
        prop_assume!(!block[index].eq_ignore_ascii_case(&to));
        prop_assume!(index >= 8 || to != b'+');
        block[index] = to;
        prop_assert_eq!(read_back(&block), (Vec::new(), 0));
    }
}

#[test]
fn what_an_earlier_segment_left_in_the_file_is_not_read() {
    let (id, line) = a_line();
    let new = a_block(2, &line);
    let old: Vec<u8> = (0..3).flat_map(|_| a_block(1, &a_line().1)).collect();
    for left in [0, 1, block::HEADER, old.len() / 2, old.len()] {
        let bytes = [new.as_slice(), old.get(old.len() - left..).unwrap()].concat();
        assert_eq!(read_back(&bytes), (vec![id], new.len() as u64), "{left}");
    }
    assert_eq!(read_back(&old), (Vec::new(), 0));
}

#[test]
fn lines_that_are_not_ours_are_passed_over() {
    let (first, mut lines) = a_line();
    lines.extend_from_slice(b"not ours\n\nI {}\n");
    let (second, line) = a_line();
    lines.extend_from_slice(&line);
    let bytes = a_block(2, &lines);
    let ids = vec![first, second];
    assert_eq!(read_back(&bytes), (ids, bytes.len() as u64));
}

#[test]
fn the_file_of_a_segment_that_is_done_with_is_written_over() {
    let directory = Directory::new();
    let journal = journal(
        &directory,
        Limits {
            segment_bytes: 4_000,
            ..ROOMY
        },
    );
    let mut written: Vec<(Position, domain::id::RequestId)> = Vec::new();
    for round in 0..200 {
        let (id, line) = a_line();
        written.push((journal.append(&line, 1).unwrap(), id));
        // Two thirds of the records go while others are written.
        if round % 3 != 0 {
            let (at, _) = written.remove(written.len() / 2);
            journal.release(at.segment, 1).unwrap();
        }
        if round % 40 == 39 {
            for (at, _) in written.drain(..) {
                journal.release(at.segment, 1).unwrap();
            }
        }
        let files = directory.files();
        let spares = files.iter().filter(|name| name.contains("spare")).count();
        assert!(spares <= 1, "{files:?}");
    }
    assert!(journal.end().segment > 5);
    let (id, line) = a_line();
    written.push((journal.append(&line, 1).unwrap(), id));
    drop(journal);
    let mut found = Vec::new();
    for orphan in Orphan::find_all(directory.path()).unwrap() {
        for (segment, path) in orphan.segments().unwrap() {
            let from = Position { segment, offset: 0 };
            read_segment(&path, from, 1_000, &mut found).unwrap();
        }
        orphan.delete().unwrap();
    }
    let found: HashSet<_> = found.iter().map(intent_of).collect();
    assert!(written.iter().all(|(_, id)| found.contains(id)));
    assert!(directory.files().is_empty(), "{:?}", directory.files());
}

#[test]
fn a_write_that_failed_leaves_nothing_and_the_next_one_is_whole() {
    let directory = Directory::new();
    let journal = journal(&directory, ROOMY);
    let (first, line) = a_line();
    journal.append(&line, 1).unwrap();
    let path = segment_path(&journal.directory, journal.replica, 1);
    // A descriptor that does not write stands for a disk that does not.
    let good = {
        let mut active = locked(&journal.active);
        std::mem::replace(&mut active.file, Arc::new(File::open(&path).unwrap()))
    };
    assert!(journal.append(&a_line().1, 1).is_err());
    locked(&journal.active).file = good;
    let (second, line) = a_line();
    let told = journal.append(&line, 1).unwrap();
    let (records, _) = journal
        .read(
            Position {
                segment: 1,
                offset: 0,
            },
            10,
        )
        .unwrap();
    assert_eq!(
        records.iter().map(intent_of).collect::<Vec<_>>(),
        [first, second]
    );
    assert_eq!(records.last().map(|placed| placed.at), Some(told));
    assert_eq!(
        locked(&journal.segments)
            .by_number
            .get(&1)
            .map(|segment| segment.pins),
        Some(2)
    );
}

#[test]
fn what_was_half_written_is_taken_back() {
    let directory = Directory::new();
    let journal = journal(&directory, ROOMY);
    let (first, line) = a_line();
    journal.append(&line, 1).unwrap();
    let whole = journal.end().offset;
    {
        let active = locked(&journal.active);
        let half = a_block(1, &a_line().1);
        active.file.write_all_at(&half, active.length).unwrap();
        active.take_back();
    }
    assert_eq!(journal.end().offset, whole);
    let path = segment_path(&journal.directory, journal.replica, 1);
    let mut records = Vec::new();
    let from = Position {
        segment: 1,
        offset: 0,
    };
    let to = read_segment(&path, from, 10, &mut records).unwrap();
    assert_eq!(to.offset, whole);
    assert_eq!(records.iter().map(intent_of).collect::<Vec<_>>(), [first]);
}

#[test]
fn a_journal_that_is_stored_leaves_no_file_and_takes_nothing_more() {
    let directory = Directory::new();
    let journal = journal(&directory, ROOMY);
    let at = journal.append(&a_line().1, 1).unwrap();
    journal.seal().unwrap();
    journal.remove_if_empty().unwrap();
    assert_eq!(segments(&directory), 2, "a record still matters");
    journal.release(at.segment, 1).unwrap();
    journal.remove_if_empty().unwrap();
    assert!(directory.files().is_empty());
    assert!(journal.append(&a_line().1, 1).is_err());
}

#[test]
fn a_journal_is_adopted_only_when_its_process_is_gone() {
    let directory = Directory::new();
    let journal = journal(&directory, ROOMY);
    journal.append(&a_line().1, 1).unwrap();
    assert!(Orphan::find_all(directory.path()).unwrap().is_empty());
    drop(journal);
    let orphans = Orphan::find_all(directory.path()).unwrap();
    assert_eq!(orphans.len(), 1);
    assert!(
        Orphan::find_all(directory.path()).unwrap().is_empty(),
        "one adopts at a time"
    );
    for orphan in orphans {
        orphan.delete().unwrap();
    }
    assert!(directory.files().is_empty());
}

#[test]
fn segments_of_an_orphan_come_in_the_order_they_were_written() {
    let directory = Directory::new();
    let journal = journal(
        &directory,
        Limits {
            segment_bytes: 1,
            ..ROOMY
        },
    );
    let ids: Vec<_> = (0..12)
        .map(|_| {
            let (id, line) = a_line();
            journal.append(&line, 1).unwrap();
            id
        })
        .collect();
    drop(journal);
    let orphans = Orphan::find_all(directory.path()).unwrap();
    let mut records = Vec::new();
    for (segment, path) in orphans.iter().flat_map(|orphan| orphan.segments().unwrap()) {
        let from = Position { segment, offset: 0 };
        read_segment(&path, from, 100, &mut records).unwrap();
    }
    assert_eq!(records.iter().map(intent_of).collect::<Vec<_>>(), ids);
}

#[test]
fn lines_that_were_joined_share_the_write_of_whoever_completes_first() {
    let directory = Directory::new();
    let journal = journal(&directory, ROOMY);
    let lines: Vec<_> = (0..3).map(|_| a_line().1).collect();
    let tickets: Vec<_> = lines.iter().map(|line| journal.join(line, 1)).collect();
    let path = segment_path(&journal.directory, journal.replica, 1);
    assert_eq!(fs::read(&path).unwrap(), b"");
    let last = journal.complete(&tickets[2]).unwrap();
    let block = a_block(1, &lines.concat());
    assert_eq!(fs::read(&path).unwrap(), block);
    let first = journal.complete(&tickets[0]).unwrap();
    assert_eq!(first.offset, block::HEADER as u64);
    assert_eq!(
        last.offset,
        (block::HEADER + lines[0].len() + lines[1].len()) as u64
    );
    assert_eq!(fs::read(&path).unwrap(), block, "nothing is written twice");
}
