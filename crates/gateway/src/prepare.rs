//! What is sent: the caller's own bytes where the target speaks the caller's format, a translation
//! where it does not.

use bytes::Bytes;
use domain::chat::Conversion;
use jiff::Timestamp;
use providers::dialect::Refusal;
use providers::exchange::Exchange;
use providers::face::{Envelope, Face};

use crate::chat::{ChatError, Gateway};
use crate::media;
use crate::routes::Plan;

/// A request, ready to be sent as often as it takes.
pub struct Prepared {
    /// The HTTP request with its credential.
    pub request: http::Request<Bytes>,
    /// How the answer comes back.
    pub passage: Passage,
}

/// How a request and its answer pass.
pub enum Passage {
    /// Caller and target speak one format: bytes pass untouched.
    Verbatim {
        /// Whether the usage was asked for on our own behalf and is to be withheld from the caller.
        withhold_usage: bool,
        /// For the tap.
        exchange: Exchange,
    },
    /// Through the domain's chat model.
    Translated {
        /// What the answer's translation must remember.
        exchange: Exchange,
        /// What was carried, changed, dropped.
        report: Conversion,
    },
}

impl Passage {
    /// What the answer's translation must remember.
    pub fn exchange(&self) -> &Exchange {
        match self {
            Self::Verbatim { exchange, .. } | Self::Translated { exchange, .. } => exchange,
        }
    }

    /// What was carried, changed, dropped; `None` where nothing was translated.
    pub fn report(&self) -> Option<&Conversion> {
        match self {
            Self::Verbatim { .. } => None,
            Self::Translated { report, .. } => Some(report),
        }
    }
}

impl Gateway {
    pub(crate) async fn prepare(
        &self,
        face: &dyn Face,
        envelope: &Envelope,
        body: &Bytes,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<Prepared, ChatError> {
        let target = &plan.target;
        let mut prepared = if face.format() == target.dialect.format() {
            verbatim(face, envelope, body, plan)?
        } else {
            self.translated(face, body, plan, now).await?
        };
        if let Some(api_key) = &target.provider.api_key {
            target
                .dialect
                .authorize(prepared.request.headers_mut(), api_key)?;
        }
        Ok(prepared)
    }

    async fn translated(
        &self,
        face: &dyn Face,
        body: &Bytes,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<Prepared, ChatError> {
        let resolved = &plan.target;
        let target = resolved.target();
        let mut request = face.parse(body)?;
        let urls = resolved.dialect.media_needed(&request, &target);
        if !urls.is_empty() {
            let rules = &self.settings.media;
            media::fetch_into(&mut request, &urls, rules, &*self.egress, &*self.clock).await?;
        }
        let encoded = resolved.dialect.encode(&request, &target, now)?;
        if plan.strict && !encoded.report.is_lossless() {
            return Err(ChatError::WouldDrop(encoded.report));
        }
        let passage = Passage::Translated {
            exchange: encoded.exchange,
            report: encoded.report,
        };
        Ok(Prepared {
            request: encoded.request,
            passage,
        })
    }
}

fn verbatim(
    face: &dyn Face,
    envelope: &Envelope,
    body: &Bytes,
    plan: &Plan,
) -> Result<Prepared, Refusal> {
    let target = &plan.target;
    let spliced = face.splice(envelope, body, &target.model);
    let request = target
        .dialect
        .request(&target.target(), envelope.stream, spliced.body)?;
    let exchange = Exchange {
        streamed: envelope.stream,
        model: target.model.clone(),
        ..Exchange::default()
    };
    let passage = Passage::Verbatim {
        withhold_usage: spliced.withhold_usage,
        exchange,
    };
    Ok(Prepared { request, passage })
}
