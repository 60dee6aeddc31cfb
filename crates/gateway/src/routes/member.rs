//! The targets of a route as they are configured.

use std::sync::Arc;

use domain::name::ModelName;
use domain::region::Region;

use super::RouteTarget;
use super::condition::Condition;
use super::rollout::Percent;
use super::roster::Sticky;
use super::strategy::Strategy;

/// Where requests of a route go, on which terms.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteMember {
    /// Where.
    pub lead: Lead,
    /// How often it is meant in proportion to the others.
    pub weight: u32,
    /// Members with a lower number are tried before all with a higher one. Left out, all are alike.
    pub priority: Option<u32>,
    /// Where it lies, where that is not its provider's region.
    pub region: Option<Region>,
    /// Which requests it is for.
    pub when: Option<Condition>,
    /// The share of the callers that it is for.
    pub rollout: Option<Percent>,
    /// What it is called in a comparison.
    pub variant: Option<Arc<str>>,
    /// How good it is, 0 to 1.
    pub quality: Option<f64>,
}

/// Where a member leads.
#[derive(Debug, Clone, PartialEq)]
pub enum Lead {
    /// To a model of a provider.
    Model(RouteTarget),
    /// To the targets of another route.
    Route(ModelName),
    /// To the models of a class of equivalents that are good enough.
    Equivalents {
        /// The class.
        class: Arc<str>,
        /// The least quality.
        floor: f64,
    },
}

/// By what the requests of a route are shared out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sharing {
    /// By what the targets are ordered.
    pub strategy: Strategy,
    /// What keeps requests together, the first that a request has.
    pub sticky: Vec<Sticky>,
    /// Where requests may go; empty for everywhere.
    pub regions: Vec<Region>,
}

/// One of several models that can stand for each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Equivalent {
    /// The model.
    pub target: RouteTarget,
    /// How good it is, 0 to 1.
    pub quality: f64,
}

impl From<RouteTarget> for RouteMember {
    /// A target on the usual terms.
    fn from(target: RouteTarget) -> Self {
        Self::to(Lead::Model(target))
    }
}

impl RouteMember {
    /// A member on the usual terms.
    pub fn to(lead: Lead) -> Self {
        Self {
            lead,
            weight: 1,
            priority: None,
            region: None,
            when: None,
            rollout: None,
            variant: None,
            quality: None,
        }
    }
}
