//! Samples added up in three ways: whose work it was, in which function, and what it was made of.

use std::collections::HashMap;

use super::stack::{Stack, path};

/// The crates of the product, by the names that symbols have.
const OWN: [&str; 7] = [
    "domain",
    "gateway",
    "identity",
    "providers",
    "sim",
    "store",
    "trunkline",
];

/// What a frame that is not the product's own says about whose work it is.
const OTHERS: [(&str, &str); 17] = [
    ("hyper_util::client", "HTTP client (hyper)"),
    ("hyper::client", "HTTP client (hyper)"),
    ("hyper::proto::h1::role::Client", "HTTP client (hyper)"),
    ("hyper::proto::h1::dispatch::Client", "HTTP client (hyper)"),
    ("hyper_rustls", "HTTP client (hyper)"),
    ("axum", "HTTP server (axum, hyper)"),
    ("tower", "HTTP server (axum, hyper)"),
    ("hyper_util::server", "HTTP server (axum, hyper)"),
    ("hyper::server", "HTTP server (axum, hyper)"),
    (
        "hyper::proto::h1::role::Server",
        "HTTP server (axum, hyper)",
    ),
    (
        "hyper::proto::h1::dispatch::Server",
        "HTTP server (axum, hyper)",
    ),
    ("bench::proxy", "the bare proxy itself"),
    ("bench::listen", "HTTP server (axum, hyper)"),
    (
        "tokio::runtime::scheduler",
        "runtime: scheduling, waiting for events",
    ),
    (
        "tokio::runtime::task",
        "runtime: scheduling, waiting for events",
    ),
    ("tokio::runtime::blocking", "runtime: blocking pool"),
    (
        "tokio::runtime::io::driver",
        "runtime: scheduling, waiting for events",
    ),
];

/// Threads whose work is told apart by their names.
const THREADS: [(&str, &str); 3] = [
    ("sqlx-sqlite", "store: SQLite's thread"),
    ("log-writer", "log: the writer's thread"),
    ("notify-rs", "configuration: the watcher's thread"),
];

/// Samples by name.
#[derive(Debug, Default)]
pub struct Counts(HashMap<String, u64>);

impl Counts {
    fn add(&mut self, name: String) {
        *self.0.entry(name).or_default() += 1;
    }

    /// The names with the most samples, the largest first.
    pub fn largest(&self, limit: usize) -> Vec<(&str, u64)> {
        let entries = self.0.iter();
        let mut sorted: Vec<(&str, u64)> = entries
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        sorted.truncate(limit);
        sorted
    }
}

/// How many samples fell where.
#[derive(Debug, Default)]
pub struct Tally {
    /// All of them.
    pub samples: u64,
    /// By the part of the product (crate and module) or the library whose work it was.
    pub by_owner: Counts,
    /// By the product's own function that was innermost.
    pub by_function: Counts,
    /// By what the processor was doing: a system call, or a library's code.
    pub by_kind: Counts,
}

impl Tally {
    /// Adds up samples.
    pub fn of(stacks: impl Iterator<Item = Stack>) -> Self {
        let mut tally = Self::default();
        for stack in stacks {
            tally.add(&stack);
        }
        tally
    }

    fn add(&mut self, stack: &Stack) {
        self.samples += 1;
        let paths: Vec<String> = stack.frames.iter().map(|frame| path(frame)).collect();
        self.by_owner.add(owner(stack, &paths));
        self.by_kind.add(kind(&paths));
        if let Some(function) = paths.iter().find(|path| is_own(path)) {
            self.by_function.add(function.clone());
        }
    }
}

/// Whose work a sample is: what the innermost frame that says anything says.
fn owner(stack: &Stack, paths: &[String]) -> String {
    let thread = THREADS
        .iter()
        .find(|(prefix, _)| stack.thread.starts_with(prefix));
    if let Some((_, name)) = thread {
        return (*name).to_owned();
    }
    for path in paths {
        if is_own(path) {
            return module(path);
        }
        let other = OTHERS.iter().find(|(prefix, _)| path.starts_with(prefix));
        if let Some((_, name)) = other {
            return (*name).to_owned();
        }
    }
    format!("thread {}", stack.thread)
}

fn is_own(path: &str) -> bool {
    let name = path.split("::").next().unwrap_or_default();
    path.contains("::") && OWN.contains(&name)
}

/// Crate and module.
fn module(path: &str) -> String {
    path.split("::").take(2).collect::<Vec<_>>().join("::")
}

/// What the processor was doing: in the kernel, the system call; elsewhere the crate or C library.
fn kind(paths: &[String]) -> String {
    // The function that the kernel's entry calls is the system call, under one of several names.
    let entry = paths
        .iter()
        .position(|path| path.starts_with("do_syscall_"));
    if let Some(entry) = entry {
        let calls = entry.checked_sub(1).and_then(|call| paths.get(call));
        let call = calls.map_or("entry and exit", String::as_str);
        let call = call.trim_start_matches("__").trim_start_matches("x64_sys_");
        let call = call.trim_start_matches("do_").trim_start_matches("sys_");
        return format!("system call {call}");
    }
    let is_kernel = |path: &String| path.starts_with("entry_SYSCALL") || path.starts_with("asm_");
    if paths.iter().any(is_kernel) {
        return "kernel: interrupts, entry and exit".to_owned();
    }
    let Some(leaf) = paths.first() else {
        return "unknown".to_owned();
    };
    let name = leaf.split("::").next().unwrap_or_default();
    match name {
        _ if leaf.starts_with("mi_") || leaf.starts_with("_mi_") => {
            "allocator (mimalloc)".to_owned()
        }
        _ if leaf.starts_with("sqlite3") => "sqlite".to_owned(),
        "core" | "alloc" | "std" => "standard library".to_owned(),
        _ if leaf.contains("::") => name.to_owned(),
        _ if leaf.contains("mem") => "memory copies and comparisons".to_owned(),
        _ => format!("C: {leaf}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(thread: &str, frames: &[&str]) -> Tally {
        let frames = frames.iter().map(|frame| (*frame).to_owned()).collect();
        let thread = thread.to_owned();
        Tally::of(std::iter::once(Stack { thread, frames }))
    }

    #[test]
    fn a_library_works_for_the_product_function_that_called_it() {
        let tally = tally(
            "tokio-rt-worker",
            &[
                "serde_json::ser::to_writer",
                "gateway::ledger::record::write_end",
                "axum::serve",
            ],
        );
        assert_eq!(tally.by_owner.0["gateway::ledger"], 1);
        assert_eq!(tally.by_function.0["gateway::ledger::record::write_end"], 1);
        assert_eq!(tally.by_kind.0["serde_json"], 1);
    }

    #[test]
    fn a_system_call_is_named() {
        let tally = tally(
            "tokio-rt-worker",
            &[
                "tcp_sendmsg",
                "do_writev",
                "do_syscall_64",
                "writev",
                "hyper::client::poll",
            ],
        );
        assert_eq!(tally.by_kind.0["system call writev"], 1);
        assert_eq!(tally.by_owner.0["HTTP client (hyper)"], 1);
    }
}
