//! A PostgreSQL server of one test's own, from Debian's binaries, that takes encrypted connections only.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use sqlx::{Connection, PgConnection};

use super::directory::unique;
use super::redis::certify;
use super::wait::eventually;

/// The server, which is stopped and removed when it is dropped.
pub(crate) struct TlsPostgres {
    folder: PathBuf,
    port: u16,
    process: Child,
}

impl TlsPostgres {
    /// Starts a server with a certificate of an authority of its own, and waits until it answers.
    pub(crate) async fn start() -> Self {
        let folder = std::env::temp_dir().join(unique("trunkline-postgres-"));
        std::fs::create_dir(&folder).unwrap();
        certify(&folder);
        if is_root() {
            // PostgreSQL refuses to run as root.
            succeed(Command::new("chown").args(["-R", "postgres"]).arg(&folder));
        }
        let data = folder.join("data").display().to_string();
        let options = "--username=trunkline --auth=trust --encoding=UTF8 --locale=C --no-sync";
        let mut command = as_postgres("initdb", &folder);
        command.args(options.split(' '));
        succeed(command.arg(format!("--pgdata={data}")));
        let rules = Path::new(&data).join("pg_hba.conf");
        std::fs::write(rules, "hostssl all all 127.0.0.1/32 trust\n").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let path = |name: &str| folder.join(name).display().to_string();
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "fsync=off".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", path("server.pem")),
            format!("ssl_key_file={}", path("server.key")),
        ];
        let mut command = as_postgres("postgres", &folder);
        command.args(["-D", &data, "-p", &port.to_string()]);
        for setting in settings {
            command.args(["-c", &setting]);
        }
        let output = std::fs::File::create(folder.join("log")).unwrap();
        let process = command.stdout(Stdio::null()).stderr(output);
        let server = Self {
            process: process.spawn().unwrap(),
            folder,
            port,
        };
        let url = server.url("sslmode=require");
        eventually("the server answers", async || {
            let connection = PgConnection::connect(&url).await.ok()?;
            connection.close().await.ok()
        })
        .await;
        server
    }

    /// Where its database is, asked for with these parameters.
    pub(crate) fn url(&self, parameters: &str) -> String {
        let port = self.port;
        format!("postgres://trunkline@127.0.0.1:{port}/postgres?{parameters}")
    }

    /// The certificate of the authority that vouches for it.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// The certificate of an authority that nobody knows.
    pub(crate) fn another_authority(&self) -> PathBuf {
        let folder = self.folder.join("another");
        std::fs::create_dir(&folder).unwrap();
        certify(&folder);
        folder.join("authority.pem")
    }
}

impl Drop for TlsPostgres {
    fn drop(&mut self) {
        // What it started of its own ends with it when it is told so.
        let told = Command::new("kill")
            .args(["-QUIT", &self.process.id().to_string()])
            .status();
        drop(told.and_then(|_| self.process.wait()));
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// One of PostgreSQL's own programs, run as somebody who may.
fn as_postgres(program: &str, folder: &Path) -> Command {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is there; scripts/test installs it");
    let newest = versions.map(|version| version.unwrap().path()).max();
    let program = newest.unwrap().join("bin").join(program);
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

fn succeed(command: &mut Command) {
    let Output { status, stderr, .. } = command.output().unwrap();
    let told = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {told}");
}
