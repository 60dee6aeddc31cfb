//! What is sent: the caller's own bytes where the target speaks the caller's format, a translation
//! where it does not.

use bytes::Bytes;
use domain::caller::Caller;
use domain::chat::{ChatRequest, Conversion};
use providers::dialect::{Dialect, Format, Refusal};
use providers::exchange::Exchange;
use providers::face::{Envelope, Face, Spliced};
use providers::{hosts, lift};

use crate::chat::{ChatError, Gateway, Inbound};
use crate::custody::{self, Restored};
use crate::media;
use crate::prompt_cache::{Leaving, PromptCaching};
use crate::reply::Passed;
use crate::routes::ResolvedTarget;

/// A request, ready to be sent to one target as often as it takes.
pub struct Prepared {
    /// The wire format.
    pub dialect: &'static dyn Dialect,
    /// The HTTP request, without its credential.
    pub request: http::Request<Bytes>,
    /// How the answer comes back.
    pub passage: Passage,
}

/// A request in the domain's words.
struct Lifted {
    request: ChatRequest,
    /// The messages into which reasoning state was put back.
    restored: Vec<Restored>,
}

/// How a request and its answer pass.
pub enum Passage {
    /// Caller and target speak one format: bytes pass untouched.
    Verbatim {
        /// Whether the usage was asked for on our own behalf and is to be withheld from the caller.
        withhold_usage: bool,
        /// For the tap.
        exchange: Exchange,
        /// What the host does not take, in the body and beside it, and what was put into the body.
        left_out: Conversion,
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

    /// Whether the bytes pass.
    pub(crate) fn is_verbatim(&self) -> bool {
        matches!(self, Self::Verbatim { .. })
    }

    /// What the caller may be told of it.
    pub(crate) fn into_passed(self) -> Passed {
        let same_format = self.is_verbatim();
        let (Self::Verbatim {
            left_out: conversion,
            ..
        }
        | Self::Translated {
            report: conversion, ..
        }) = self;
        Passed {
            same_format,
            conversion,
        }
    }
}

impl Gateway {
    pub(crate) async fn prepare(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        envelope: &Envelope,
        target: &ResolvedTarget,
        strict: bool,
    ) -> Result<Prepared, ChatError> {
        let format = inbound.face.format();
        let dialect = target.dialect(format).ok_or_else(|| no_chat(target))?;
        // What is boxed is large and not always needed: on the heap it does not make every call's story larger.
        let lift = || Box::pin(self.lifted(caller, inbound, target, dialect));
        let lifted =
            if dialect.format() != format || !passes(&inbound.body, envelope, target, dialect) {
                Some(lift().await?)
            } else if self.custody.is_some() && custody::lacks_thoughts(format, &inbound.body) {
                // What cannot be read is for the provider to refuse.
                let lifted = lift().await.ok();
                lifted.filter(|lifted| !lifted.restored.is_empty())
            } else {
                None
            };
        match lifted {
            Some(lifted) => {
                Box::pin(
                    self.translated(caller, inbound, envelope, target, strict, dialect, lifted),
                )
                .await
            }
            None => self.verbatim(caller, inbound, envelope, target, strict, dialect),
        }
    }

    /// The request in the domain's words, with the reasoning state that the caller left out.
    async fn lifted(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        target: &ResolvedTarget,
        dialect: &'static dyn Dialect,
    ) -> Result<Lifted, ChatError> {
        let mut request = lift::parse(inbound.face, &inbound.asked, &inbound.body)?;
        let restored = match &self.custody {
            Some(custody) => {
                let (format, messages) = (dialect.format(), &mut request.messages);
                custody.restore(caller, target, format, messages).await
            }
            None => Vec::new(),
        };
        Ok(Lifted { request, restored })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a call is made of, and nothing beside it"
    )]
    async fn translated(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        envelope: &Envelope,
        resolved: &ResolvedTarget,
        strict: bool,
        dialect: &'static dyn Dialect,
        lifted: Lifted,
    ) -> Result<Prepared, ChatError> {
        let target = resolved.target();
        let Lifted {
            mut request,
            restored,
        } = lifted;
        let urls = dialect.media_needed(&request, &target);
        if !urls.is_empty() {
            let rules = &self.settings.media;
            media::fetch_into(&mut request, &urls, rules, &*self.egress, &*self.clock).await?;
        }
        let mut encoded = dialect
            .encode(&request, &target, inbound.started_at)
            .map_err(|refusal| refusal.in_the_words_of(inbound.face, &request))?;
        for Restored { message, provider } in restored {
            encoded.report.change(
                format!("messages[{message}].reasoning_details"),
                format!(
                    "restored: the request brought these tool calls without the reasoning state that \
                     provider '{provider}' gave with them, or with parts of it"
                ),
            );
        }
        encoded
            .report
            .rename(|path| inbound.face.field(&request, path).into_owned());
        if strict && !encoded.report.is_lossless() {
            return Err(ChatError::WouldDrop(encoded.report));
        }
        let streamed = encoded.exchange.streamed;
        let report = &mut encoded.report;
        let body = self.helped(caller, envelope, resolved, dialect, encoded.body, report);
        let request = dialect.request(&target, streamed, &encoded.fields, body)?;
        let passage = Passage::Translated {
            exchange: encoded.exchange,
            report: encoded.report,
        };
        Ok(Prepared {
            dialect,
            request,
            passage,
        })
    }

    fn verbatim(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        envelope: &Envelope,
        target: &ResolvedTarget,
        strict: bool,
        dialect: &'static dyn Dialect,
    ) -> Result<Prepared, ChatError> {
        let face = inbound.face;
        let fields = face.forwarded(&inbound.asked);
        let mut left_out = Conversion::default();
        dialect.report_left_out(&target.target(), &fields, &mut left_out);
        let body = &inbound.body;
        let spliced = spliced(face, envelope, body, target, dialect, &mut left_out)?;
        if strict && !left_out.is_lossless() {
            return Err(ChatError::WouldDrop(left_out));
        }
        let body = self.helped(
            caller,
            envelope,
            target,
            dialect,
            spliced.body,
            &mut left_out,
        );
        let request = dialect.request(&target.target(), envelope.stream, &fields, body)?;
        let exchange = Exchange {
            streamed: envelope.stream,
            model: target.model.clone(),
            ..Exchange::default()
        };
        let passage = Passage::Verbatim {
            withhold_usage: spliced.withhold_usage,
            exchange,
            left_out,
        };
        Ok(Prepared {
            dialect,
            request,
            passage,
        })
    }

    /// What leaves, with breakpoints for the provider's prompt cache where the operator wants them.
    fn helped(
        &self,
        caller: &Caller,
        envelope: &Envelope,
        target: &ResolvedTarget,
        dialect: &dyn Dialect,
        body: Bytes,
        report: &mut Conversion,
    ) -> Bytes {
        if target.prompt_cache == PromptCaching::Off {
            return body;
        }
        let leaving = Leaving {
            caller,
            name: envelope.model.as_str(),
            target,
            format: dialect.format(),
            now: self.clock.now(),
            moment: self.clock.moment(),
        };
        self.prompt_cache.help(&leaving, body, report)
    }
}

/// Whether the target takes the caller's bytes as they are written.
pub(crate) fn passes(
    body: &[u8],
    envelope: &Envelope,
    target: &ResolvedTarget,
    dialect: &dyn Dialect,
) -> bool {
    let quirks = target.provider.host.quirks;
    let is_chat = dialect.format() == Format::OpenaiChat;
    dialect.takes_as_written(body) && !(is_chat && hosts::needs_translation(quirks, envelope, body))
}

/// The caller's bytes with the edits without which the target could not answer them.
pub(crate) fn spliced(
    face: &dyn Face,
    envelope: &Envelope,
    body: &Bytes,
    target: &ResolvedTarget,
    dialect: &dyn Dialect,
    report: &mut Conversion,
) -> Result<Spliced, Refusal> {
    let mut spliced = face.splice(envelope, body, &target.model);
    if dialect.format() == Format::OpenaiChat {
        let quirks = target.provider.host.quirks;
        spliced.body = hosts::without_refused_bookkeeping(quirks, spliced.body, report)?;
    }
    Ok(spliced)
}

fn no_chat(target: &ResolvedTarget) -> Refusal {
    let detail = format!(
        "'{}' of provider '{}' does not chat.",
        target.model, target.provider.name
    );
    Refusal::of("model", detail)
}
