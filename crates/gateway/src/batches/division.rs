//! Dividing a batch into the parts that are handed over: the lines for one model of one provider are one.

use domain::batch::{Handover, HandoverStep};
use domain::name::ModelName;
use domain::usage::ServiceTier;
use jiff::Timestamp;
use providers::batches::{BatchApi, Bounds};

use super::endpoint::{Endpoint, Request};
use super::passage::{Way, worded, work};
use crate::catalog::price;
use crate::chat::Gateway;
use crate::routes::{Plan, ResolvedTarget};

/// The most parts of a batch, and the most names that one may be asked for by. What would make more is asked
/// line by line.
const MAX_PARTS: usize = 20;
/// What a line has beside its body at a provider, in bytes, at most.
const FRAME: usize = 200;
/// What only this gateway can put in its place: a line that has it is asked here.
const OF_THIS_GATEWAY: [&[u8]; 3] = [
    b"\"file_id\"",
    b"\"previous_response_id\"",
    b"\"item_reference\"",
];

/// The parts that the lines make that were looked at so far.
pub(super) struct Division {
    parts: Vec<Part>,
    /// Some line cannot be handed over: then they are all asked one by one.
    is_off: bool,
    now: Timestamp,
}

struct Part {
    handover: Handover,
    bounds: Bounds,
    bytes: usize,
}

/// A line that was looked at.
pub(super) struct Looked<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) plan: &'a Plan,
    pub(super) request: &'a Request,
    pub(super) body: &'a bytes::Bytes,
    /// Whether what it may cost has to be set aside.
    pub(super) is_budgeted: bool,
}

impl Division {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            parts: Vec::new(),
            is_off: false,
            now,
        }
    }

    /// Says that not every line can be handed over.
    pub(super) fn give_up(&mut self) {
        self.is_off = true;
        self.parts.clear();
    }

    /// Puts a line into its part.
    pub(super) fn add(&mut self, gateway: &Gateway, line: &Looked<'_>) {
        if !self.is_off && self.place(gateway, line).is_none() {
            self.give_up();
        }
    }

    fn place(&mut self, gateway: &Gateway, line: &Looked<'_>) -> Option<()> {
        let target = line.plan.target();
        let api = api(line.endpoint, target)?;
        let needs_us = |text: &&[u8]| memchr::memmem::find(line.body, text).is_some();
        if OF_THIS_GATEWAY.iter().any(needs_us) {
            return None;
        }
        let way = Way {
            endpoint: line.endpoint,
            target,
            api,
            is_strict: line.plan.strict,
        };
        let worded = worded(gateway, way, line.body, self.now)?;
        // Of a model without a price no budget can say what it may cost: asked by itself it is refused.
        let cost = if line.is_budgeted {
            let facts = target.facts.as_deref()?;
            price(facts, &line.request.estimate, ServiceTier::Batch, self.now)
                .ok()?
                .total
        } else {
            domain::money::Cost::ZERO
        };
        let part = self.part(line, api)?;
        let handover = &mut part.handover;
        let model = &line.request.model;
        if !handover.asked_as.contains(model) {
            if handover.asked_as.len() >= MAX_PARTS {
                return None;
            }
            handover.asked_as.push(model.clone());
        }
        handover.lines = handover.lines.saturating_add(1);
        handover.reserved = handover.reserved.saturating_add(cost);
        part.bytes = part.bytes.saturating_add(worded.body.len() + FRAME);
        let fits = handover.lines <= part.bounds.lines && part.bytes <= part.bounds.bytes;
        fits.then_some(())
    }

    /// The part of the line's target, begun with it.
    fn part(&mut self, line: &Looked<'_>, api: &dyn BatchApi) -> Option<&mut Part> {
        let target = line.plan.target();
        let is_it = |part: &Part| {
            part.handover.provider == target.provider.name && part.handover.model == target.model
        };
        let at = self.parts.iter().position(is_it);
        let at = at.unwrap_or(self.parts.len());
        if at == self.parts.len() {
            if at == MAX_PARTS {
                return None;
            }
            let handover = Handover {
                provider: target.provider.name.clone(),
                model: target.model.clone(),
                asked_as: Vec::new(),
                lines: 0,
                reserved: domain::money::Cost::ZERO,
                number: 0,
                at: self.now,
                file: None,
                step: HandoverStep::Planned,
                is_stopped: false,
                not_this: Vec::new(),
            };
            self.parts.push(Part {
                handover,
                bounds: api.bounds(),
                bytes: 0,
            });
        }
        self.parts.get_mut(at)
    }

    /// The parts; none where the lines are asked one by one, as they are where a part is too small for its
    /// provider.
    pub(super) fn handovers(self) -> Vec<Handover> {
        let is_too_small = |part: &Part| part.handover.lines < part.bounds.least;
        if self.parts.iter().any(is_too_small) {
            return Vec::new();
        }
        self.parts.into_iter().map(|part| part.handover).collect()
    }
}

/// How the target is given batches of such lines.
pub(super) fn api(endpoint: Endpoint, target: &ResolvedTarget) -> Option<&'static dyn BatchApi> {
    let api = target.kind.batches(&target.model, &target.provider.host)?;
    api.takes(work(endpoint, target)?).then_some(api)
}

/// Whether a line that asks for `model` is one of this part's.
pub(super) fn is_of(handover: &Handover, model: &ModelName) -> bool {
    handover.asked_as.contains(model)
}
