//! Keeps the process under test on a core of its own, away from the load and the mock provider.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::thread;

/// Who runs where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinning {
    /// Subjects on core 0; load and mock on core 1.
    Apart,
    /// Wherever the system likes: there is one core only, or no `taskset`.
    Free,
}

const SUBJECT_CORE: &str = "0";
const LOAD_CORE: &str = "1";

impl Pinning {
    /// Moves this process, and with it the children it starts, to the load's core if that is possible.
    pub fn begin() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        if cores < 2 {
            return Self::Free;
        }
        let moved = Command::new("taskset")
            .args(["--all-tasks", "--cpu-list", "--pid", LOAD_CORE])
            .arg(std::process::id().to_string())
            .stdout(Stdio::null())
            .status();
        match moved {
            Ok(status) if status.success() => Self::Apart,
            _ => Self::Free,
        }
    }

    /// A command that runs `program` where subjects run.
    pub fn subject(self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Free => Command::new(program),
            Self::Apart => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", SUBJECT_CORE]).arg(program);
                command
            }
        }
    }
}
