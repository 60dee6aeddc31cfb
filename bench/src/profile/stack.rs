//! Sampled stacks, as `perf script` prints them.

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The name of the thread.
    pub thread: String,
    /// The functions, the innermost first.
    pub frames: Vec<String>,
}

/// Reads samples: a line with the thread's name, then one indented line for each frame (address, then
/// function), then an empty line.
pub fn read(script: &str) -> impl Iterator<Item = Stack> {
    script.split("\n\n").filter_map(|sample| {
        let mut lines = sample.lines().filter(|line| !line.trim().is_empty());
        let thread = lines.next()?.trim().to_owned();
        let frames = lines
            .filter_map(|line| line.trim().split_once(' '))
            .map(|(_, function)| function.trim().to_owned())
            .collect();
        Some(Stack { thread, frames })
    })
}

/// Reads how often each system call was made, the most frequent first: lines of `count,,syscalls:
/// sys_enter_NAME,…`.
pub fn read_counts(stat: &str) -> Vec<(String, f64)> {
    let mut counts: Vec<(String, f64)> = stat
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(',');
            let count = fields.next()?.parse().ok()?;
            let event = fields.find(|field| field.starts_with("syscalls:"))?;
            let (_, name) = event.split_once("sys_enter_")?;
            Some((name.to_owned(), count))
        })
        .filter(|(_, count)| *count > 0.0)
        .collect();
    counts.sort_by(|a, b| b.1.total_cmp(&a.1));
    counts
}

/// The path of a function without generic parameters and closures: `<a::B<C> as d::E>::f` is of the type
/// `a::B`, hence `a::B::f`.
pub fn path(function: &str) -> String {
    let function = function.trim_start_matches(['<', '&', '*']);
    let function = function.strip_prefix("mut ").unwrap_or(function);
    let function = function.strip_prefix("dyn ").unwrap_or(function);
    // Of `T as Trait>::method`, the type and the method are kept.
    let (subject, method) = match function.split_once(" as ") {
        Some((subject, rest)) => {
            let method = rest.rsplit_once(">::").map_or("", |(_, method)| method);
            (subject, method)
        }
        None => (function, ""),
    };
    let mut path = String::new();
    let mut depth = 0_u32;
    for character in subject.chars() {
        match character {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => path.push(character),
            _ => {}
        }
    }
    if !method.is_empty() {
        path.push_str("::");
        path.push_str(method);
    }
    path.split("::")
        .filter(|segment| !segment.is_empty() && !segment.starts_with('{'))
        .collect::<Vec<_>>()
        .join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_innermost_first() {
        let script =
            "tokio-rt-worker \n\t 1a f::g\n\t ffff __x64_sys_writev\n\nsqlite worker \n\t 2 h\n\n";
        let stacks: Vec<Stack> = read(script).collect();
        assert_eq!(stacks.len(), 2);
        assert_eq!(stacks[0].thread, "tokio-rt-worker");
        assert_eq!(stacks[0].frames, ["f::g", "__x64_sys_writev"]);
        assert_eq!(stacks[1].thread, "sqlite worker");
    }

    #[test]
    fn calls_are_read_with_the_most_frequent_first() {
        let stat = "5,,syscalls:sys_enter_read,1,100.00,,\n<not counted>,,syscalls:sys_enter_dup,0,,,\n\
            0,,syscalls:sys_enter_mmap,1,100.00,,\n70,,syscalls:sys_enter_writev,1,100.00,,\n";
        let expected = [("writev".to_owned(), 70.0), ("read".to_owned(), 5.0)];
        assert_eq!(read_counts(stat), expected);
    }

    #[test]
    fn a_path_is_free_of_generics_and_closures() {
        for (function, expected) in [
            (
                "gateway::chat::Gateway::chat::{{closure}}",
                "gateway::chat::Gateway::chat",
            ),
            (
                "<hyper::body::Body<B> as http::Body>::poll_frame",
                "hyper::body::Body::poll_frame",
            ),
            (
                "tokio::runtime::task::core::Core<T,S>::poll",
                "tokio::runtime::task::core::Core::poll",
            ),
            (
                "<&mio::net::Stream as std::io::Write>::write",
                "mio::net::Stream::write",
            ),
            ("memcpy", "memcpy"),
        ] {
            assert_eq!(path(function), expected);
        }
    }
}
