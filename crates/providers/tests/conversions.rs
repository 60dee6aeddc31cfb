//! What a translation carries, as a page: `docs/conversions.md` is made of the chat fixtures and of the survey of
//! every face with every format, and this test
//! fails when the page says something else than they do. With `UPDATE=1` in its environment it writes the
//! page instead.
//!
//! The fixtures' walker compares `conversion.json` and `refusal.json` with what the translation really says,
//! in the caller's words; so what is read here are those words, and nothing is translated a second time.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that cannot be read fails the test that reads it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use providers::anthropic::AnthropicMessages;
use providers::application::ApplicationChat;
use providers::cohere::CohereChat;
use providers::face::{Asked, Face};
use providers::gemini::Gemini;
use providers::openai::OpenaiChat;
use providers::openai::completions::OpenaiCompletions;
use providers::openai::responses::OpenaiResponses;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What a person types to have the page written anew.
const COMMAND: &str = "UPDATE=1 cargo nextest run -p providers --test conversions";

/// The callers' sides: the name in `target.json`, the name on the page. The page has this order.
const FACES: [(&str, &str, &dyn Face); 7] = [
    ("openai", "OpenAI chat", &OpenaiChat),
    ("openai_responses", "OpenAI responses", &OpenaiResponses),
    (
        "openai_completions",
        "OpenAI completions",
        &OpenaiCompletions,
    ),
    ("anthropic", "Anthropic messages", &AnthropicMessages),
    ("gemini", "Gemini", &Gemini),
    ("cohere", "Cohere chat", &CohereChat),
    ("application", "Applications", &ApplicationChat),
];

/// The targets' sides, likewise.
const FORMATS: [(&str, &str); 12] = [
    ("openai", "OpenAI chat"),
    ("openai_responses", "OpenAI responses"),
    ("openai_completions", "OpenAI completions"),
    ("azure", "Azure OpenAI"),
    ("anthropic", "Anthropic messages"),
    ("gemini", "Gemini"),
    ("vertex", "Gemini on Vertex AI"),
    ("vertex_anthropic", "Claude on Vertex AI"),
    ("vertex_openai", "other models on Vertex AI"),
    ("bedrock", "Bedrock Converse"),
    ("anthropic_on_bedrock", "Claude on Bedrock"),
    ("cohere", "Cohere chat"),
];

/// Folders whose fixtures are of tasks other than a chat.
const TASKS: [&str; 6] = [
    "audio",
    "count",
    "embeddings",
    "images",
    "moderation",
    "rerank",
];

#[test]
fn the_page_of_conversions_says_what_the_fixtures_say() {
    let page = Page::of_fixtures().render();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conversions.md");
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever runs this test says so in the environment; nothing that is delivered reads it"
    )]
    let updates = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    if updates {
        fs::write(&path, page).unwrap();
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    if written != page {
        let (number, says, should) = first_difference(&written, &page);
        panic!(
            "docs/conversions.md is out of date: run `{COMMAND}`, look at what changed, and commit the page \
             with the fixtures.\nThe first line that differs is {number}. It says\n{says}\nand should say\n{should}"
        );
    }
}

#[test]
fn reasons_that_differ_only_in_what_they_quote_are_one() {
    let at = |text: &str| (text.to_owned(), BTreeSet::from([String::new()]));
    let alike = [
        at(r#"sent as "a_1", which fits 64 letters"#),
        at(r#"sent as "b", which fits 64 letters"#),
    ];
    assert_eq!(
        merged(&alike.into()),
        [r#"sent as "…", which fits 64 letters"#.to_owned()]
    );
    let apart = [
        at("lowered to 1, the most it takes"),
        at("not a JSON object"),
    ];
    assert_eq!(
        merged(&apart.into()),
        ["lowered to 1, the most it takes", "not a JSON object"]
    );
}

#[test]
fn a_path_has_neither_numbers_of_elements_nor_names_that_a_schema_chose() {
    assert_eq!(
        grouped("messages[12].content[0].type"),
        "messages[].content[].type"
    );
    assert_eq!(
        grouped("schema.properties.age.anyOf[1].properties.properties.minimum"),
        "schema.properties.*.anyOf[].properties.*.minimum"
    );
}

/// Reasons with the named hosts that gave them; an empty name stands for the format without one.
type Reasons = BTreeMap<String, BTreeSet<String>>;

/// What became of something, in the order of the page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Changed,
    Dropped,
    Refused,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
        }
    }
}

/// What the cases of one face and one target format say.
#[derive(Default)]
struct Pair {
    cases: usize,
    carried: BTreeSet<String>,
    rows: BTreeMap<(String, Fate), Reasons>,
}

impl Pair {
    fn note(&mut self, field: &str, fate: Fate, reason: &str, host: &str) {
        let row = self.rows.entry((grouped(field), fate)).or_default();
        let hosts = row.entry(unindexed(reason)).or_default();
        hosts.insert(host.to_owned());
    }

    fn take(&mut self, refusal: Option<Refusal>, report: Report, host: &str) {
        if let Some(refusal) = refusal {
            // What is wrong with the body as a whole has no path.
            let param = refusal.param.unwrap_or_default();
            self.note(&param, Fate::Refused, &refusal.detail, host);
        }
        self.carried
            .extend(report.carried.iter().map(|field| unindexed(field)));
        for told in report.changed {
            self.note(&told.field, Fate::Changed, &told.reason, host);
        }
        for told in report.dropped {
            self.note(&told.field, Fate::Dropped, &told.reason, host);
        }
    }

    fn count(&self, fate: Fate) -> usize {
        self.rows.keys().filter(|(_, other)| *other == fate).count()
    }
}

/// The page before it is text; faces and formats by their place in [`FACES`] and [`FORMATS`].
#[derive(Default)]
struct Page {
    pairs: BTreeMap<(usize, usize), Pair>,
    /// What a face refuses before any target is asked.
    unread: BTreeMap<usize, Pair>,
}

impl Page {
    fn of_fixtures() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut roots = Vec::new();
        find_fixtures(&source, &mut roots);
        let mut page = Self::default();
        for root in roots {
            let parent = root.parent().unwrap().strip_prefix(&source).unwrap();
            let folder = parent.to_str().unwrap().replace('/', "_");
            if TASKS.contains(&&*folder) {
                continue;
            }
            for case in entries(&root) {
                page.add(&folder, &case);
            }
        }
        let survey = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/survey");
        for folder in entries(&survey) {
            page.add_survey(&folder);
        }
        for (face, (_, name, _)) in FACES.iter().enumerate() {
            for (format, (_, other)) in FORMATS.iter().enumerate() {
                let is_told = page.pairs.contains_key(&(face, format));
                assert!(is_told, "nothing shows what becomes of {name} for {other}");
            }
        }
        page
    }

    /// A matter of a face, for every format.
    fn add_survey(&mut self, folder: &Path) {
        let target: TargetFile = json(&folder.join("target.json")).unwrap_or_default();
        let outcomes: BTreeMap<String, Outcome> = json(&folder.join("targets.json")).unwrap();
        let face = face_at(&target, folder);
        for (format, outcome) in outcomes {
            let format = format_at(&format, folder);
            let pair = self.pairs.entry((face, format)).or_default();
            pair.cases += 1;
            pair.take(outcome.refusal, outcome.conversion, "");
        }
    }

    fn add(&mut self, folder: &str, case: &Path) {
        let target: TargetFile = json(&case.join("target.json")).unwrap_or_default();
        let face = face_at(&target, case);
        let format = format_at(target.format.as_deref().unwrap_or(folder), case);
        let host = target.host.row.as_deref().unwrap_or_default();

        let refusal: Option<Refusal> = json(&case.join("refusal.json"));
        let unread = refusal.is_some() && is_unread(FACES[face].2, &target.asked, case);
        let pair = if unread {
            self.unread.entry(face).or_default()
        } else {
            self.pairs.entry((face, format)).or_default()
        };
        pair.cases += 1;
        let report: Report = json(&case.join("conversion.json")).unwrap_or_default();
        pair.take(refusal, report, host);
    }

    fn render(&self) -> String {
        let cases: usize = self
            .pairs
            .values()
            .chain(self.unread.values())
            .map(|pair| pair.cases)
            .sum();
        let mut page = format!(
            "# What a translation carries\n\n\
             Where caller and provider speak one format, bytes pass as they are. Elsewhere a request is translated, and so is\n\
             its answer. This page says what becomes of a request on the way, in the words of the caller's format. *Changed*\n\
             arrives with another value or in another way; *dropped* does not arrive, and a route with `strict: true` refuses\n\
             the request for it; *refused* has no meaning at the target, and nothing is sent. With\n\
             `x-trunkline-report: conversion`, each answer tells [the same of its own request](api.md#the-report).\n\n\
             The page is made of {cases} cases: fixtures below `crates/providers/src`, each a request, a whole answer or a stream\n\
             with what must come of it, and the survey below `crates/providers/tests/survey`, which asks every face for every\n\
             format. What no case shows is not on it. Much depends on the model: one model of a provider may take\n\
             what another does not, and then a field stands under both *carried* and *dropped*. A name in brackets is that of\n\
             the compatible host of which a line is true. `[]` stands for any element, `*` for any name, `…` for what differs\n\
             from case to case. A pair of one format with itself says what is adapted where a host or a model demands it.\n\n\
             Do not edit it: `{COMMAND}` writes it.\n\n\
             | caller | target | cases | fields changed | dropped | refused |\n\
             | --- | --- | --: | --: | --: | --: |\n"
        );
        for ((face, format), pair) in &self.pairs {
            let title = title(*face, *format);
            let [changed, dropped, refused] =
                [Fate::Changed, Fate::Dropped, Fate::Refused].map(|fate| pair.count(fate));
            writeln!(
                page,
                "| {} | [{}](#{}) | {} | {changed} | {dropped} | {refused} |",
                FACES[*face].1,
                FORMATS[*format].1,
                title.to_lowercase().replace(' ', "-"),
                pair.cases,
            )
            .unwrap();
        }
        for (face, (_, name, _)) in FACES.iter().enumerate() {
            self.render_face(face, name, &mut page);
        }
        page
    }

    fn render_face(&self, face: usize, name: &str, page: &mut String) {
        let pairs: Vec<_> = self.pairs.range((face, 0)..(face + 1, 0)).collect();
        let unread = self.unread.get(&face);
        if pairs.is_empty() && unread.is_none() {
            return;
        }
        writeln!(page, "\n## From {name}").unwrap();
        for ((_, format), pair) in pairs {
            writeln!(page, "\n### {}\n", title(face, *format)).unwrap();
            let cases = if pair.cases == 1 { "case" } else { "cases" };
            write!(page, "{} {cases}.", pair.cases).unwrap();
            if !pair.carried.is_empty() {
                let carried: Vec<_> = pair.carried.iter().map(|it| format!("`{it}`")).collect();
                write!(page, " Carried: {}.", carried.join(", ")).unwrap();
            }
            page.push('\n');
            if !pair.rows.is_empty() {
                page.push_str("\n| field | | how and why |\n| --- | --- | --- |\n");
            }
            for ((field, fate), reasons) in &pair.rows {
                let reasons = cell(reasons);
                writeln!(page, "| {} | {} | {reasons} |", named(field), fate.word()).unwrap();
            }
        }
        if let Some(unread) = unread {
            let count = unread.cases;
            writeln!(
                page,
                "\n### {name} refused before translation\n\n{count} of the cases. No target is asked: this is no valid \
                 request, or asks for what only the format's own service\ncan do. Where the target speaks the format, \
                 most of it passes as it is, and the provider decides.\n\n\
                 | field | why |\n| --- | --- |"
            )
            .unwrap();
            for ((field, _), reasons) in &unread.rows {
                writeln!(page, "| {} | {} |", named(field), cell(reasons)).unwrap();
            }
        }
    }
}

fn title(face: usize, format: usize) -> String {
    format!("{} to {}", FACES[face].1, FORMATS[format].1)
}

fn named(field: &str) -> String {
    if field.is_empty() {
        "the body".to_owned()
    } else {
        format!("`{field}`")
    }
}

/// Reasons as one cell of a table.
fn cell(reasons: &Reasons) -> String {
    merged(reasons).join("<br>").replace('|', "\\|")
}

/// Sorted reasons, those made one that differ only in quoted texts and numbers.
fn merged(reasons: &Reasons) -> Vec<String> {
    let mut alike: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (reason, hosts) in reasons {
        let pieces = pieces(reason).into_iter();
        let fixed: Vec<_> = pieces
            .map(|(piece, varies)| (!varies).then_some(piece))
            .collect();
        alike.entry(fixed).or_default().push((reason, hosts));
    }
    let lines = alike.into_values().map(|alike| {
        let hosts: BTreeSet<&str> = alike
            .iter()
            .flat_map(|(_, hosts)| *hosts)
            .map(|host| &**host)
            .collect();
        let reason = said_once(alike.iter().map(|(reason, _)| reason.as_str()));
        if hosts.contains("") {
            return reason;
        }
        let hosts: Vec<_> = hosts.into_iter().collect();
        format!("{reason} ({})", hosts.join(", "))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

/// Reasons of the same fixed pieces as one, with `…` where they differ.
fn said_once<'a>(alike: impl Iterator<Item = &'a str>) -> String {
    let mut once: Vec<String> = Vec::new();
    for reason in alike {
        let pieces = pieces(reason).into_iter().map(|(piece, _)| piece);
        if once.is_empty() {
            once = pieces.collect();
            continue;
        }
        for (said, piece) in once.iter_mut().zip(pieces) {
            if *said != piece {
                "…".clone_into(said);
            }
        }
    }
    once.concat()
}

/// A reason cut into pieces, with whether a piece is a quoted text or a number, which vary by case.
fn pieces(reason: &str) -> Vec<(String, bool)> {
    let mut pieces: Vec<(String, bool)> = Vec::new();
    let mut quoted = false;
    for letter in reason.chars() {
        quoted ^= letter == '"';
        let varies = (quoted && letter != '"') || letter.is_ascii_digit();
        match pieces.last_mut() {
            Some((piece, same)) if *same == varies => piece.push(letter),
            _ => pieces.push((letter.to_string(), varies)),
        }
    }
    pieces
}

/// A path as the page has it: no element's number, and no name that a schema's author chose.
fn grouped(field: &str) -> String {
    let mut follows_properties = false;
    let segments = unindexed(field);
    let segments = segments.split('.').map(|segment| {
        let is_chosen = follows_properties;
        follows_properties = !is_chosen && segment == "properties";
        if is_chosen { "*" } else { segment }
    });
    segments.collect::<Vec<_>>().join(".")
}

/// `messages[2].content[0]` as `messages[].content[]`.
fn unindexed(text: &str) -> String {
    let mut pieces = text.split('[');
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|letter: char| letter.is_ascii_digit());
        whole.push('[');
        whole.push_str(if rest.starts_with(']') { rest } else { piece });
    }
    whole
}

/// Whether the face itself refuses the request, so that no target is asked.
fn is_unread(face: &dyn Face, asked: &AskedFile, case: &Path) -> bool {
    let body = fs::read(case.join("request.json")).or_else(|_| fs::read(case.join("request.txt")));
    let body = body.unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    face.parse(&asked.read(), &body).is_err()
}

/// The caller's side, by its place in [`FACES`]. A JSON array is another frame around the same answers.
fn face_at(target: &TargetFile, case: &Path) -> usize {
    let face = match target.face.as_deref() {
        Some("gemini_array") => "gemini",
        Some(face) => face,
        None => "openai",
    };
    place(FACES.iter().map(|(name, ..)| *name), face, "FACES", case)
}

fn format_at(format: &str, case: &Path) -> usize {
    let names = FORMATS.iter().map(|(name, _)| *name);
    place(names, format, "FORMATS", case)
}

fn place<'a>(
    mut names: impl Iterator<Item = &'a str>,
    name: &str,
    table: &str,
    case: &Path,
) -> usize {
    names.position(|known| known == name).unwrap_or_else(|| {
        panic!(
            "{}: `{name}` has no name on the page; add it to {table} of tests/conversions.rs (or its folder \
             to TASKS, if it is no chat)",
            case.display()
        )
    })
}

/// The number of the first line that differs, and both sides of it.
fn first_difference<'a>(written: &'a str, page: &'a str) -> (usize, &'a str, &'a str) {
    let (mut written, mut page) = (written.lines(), page.lines());
    for number in 1.. {
        match (written.next(), page.next()) {
            (Some(says), Some(should)) if says == should => {}
            (says, should) => {
                let missing = "(nothing)";
                return (number, says.unwrap_or(missing), should.unwrap_or(missing));
            }
        }
    }
    unreachable!("a page ends")
}

/// The folders called `fixtures` below this one, sorted.
fn find_fixtures(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in entries(folder) {
        if entry.file_name().is_some_and(|name| name == "fixtures") {
            found.push(entry);
        } else {
            find_fixtures(&entry, found);
        }
    }
}

/// The folders in a folder, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    paths.sort();
    paths
}

/// A file's content, where the case has the file and it is not `null`.
fn json<T: DeserializeOwned>(file: &Path) -> Option<T> {
    let bytes = fs::read(file).ok()?;
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TargetFile {
    format: Option<String>,
    face: Option<String>,
    asked: AskedFile,
    host: HostFile,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AskedFile {
    model: Option<String>,
    stream: Option<bool>,
    fields: BTreeMap<String, String>,
}

impl AskedFile {
    fn read(&self) -> Asked {
        let field = |(name, value): (&String, &String)| {
            let name: http::HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        };
        Asked {
            model: self.model.as_ref().map(|model| model.parse().unwrap()),
            stream: self.stream,
            headers: self.fields.iter().map(field).collect(),
            ..Asked::default()
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct HostFile {
    row: Option<String>,
}

/// What became of a matter of the survey.
#[derive(Deserialize)]
struct Outcome {
    refusal: Option<Refusal>,
    #[serde(default)]
    conversion: Report,
}

#[derive(Deserialize)]
struct Refusal {
    detail: String,
    param: Option<String>,
}

#[derive(Deserialize, Default)]
struct Report {
    carried: Vec<String>,
    changed: Vec<Told>,
    dropped: Vec<Told>,
}

/// A change or a loss.
#[derive(Deserialize)]
struct Told {
    field: String,
    reason: String,
}
