//! Answers to what means the same.

use domain::call::Operation;
use domain::embedder::{Embedder, EmbedderError};

use super::*;

/// Counts letters: texts of the same letters are the same.
struct Letters;

#[async_trait]
impl Embedder for Letters {
    async fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedderError> {
        if text.contains("endless") {
            return Err(EmbedderError::TooLong { tokens: 9, max: 8 });
        }
        let mut counts = [0.0_f32; 26];
        for letter in text.to_ascii_lowercase().bytes() {
            if let Some(count) = counts.get_mut(usize::from(letter.wrapping_sub(b'a'))) {
                *count += 1.0;
            }
        }
        let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt();
        Ok(counts.iter().map(|count| count / length.max(1.0)).collect())
    }
}

fn comparing(mode: SemanticMode, acts: impl IntoIterator<Item = Act>) -> Cached {
    comparing_by(Embedding::Here(Arc::new(Letters)), mode, acts)
}

fn comparing_by(
    embedding: Embedding,
    mode: SemanticMode,
    acts: impl IntoIterator<Item = Act>,
) -> Cached {
    let rules = SemanticRules {
        threshold: 0.9,
        mode,
        answer_threshold: 0.9,
        max_entries: 10,
        max_partition: 10,
        wait: Duration::from_secs(1),
    };
    let of_openai = Rules {
        kind: Some(ProviderKind::Openai),
        ..Rules::default()
    };
    let stage = match &embedding {
        Embedding::Here(_) => Stage::of(acts),
        Embedding::At(_) => Stage::with(of_openai, acts),
    };
    let mut cached = Cached::on(stage, None);
    let clock = Arc::clone(&cached.stage.clock) as Arc<dyn Clock>;
    let (cache, work) = Cache::new(super::rules(), None, clock, 16);
    let cache = cache.comparing(Some(Semantic::new(rules, embedding)));
    cached.cache = Arc::new(cache);
    cached.work = work;
    cached.stage.gateway.cache = Some(Arc::clone(&cached.cache));
    cached
}

fn asking(words: &str) -> String {
    json!({"model": "gpt", "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": words}]})
        .to_string()
}

fn semantic(cached: &Cached) -> SemanticStats {
    cached.cache.stats().semantic.unwrap()
}

#[test]
fn what_means_the_same_gets_the_answer_and_says_so() {
    let acts = [ANSWER; 4].map(|answer| Act::whole(200, answer));
    let cached = comparing(SemanticMode::Serve, acts);
    assert_eq!(
        cached.ask(&asking("How do I reset my password?")).0,
        CacheOutcome::Miss
    );
    let (outcome, body) = cached.ask(&asking("How can I reset my password"));
    assert_eq!(
        (outcome, body.as_str()),
        (CacheOutcome::SemanticHit, ANSWER)
    );
    let call = cached.last();
    assert_eq!(
        (call.state, call.cache),
        (CallState::Settled, CacheOutcome::SemanticHit)
    );
    assert_eq!(call.cost_usd, Some(Cost::ZERO));
    assert!(call.saved_usd.is_some());
    assert_eq!(semantic(&cached).hits, 1);
    let exact = [("x-trunkline-cache", "exact")];
    let other = asking("How can I reset my password");
    assert_eq!(cached.ask_with(&other, &exact).0, CacheOutcome::Miss);
    // Another system prompt is another partition; so is another project.
    let elsewhere_prompt = other.replace("Be kind.", "Be brief.");
    assert_eq!(cached.ask(&elsewhere_prompt).0, CacheOutcome::Miss);
    let tenant = elsewhere(&cached.stage);
    let inbound = cached.inbound(&asking("How could I reset my password"), &[]);
    let (facts, _) = cached.answered(&tenant, inbound).unwrap();
    assert_eq!(facts.cache, CacheOutcome::Miss);
    assert_eq!(cached.requests(), 4);
}

#[test]
fn a_number_or_a_negation_makes_another_question_however_alike_the_words_are() {
    let acts = [ANSWER; 3].map(|answer| Act::whole(200, answer));
    let cached = comparing(SemanticMode::Serve, acts);
    for words in [
        "How do I open port 80 of this server?",
        "How do I open port 81 of this server?",
        "How do I not open port 80 of this server?",
    ] {
        assert_eq!(cached.ask(&asking(words)).0, CacheOutcome::Miss, "{words}");
    }
}

#[test]
fn an_answer_that_was_found_wrong_is_not_given_again() {
    let acts = [ANSWER; 2].map(|answer| Act::whole(200, answer));
    let cached = comparing(SemanticMode::Serve, acts);
    cached.ask(&asking("How do I reset my password?"));
    let again = asking("How can I reset my password");
    assert_eq!(cached.ask(&again).0, CacheOutcome::SemanticHit);
    let hit = cached.last().request_id;
    let evicted = cached.cache.evict(hit, CacheTenant::default());
    assert_eq!(run(&cached.stage.clock, evicted).unwrap(), Evicted::Here);
    assert_eq!(semantic(&cached).entries, 0);
    assert_eq!(cached.ask(&again).0, CacheOutcome::Miss);
}

#[test]
fn a_shadow_serves_nothing_and_counts_what_would_have_been_wrong() {
    let other = ANSWER.replace("Hello there", "Zzzzzzzz");
    let acts = [ANSWER, ANSWER, &other].map(|answer| Act::whole(200, answer));
    let mut cached = comparing(SemanticMode::Shadow, acts);
    for words in [
        "How do I reset my password?",
        "How can I reset my password?",
        "How could I reset my password?",
    ] {
        assert_eq!(cached.ask(&asking(words)).0, CacheOutcome::Miss);
        cached.finish_work();
    }
    let stats = semantic(&cached);
    assert_eq!(
        (stats.would_hit, stats.confirmed, stats.false_hits),
        (2, 1, 1)
    );
    assert_eq!((stats.hits, stats.entries), (0, 3));
}

#[test]
fn a_text_without_a_vector_is_asked_as_ever() {
    let cached = comparing(SemanticMode::Serve, [Act::whole(200, ANSWER)]);
    let body = asking("An endless story");
    assert_eq!(cached.ask(&body).0, CacheOutcome::Miss);
    assert_eq!(cached.ask(&body).0, CacheOutcome::Hit);
    assert_eq!(semantic(&cached).failures, 1);
}

/// An answer with a vector, in OpenAI's format.
fn vector(numbers: &str) -> Act {
    let answer = format!(
        r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":{numbers}}}],"model":"text-embedding-3-small","usage":{{"prompt_tokens":6000,"total_tokens":6000}}}}"#
    );
    Act::whole(200, &answer)
}

fn at_a_provider(acts: impl IntoIterator<Item = Act>) -> Cached {
    let model = "sim/text-embedding-3-small".parse().unwrap();
    comparing_by(Embedding::At(model), SemanticMode::Serve, acts)
}

#[test]
fn vectors_of_a_provider_are_calls_of_the_caller_and_are_remembered() {
    let cached = at_a_provider([vector("[3,4]"), Act::whole(200, ANSWER), vector("[3,4.1]")]);
    let first = asking("How do I reset my password?");
    assert_eq!(cached.ask(&first).0, CacheOutcome::Miss);
    let other = asking("How can I reset my password");
    for _ in 0..2 {
        assert_eq!(cached.ask(&other).0, CacheOutcome::SemanticHit);
    }
    let calls = cached.stage.heard.calls();
    let operations: Vec<Operation> = calls.iter().map(|call| call.operation).collect();
    let (chat, embedding) = (Operation::Chat, Operation::CacheEmbedding);
    assert_eq!(operations, [embedding, chat, embedding, chat, chat]);
    let (vector, asked) = (&calls[0], &calls[1]);
    assert_eq!(vector.state, CallState::Settled);
    // Two cents for a million tokens.
    assert_eq!(vector.cost_usd, Some("0.00012".parse().unwrap()));
    assert_eq!(vector.key_id, asked.key_id);
    assert_eq!(vector.client_request_id, Some(asked.request_id.to_string()));
    let stats = semantic(&cached);
    assert_eq!((stats.hits, stats.vectors_remembered), (2, 1));
    // Another tenant's are made anew, although the text is the same.
    assert_eq!(cached.requests(), 3);
}

#[test]
fn a_provider_without_a_vector_costs_nobody_an_answer() {
    let nothing =
        r#"{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":6,"total_tokens":6}}"#;
    for act in [
        Act::whole(500, "{}"),
        Act::whole(200, nothing),
        vector("[0,0]"),
        Act::Hang,
    ] {
        let cached = at_a_provider([act, Act::whole(200, ANSWER)]);
        let (outcome, body) = cached.ask(&asking("How do I reset my password?"));
        assert_eq!((outcome, body.as_str()), (CacheOutcome::Miss, ANSWER));
        assert_eq!(semantic(&cached).failures, 1);
    }
}

#[test]
fn vectors_are_paid_for_from_the_callers_budget_and_take_no_request_of_theirs() {
    let acts = [vector("[3,4]"), Act::whole(200, ANSWER)];
    let mut cached = at_a_provider(acts);
    let rate = Rate {
        rpm: Some(1),
        ..Rate::default()
    };
    let budget = Budget {
        limit: "1".parse().unwrap(),
        per: Period::Day,
    };
    cached.stage.caller = caller(rate, Some(budget));
    // A budget holds of what has a price only.
    let body = asking("How do I reset my password?").replace(r#""gpt""#, r#""sim/gpt-4.1-mini""#);
    cached.ask(&body);
    let spent: Cost = cached
        .stage
        .heard
        .calls()
        .iter()
        .filter_map(|call| call.cost_usd)
        .sum();
    let one = Cost::from_nano_dollars(1);
    let left = budget.limit.saturating_sub(spent).saturating_sub(one);
    // Beside another: a call that is alone may take whatever is left.
    let mut other = cached.stage.limits.admit_aside(&cached.stage.caller);
    other.set_aside(one).unwrap();
    let mut rest = cached.stage.limits.admit_aside(&cached.stage.caller);
    assert!(rest.set_aside(left.saturating_add(one)).is_err());
    assert!(rest.set_aside(left).is_ok());
}
