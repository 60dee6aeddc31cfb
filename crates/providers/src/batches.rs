//! Batches of providers that run them themselves: many requests handed over at once, answered within a day
//! at a lower price. One implementation for each shape of such an API: [`openai`] (also of its hosts and of
//! Azure), [`anthropic`], [`gemini`], [`mistral`]; and [`vertex`] and [`bedrock`], which take lines from a [`bucket`] and
//! put results there.

pub mod anthropic;
pub mod bedrock;
pub mod bucket;
pub mod gemini;
pub mod mistral;
pub mod openai;
pub mod vertex;

use std::borrow::Cow;

use bytes::Bytes;
use domain::batch::LineFault;
use http::header::ACCEPT;
use http::{HeaderMap, Method, Request};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::dialect::{DecodeError, Format, Refusal, Target};
use crate::splice;

/// How a provider is given batches and asked for them. Pure. Requests are without a credential.
pub trait BatchApi: Send + Sync {
    /// What a batch may hold.
    fn bounds(&self) -> Bounds;

    /// Whether lines may ask for this.
    fn takes(&self, work: Work) -> bool;

    /// Whether a line can be handed over whose format says this beside its body.
    fn takes_beside(&self, fields: &HeaderMap) -> bool {
        fields.is_empty()
    }

    /// Appends one line to what is handed over; `name` tells it from others, `body` is JSON in the provider's
    /// format.
    fn write_line(&self, name: &str, work: Work, body: &[u8], lines: &mut Vec<u8>);

    /// The first request that hands `lines` over.
    fn begin(&self, handing: &Handing<'_>, lines: Vec<u8>) -> Result<Beginning, Refusal>;

    /// What the provider calls the lines that were uploaded, of which it said `uploaded`.
    fn uploaded(&self, handing: &Handing<'_>, uploaded: &[u8]) -> Result<String, DecodeError>;

    /// The request that makes a batch of the lines that were uploaded as `file`.
    fn create(&self, handing: &Handing<'_>, file: &str) -> Result<Request<Bytes>, Refusal>;

    /// The question how far a batch has come.
    fn look(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal>;

    /// The wish that a batch ends.
    fn cancel(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal>;

    /// Reads what the provider says of a batch.
    fn read(&self, body: &[u8]) -> Result<Progress, DecodeError>;

    /// The question which batches there are, newest first, at least of those that were made `since`; `page`
    /// is [`Page::next`] of the page before.
    fn list(
        &self,
        target: &Target<'_>,
        since: Timestamp,
        page: Option<&str>,
    ) -> Result<Request<Bytes>, Refusal>;

    /// Reads a page of batches.
    fn read_list(&self, body: &[u8]) -> Result<Page, DecodeError>;

    /// The request for results that lie at `place`, one of [`Progress::Ended`]'s.
    fn fetch(&self, target: &Target<'_>, place: &str) -> Result<Request<Bytes>, Refusal>;

    /// Whether the places of results are named before there are any: then nothing may be there where a batch was
    /// cut short.
    fn names_places_early(&self) -> bool {
        false
    }

    /// Reads one line of results.
    fn read_line(&self, line: &[u8]) -> Result<ResultLine, DecodeError>;

    /// The wish that the lines that were uploaded as `file` are deleted.
    fn discard(&self, target: &Target<'_>, file: &str) -> Result<Request<Bytes>, Refusal>;
}

/// What the lines of a batch ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Chats in this format.
    Chat(Format),
    /// Embeddings in OpenAI's shape.
    Embeddings,
}

/// What is handed over.
#[derive(Debug, Clone, Copy)]
pub struct Handing<'a> {
    /// The model that every line asks for, and where it is.
    pub target: &'a Target<'a>,
    /// What every line asks for.
    pub work: Work,
    /// Tells the batch from others.
    pub name: &'a str,
}

/// What one batch of a provider may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Lines, at least.
    pub least: u32,
    /// Lines, at most.
    pub lines: u32,
    /// Bytes.
    pub bytes: usize,
}

/// How a batch is begun.
#[derive(Debug)]
pub enum Beginning {
    /// The lines are uploaded; [`BatchApi::create`] makes a batch of them.
    Upload(Request<Bytes>),
    /// This makes the batch.
    Create(Request<Bytes>),
}

/// How far a provider's batch has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is being worked on.
    Working {
        /// What the provider calls it.
        id: String,
    },
    /// It has ended, one way or another.
    Ended {
        /// What the provider calls it.
        id: String,
        /// Where the results lie, in the provider's words.
        places: Vec<String>,
        /// Why it could not begin.
        faults: Vec<LineFault>,
        /// Whether it ended before it was done: then lines that have no result were not reached.
        is_cut_short: bool,
    },
}

/// Some of the batches that a provider has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub batches: Vec<Listed>,
    /// Where the list goes on; `None` where it ends.
    pub next: Option<String>,
}

/// One batch in a provider's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What the provider calls it.
    pub id: String,
    /// The name that it was given, where the provider keeps such a name.
    pub mark: Mark,
    /// When it was made; `None` where that cannot be read.
    pub made_at: Option<Timestamp>,
}

/// By what a batch in a list can be told from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The name that it was handed over with ([`Handing::name`]); `None` where somebody else made it.
    Name(Option<String>),
    /// The provider keeps no names: how many lines it has. The lines' own names, which stand in its results,
    /// tell the rest.
    Lines(u32),
}

/// What became of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultLine {
    /// The name that the line was handed over with.
    pub name: String,
    /// What became of it.
    pub outcome: LineOutcome,
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineOutcome {
    /// It was answered, if only with an error.
    Answered {
        /// The status code that a request of its own would have got.
        status: u16,
        /// The body.
        body: Bytes,
    },
    /// The batch ended before it was its turn.
    Unreached,
}

impl Progress {
    /// What the provider calls the batch.
    pub fn id(&self) -> &str {
        match self {
            Self::Working { id } | Self::Ended { id, .. } => id,
        }
    }
}

/// A request without a body, for what is looked at, fetched, or deleted.
fn bare(method: Method, url: &str) -> Result<Request<Bytes>, Refusal> {
    Request::builder()
        .method(method)
        .uri(url)
        .header(ACCEPT, "*/*")
        .body(Bytes::new())
        .map_err(|error| Refusal {
            detail: format!("The provider's base URL makes no request target: {error}."),
            param: None,
        })
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, DecodeError> {
    serde_json::from_slice(bytes)
        .map_err(|error| DecodeError::Malformed(format!("this is not {what}: {error}")))
}

/// Appends the beginning of an object up to its last member, whose value and the closing brace come after it.
fn write_head(head: &Value, last: &str, lines: &mut Vec<u8>) {
    lines.extend_from_slice(head.to_string().trim_end_matches('}').as_bytes());
    lines.extend_from_slice(format!(",\"{last}\":").as_bytes());
}

/// A body without some fields and with others; one that is no object stays, and its line is refused.
fn spliced<'b>(body: &'b [u8], removed: &[&str], added: &[(&str, &str)]) -> Cow<'b, [u8]> {
    match splice::fields(body, removed, added) {
        Ok(edited) => Cow::Owned(edited.into()),
        Err(_) => Cow::Borrowed(body),
    }
}

/// Appends JSON on one line: line feeds stand between values only, inside a text they are escaped.
fn write_on_one_line(json: &[u8], lines: &mut Vec<u8>) {
    lines.extend(json.iter().map(|byte| match byte {
        b'\n' | b'\r' => b' ',
        other => *other,
    }));
}

/// The whole seconds since the epoch that a vendor writes.
fn at_second(seconds: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_second(seconds?).ok()
}
