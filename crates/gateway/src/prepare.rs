//! What is sent: the caller's own bytes where the target speaks the caller's format, a translation
//! where it does not.

use bytes::Bytes;
use domain::chat::Conversion;
use providers::dialect::Refusal;
use providers::exchange::Exchange;
use providers::face::Envelope;

use crate::chat::{ChatError, Gateway, Inbound};
use crate::media;
use crate::routes::Plan;

/// A request, ready to be sent as often as it takes.
pub struct Prepared {
    /// The HTTP request, without its credential.
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
        inbound: &Inbound,
        envelope: &Envelope,
        plan: &Plan,
    ) -> Result<Prepared, ChatError> {
        if inbound.face.format() == plan.dialect.format() {
            Ok(verbatim(inbound, envelope, plan)?)
        } else {
            self.translated(inbound, plan).await
        }
    }

    async fn translated(&self, inbound: &Inbound, plan: &Plan) -> Result<Prepared, ChatError> {
        let target = plan.target.target();
        let mut request = inbound.face.parse(&inbound.asked, &inbound.body)?;
        let urls = plan.dialect.media_needed(&request, &target);
        if !urls.is_empty() {
            let rules = &self.settings.media;
            media::fetch_into(&mut request, &urls, rules, &*self.egress, &*self.clock).await?;
        }
        let encoded = plan.dialect.encode(&request, &target, inbound.started_at)?;
        if plan.strict && !encoded.report.is_lossless() {
            return Err(ChatError::WouldDrop(encoded.report));
        }
        let streamed = encoded.exchange.streamed;
        let request = plan
            .dialect
            .request(&target, streamed, &encoded.fields, encoded.body)?;
        let passage = Passage::Translated {
            exchange: encoded.exchange,
            report: encoded.report,
        };
        Ok(Prepared { request, passage })
    }

    /// The request with its credential.
    pub(crate) fn authorized(
        &self,
        prepared: &Prepared,
        plan: &Plan,
    ) -> Result<http::Request<Bytes>, Refusal> {
        let mut request = prepared.request.clone();
        if let Some(credential) = &plan.target.provider.credential {
            let target = plan.target.target();
            let now = self.clock.now();
            plan.target
                .kind
                .authorize(&mut request, &target, credential, now)?;
        }
        Ok(request)
    }
}

fn verbatim(inbound: &Inbound, envelope: &Envelope, plan: &Plan) -> Result<Prepared, Refusal> {
    let target = &plan.target;
    let face = inbound.face;
    let spliced = face.splice(envelope, &inbound.body, &target.model);
    let request = plan.dialect.request(
        &target.target(),
        envelope.stream,
        &face.forwarded(&inbound.asked),
        spliced.body,
    )?;
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
