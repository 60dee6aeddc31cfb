//! A database of one test's on the PostgreSQL server that `scripts/test` starts.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::directory::unique;

pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    pub(crate) async fn create() -> Self {
        let database = Self {
            server: server(),
            name: unique("trunkline_e2e_"),
        };
        database
            .administer(format!("CREATE DATABASE {}", database.name))
            .await;
        database
    }

    /// The server's host and port.
    pub(crate) fn host(&self) -> &str {
        let (_, rest) = self.server.split_once('@').unwrap();
        rest.split_once('/').unwrap().0
    }

    /// Where the database is.
    pub(crate) fn url(&self) -> String {
        self.url_through(self.host())
    }

    /// Where it is when the way there leads through another host and port.
    pub(crate) fn url_through(&self, host: impl std::fmt::Display) -> String {
        let (user, _) = self.server.split_once('@').unwrap();
        format!("{user}@{host}/{}", self.name)
    }

    /// Removes it. One that a failed test leaves behind goes with the server.
    pub(crate) async fn remove(self) {
        self.administer(format!("DROP DATABASE {} WITH (FORCE)", self.name))
            .await;
    }

    async fn administer(&self, sql: String) {
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
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
