//! Batches of providers that run them themselves: many requests handed over at once, answered within a day
//! at a lower price. One implementation for each format ([`crate::openai::batches`],
//! [`crate::anthropic::batches`]).

use bytes::Bytes;
use domain::batch::LineFault;
use http::Request;

use crate::dialect::{DecodeError, Refusal, Target};
use crate::tap::Observed;

/// How a provider is given batches and asked for them. Pure. Requests are without a credential.
pub trait BatchApi: Send + Sync {
    /// What a batch may hold.
    fn bounds(&self) -> Bounds;

    /// Whether lines may ask `endpoint`, a path such as `/v1/chat/completions`.
    fn takes(&self, endpoint: &str) -> bool;

    /// Appends one line to what is handed over; `body` is JSON in the provider's format.
    fn write_line(&self, custom_id: &str, endpoint: &str, body: &[u8], lines: &mut Vec<u8>);

    /// The first request that hands `lines` over, all of which ask `endpoint`. `name` tells the batch from
    /// others.
    fn begin(
        &self,
        target: &Target<'_>,
        endpoint: &str,
        name: &str,
        lines: Vec<u8>,
    ) -> Result<Beginning, Refusal>;

    /// The request that makes a batch of lines that were uploaded, of which the provider said `uploaded`.
    fn create(
        &self,
        target: &Target<'_>,
        endpoint: &str,
        name: &str,
        uploaded: &[u8],
    ) -> Result<Request<Bytes>, DecodeError>;

    /// The question how far a batch has come.
    fn look(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal>;

    /// The wish that a batch ends.
    fn cancel(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal>;

    /// Reads what the provider says of a batch.
    fn read(&self, body: &[u8]) -> Result<Progress, DecodeError>;

    /// The request for results that lie at `place`, one of [`Progress::Ended`]'s.
    fn fetch(&self, target: &Target<'_>, place: &str) -> Result<Request<Bytes>, Refusal>;

    /// Reads one line of results.
    fn read_line(&self, line: &[u8]) -> Result<ResultLine, DecodeError>;

    /// Reads of a line's answer from `endpoint` what the ledger wants to know.
    fn observe(&self, endpoint: &str, body: &[u8]) -> Result<Observed, DecodeError>;
}

/// What one batch of a provider may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Lines.
    pub lines: u32,
    /// Bytes.
    pub bytes: usize,
    /// Whether its lines may ask for different models.
    pub mixes_models: bool,
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
    /// It has ended, one way or another; lines that have no result were not reached.
    Ended {
        /// What the provider calls it.
        id: String,
        /// Where the results lie, in the provider's words.
        places: Vec<String>,
        /// Why it could not begin.
        faults: Vec<LineFault>,
    },
}

/// What became of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultLine {
    /// The line's identifier.
    pub custom_id: String,
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
