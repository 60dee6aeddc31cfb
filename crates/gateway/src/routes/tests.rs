use domain::egress::Reach;
use providers::dialect::{Dialect, Format};
use providers::host::Host;

use super::*;
use crate::cache::Caching;
use crate::prompt_cache::PromptCaching;

fn provider(name: &str, kind: ProviderKind, base_url: &str) -> Provider {
    Provider {
        name: name.parse().unwrap(),
        kind,
        base_url: base_url.to_owned(),
        credential: None,
        rotation: None,
        host: Host::NONE,
        reach: Reach::Public,
        hang_up: HangUp::default(),
        prompt_cache: PromptCaching::default(),
        region: None,
    }
}

fn of_kind(name: &str, kind: ProviderKind) -> Provider {
    provider(name, kind, kind.default_base_url())
}

fn route(provider: &str, model: &str) -> Route {
    Route {
        targets: vec![RouteMember::from(RouteTarget {
            provider: provider.parse().unwrap(),
            model: model.to_owned(),
        })],
        sharing: Sharing::default(),
        fallback: Vec::new(),
        strict: true,
        timeouts: Timeouts::default(),
        retries: Retries::default(),
        caching: Caching::default(),
        hedge: None,
        shadow: None,
        continues: false,
        safe_reply: None,
    }
}

fn routes() -> Routes {
    let providers = [
        of_kind("openai", ProviderKind::Openai),
        of_kind("anthropic", ProviderKind::Anthropic),
        of_kind("sim", ProviderKind::Sim),
        provider("local", ProviderKind::Openai, "http://127.0.0.1:11434/v1"),
    ];
    let routes = [
        ("fast".parse().unwrap(), route("sim", "gpt")),
        ("openai/gpt".parse().unwrap(), route("sim", "claude")),
    ];
    Routes::new(providers, routes, Catalog::builtin())
}

fn target(routes: &Routes, name: &str) -> (String, String, bool) {
    let plan = routes.plan(&name.parse().unwrap()).unwrap();
    let target = plan.target();
    (
        target.provider.name.to_string(),
        target.model.clone(),
        plan.route.is_some(),
    )
}

#[test]
fn a_class_of_equivalents_gives_those_that_are_good_enough() {
    let equivalent = |provider: &str, model: &str, quality| Equivalent {
        target: RouteTarget {
            provider: provider.parse().unwrap(),
            model: model.to_owned(),
        },
        quality,
    };
    let small = vec![
        equivalent("openai", "small", 0.69),
        equivalent("anthropic", "small", 0.7),
        equivalent("nobody", "small", 0.9),
        equivalent("sim", "gpt", 0.8),
    ];
    let of = |class: &str, floor| Route {
        targets: vec![RouteMember::to(Lead::Equivalents {
            class: class.into(),
            floor,
        })],
        ..route("sim", "gpt")
    };
    let names = ["enough", "best", "none"].map(|name| name.parse::<ModelName>().unwrap());
    let [enough, best, none] = names.clone();
    let rules = [of("small", 0.7), of("small", 0.75), of("small", 0.81)];
    let policy = Policy {
        equivalents: [("small".to_owned(), small)].into(),
        ..Policy::default()
    };
    let routes = Routes::new(
        [
            of_kind("openai", ProviderKind::Openai),
            of_kind("anthropic", ProviderKind::Anthropic),
            of_kind("sim", ProviderKind::Sim),
        ],
        names.into_iter().zip(rules),
        Catalog::builtin(),
    )
    .under(policy);
    let providers = |name: &ModelName| -> Vec<String> {
        let plan = routes.plan(name).unwrap();
        let candidates = plan.candidates.iter();
        candidates
            .map(|it| it.target.provider.name.to_string())
            .collect()
    };
    assert_eq!(providers(&enough), ["anthropic", "sim"]);
    assert_eq!(providers(&best), ["sim"]);
    let refused = routes.plan(&none).err().expect("nobody is good enough");
    assert!(!refused.near.contains(&"none".to_owned()), "{refused:?}");
    assert!(routes.models().iter().all(|served| served.name != "none"));
}

#[test]
fn a_configured_route_comes_before_everything_else() {
    let routes = routes();
    assert_eq!(
        target(&routes, "fast"),
        ("sim".to_owned(), "gpt".to_owned(), true)
    );
    assert_eq!(
        target(&routes, "openai/gpt"),
        ("sim".to_owned(), "claude".to_owned(), true)
    );
    assert!(routes.plan(&"fast".parse().unwrap()).unwrap().strict);
    assert!(!routes.plan(&"sim/gpt".parse().unwrap()).unwrap().strict);
}

#[test]
fn a_name_is_split_at_its_first_slash() {
    let routes = routes();
    let found = target(&routes, "local/meta-llama/Llama-3");
    assert_eq!(
        found,
        ("local".to_owned(), "meta-llama/Llama-3".to_owned(), false)
    );
    assert!(routes.plan(&"local/".parse().unwrap()).is_err());
    assert!(routes.plan(&"nobody/gpt".parse().unwrap()).is_err());
}

#[test]
fn a_bare_name_is_served_by_a_provider_that_the_catalog_knows_it_from() {
    let routes = routes();
    let known = routes
        .catalog()
        .models("anthropic")
        .next()
        .unwrap()
        .id
        .clone();
    assert_eq!(
        target(&routes, &known),
        ("anthropic".to_owned(), known, false)
    );
    let nobody = Routes::new([], [], Catalog::builtin());
    assert!(nobody.plan(&"gpt-5".parse().unwrap()).is_err());
}

#[test]
fn an_unknown_name_gets_the_names_that_look_like_it() {
    let unknown = routes().plan(&"fsat".parse().unwrap()).err().unwrap();
    assert_eq!(unknown.near.first().map(String::as_str), Some("fast"));
    assert!(unknown.near.len() <= 3);
    let unknown = routes().plan(&"xyzzy%%".parse().unwrap()).err().unwrap();
    assert_eq!(unknown.near, Vec::<String>::new());
}

#[test]
fn the_simulated_provider_has_a_key_of_its_own_and_reaches_nothing() {
    let plan = routes().plan(&"sim/gpt".parse().unwrap()).unwrap();
    assert!(plan.target().provider.credential.is_some());
    assert_eq!(plan.target().provider.reach(), Reach::Simulated);
    assert_eq!(plan.target().base_url, "http://sim.invalid/v1");
    let claude = routes().plan(&"sim/claude".parse().unwrap()).unwrap();
    assert_eq!(claude.target().base_url, "http://sim.invalid");
    assert!(routes().plan(&"sim/llama".parse().unwrap()).is_err());
}

#[test]
fn a_host_is_spoken_to_in_the_formats_that_it_serves() {
    let row = |name| providers::hosts::named(name).unwrap();
    for (name, chat) in [("groq", true), ("jina", false)] {
        let provider = Provider {
            host: Host::of(row(name)),
            ..of_kind(name, ProviderKind::Openai)
        };
        let routes = Routes::new([provider], [], Catalog::builtin());
        let plan = routes.plan(&format!("{name}/m").parse().unwrap()).unwrap();
        let dialect = plan.target().dialect(Format::OpenaiChat);
        assert_eq!(
            dialect.is_some_and(|it| it.format() == Format::OpenaiChat),
            chat,
            "{name}"
        );
    }
}

#[test]
fn a_model_that_thinks_with_tools_under_responses_only_is_asked_there_unless_the_caller_speaks_chat()
 {
    let provider = Provider {
        host: Host::of(providers::hosts::named("openai").unwrap()),
        ..of_kind("openai", ProviderKind::Openai)
    };
    let routes = Routes::new([provider], [], Catalog::builtin());
    let spoken = |model: &str, face| {
        let plan = routes
            .plan(&format!("openai/{model}").parse().unwrap())
            .unwrap();
        plan.target().dialect(face).map(Dialect::format)
    };
    for (model, face, expected) in [
        (
            "gpt-5.6",
            Format::AnthropicMessages,
            Format::OpenaiResponses,
        ),
        ("gpt-5.6", Format::OpenaiChat, Format::OpenaiChat),
        ("gpt-4.1", Format::AnthropicMessages, Format::OpenaiChat),
    ] {
        assert_eq!(spoken(model, face), Some(expected), "{model}");
    }
}

#[test]
fn another_host_under_a_vendors_kind_does_not_take_the_vendors_prices() {
    let name = |provider: &Provider| catalog_name(provider).to_owned();
    assert_eq!(name(&of_kind("work", ProviderKind::Openai)), "openai");
    assert_eq!(
        name(&provider(
            "local",
            ProviderKind::Openai,
            "http://127.0.0.1/v1"
        )),
        "local"
    );
    let groq = provider(
        "groq",
        ProviderKind::Openai,
        "https://api.groq.com/openai/v1",
    );
    assert_eq!(name(&groq), "groq");
}

#[test]
fn names_that_callers_make_up_are_remembered_up_to_a_bound() {
    let routes = routes();
    for number in 0..MAX_REMEMBERED + 10 {
        let name = format!("local/{number}");
        assert_eq!(target(&routes, &name).1, number.to_string());
    }
    assert_eq!(routes.resolved.read().unwrap().len(), MAX_REMEMBERED);
}

#[test]
fn others_are_put_in_the_order_that_the_caller_wishes() {
    let candidate = |name: &str, standing: Standing| Candidate {
        standing,
        ..Candidate::primary(Arc::clone(
            Routes::new(
                [provider(name, ProviderKind::Openai, "https://a.example/v1")],
                [],
                Catalog::builtin(),
            )
            .plan(&format!("{name}/m").parse().unwrap())
            .unwrap()
            .target(),
        ))
    };
    let always = Standing::Fallback(When::Always);
    let limited = Standing::Fallback(When::RateLimit);
    let mut plan = Plan::of(Arc::clone(&candidate("a", Standing::Primary).target));
    plan.candidates = Candidates::of([
        candidate("a", Standing::Primary),
        candidate("b", Standing::Primary),
        candidate("c", always),
        candidate("d", limited),
    ])
    .unwrap();
    let wishes = Wishes {
        order: ["d", "c", "a"].map(str::to_owned).into(),
        attempts: Some(2),
        ..Wishes::NONE
    };
    wishes.arrange(&mut plan);
    let order: Vec<_> = plan
        .candidates
        .iter()
        .map(|it| (it.target.provider.name.as_str(), it.standing))
        .collect();
    let expected = [
        ("a", Standing::Primary),
        ("c", Standing::Primary),
        ("b", Standing::Primary),
        ("d", limited),
    ];
    assert_eq!(order, expected, "what is for one cause stays so");
    assert_eq!(plan.retries.attempts, 2);
    let alone = Wishes {
        has_no_fallback: true,
        ..Wishes::NONE
    };
    alone.arrange(&mut plan);
    assert_eq!(plan.candidates.len(), 1);
}
