//! The process under test.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::client::Client;
use super::directory::Directory;
use super::wait::{eventually, soon};

/// An installation: its configuration and its data, whether a process runs on them or not.
pub(crate) struct Installation {
    directory: Directory,
    starts: AtomicUsize,
}

/// A process that serves. It is killed when it is dropped.
pub(crate) struct Trunkline {
    process: Child,
    address: SocketAddr,
    log: PathBuf,
    admin_key: String,
}

impl Installation {
    pub(crate) fn new(configuration: &str) -> Self {
        let installation = Self {
            directory: Directory::new(),
            starts: AtomicUsize::new(0),
        };
        installation.configure(configuration);
        installation
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces the configuration as an orchestrator does: a new file takes the old one's name.
    pub(crate) fn configure(&self, configuration: &str) {
        let new = self.path("trunkline.yaml.new");
        std::fs::write(&new, configuration).unwrap();
        std::fs::rename(new, self.path("trunkline.yaml")).unwrap();
    }

    /// The files of the journal.
    pub(crate) fn journal(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.path("trunkline-data/journal")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files
    }

    /// Starts to serve, and waits until it is ready.
    pub(crate) async fn start(&self) -> Trunkline {
        Self::ready(self.start_unready().await).await
    }

    async fn ready(trunkline: Trunkline) -> Trunkline {
        let admin = trunkline.admin();
        eventually("the process is ready", async || {
            (admin.get("/readyz").await.status == 200).then_some(())
        })
        .await;
        trunkline
    }

    /// Starts to serve, and waits until it listens.
    pub(crate) async fn start_unready(&self) -> Trunkline {
        self.listen("127.0.0.1:0").await
    }

    /// The same with these variables in its environment.
    pub(crate) async fn start_knowing(&self, variables: &[(&str, &str)]) -> Trunkline {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(variables.iter().copied());
        Self::ready(self.start_as(command).await).await
    }

    /// Starts to serve at an address that an earlier process had, and waits until it is ready.
    pub(crate) async fn start_at(&self, address: SocketAddr) -> Trunkline {
        Self::ready(self.listen(&address.to_string()).await).await
    }

    async fn listen(&self, address: &str) -> Trunkline {
        self.start_as(self.command(&["serve", "--listen", address]))
            .await
    }

    /// The same with no file that may grow beyond `bytes`, as on a disk that is full then:
    /// [`Trunkline::make_room`] ends it. The signal that comes with it is ignored, as it never comes from a
    /// disk.
    pub(crate) async fn start_with_little_room(&self, bytes: u64) -> Trunkline {
        let serve = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        let script = r#"trap "" XFSZ; exec prlimit --fsize="$0": "$@""#;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script, &bytes.to_string()])
            .arg(serve.as_std().get_program())
            .args(serve.as_std().get_args())
            .current_dir(self.directory.path())
            .env_clear()
            .env("TRUNKLINE_E2E", "yes")
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Self::ready(self.start_as(command).await).await
    }

    async fn start_as(&self, mut command: Command) -> Trunkline {
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        let output = self.path(&format!("serve-{start}.out"));
        let log = self.path(&format!("serve-{start}.log"));
        let mut process = command
            .stdout(std::fs::File::create(&output).unwrap())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let address = eventually("the process serves", async || {
            if let Some(status) = process.try_wait().unwrap() {
                panic!(
                    "the process ended with {status}: {}",
                    std::fs::read_to_string(&log).unwrap()
                );
            }
            let greeting = std::fs::read_to_string(&output).unwrap();
            let address = greeting
                .lines()
                .next()?
                .strip_prefix("Trunkline serves on http://")?;
            greeting.contains('\n').then(|| address.parse().unwrap())
        })
        .await;
        // The first of several replicas has it.
        let admin_key = std::fs::read_to_string(self.path("trunkline-data/admin.key"));
        Trunkline {
            process,
            address,
            log,
            admin_key: admin_key.unwrap_or_default().trim().to_owned(),
        }
    }

    /// Starts to serve and is killed on the way, at a moment that nobody chose.
    pub(crate) async fn start_and_kill(&self) {
        let mut process = self
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let longest = Duration::from_millis(RandomState::new().hash_one(0) % 200);
        // Nothing is waited for: that the process ends here is the point.
        drop(timeout(longest, process.wait()).await);
        process.kill().await.unwrap();
    }

    /// Runs another subcommand on the same installation, to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        soon("a command ends", self.command(arguments).output())
            .await
            .unwrap()
    }

    /// The same for one that must succeed: what it prints.
    pub(crate) async fn print(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        // The defaults find the configuration and the data in the working directory.
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("TRUNKLINE_E2E", "yes")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

impl Trunkline {
    /// Lets files grow again.
    pub(crate) async fn make_room(&self) {
        let id = self.process.id().unwrap().to_string();
        let done = Command::new("prlimit")
            .args(["--pid", &id, "--fsize=unlimited:"])
            .status()
            .await
            .unwrap();
        assert!(done.success());
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// A caller who shows the admin key.
    pub(crate) fn admin(&self) -> Client {
        Client::new(self.address, &self.admin_key)
    }

    /// A caller who shows the configured key.
    pub(crate) fn app(&self) -> Client {
        Client::new(self.address, super::APP_KEY)
    }

    /// What was written to the log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until `words` are in the log.
    pub(crate) async fn logged(&self, words: &str) {
        eventually(words, async || self.log().contains(words).then_some(())).await;
    }

    /// `kill -9`
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) async fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id().unwrap());
        let status = Command::new("sh")
            .args(["-c", &kill])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }

    /// Waits until the process has ended by itself.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        soon("the process ends", self.process.wait()).await.unwrap()
    }

    /// Stops it in order.
    pub(crate) async fn stop(self) {
        self.signal("TERM").await;
        let log = self.log.clone();
        let status = self.ended().await;
        assert!(
            status.success(),
            "{status}: {}",
            std::fs::read_to_string(log).unwrap()
        );
    }
}
