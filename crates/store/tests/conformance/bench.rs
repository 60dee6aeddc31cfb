//! An empty store for one test, removed when the test ends, also when it fails.

use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;

use domain::secret::Secret;
use futures_util::FutureExt;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use store::{Kind, Location, Store};

/// What a test works on.
pub(crate) struct Bench {
    /// The store, open and with its schema.
    pub(crate) store: Store,
    /// Where it is, to open it again.
    pub(crate) location: Location,
}

impl Bench {
    /// Puts `value`, in SQL, into a column of every call that passes `condition`. Where the engine has no such
    /// column, it goes into the object that the view makes the column of.
    pub(crate) async fn spoil_calls(&self, column: &str, value: &str, condition: &str) {
        const COLUMNS: [&str; 8] = [
            "key_id",
            "application_id",
            "user_id",
            "batch_id",
            "started_at",
            "state",
            "provider",
            "request_model",
        ];
        let sql = match &self.location {
            Location::Postgres(_) => {
                format!("UPDATE calls SET {column} = {value} WHERE {condition}")
            }
            Location::Sqlite(_) if COLUMNS.contains(&column) => {
                format!("UPDATE recorded_calls SET {column} = {value} WHERE {condition}")
            }
            Location::Sqlite(_) => format!(
                "UPDATE recorded_calls SET details = json_set(details, '$.{column}', {value}) WHERE {condition}"
            ),
        };
        self.run(AssertSqlSafe(sql)).await;
    }

    /// Runs SQL behind the store's back.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        self.run(AssertSqlSafe(sql.to_owned())).await;
    }

    async fn run(&self, sql: AssertSqlSafe<String>) {
        match &self.location {
            Location::Sqlite(file) => {
                let url = format!("sqlite:{}", file.display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                connection.execute(sql).await.unwrap();
            }
            Location::Postgres(url) => {
                let mut connection = PgConnection::connect(url.reveal()).await.unwrap();
                connection.execute(sql).await.unwrap();
            }
        }
    }

    /// The first column of what `sql` finds, behind the store's back.
    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        match &self.location {
            Location::Sqlite(file) => {
                let url = format!("sqlite:{}", file.display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                let query = sqlx::query_scalar(sql);
                query.fetch_all(&mut connection).await.unwrap()
            }
            Location::Postgres(url) => {
                let mut connection = PgConnection::connect(url.reveal()).await.unwrap();
                let query = sqlx::query_scalar(sql);
                query.fetch_all(&mut connection).await.unwrap()
            }
        }
    }

    /// Another store at the same place, as another process would open it.
    pub(crate) async fn open_again(&self) -> Store {
        store::open(&self.location).await.unwrap()
    }
}

/// Runs `test` on an empty store of `kind`.
pub(crate) async fn run<T: Future<Output = ()>>(kind: Kind, test: impl FnOnce(Bench) -> T) {
    let name = format!("trunkline_test_{:016x}", RandomState::new().hash_one(0));
    match kind {
        Kind::Sqlite => {
            let directory = Directory::new(&name);
            run_at(Location::Sqlite(directory.0.join("trunkline.db")), test)
                .await
                .unwrap_or_else(|panic| resume_unwind(panic));
        }
        Kind::Postgres => {
            let server = server();
            let mut connection = PgConnection::connect(&server).await.unwrap();
            connection
                .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
                .await
                .unwrap();
            let (host, _) = server.rsplit_once('/').unwrap();
            let url = Secret::new(format!("{host}/{name}"));
            let outcome = run_at(Location::Postgres(url), test).await;
            connection
                .execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
                .await
                .unwrap();
            outcome.unwrap_or_else(|panic| resume_unwind(panic));
        }
    }
}

async fn run_at<T: Future<Output = ()>>(
    location: Location,
    test: impl FnOnce(Bench) -> T,
) -> std::thread::Result<()> {
    let store = store::open(&location).await.unwrap();
    let bench = Bench {
        store: store.clone(),
        location,
    };
    let outcome = AssertUnwindSafe(test(bench)).catch_unwind().await;
    store.close().await;
    outcome
}

#[expect(
    clippy::disallowed_methods,
    reason = "the server is started by scripts/test, which names it in the environment"
)]
fn server() -> String {
    std::env::var("TRUNKLINE_TEST_POSTGRES").expect(
        "TRUNKLINE_TEST_POSTGRES does not name a PostgreSQL server: run scripts/test, which starts one",
    )
}

/// A directory of one test's.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}
