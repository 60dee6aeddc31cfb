//! A process under test: started, measured from outside through `/proc`, and ended by its own id.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, bail};

/// The unit of CPU times in `/proc/<pid>/stat` towards user space, `sysconf(_SC_CLK_TCK)`: 100 per second
/// on every Linux platform that Rust's standard library supports.
const TICK: Duration = Duration::from_millis(10);

/// A child process; it ends when this is dropped.
pub struct Process {
    child: Child,
    name: &'static str,
}

impl Process {
    /// Starts `command`.
    pub fn start(name: &'static str, command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("{name} does not start: {command:?}"))?;
        Ok(Self { child, name })
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails when the process has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended: {status}", self.name);
        }
        Ok(())
    }

    /// The CPU time, in user mode and in the kernel, that the process took so far; in steps of 10 ms.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        let stat = self.read("stat")?;
        cpu_time(&stat).with_context(|| format!("/proc/{}/stat: {stat}", self.id()))
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> anyhow::Result<u64> {
        let status = self.read("status")?;
        memory(&status, "VmRSS:")
            .with_context(|| format!("/proc/{}/status has no VmRSS", self.id()))
    }

    /// The most memory that was resident at once since the process started, in bytes.
    pub fn peak_resident(&self) -> anyhow::Result<u64> {
        let status = self.read("status")?;
        memory(&status, "VmHWM:")
            .with_context(|| format!("/proc/{}/status has no VmHWM", self.id()))
    }

    fn read(&self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.id());
        fs::read_to_string(&path).with_context(|| path)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error says that it has ended already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads `utime` and `stime`, fields 14 and 15 (`man 5 proc_pid_stat`); the second field, the command, may hold
/// spaces and parentheses, so counting starts behind its last parenthesis.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * user.checked_add(system)?)
}

/// A field of `/proc/<pid>/status` that counts memory (`man 5 proc_pid_status`), in bytes.
fn memory(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_the_sum_of_user_and_kernel_time() {
        let stat = "712 (a (b) c) S 1 712 712 0 -1 4194560 900 0 0 0 150 25 7 9 20 0 5 0 11 22 33";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1_750)));
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let status = "Name:\tbench\nVmPeak:\t  900 kB\nVmHWM:\t  50 kB\nVmRSS:\t  40 kB\n";
        assert_eq!(memory(status, "VmRSS:"), Some(40_960));
        assert_eq!(memory(status, "VmHWM:"), Some(51_200));
    }
}
