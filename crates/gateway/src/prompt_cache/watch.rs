//! Whether what callers have vendors write into their prompt caches is ever read.
//!
//! A write costs more than fresh input, and pays only when it is read while the vendor has it. So the usage of
//! every call is looked at: what it read and what it wrote. Of one key, for one name, at one model, a later call
//! that reads more than an earlier one had read has read of what that one wrote. What nobody has read when its
//! time is over was paid for in vain.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::call::{Call, CallObserver};
use domain::entropy::Entropy;
use domain::event::{Event, EventKind};
use domain::id::{EventId, KeyId, OrganizationId, ProjectId};
use domain::money::Cost;
use domain::name::ProviderName;
use domain::usage::{ServiceTier, Usage};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::catalog::price;
use crate::routes::Routes;

/// The most accounts that are kept; of further ones nothing is known.
const MAX_ACCOUNTS: usize = 10_000;
/// The most writes of one account whose time is not over; of more, the oldest counts as unread at once.
const MAX_PENDING: usize = 256;
/// Events that may wait to be written down.
const WAITING: usize = 1_024;
/// How long an account is kept of which nothing is heard.
const QUIET: SignedDuration = SignedDuration::from_hours(24);
const FIVE_MINUTES: SignedDuration = SignedDuration::from_mins(5);
const ONE_HOUR: SignedDuration = SignedDuration::from_hours(1);

/// When operators want to hear of what is written and never read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WatchRules {
    /// At so many tokens of a day, of one key and name at one model.
    pub tokens: u64,
    /// And at such a part of what was written, 0 to 1.
    pub share: f64,
}

impl Default for WatchRules {
    fn default() -> Self {
        Self {
            tokens: 100_000,
            share: 0.5,
        }
    }
}

/// Looks at what is written and what is read.
pub struct Watch {
    rules: WatchRules,
    accounts: Mutex<HashMap<Place, Account>>,
    alarms: mpsc::Sender<UnreadWrites>,
}

/// Whose, for what and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    organization_id: OrganizationId,
    project_id: ProjectId,
    key_id: KeyId,
    /// The route, or the name as it was asked for.
    name: String,
    provider: ProviderName,
    model: String,
}

#[derive(Debug, Default)]
struct Account {
    pending: VecDeque<Write>,
    read: u64,
    total: Written,
    today: Option<Day>,
    heard: Timestamp,
}

/// Tokens that were written, for both of the times that vendors keep them.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    tokens: u64,
    unread_5m: u64,
    unread_1h: u64,
}

/// What was decided on one day in UTC.
#[derive(Debug, Clone, Copy)]
struct Day {
    date: Date,
    written: u64,
    unread: u64,
    is_told: bool,
}

#[derive(Debug, Clone, Copy)]
struct Write {
    /// How much stood before it, in tokens.
    from: u64,
    tokens: u64,
    is_for_an_hour: bool,
    ends: Timestamp,
}

/// What was written and never read, more than operators want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadWrites {
    organization_id: OrganizationId,
    project_id: ProjectId,
    /// Whose.
    pub key_id: KeyId,
    /// The route, or the name as it was asked for.
    pub name: String,
    /// The provider.
    pub provider: ProviderName,
    /// The model in the provider's words.
    pub model: String,
    /// The day, in UTC.
    pub day: Date,
    /// Tokens that were written and whose time is over, or that were read.
    pub written_tokens: u64,
    /// How many of them nobody has read.
    pub unread_tokens: u64,
}

impl UnreadWrites {
    /// The same as an event that happens at `now`: one for each day.
    pub fn event(&self, now: Timestamp, entropy: &dyn Entropy) -> Event {
        let Self {
            key_id,
            name,
            provider,
            model,
            day,
            ..
        } = self;
        Event {
            id: EventId::new(now, entropy),
            at: now,
            organization_id: self.organization_id,
            project_id: self.project_id,
            kind: EventKind::PromptCacheUnread,
            mark: format!("{key_id}/{name}/{provider}/{model}/{day}"),
            detail: json!({
                "key_id": key_id,
                "name": name,
                "provider": provider,
                "model": model,
                "day": day,
                "written_tokens": self.written_tokens,
                "unread_tokens": self.unread_tokens,
            }),
        }
    }
}

/// What each key has had written and has read, of the last day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PromptReport {
    /// What was wasted most comes first.
    pub lines: Vec<PromptReportLine>,
}

/// The same of one key, for one name, at one model. Tokens that are neither read nor unread wait for what comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptReportLine {
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// Whose.
    pub key_id: KeyId,
    /// The route, or the name as it was asked for.
    pub name: String,
    /// The provider.
    pub provider: ProviderName,
    /// The model in the provider's words.
    pub model: String,
    /// Tokens that were written.
    pub written_tokens: u64,
    /// Tokens that were read.
    pub read_tokens: u64,
    /// Tokens that were written and that nobody has read in time.
    pub unread_tokens: u64,
    /// What it cost more to write these than to send them; `None` where no price is known.
    pub wasted_usd: Option<Cost>,
    /// What it cost less to read than to send; `None` where no price is known.
    pub saved_usd: Option<Cost>,
}

impl Watch {
    /// Nothing was written yet. Also gives what operators are to hear of.
    pub fn new(rules: WatchRules) -> (Self, mpsc::Receiver<UnreadWrites>) {
        let (alarms, waiting) = mpsc::channel(WAITING);
        let watch = Self {
            rules,
            accounts: Mutex::default(),
            alarms,
        };
        (watch, waiting)
    }

    fn look_at(&self, call: &Call) {
        let usage = &call.usage;
        let written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens;
        if usage.cached_input_tokens + written == 0 || call.cache.is_hit() {
            return;
        }
        let (Some(provider), Some(last)) = (&call.provider, call.attempts.last()) else {
            return;
        };
        let place = Place {
            organization_id: call.organization_id,
            project_id: call.project_id,
            key_id: call.key_id,
            name: match &call.route {
                Some(route) => route.clone(),
                None => call.request_model.to_string(),
            },
            provider: provider.clone(),
            model: last.model.clone(),
        };
        let mut accounts = self.accounts();
        if accounts.len() >= MAX_ACCOUNTS && !accounts.contains_key(&place) {
            return;
        }
        accounts.entry(place).or_default().add(usage, call.ended_at);
    }

    /// Decides on what was written and whose time is over at `now`, and tells of what operators want to hear of.
    /// Answers how many tokens nobody has read.
    pub fn sweep(&self, now: Timestamp) -> u64 {
        let mut unread = 0;
        self.accounts().retain(|place, account| {
            unread += account.decide(now);
            if let Some(alarm) = account.alarm(place, self.rules)
                && self.alarms.try_send(alarm).is_err()
            {
                tracing::warn!(
                    "word of unread prompt-cache writes is lost: too much waits to be told"
                );
            }
            !account.pending.is_empty() || now.duration_since(account.heard) < QUIET
        });
        unread
    }

    /// What was written and read, of the tenant `organization` or of all, at the prices of `now`.
    pub fn report(
        &self,
        organization: Option<OrganizationId>,
        routes: &Routes,
        now: Timestamp,
    ) -> PromptReport {
        let accounts = self.accounts();
        let meant = accounts
            .iter()
            .filter(|(place, _)| organization.is_none_or(|id| id == place.organization_id));
        let mut lines: Vec<PromptReportLine> = meant
            .map(|(place, account)| line(place, account, routes, now))
            .collect();
        lines.sort_by(|one, other| {
            let wasted = |line: &PromptReportLine| (line.wasted_usd, line.unread_tokens);
            let by_name = |line: &PromptReportLine| (line.key_id, line.name.clone());
            wasted(other)
                .cmp(&wasted(one))
                .then_with(|| by_name(one).cmp(&by_name(other)))
        });
        PromptReport { lines }
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<Place, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallObserver for Watch {
    fn ended(&self, call: &Call, _: Option<&str>) {
        self.look_at(call);
    }
}

impl Account {
    fn add(&mut self, usage: &Usage, now: Timestamp) {
        self.heard = now;
        let read = usage.cached_input_tokens;
        self.read += read;
        let mut read_tokens = 0;
        self.pending.retain(|write| {
            let is_read = write.from < read && now < write.ends;
            read_tokens += if is_read { write.tokens } else { 0 };
            !is_read
        });
        if let Some(day) = self.day(now).filter(|_| read_tokens > 0) {
            day.written += read_tokens;
        }
        let writes = [
            (usage.cache_write_5m_tokens, false, FIVE_MINUTES),
            (usage.cache_write_1h_tokens, true, ONE_HOUR),
        ];
        for (tokens, is_for_an_hour, lasts) in writes {
            if tokens == 0 {
                continue;
            }
            self.total.tokens += tokens;
            if self.pending.len() >= MAX_PENDING
                && let Some(oldest) = self.pending.pop_front()
            {
                self.unread(oldest, now);
            }
            self.pending.push_back(Write {
                from: read,
                tokens,
                is_for_an_hour,
                ends: now.saturating_add(lasts).unwrap_or(Timestamp::MAX),
            });
        }
    }

    /// Counts what is over; answers how many tokens nobody has read.
    fn decide(&mut self, now: Timestamp) -> u64 {
        let (over, pending): (VecDeque<Write>, VecDeque<Write>) =
            self.pending.drain(..).partition(|write| write.ends <= now);
        self.pending = pending;
        over.into_iter()
            .map(|write| {
                self.unread(write, now);
                write.tokens
            })
            .sum()
    }

    fn unread(&mut self, write: Write, now: Timestamp) {
        if write.is_for_an_hour {
            self.total.unread_1h += write.tokens;
        } else {
            self.total.unread_5m += write.tokens;
        }
        if let Some(day) = self.day(now) {
            day.written += write.tokens;
            day.unread += write.tokens;
        }
    }

    fn day(&mut self, now: Timestamp) -> Option<&mut Day> {
        let date = now.to_zoned(TimeZone::UTC).date();
        let today = self.today.take_if(|day| day.date == date);
        self.today = Some(today.unwrap_or(Day {
            date,
            written: 0,
            unread: 0,
            is_told: false,
        }));
        self.today.as_mut()
    }

    fn alarm(&mut self, place: &Place, rules: WatchRules) -> Option<UnreadWrites> {
        let day = self.today.as_mut().filter(|day| !day.is_told)?;
        #[expect(clippy::cast_precision_loss, reason = "parts of counts of tokens")]
        let share = day.unread as f64 / day.written.max(1) as f64;
        if day.unread < rules.tokens.max(1) || share < rules.share {
            return None;
        }
        day.is_told = true;
        Some(UnreadWrites {
            organization_id: place.organization_id,
            project_id: place.project_id,
            key_id: place.key_id,
            name: place.name.clone(),
            provider: place.provider.clone(),
            model: place.model.clone(),
            day: day.date,
            written_tokens: day.written,
            unread_tokens: day.unread,
        })
    }
}

fn line(place: &Place, account: &Account, routes: &Routes, now: Timestamp) -> PromptReportLine {
    let provider = routes.provider(place.provider.as_str());
    let facts = provider.and_then(|provider| routes.facts(provider, &place.model));
    let cost = |usage: Usage| {
        let priced = price(facts.as_deref()?, &usage, ServiceTier::Standard, now);
        Some(priced.ok()?.total)
    };
    let total = account.total;
    let unread = total.unread_5m + total.unread_1h;
    let written = Usage {
        cache_write_5m_tokens: total.unread_5m,
        cache_write_1h_tokens: total.unread_1h,
        ..Usage::text(unread, 0)
    };
    let read = Usage {
        cached_input_tokens: account.read,
        ..Usage::text(account.read, 0)
    };
    let difference =
        |dear: Usage, cheap: Usage| Some(cost(dear)?.saturating_sub(cost(cheap)?).max(Cost::ZERO));
    PromptReportLine {
        organization_id: place.organization_id,
        project_id: place.project_id,
        key_id: place.key_id,
        name: place.name.clone(),
        provider: place.provider.clone(),
        model: place.model.clone(),
        written_tokens: total.tokens,
        read_tokens: account.read,
        unread_tokens: unread,
        wasted_usd: difference(written, Usage::text(unread, 0)),
        saved_usd: difference(Usage::text(account.read, 0), read),
    }
}
