//! A Redis server of one test's own, from Debian's binary, which the test may stop, flush and slow down. The
//! end-to-end tests of the binary use this file too.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than a start takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server on a free port that keeps nothing on the disk. It is killed when it is dropped.
pub(crate) struct RedisServer {
    address: SocketAddr,
    process: Option<Child>,
    /// What it is started with beside.
    options: Vec<String>,
    /// Where it speaks TLS.
    tls: Option<SocketAddr>,
    /// What it keeps, which goes with it.
    folder: Option<PathBuf>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    pub(crate) fn start() -> Self {
        Self::start_as(Vec::new(), None, None)
    }

    /// Starts one that is part of a cluster.
    pub(crate) fn start_in_cluster() -> Self {
        let folder = folder_of(free_address());
        let nodes = folder.join("nodes").display().to_string();
        let options = ["--cluster-enabled", "yes", "--cluster-config-file", &nodes];
        let options = options.map(str::to_owned).to_vec();
        Self::start_as(options, None, Some(folder))
    }

    /// Starts one that speaks TLS too, with a certificate of an authority of its own.
    pub(crate) fn start_with_tls() -> Self {
        let address = free_address();
        let folder = folder_of(address);
        certify(&folder);
        let path = |name: &str| folder.join(name).display().to_string();
        let options = [
            ("--tls-port", address.port().to_string()),
            ("--tls-cert-file", path("server.pem")),
            ("--tls-key-file", path("server.key")),
            ("--tls-ca-cert-file", path("authority.pem")),
            ("--tls-auth-clients", "no".to_owned()),
        ];
        let options = options.into_iter();
        let options = options.flat_map(|(name, value)| [name.to_owned(), value]);
        let options = options.collect();
        Self::start_as(options, Some(address), Some(folder))
    }

    fn start_as(options: Vec<String>, tls: Option<SocketAddr>, folder: Option<PathBuf>) -> Self {
        let mut server = Self {
            address: free_address(),
            process: None,
            options,
            tls,
            folder,
        };
        server.start_again();
        server
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Where it speaks TLS.
    pub(crate) fn tls_url(&self) -> String {
        let address = self.tls.expect("it speaks TLS");
        format!("rediss://{address}")
    }

    /// The certificate of the authority that vouches for it.
    pub(crate) fn authority(&self) -> PathBuf {
        let folder = self.folder.as_ref().expect("it speaks TLS");
        folder.join("authority.pem")
    }

    /// Starts it where it was before, with nothing in it.
    pub(crate) fn start_again(&mut self) {
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &self.address.port().to_string()])
            .args(&self.options)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts; scripts/test installs it");
        self.process = Some(process);
        #[expect(clippy::disallowed_methods, reason = "a process is waited for")]
        let started = Instant::now();
        while self.try_say(&["PING"]).is_err() {
            assert!(started.elapsed() < PATIENCE, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it: nothing is left.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("the server is killed");
            process.wait().expect("the server has ended");
        }
    }

    /// Forgets everything, as an operator or a restart does.
    pub(crate) fn flush(&self) {
        assert_eq!(self.say(&["FLUSHALL"]), "+OK");
    }

    /// Answers nobody for so long.
    pub(crate) fn pause(&self, pause: Duration) {
        let milliseconds = pause.as_millis().to_string();
        assert_eq!(self.say(&["CLIENT", "PAUSE", &milliseconds, "ALL"]), "+OK");
    }

    /// The first line of the answer to a command, as it is on the wire.
    pub(crate) fn say(&self, words: &[&str]) -> String {
        self.try_say(words).expect("the server answers")
    }

    /// The lines of an answer that is one text or a list of texts.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<String> {
        let mut answer = self.ask(words).expect("the server answers");
        let mut read = || {
            let mut line = String::new();
            answer.read_line(&mut line).expect("a line of the answer");
            line.trim_end().to_owned()
        };
        let head = read();
        let count: usize = head
            .trim_start_matches(['*', '$'])
            .parse()
            .expect("a length");
        if head.starts_with('*') {
            // Before each text stands its length.
            return (0..count).map(|_| (read(), read()).1).collect();
        }
        let mut lines = Vec::new();
        let mut left = count;
        while left > 0 {
            let line = read();
            left = left.saturating_sub(line.len() + 2);
            lines.push(line);
        }
        lines
    }

    fn try_say(&self, words: &[&str]) -> std::io::Result<String> {
        let mut line = String::new();
        self.ask(words)?.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Sends a command; its answer is to be read.
    fn ask(&self, words: &[&str]) -> std::io::Result<BufReader<TcpStream>> {
        let mut stream = TcpStream::connect(self.address)?;
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            let length = word.len();
            command.extend([&*format!("${length}\r\n"), word, "\r\n"]);
        }
        stream.write_all(command.as_bytes())?;
        Ok(BufReader::new(stream))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // A test that failed has nobody to tell.
            drop(process.kill().and_then(|()| process.wait()));
        }
        if let Some(folder) = &self.folder {
            drop(std::fs::remove_dir_all(folder));
        }
    }
}

fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("its address")
}

/// A folder for what a server keeps.
fn folder_of(address: SocketAddr) -> PathBuf {
    let (process, port) = (std::process::id(), address.port());
    let folder = std::env::temp_dir().join(format!("trunkline-redis-{process}-{port}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Makes an authority, and a certificate of its for this machine.
pub(crate) fn certify(folder: &Path) {
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").expect("a file");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout";
    for command in [
        format!("req -x509 {key} authority.key -out authority.pem -days 2 -subj /CN=authority"),
        format!("req {key} server.key -out server.csr -subj /CN=server"),
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
         -extfile names -out server.pem"
            .to_owned(),
    ] {
        let done = Command::new("openssl")
            .args(command.split_whitespace())
            .current_dir(folder)
            .output()
            .expect("openssl starts; scripts/test installs it");
        assert!(done.status.success(), "{command}: {done:?}");
    }
}
