//! `models.NAME.fallback`: where requests go when no target of the route answers.

use gateway::routes::{Fallback, RouteTarget, When};

use super::fields::{Fields, ListOr, Section};
use super::node::{Kind, Node};
use super::path::Path;
use super::reading::Reading;
use super::route::refuse_provider;
use domain::name::ProviderName;

/// Targets by what they are for.
struct ByCause(Vec<Fallback>);

impl Section for ByCause {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let mut fallbacks = Vec::new();
        for (when, about) in [
            (
                When::Always,
                "After any failure that another target may not have: not after a request that is wrong \
                 everywhere, nor after a refusal of its content. The others come before these.",
            ),
            (
                When::ContextWindow,
                "After a request that is too long for a model, and at once where all targets are known to \
                 be too small for it.",
            ),
            (
                When::ContentPolicy,
                "After a refusal of the content by the provider's policy.",
            ),
            (
                When::RateLimit,
                "After a target whose rate limit or quota is used up.",
            ),
        ] {
            let targets: Vec<RouteTarget> = fields.list(when.as_str(), &[], about);
            let targets = targets.into_iter();
            fallbacks.extend(targets.map(|target| Fallback { when, target }));
        }
        Some(Self(fallbacks))
    }
}

/// Reads where requests go when no target answers.
pub(super) fn read(fields: &mut impl Fields) -> Option<Vec<Fallback>> {
    let read: Option<ListOr<RouteTarget, ByCause>> = fields.list_or_section(
        "fallback",
        "Where they go when none of the targets answers, in the order in which they are tried, each as the \
         provider's name, a `/` and the model: not after a request that is wrong everywhere, nor after a \
         refusal of its content. Or lists of them, by what they are for.",
    );
    Some(match read? {
        ListOr::List(targets) => targets.into_iter().map(Fallback::from).collect(),
        ListOr::Section(ByCause(fallbacks)) => fallbacks,
    })
}

/// Says which of them are of providers that there are not; `path` leads to the route.
pub(super) fn refuse_what_is_not_there(
    fallbacks: &[Fallback],
    providers: &[ProviderName],
    path: &Path,
    root: &Node,
    reading: &mut Reading<'_>,
) {
    let path = path.key("fallback");
    let is_by_cause = path.node_in(root).kind() == Kind::Mapping;
    for (place, Fallback { when, target }) in fallbacks.iter().enumerate() {
        let path = if is_by_cause {
            let before = fallbacks.iter().take(place);
            let index = before.filter(|it| it.when == *when).count();
            path.key(when.as_str()).index(index)
        } else {
            path.index(place)
        };
        refuse_provider(target, providers, &path, root, reading);
    }
}
