//! The shape of the workspace and the truth of its documentation: who may know whom, and whether what the
//! documents point at is there.

#![expect(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test that reads it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which crates of the workspace a crate may know. `docs/architecture.md` draws the same arrows.
const ARROWS: [(&str, &[&str]); 10] = [
    ("bench", &[]),
    ("domain", &[]),
    ("fleet", &["domain"]),
    ("gateway", &["domain", "providers"]),
    ("identity", &["domain"]),
    ("inference", &["domain"]),
    ("providers", &["domain"]),
    (
        "server",
        &[
            "domain",
            "fleet",
            "gateway",
            "identity",
            "inference",
            "providers",
            "sim",
            "store",
        ],
    ),
    ("sim", &[]),
    ("store", &["domain"]),
];

/// Crates that have one home each, and those who may name them.
const HOMES: [(&str, &[&str]); 10] = [
    ("axum", &["server"]),
    ("candle-core", &["inference"]),
    ("hyper", &["bench", "server", "sim"]),
    ("hyper-rustls", &["server"]),
    ("hyper-util", &["bench", "server", "sim"]),
    ("opentelemetry", &["server"]),
    ("redis", &["fleet"]),
    ("sqlx", &["store"]),
    ("tower", &["server"]),
    // Translation is pure, and the vocabulary is only words.
    (
        "tokio",
        &[
            "bench",
            "fleet",
            "gateway",
            "inference",
            "server",
            "sim",
            "store",
        ],
    ),
];

/// One `[dependencies]` line of a crate of the workspace.
struct Dependency {
    /// The crate that has it.
    of: String,
    /// The crate that it names.
    name: String,
    /// Whether that one is in the workspace too.
    is_ours: bool,
}

/// What the crates of the workspace depend on. Tests may look further: their dependencies do not count.
fn dependencies() -> Vec<Dependency> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let of_package = |package: &Value| {
        let of = package["name"].as_str().unwrap().to_owned();
        let named = package["dependencies"].as_array().unwrap().clone();
        named
            .into_iter()
            .filter(|dependency| dependency["kind"] != "dev")
            .map(move |dependency| Dependency {
                of: of.clone(),
                name: dependency["name"].as_str().unwrap().to_owned(),
                is_ours: dependency["path"].is_string(),
            })
    };
    packages.iter().flat_map(of_package).collect()
}

#[test]
fn arrows_point_only_from_the_one_who_knows_to_the_one_who_is_known() {
    let forbidden: Vec<String> = dependencies()
        .iter()
        .filter(|dependency| dependency.is_ours)
        .filter(|dependency| {
            let allowed = ARROWS.iter().find(|(of, _)| *of == dependency.of);
            !allowed.is_some_and(|(_, known)| known.contains(&&*dependency.name))
        })
        .map(|dependency| format!("{} → {}", dependency.of, dependency.name))
        .collect();
    assert!(
        forbidden.is_empty(),
        "an arrow that is not on the map: {forbidden:?}"
    );
}

#[test]
fn every_crate_is_on_the_map() {
    let named: BTreeSet<String> = dependencies().into_iter().map(|it| it.of).collect();
    let drawn: BTreeSet<String> = ARROWS.iter().map(|(of, _)| (*of).to_owned()).collect();
    // `domain` and `sim` know none of ours, but all of them name libraries.
    assert_eq!(named, drawn);
}

#[test]
fn a_library_with_one_home_is_named_nowhere_else() {
    let strays: Vec<String> = dependencies()
        .iter()
        .filter(|dependency| {
            let home = HOMES.iter().find(|(name, _)| *name == dependency.name);
            home.is_some_and(|(_, homes)| !homes.contains(&&*dependency.of))
        })
        .map(|dependency| format!("{} names {}", dependency.of, dependency.name))
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn a_type_has_one_path() {
    let mut reexports = Vec::new();
    for (of, _) in ARROWS {
        // Inside of a crate, its own name may be that of a module.
        let others = ARROWS.iter().filter(|(other, _)| *other != of);
        let reexporting: Vec<String> = others
            .map(|(other, _)| format!("pub use {other}::"))
            .collect();
        let sources = manifest_folder(of).join("src");
        for file in files_below(&sources, "rs") {
            for line in fs::read_to_string(&file).unwrap().lines() {
                if reexporting
                    .iter()
                    .any(|start| line.trim_start().starts_with(start))
                {
                    reexports.push(format!("{}: {line}", file.display()));
                }
            }
        }
    }
    assert!(reexports.is_empty(), "{reexports:#?}");
}

#[test]
fn every_link_in_the_documentation_leads_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            count += 1;
            if !leads_somewhere(&document, &link) {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(count > 40, "only {count} links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_test_that_the_documentation_names_is_in_the_file_that_it_links() {
    let mut missing = Vec::new();
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (name, file) in linked_tests(&text) {
            count += 1;
            let source = fs::read_to_string(document.parent().unwrap().join(&file));
            let is_there = source.is_ok_and(|source| {
                ["fn ", "def "]
                    .iter()
                    .any(|word| source.contains(&format!("{word}{name}(")))
            });
            if !is_there {
                missing.push(format!("{}: {name} in {file}", document.display()));
            }
        }
    }
    assert!(count > 40, "only {count} tests were found");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// `docs/fidelity.md` counts what a translation must not lose; fixtures refer to the numbers.
#[test]
fn every_matter_of_fidelity_is_there_once_and_held_by_something() {
    let page = fs::read_to_string(root().join("docs/fidelity.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let (number, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
        Some((number.parse::<u32>().ok()?, links(rest).len()))
    });
    let (numbers, held): (Vec<u32>, Vec<usize>) = rows.unzip();
    assert_eq!(numbers, (1..=85).collect::<Vec<_>>());
    assert!(!held.contains(&0));
}

#[test]
fn every_path_that_the_documentation_names_is_there() {
    let mut missing = Vec::new();
    for document in documents() {
        for path in named_paths(&fs::read_to_string(&document).unwrap()) {
            if !root().join(&path).exists() {
                missing.push(format!("{}: {path}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_configuration_in_the_readme_is_valid() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
    fs::create_dir_all(&folder).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks: Vec<&str> = fenced(&readme, "yaml").collect();
    assert!(!blocks.is_empty());
    for (number, block) in blocks.into_iter().enumerate() {
        let file = folder.join(format!("{number}.yaml"));
        fs::write(&file, block).unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        check.arg("check").arg("--config").arg(&file);
        for name in references(block) {
            check.env(name, "what-the-environment-holds");
        }
        let output = check.output().unwrap();
        assert!(
            output.status.success(),
            "{block}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn manifest_folder(of: &str) -> PathBuf {
    let parent = if of == "bench" { "." } else { "crates" };
    root().join(parent).join(of)
}

fn documents() -> Vec<PathBuf> {
    let mut documents = files_below(&root().join("docs"), "md");
    documents.extend(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    documents
}

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            files.push(path);
        }
    }
    files
}

/// The content of every fenced block of this language.
fn fenced<'a>(text: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let opening = format!("```{language}\n");
    let blocks: Vec<&str> = text.split(&opening).skip(1).collect();
    blocks
        .into_iter()
        .filter_map(|block| block.split("```").next())
}

/// The variables that a configuration refers to.
fn references(text: &str) -> Vec<&str> {
    let parts = text.split("${").skip(1);
    parts
        .filter_map(|part| part.split(['}', ':']).next())
        .collect()
}

/// The text without fenced blocks: what is in them is not linked.
fn prose(text: &str) -> String {
    let outside = text.split("\n```").step_by(2);
    outside.collect::<Vec<_>>().join("\n")
}

/// The targets of inline links, those to other sites excepted.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
        .map(str::to_owned)
        .collect()
}

/// Names of tests, in backticks as the text of a link, and the files that they are said to be in.
fn linked_tests(text: &str) -> Vec<(String, String)> {
    let prose = prose(text);
    let linked = prose.split("[`").skip(1);
    linked
        .filter_map(|rest| {
            let (name, rest) = rest.split_once("`](")?;
            let (file, _) = rest.split_once(')')?;
            let is_name = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '_');
            let is_source = [".rs", ".py"].iter().any(|ending| file.ends_with(ending));
            (name.contains('_') && name.chars().all(is_name) && is_source)
                .then(|| (name.to_owned(), file.to_owned()))
        })
        .collect()
}

fn leads_somewhere(document: &Path, link: &str) -> bool {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let file = if path.is_empty() {
        document.to_owned()
    } else {
        document.parent().unwrap().join(path)
    };
    if anchor.is_empty() {
        return file.exists();
    }
    let Ok(text) = fs::read_to_string(file) else {
        return false;
    };
    prose(&text)
        .lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| slug(line) == anchor)
}

/// The anchor of a heading, as code hosts make it.
fn slug(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = title
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

/// Paths from the root of the repository that stand between backticks, names with gaps excepted.
fn named_paths(text: &str) -> Vec<String> {
    let prose = prose(text);
    let words = prose.split('`').skip(1).step_by(2);
    words
        .filter(|word| {
            ["crates/", "docs/", "scripts/", "bench/", "tests/", ".ci/"]
                .iter()
                .any(|start| word.starts_with(start))
        })
        .filter(|word| !word.contains(['<', '*', ' ', '{', '…', '\n']))
        .map(str::to_owned)
        .collect()
}
