//! Opening the file and bringing its schema up to date.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::store_error::StoreError;
use sqlx::SqlitePool;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::error::{migration_error, store_error};

/// How long a statement waits for another process, and a task for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that read. Each is a thread with a page cache of two megabytes at most.
const READERS: u32 = 4;

/// The size of a page of a new file, in bytes. Calls are appended: with large pages, fewer are written for a
/// batch, and a file system call is made for each.
const PAGE: u32 = 16 * 1024;
/// Pages in the write-ahead log before it is folded into the file. The last pages of every index are written
/// with every batch; the longer the log, the fewer times they go on to the file.
const LOG_PAGES: &str = "1000";

/// SQLite takes one writer at a time: all writes queue at one connection, where they cost no waiting on
/// a locked file. In WAL mode readers and the writer do not hinder each other.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    pub(crate) write: SqlitePool,
    pub(crate) read: SqlitePool,
}

impl Pools {
    pub(crate) async fn close(&self) {
        // The writer closes last and folds the write-ahead log into the file.
        self.read.close().await;
        self.write.close().await;
    }
}

/// Opens the file, making it when it is not there.
pub(crate) async fn open(file: &Path) -> Result<Pools, StoreError> {
    create(file).map_err(|source| {
        let file = file.to_owned();
        StoreError::Failed(Box::new(NotCreated { file, source }))
    })?;
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(PATIENCE)
        .journal_mode(SqliteJournalMode::Wal)
        // Commits do not wait for the disk: what must survive a loss of power is made durable in the
        // lump, while the journal still has it.
        .synchronous(SqliteSynchronous::Normal)
        .page_size(PAGE)
        .pragma("wal_autocheckpoint", LOG_PAGES);
    let pool = || {
        SqlitePoolOptions::new()
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let write = behind(pool().max_connections(1), options.clone()).await?;
    migrate(&write).await?;
    let read = pool()
        .max_connections(READERS)
        .connect_lazy_with(options.read_only(true));
    Ok(Pools { write, read })
}

/// Connects from a thread that steps back, so that the connection's own thread, which inherits that, writes
/// when nobody else has to do. Whoever waits for an answer is not to wait for the record of another.
async fn behind(
    pool: SqlitePoolOptions,
    options: SqliteConnectOptions,
) -> Result<SqlitePool, StoreError> {
    let (tell, connected) = tokio::sync::oneshot::channel();
    let connect = move || {
        step_back();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let connected = match runtime {
            Ok(runtime) => runtime.block_on(pool.connect_with(options)),
            Err(error) => Err(sqlx::Error::Io(error)),
        };
        // Nobody hears it who no longer wants to open the store.
        drop(tell.send(connected));
    };
    let failed = |error: io::Error| StoreError::Failed(Box::new(error));
    std::thread::Builder::new()
        .name("store-opening".to_owned())
        .spawn(connect)
        .map_err(failed)?;
    let connected = connected
        .await
        .map_err(|_| failed(io::Error::other("the thread that opens the store ended")))?;
    connected.map_err(store_error)
}

/// Gives others the right of way. Of a core that is always busy a quarter is left, more than the records of a
/// full load need.
#[cfg(target_os = "linux")]
fn step_back() {
    use rustix::process::{getpriority_process, setpriority_process};
    // Of this thread, on Linux (setpriority(2)). Stepping back is always permitted.
    let stepped_back =
        getpriority_process(None).and_then(|nice| setpriority_process(None, nice + 5));
    debug_assert!(stepped_back.is_ok());
}

#[cfg(not(target_os = "linux"))]
fn step_back() {}

#[derive(Debug, thiserror::Error)]
#[error("cannot create {}", .file.display())]
struct NotCreated {
    file: PathBuf,
    source: io::Error,
}

/// Makes an empty file that only its owner may read; SQLite gives its side files the same mode. A file that
/// is there is not even opened: closing it again would take away the locks that SQLite holds on it in
/// this process (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
fn create(file: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

async fn migrate(write: &SqlitePool) -> Result<(), StoreError> {
    let mut migrations: Migrator = sqlx::migrate!("migrations/sqlite");
    migrations.set_ignore_missing(true);
    // All or nothing, and one process at a time.
    let mut transaction = write
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(store_error)?;
    migrations
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(migration_error)?;
    transaction.commit().await.map_err(store_error)
}
