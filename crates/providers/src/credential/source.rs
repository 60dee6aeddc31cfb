//! Where credentials come from, and the steps on the way to one.
//!
//! The steps are data: this crate says what to ask and what the answer means, and whoever drives them
//! owns the network, the files, the clock and the cache. A step holds what comes after it, so that a token
//! exchange with impersonation, or a chain of roles, is a few steps in a row and nothing else.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use domain::egress::Reach;
use domain::provider_error::Retry;
use http::{Request, Response};
use jiff::Timestamp;

use super::Credential;
use crate::aws;
use crate::entra;
use crate::google;

/// Where a provider's credential comes from, as it is configured.
#[derive(Debug, Clone)]
pub enum Source {
    /// It is there: a key, which does not expire.
    Ready(Credential),
    /// An access token of Google Cloud.
    Google(google::Account),
    /// An access token of Microsoft Entra ID.
    Entra(entra::Account),
    /// Keys of Amazon Web Services that expire.
    Aws(aws::Account),
}

impl Source {
    /// The first step on the way to a credential.
    pub fn begin(&self, now: Timestamp) -> Result<Step, Unobtained> {
        match self {
            Self::Ready(credential) => Ok(Step::Done(Granted {
                credential: credential.clone(),
                expires_at: None,
            })),
            Self::Google(account) => account.begin(now),
            Self::Entra(account) => account.begin(),
            Self::Aws(account) => account.begin(now),
        }
    }

    /// Whether it is there already, so that nothing has to be fetched.
    pub fn ready(&self) -> Option<&Credential> {
        match self {
            Self::Ready(credential) => Some(credential),
            Self::Google(_) | Self::Entra(_) | Self::Aws(_) => None,
        }
    }
}

impl From<Credential> for Source {
    fn from(credential: Credential) -> Self {
        Self::Ready(credential)
    }
}

/// One step on the way to a credential.
pub enum Step {
    /// The way is done.
    Done(Granted),
    /// Send this request, read the whole answer whatever its status is, and go on with it.
    Ask {
        /// What to send; it holds secrets.
        request: Request<Bytes>,
        /// Which addresses it may reach: metadata services are at private ones.
        reach: Reach,
        /// What comes after.
        then: Then<Response<Bytes>>,
    },
    /// Read this file, whose content may have changed since it was last read, and go on with it.
    Read {
        /// The file.
        file: PathBuf,
        /// What comes after.
        then: Then<Bytes>,
    },
}

/// What comes after a step, given its outcome and the time.
pub type Then<T> = Box<dyn FnOnce(T, Timestamp) -> Result<Step, Unobtained> + Send>;

/// A credential that was obtained.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The credential.
    pub credential: Credential,
    /// From when on it is no longer good; `None` where it does not expire.
    pub expires_at: Option<Timestamp>,
}

/// Why there is no credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Unobtained {
    /// What went wrong and what to look at: a sentence for the operator, without secrets.
    pub detail: String,
    /// Whether trying again may help.
    pub retry: Retry,
}

impl Unobtained {
    /// Trying again does not help: the configuration, or what it refers to, must change.
    pub fn for_good(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            retry: Retry::Never,
        }
    }
}

impl Step {
    /// A request and what its answer means.
    pub(crate) fn ask(
        request: Request<Bytes>,
        reach: Reach,
        then: impl FnOnce(Response<Bytes>, Timestamp) -> Result<Self, Unobtained> + Send + 'static,
    ) -> Self {
        Self::Ask {
            request,
            reach,
            then: Box::new(then),
        }
    }

    /// A file and what its content means.
    pub(crate) fn read(
        file: PathBuf,
        then: impl FnOnce(Bytes, Timestamp) -> Result<Self, Unobtained> + Send + 'static,
    ) -> Self {
        Self::Read {
            file,
            then: Box::new(then),
        }
    }

    /// The same steps, and at their end others that begin with the credential that they lead to.
    pub(crate) fn and_then(
        self,
        now: Timestamp,
        next: impl FnOnce(Granted, Timestamp) -> Result<Self, Unobtained> + Send + 'static,
    ) -> Result<Self, Unobtained> {
        match self {
            Self::Done(granted) => next(granted, now),
            Self::Ask {
                request,
                reach,
                then,
            } => {
                let then =
                    move |answer, now| then(answer, now)?.and_then_boxed(now, Box::new(next));
                Ok(Self::ask(request, reach, then))
            }
            Self::Read { file, then } => {
                let then =
                    move |content, now| then(content, now)?.and_then_boxed(now, Box::new(next));
                Ok(Self::read(file, then))
            }
        }
    }

    /// As [`Self::and_then`]; a type of its own for every step would be endless.
    fn and_then_boxed(self, now: Timestamp, next: Then<Granted>) -> Result<Self, Unobtained> {
        self.and_then(now, next)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(granted) => f.debug_tuple("Done").field(granted).finish(),
            Self::Ask { request, .. } => f
                .debug_struct("Ask")
                .field("method", request.method())
                .field("uri", request.uri())
                .finish_non_exhaustive(),
            Self::Read { file, .. } => f
                .debug_struct("Read")
                .field("file", file)
                .finish_non_exhaustive(),
        }
    }
}
