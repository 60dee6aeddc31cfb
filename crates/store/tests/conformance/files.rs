//! The file port: records of what lies in the media store.

use domain::file::{
    Completion, FileCursor, FileOrder, FilePurpose, FileQuery, FileRoom, FileStatus, FileStore,
    StoredFile,
};
use domain::id::FileId;
use jiff::Timestamp;

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{file, key_id, other_organization, other_project, time};

on_both_engines!(
    a_file_that_was_not_kept_is_none,
    a_completed_file_reads_back_as_it_was_completed,
    a_file_is_not_found_before_it_is_complete,
    a_file_is_completed_once,
    nobody_but_its_owner_finds_completes_or_deletes_a_file,
    a_link_finds_a_file_whoever_owns_it,
    a_file_is_not_found_after_its_time,
    a_deleted_file_is_gone_and_its_bytes_are_to_go,
    all_files_together_stay_within_the_total,
    the_files_of_an_organization_stay_within_its_part,
    lists_go_in_both_orders_and_on_after_a_place,
    lists_hold_only_what_their_owner_can_find,
    ended_files_come_the_earliest_end_first_until_they_are_forgotten,
);

const ROOM: FileRoom = FileRoom {
    total: 1_000_000,
    organization: 1_000_000,
};

async fn keep(bench: &Bench, files: &[StoredFile]) {
    for file in files {
        bench.store.begin_file(file).await.unwrap();
        assert_eq!(complete(bench, file).await, Completion::Ready);
    }
}

async fn complete(bench: &Bench, file: &StoredFile) -> Completion {
    bench.store.complete_file(file, ROOM).await.unwrap()
}

async fn find(bench: &Bench, id: FileId, now: Timestamp) -> Option<StoredFile> {
    bench.store.file(id, key_id(1), now).await.unwrap()
}

async fn ended(bench: &Bench, limit: u32) -> Vec<FileId> {
    let ended = bench.store.ended_files(time(20), limit).await.unwrap();
    ended.into_iter().map(|file| file.id).collect()
}

async fn a_file_that_was_not_kept_is_none(bench: Bench) {
    let id = file(1).id;
    assert_eq!(find(&bench, id, time(0)).await, None);
    let deleted = bench.store.delete_file(id, key_id(1), time(0)).await;
    assert_eq!(deleted.unwrap(), None);
    assert_eq!(complete(&bench, &file(1)).await, Completion::Gone);
    bench.store.forget_files(&[id]).await.unwrap();
}

async fn a_completed_file_reads_back_as_it_was_completed(bench: Bench) {
    let full = StoredFile {
        organization_id: other_organization(),
        project_id: other_project(),
        purpose: FilePurpose::BatchOutput,
        filename: "Größe 東京 'quoted' \"twice\" \\ / 🗝.jsonl"
            .parse()
            .unwrap(),
        media_type: "application/jsonl; charset=utf-8".parse().unwrap(),
        object: "elsewhere/file-2".parse().unwrap(),
        expires_at: None,
        ..file(2)
    };
    let begun = StoredFile {
        purpose: FilePurpose::UserData,
        filename: "upload".parse().unwrap(),
        media_type: "application/octet-stream".parse().unwrap(),
        bytes: 0,
        expires_at: Some(time(1)),
        ..full.clone()
    };
    bench.store.begin_file(&begun).await.unwrap();
    assert_eq!(complete(&bench, &full).await, Completion::Ready);
    keep(&bench, &[file(1)]).await;
    for kept in [file(1), full] {
        assert_eq!(find(&bench, kept.id, time(2)).await, Some(kept));
    }
}

async fn a_file_is_not_found_before_it_is_complete(bench: Bench) {
    bench.store.begin_file(&file(1)).await.unwrap();
    let (id, owner) = (file(1).id, key_id(1));
    assert_eq!(find(&bench, id, time(0)).await, None);
    assert_eq!(bench.store.linked_file(id, time(0)).await.unwrap(), None);
    assert_eq!(list(&bench, &query()).await, []);
    let deleted = bench.store.delete_file(id, owner, time(0)).await.unwrap();
    assert_eq!(deleted, None);
}

async fn a_file_is_completed_once(bench: Bench) {
    keep(&bench, &[file(1)]).await;
    let otherwise = StoredFile {
        bytes: 1,
        ..file(1)
    };
    assert_eq!(complete(&bench, &otherwise).await, Completion::Gone);
    assert_eq!(find(&bench, file(1).id, time(0)).await, Some(file(1)));
}

async fn nobody_but_its_owner_finds_completes_or_deletes_a_file(bench: Bench) {
    let (id, other) = (file(1).id, key_id(2));
    bench.store.begin_file(&file(1)).await.unwrap();
    let theirs = StoredFile {
        key_id: other,
        ..file(1)
    };
    assert_eq!(complete(&bench, &theirs).await, Completion::Gone);
    assert_eq!(complete(&bench, &file(1)).await, Completion::Ready);
    assert_eq!(bench.store.file(id, other, time(0)).await.unwrap(), None);
    let deleted = bench.store.delete_file(id, other, time(0)).await.unwrap();
    assert_eq!(deleted, None);
    assert!(find(&bench, id, time(0)).await.is_some());
}

async fn a_link_finds_a_file_whoever_owns_it(bench: Bench) {
    let theirs = StoredFile {
        key_id: key_id(2),
        ..file(1)
    };
    keep(&bench, std::slice::from_ref(&theirs)).await;
    let found = bench.store.linked_file(theirs.id, time(0)).await.unwrap();
    assert_eq!(found, Some(theirs));
}

async fn a_file_is_not_found_after_its_time(bench: Bench) {
    keep(&bench, &[until(1, Some(time(10)))]).await;
    let id = file(1).id;
    assert!(find(&bench, id, time(9)).await.is_some());
    assert_eq!(find(&bench, id, time(10)).await, None);
    assert_eq!(bench.store.linked_file(id, time(10)).await.unwrap(), None);
    let deleted = bench.store.delete_file(id, key_id(1), time(10)).await;
    assert_eq!(deleted.unwrap(), None);
}

async fn a_deleted_file_is_gone_and_its_bytes_are_to_go(bench: Bench) {
    keep(&bench, &[until(1, None), file(2)]).await;
    let delete = || bench.store.delete_file(file(1).id, key_id(1), time(5));
    assert_eq!(delete().await.unwrap(), Some(until(1, None)));
    assert_eq!(delete().await.unwrap(), None);
    assert_eq!(find(&bench, file(1).id, time(5)).await, None);
    let to_go = bench.store.ended_files(time(5), 9).await.unwrap();
    let deleted = StoredFile {
        status: FileStatus::Deleted,
        ..until(1, Some(time(5)))
    };
    assert_eq!(to_go, [deleted]);
    assert!(find(&bench, file(2).id, time(5)).await.is_some());
}

async fn all_files_together_stay_within_the_total(bench: Bench) {
    let of = |number, bytes| StoredFile {
        bytes,
        ..file(number)
    };
    for number in 1..=4 {
        bench.store.begin_file(&of(number, 0)).await.unwrap();
    }
    let room = FileRoom { total: 10, ..ROOM };
    let complete = async |file| bench.store.complete_file(&file, room).await.unwrap();
    assert_eq!(complete(of(1, 6)).await, Completion::Ready);
    assert_eq!(complete(of(2, 5)).await, Completion::OverTotal);
    assert_eq!(complete(of(3, 4)).await, Completion::Ready);
    assert_eq!(complete(of(4, 1)).await, Completion::OverTotal);
    assert_eq!(complete(of(4, 0)).await, Completion::Ready);
    bench.store.forget_files(&[file(1).id]).await.unwrap();
    assert_eq!(complete(of(2, 6)).await, Completion::Ready);
}

async fn the_files_of_an_organization_stay_within_its_part(bench: Bench) {
    let of = |number, bytes| StoredFile {
        bytes,
        ..file(number)
    };
    let theirs = StoredFile {
        organization_id: other_organization(),
        ..of(3, 6)
    };
    for begun in [of(1, 0), of(2, 0), theirs.clone()] {
        let begun = StoredFile { bytes: 0, ..begun };
        bench.store.begin_file(&begun).await.unwrap();
    }
    let room = FileRoom {
        organization: 10,
        ..ROOM
    };
    let complete = async |file| bench.store.complete_file(&file, room).await.unwrap();
    assert_eq!(complete(of(1, 6)).await, Completion::Ready);
    assert_eq!(complete(of(2, 5)).await, Completion::OverOrganization);
    assert_eq!(complete(theirs).await, Completion::Ready);
    assert_eq!(complete(of(2, 4)).await, Completion::Ready);
}

fn query() -> FileQuery {
    FileQuery {
        purpose: None,
        order: FileOrder::Newest,
        after: None,
        limit: 9,
    }
}

async fn list(bench: &Bench, query: &FileQuery) -> Vec<FileId> {
    let files = bench.store.list_files(key_id(1), query, time(5)).await;
    files.unwrap().into_iter().map(|file| file.id).collect()
}

async fn lists_go_in_both_orders_and_on_after_a_place(bench: Bench) {
    let at = |number, seconds| StoredFile {
        created_at: time(seconds),
        ..file(number)
    };
    // Two of the same instant are told apart by their identifiers.
    keep(&bench, &[at(3, 1), at(1, 0), at(2, 1), at(4, 2)]).await;
    let ids: Vec<FileId> = (1..=4).map(|number| file(number).id).collect();
    let newest: Vec<FileId> = ids.iter().rev().copied().collect();
    assert_eq!(list(&bench, &query()).await, newest);
    let oldest = FileQuery {
        order: FileOrder::Oldest,
        ..query()
    };
    assert_eq!(list(&bench, &oldest).await, ids);
    let after = Some(FileCursor {
        created_at: time(1),
        id: ids[2],
    });
    let page = FileQuery {
        after,
        limit: 1,
        ..query()
    };
    assert_eq!(list(&bench, &page).await, [ids[1]]);
    let page = FileQuery { after, ..oldest };
    assert_eq!(list(&bench, &page).await, [ids[3]]);
}

async fn lists_hold_only_what_their_owner_can_find(bench: Bench) {
    let of = |number, purpose| StoredFile {
        purpose,
        ..file(number)
    };
    let theirs = StoredFile {
        key_id: key_id(2),
        ..file(1)
    };
    let all = [
        theirs,
        of(2, FilePurpose::Generated),
        until(3, Some(time(5))),
        of(4, FilePurpose::Vision),
        of(5, FilePurpose::Batch),
    ];
    keep(&bench, &all).await;
    assert_eq!(list(&bench, &query()).await, [file(5).id, file(4).id]);
    for order in [FileOrder::Newest, FileOrder::Oldest] {
        let vision = FileQuery {
            purpose: Some(FilePurpose::Vision),
            order,
            ..query()
        };
        assert_eq!(list(&bench, &vision).await, [file(4).id]);
    }
}

fn until(number: u64, expires_at: Option<Timestamp>) -> StoredFile {
    StoredFile {
        expires_at,
        ..file(number)
    }
}

async fn ended_files_come_the_earliest_end_first_until_they_are_forgotten(bench: Bench) {
    let all = [
        until(1, Some(time(20))),
        until(2, Some(time(10))),
        until(4, Some(time(30))),
        until(5, None),
    ];
    keep(&bench, &all).await;
    // Begun and never completed.
    let abandoned = until(3, Some(time(15)));
    bench.store.begin_file(&abandoned).await.unwrap();
    let ids = [file(2).id, file(3).id, file(1).id];
    assert_eq!(ended(&bench, 0).await, []);
    assert_eq!(ended(&bench, 2).await, ids[..2]);
    assert_eq!(ended(&bench, 9).await, ids);
    bench.store.forget_files(&ids[..2]).await.unwrap();
    assert_eq!(ended(&bench, 9).await, ids[2..]);
}
