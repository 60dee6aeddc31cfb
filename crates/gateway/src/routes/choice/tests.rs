use std::collections::HashMap;

use domain::egress::Reach;
use domain::model::Capabilities;
use domain::region::Region;
use providers::host::Host;
use providers::kind::ProviderKind;
use serde_json::json;

use super::*;
use crate::catalog::Catalog;
use crate::health::Health;
use crate::prompt_cache::PromptCaching;
use crate::routes::condition::Condition;
use crate::routes::inquiry::Inquiry;
use crate::routes::residency::{Promise, Tenant};
use crate::routes::rollout::Percent;
use crate::routes::{HangUp, Provider};

fn target(provider: &str, model: &str) -> Arc<ResolvedTarget> {
    Arc::new(ResolvedTarget {
        provider: Arc::new(Provider {
            name: provider.parse().unwrap(),
            kind: ProviderKind::Openai,
            base_url: "https://provider.example/v1".to_owned(),
            credential: None,
            rotation: None,
            host: Host::NONE,
            reach: Reach::Public,
            hang_up: HangUp::default(),
            prompt_cache: PromptCaching::default(),
            region: None,
        }),
        kind: ProviderKind::Openai,
        base_url: "https://provider.example/v1".to_owned(),
        model: model.to_owned(),
        facts: Catalog::builtin()
            .find(provider, model)
            .cloned()
            .map(Arc::new),
        capabilities: Capabilities::default(),
        region: None,
        prompt_cache: PromptCaching::default(),
        health: Health::default().of(&provider.parse().unwrap(), model, 1),
    })
}

/// A model called `m` of a provider of this name.
fn member(provider: &str) -> Member {
    member_of(target(provider, "m"))
}

fn member_of(target: Arc<ResolvedTarget>) -> Member {
    Member {
        id: id_of(&target),
        leads: Leads::To(target),
        tier: 0,
        weight: 1,
        when: None,
        rollout: None,
        variant: None,
        quality: None,
    }
}

fn roster(strategy: Strategy, members: Vec<Member>) -> Roster {
    Roster {
        name: "fast".into(),
        strategy,
        sticky: Vec::new(),
        regions: Vec::new(),
        members,
        fallbacks: Vec::new(),
    }
}

#[derive(Default)]
struct World {
    flags: Flags,
    affinity: Affinity,
    residency: Residency,
    out: Vec<&'static str>,
    seconds: u64,
    preferred: Option<&'static str>,
    performance: Option<f64>,
    is_cheapest: bool,
    usual_output: Option<u64>,
    seen: HashMap<&'static str, Observation>,
}

impl World {
    fn choose<'r>(&self, roster: &'r Roster, inquiry: &Inquiry) -> Choice<'r> {
        let observe = |target: &ResolvedTarget, _, _| {
            let name = target.provider.name.as_str();
            let seen = self.seen.get(name).copied().unwrap_or_default();
            Observation {
                is_out: self.out.contains(&name),
                ..seen
            }
        };
        let wishes = Wishes {
            provider: self.preferred.map(str::to_owned),
            performance: self.performance,
            is_cheapest: self.is_cheapest,
            ..Wishes::NONE
        };
        let around = Surroundings {
            flags: &self.flags,
            affinity: &self.affinity,
            residency: &self.residency,
            observe: &observe,
            moment: self.moment(),
            usual_output: &|| self.usual_output,
            wishes: &wishes,
            in_full: false,
        };
        roster.choose(&inquiry.question(), &around)
    }

    fn moment(&self) -> Moment {
        Moment::at(Duration::from_secs(self.seconds))
    }

    /// The providers in the order in which they are tried.
    fn order(&self, roster: &Roster, inquiry: &Inquiry) -> Vec<String> {
        let choice = self.choose(roster, inquiry);
        let names = choice
            .placed
            .iter()
            .map(|placed| placed.target.provider.name.to_string());
        names.collect()
    }

    fn first(&self, roster: &Roster, inquiry: &Inquiry) -> String {
        self.order(roster, inquiry).swap_remove(0)
    }
}

/// The same in a region.
fn member_in(provider: &str, region: Option<&str>) -> Member {
    let mut target = target(provider, "m");
    let target_of = Arc::get_mut(&mut target).unwrap();
    target_of.region = region.map(|region| region.parse().unwrap());
    member_of(target)
}

#[test]
fn a_target_outside_of_the_regions_of_the_route_is_never_a_candidate() {
    let mut roster = roster(
        Strategy::Priority,
        vec![
            member_in("a", Some("us")),
            member_in("b", Some("eu-west-1")),
            member("c"),
        ],
    );
    roster.fallbacks = vec![(When::Always, member_in("d", Some("us")))];
    roster.regions = vec!["eu".parse().unwrap()];
    let world = World::default();
    let choice = world.choose(&roster, &Inquiry::default());
    assert_eq!(world.order(&roster, &Inquiry::default()), ["b"]);
    let reasons: Vec<_> = choice
        .left_out
        .iter()
        .map(|it| (it.member.name(), it.why.clone()))
        .collect();
    let left_out = |name: &str| (format!("{name}/m"), Why::Region);
    assert_eq!(reasons, [left_out("a"), left_out("c"), left_out("d")]);
}

#[test]
fn who_wants_the_cheapest_gets_it_unless_speed_counts() {
    let members = || {
        vec![
            member_of(target("openai", "gpt-4.1")),
            member_of(target("openai", "gpt-4.1-nano")),
        ]
    };
    let roster = roster(Strategy::Priority, members());
    let models = |world: &World| {
        let inquiry = Inquiry::by("ann", 100);
        let choice = world.choose(&roster, &inquiry);
        let placed = choice.placed.iter();
        placed.map(|it| it.target.model.clone()).collect::<Vec<_>>()
    };
    assert_eq!(models(&World::default()), ["gpt-4.1", "gpt-4.1-nano"]);
    let cheapest = World {
        is_cheapest: true,
        ..World::default()
    };
    assert_eq!(models(&cheapest), ["gpt-4.1-nano", "gpt-4.1"]);
    let by_cost = World {
        performance: Some(0.0),
        ..World::default()
    };
    assert_eq!(models(&by_cost), ["gpt-4.1-nano", "gpt-4.1"]);
}

#[test]
fn the_output_that_is_expected_is_learned_and_bounded_by_the_caller() {
    let inquiry = Inquiry::by("ann", 100);
    let usage = |usual: Option<u64>, bound: Option<u64>| {
        let question = Question {
            max_output_tokens: bound,
            ..inquiry.question()
        };
        expected_usage(&question, &|| usual, 0).output_tokens
    };
    assert_eq!(usage(None, None), 500);
    assert_eq!(usage(Some(40), None), 40);
    assert_eq!(usage(Some(4_000), None), 4_000);
    assert_eq!(usage(Some(4_000), Some(100)), 100);
}

#[test]
fn a_promise_to_a_tenant_holds_on_every_route() {
    let inquiry = Inquiry::default();
    let promise = Promise {
        whose: vec![Tenant::Project(inquiry.caller.project_id())],
        regions: vec!["eu".parse().unwrap()],
    };
    let world = World {
        residency: Residency::new([promise]),
        preferred: Some("a"),
        ..World::default()
    };
    let inner = roster(Strategy::Priority, vec![member_in("a", Some("us"))]);
    let through = Member {
        leads: Leads::Through(Arc::new(inner)),
        ..member("inner")
    };
    let roster = roster(
        Strategy::Priority,
        vec![through, member_in("b", Some("eu"))],
    );
    assert_eq!(world.order(&roster, &inquiry), ["b"]);
}

#[test]
fn a_target_with_a_condition_is_for_the_requests_that_fulfil_it() {
    let gold = Condition::parse("metadata.tier == 'gold'").unwrap();
    let roster = roster(
        Strategy::Priority,
        vec![
            Member {
                when: Some(gold),
                ..member("a")
            },
            member("b"),
        ],
    );
    let world = World::default();
    let of = |tier: &str| Inquiry::with_body(&json!({ "metadata": { "tier": tier } }));
    assert_eq!(world.order(&roster, &of("gold")), ["a", "b"]);
    assert_eq!(world.order(&roster, &of("iron")), ["b"]);
    let choice = world.choose(&roster, &Inquiry::default());
    assert!(matches!(&choice.left_out[0].why, Why::ConditionFailed(why) if why.contains("tier")));
}

#[test]
fn a_rollout_is_for_its_share_and_always_for_the_same() {
    let new = Member {
        rollout: Some(Percent::of_hundredths(2_000).unwrap()),
        variant: Some("new".into()),
        ..member("new")
    };
    let roster = roster(Strategy::Weighted, vec![member("a"), new, member("b")]);
    let world = World::default();
    let mut count = 0;
    for number in 0..2_000 {
        let inquiry = Inquiry::by(&format!("user-{number}"), 1).seeded(number);
        let choice = world.choose(&roster, &inquiry);
        let is_new = choice.variant().is_some_and(|variant| &**variant == "new");
        assert_eq!(is_new, choice.placed[0].because == Because::Rollout);
        assert_eq!(is_new, choice.placed.len() == 3, "nobody else may go there");
        let again = Inquiry::by(&format!("user-{number}"), 9).seeded(number + 7_000);
        assert_eq!(is_new, world.first(&roster, &again) == "new");
        count += u32::from(is_new);
    }
    assert!((340..=460).contains(&count), "{count} of 2000");
}

#[test]
fn two_variants_share_the_callers_between_them() {
    let share = |name: &str, hundredths| Member {
        rollout: Some(Percent::of_hundredths(hundredths).unwrap()),
        variant: Some(name.into()),
        ..member(name)
    };
    let roster = roster(
        Strategy::Priority,
        vec![share("a", 5_000), share("b", 5_000)],
    );
    let world = World::default();
    let mut firsts = HashMap::new();
    for number in 0..1_000 {
        let order = world.order(&roster, &Inquiry::by(&format!("user-{number}"), 1));
        assert_eq!(order.len(), 1, "one variant each");
        *firsts.entry(order[0].clone()).or_insert(0) += 1;
    }
    assert!(
        firsts.values().all(|count| (430..=570).contains(count)),
        "{firsts:?}"
    );
}

#[test]
fn a_named_session_stays_where_it_was_answered() {
    let roster = roster(
        Strategy::Weighted,
        vec![member("a"), member("b"), member("c")],
    );
    let world = World::default();
    let inquiry = |seed| Inquiry::default().header(SESSION, "s-1").seeded(seed);
    // Before anything is remembered, its hash decides, on every replica in the same way.
    let first = world.first(&roster, &inquiry(0));
    assert!((1..50).all(|seed| world.first(&roster, &inquiry(seed)) == first));
    let other = ["a", "b", "c"]
        .into_iter()
        .find(|name| **name != first)
        .unwrap();
    let choice = world.choose(&roster, &inquiry(1));
    let trace = choice.trace;
    world
        .affinity
        .remember(&trace, id_of(&target(other, "m")), world.moment());
    assert_eq!(world.first(&roster, &inquiry(2)), other);
    assert_eq!(
        world.choose(&roster, &inquiry(2)).placed[0].because,
        Because::Session
    );
}

#[test]
fn a_session_leaves_a_target_that_does_not_answer() {
    let roster = roster(Strategy::Priority, vec![member("a"), member("b")]);
    let mut world = World::default();
    let inquiry = Inquiry::default().header(SESSION, "s-1");
    let trace = world.choose(&roster, &inquiry).trace;
    world
        .affinity
        .remember(&trace, id_of(&target("b", "m")), world.moment());
    assert_eq!(world.order(&roster, &inquiry), ["b", "a"]);
    world.out = vec!["b"];
    assert_eq!(world.order(&roster, &inquiry), ["a", "b"]);
}

#[test]
fn a_sticky_route_keeps_users_together_and_spreads_them() {
    let mut roster = roster(Strategy::Weighted, vec![member("a"), member("b")]);
    roster.sticky = vec![Sticky::User];
    let world = World::default();
    let firsts = |user: usize| {
        let seeds = 0..20;
        let firsts = seeds
            .map(|seed| world.first(&roster, &Inquiry::by(&format!("u{user}"), 1).seeded(seed)));
        firsts.collect::<std::collections::HashSet<_>>()
    };
    assert!((0..20).all(|user| firsts(user).len() == 1));
    let all: std::collections::HashSet<_> = (0..20).flat_map(firsts).collect();
    assert_eq!(all.len(), 2);
}

#[test]
fn the_cheapest_is_found_by_the_size_of_the_request() {
    // $2.50 in and $10 out against $3 and $15 for a million tokens.
    let roster = roster(
        Strategy::Cheapest,
        vec![
            member_of(target("anthropic", "claude-sonnet-4-5")),
            member_of(target("openai", "gpt-4o")),
            member("unpriced"),
        ],
    );
    let order = World::default().order(&roster, &Inquiry::by("ann", 100));
    assert_eq!(order, ["openai", "anthropic", "unpriced"]);
}

#[test]
fn a_warm_prompt_cache_makes_a_target_the_cheapest() {
    let (openai, anthropic) = (
        target("openai", "gpt-4o"),
        target("anthropic", "claude-sonnet-4-5"),
    );
    let roster = roster(
        Strategy::Cheapest,
        vec![member_of(openai), member_of(Arc::clone(&anthropic))],
    );
    let world = World::default();
    // Long enough that a tenth of the price for the beginning outweighs what the output costs more.
    let inquiry = Inquiry::by("ann", 20_000);
    assert_eq!(world.first(&roster, &inquiry), "openai");
    let trace = world.choose(&roster, &inquiry).trace;
    world
        .affinity
        .remember(&trace, id_of(&anthropic), world.moment());
    assert_eq!(world.first(&roster, &inquiry), "anthropic");
    let later = World {
        affinity: world.affinity,
        seconds: 600,
        ..World::default()
    };
    assert_eq!(later.first(&roster, &inquiry), "openai");
}

#[test]
fn a_request_that_is_too_long_for_all_targets_goes_to_the_fallbacks_for_that_at_once() {
    let with_window = |provider, window| {
        let mut target = Arc::into_inner(target(provider, "m")).unwrap();
        target.capabilities.context_window = Some(window);
        member_of(Arc::new(target))
    };
    let mut roster = roster(Strategy::Priority, vec![with_window("small", 100)]);
    roster.fallbacks = vec![
        (When::Always, member("any")),
        (When::RateLimit, member("roomy")),
        (When::ContextWindow, member("large")),
    ];
    let world = World::default();
    let long = Inquiry::by("ann", 200);
    assert_eq!(world.order(&roster, &long), ["large", "any", "roomy"]);
    let short = Inquiry::by("ann", 10);
    assert_eq!(world.order(&roster, &short)[0], "small");
    roster.fallbacks = vec![(When::RateLimit, member("roomy"))];
    assert_eq!(world.order(&roster, &long), ["small", "roomy"]);
}

#[test]
fn a_fallback_for_one_cause_does_not_stand_in_for_a_target_that_is_not_for_the_request() {
    let never = Member {
        when: Some(Condition::parse("false").unwrap()),
        ..member("never")
    };
    let mut roster = roster(Strategy::Priority, vec![never]);
    roster.fallbacks = vec![
        (When::ContentPolicy, member("lenient")),
        (When::ContextWindow, member("large")),
    ];
    let world = World::default();
    let inquiry = Inquiry::by("ann", 10);
    assert!(world.order(&roster, &inquiry).is_empty());
    roster.fallbacks.push((When::Always, member("any")));
    assert_eq!(world.order(&roster, &inquiry)[0], "any");
}

#[test]
fn the_provider_that_the_caller_prefers_is_tried_first_even_from_the_fallbacks() {
    let mut roster = roster(Strategy::Priority, vec![member("a"), member("b")]);
    roster.fallbacks = vec![(When::Always, member("c"))];
    let preferring = |provider| World {
        preferred: Some(provider),
        ..World::default()
    };
    assert_eq!(
        preferring("b").order(&roster, &Inquiry::default()),
        ["b", "a", "c"]
    );
    assert_eq!(
        preferring("c").order(&roster, &Inquiry::default()),
        ["c", "a", "b"]
    );
    assert_eq!(
        preferring("x").order(&roster, &Inquiry::default()),
        ["a", "b", "c"]
    );
    let world = preferring("c");
    assert_eq!(
        world.choose(&roster, &Inquiry::default()).placed[0].standing,
        Standing::Primary
    );
}

#[test]
fn what_is_too_long_for_a_model_goes_to_one_that_takes_it() {
    let with_window = |provider, window| {
        let mut small = target(provider, "m");
        let target = Arc::get_mut(&mut small).unwrap();
        target.capabilities.context_window = Some(window);
        member_of(small)
    };
    let world = World::default();
    let both = roster(
        Strategy::Priority,
        vec![with_window("small", 100), with_window("large", 10_000)],
    );
    assert_eq!(world.order(&both, &Inquiry::by("ann", 400)), ["large"]);
    assert_eq!(
        world.order(&both, &Inquiry::by("ann", 4)),
        ["small", "large"]
    );
    let only = roster(Strategy::Priority, vec![with_window("small", 100)]);
    let choice = world.choose(&only, &Inquiry::by("ann", 400));
    assert_eq!(
        choice.placed[0].because,
        Because::Nobody,
        "the provider decides"
    );
    assert!(matches!(
        choice.left_out[0].why,
        Why::ContextWindow { window: 100, .. }
    ));
}

#[test]
fn a_route_may_lead_through_another() {
    let mut inner = roster(Strategy::Priority, vec![member("b"), member("c")]);
    inner.fallbacks = vec![(When::RateLimit, member("d"))];
    let through = Member {
        leads: Leads::Through(Arc::new(inner)),
        variant: Some("inner".into()),
        ..member("inner")
    };
    let roster = roster(Strategy::Priority, vec![through, member("a")]);
    let world = World::default();
    assert_eq!(
        world.order(&roster, &Inquiry::default()),
        ["b", "c", "a", "d"]
    );
    let choice = world.choose(&roster, &Inquiry::default());
    assert_eq!(choice.variant().map(|it| &**it), Some("inner"));
    assert_eq!(
        choice.placed[3].standing,
        Standing::Fallback(When::RateLimit)
    );
    let out = World {
        out: vec!["b"],
        ..World::default()
    };
    assert_eq!(
        out.order(&roster, &Inquiry::default()),
        ["c", "b", "a", "d"]
    );
}

#[test]
fn the_fastest_and_the_least_busy_are_found_by_what_was_seen() {
    let seen = |milliseconds, in_flight| Observation {
        latency: Some(Duration::from_millis(milliseconds)),
        in_flight,
        ..Observation::default()
    };
    let world = World {
        seen: HashMap::from([("a", seen(900, 1)), ("b", seen(100, 8))]),
        ..World::default()
    };
    let members = || vec![member("a"), member("b")];
    assert_eq!(
        world.first(&roster(Strategy::Fastest, members()), &Inquiry::default()),
        "b"
    );
    assert_eq!(
        world.first(&roster(Strategy::LeastBusy, members()), &Inquiry::default()),
        "a"
    );
}

mod properties {
    use proptest::prelude::*;

    use super::{Strategy, *};

    const REGIONS: [Option<&str>; 4] = [None, Some("eu"), Some("eu-west-1"), Some("us")];

    prop_compose! {
        fn members(prefix: &'static str)(
            places in prop::collection::vec((0..4_usize, 0..3_u32, 0..4_u32), 0..6)
        ) -> Vec<Member> {
            let numbered = places.into_iter().enumerate();
            numbered.map(|(number, (place, tier, weight))| Member {
                tier,
                weight,
                ..member_in(&format!("{prefix}{number}"), REGIONS[place])
            }).collect()
        }
    }

    proptest! {
        #[test]
        fn no_target_outside_of_the_region_ever_appears(
            outer in members("o"), inner in members("i"), fallbacks in members("f"),
            seed in any::<u64>(), strategy in 0..5_usize, preferred in any::<bool>(),
        ) {
            let strategies = [Strategy::Priority, Strategy::Weighted, Strategy::Cheapest, Strategy::Fastest, Strategy::LeastBusy];
            let inner = roster(Strategy::Weighted, inner);
            let mut all = outer;
            all.push(Member { leads: Leads::Through(Arc::new(inner)), ..member("inner") });
            let mut roster = roster(strategies[strategy], all);
            roster.fallbacks = fallbacks.into_iter().map(|member| (When::Always, member)).collect();
            roster.regions = vec!["eu".parse().unwrap()];
            let world = World { preferred: preferred.then_some("o0"), ..World::default() };
            let inquiry = Inquiry::default().seeded(seed);
            let choice = world.choose(&roster, &inquiry);
            for placed in &choice.placed {
                let lies = placed.target.region.as_ref().map(Region::as_str);
                prop_assert!(lies.is_some_and(|lies| lies.starts_with("eu")), "{lies:?}");
            }
            let standings: Vec<_> = choice.placed.iter().map(|it| it.standing != Standing::Primary).collect();
            prop_assert!(standings.is_sorted(), "fallbacks come last");
            let names = |choice: &Choice<'_>| choice.placed.iter().map(|it| it.member.name()).collect::<Vec<_>>();
            prop_assert_eq!(names(&choice), names(&world.choose(&roster, &inquiry)));
        }
    }
}
