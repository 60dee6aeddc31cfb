//! A configured provider.

use std::sync::Arc;

use domain::egress::Reach;
use domain::name::ProviderName;
use domain::region::Region;
use domain::secret::Secret;
use providers::credential::{Credential, Source};
use providers::host::Host;
use providers::kind::ProviderKind;

use crate::credentials::Rotation;
use crate::health::KeyNumber;
use crate::prompt_cache::PromptCaching;

/// A configured provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: ProviderName,
    /// What it speaks.
    pub kind: ProviderKind,
    /// Absolute, without a slash at its end.
    pub base_url: String,
    /// The credential; `None` where the host wants none.
    pub credential: Option<Source>,
    /// Several credentials that take turns, the one above among them; `None` where there is one.
    pub rotation: Option<Arc<Rotation>>,
    /// What is particular about its host.
    pub host: Host,
    /// Which addresses may be reached.
    pub reach: Reach,
    /// What happens when the caller goes away.
    pub hang_up: HangUp,
    /// Where it keeps what it is sent; `None` where nobody says.
    pub region: Option<Region>,
    /// Whether its prompt cache is helped, unless a route says otherwise.
    pub prompt_cache: PromptCaching,
}

impl Provider {
    /// Which addresses its requests may reach; the simulated provider's reach none.
    pub fn reach(&self) -> Reach {
        if self.kind == ProviderKind::Sim {
            Reach::Simulated
        } else {
            self.reach
        }
    }

    /// How many credentials it is asked with.
    pub(crate) fn keys(&self) -> usize {
        self.rotation.as_ref().map_or(1, |rotation| rotation.len())
    }

    /// The credential of this number; `None` where the host wants none.
    pub(crate) fn source(&self, key: KeyNumber) -> Option<&Source> {
        match &self.rotation {
            Some(rotation) => rotation.source(key),
            None => self.credential.as_ref(),
        }
    }

    /// The simulated provider wants a key, as the vendors do, and takes any.
    pub(super) fn with_simulated_key(mut self) -> Self {
        if self.kind == ProviderKind::Sim && self.credential.is_none() {
            let any = Secret::new("simulated".to_owned());
            self.credential = Some(Source::Ready(Credential::ApiKey(any)));
        }
        self
    }
}

/// What happens to the provider's answer when the caller goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HangUp {
    /// It is cancelled: most providers then stop the work, and its cost.
    #[default]
    Cancel,
    /// It is read to its end, within a bound, so that its usage is known.
    Drain,
}
