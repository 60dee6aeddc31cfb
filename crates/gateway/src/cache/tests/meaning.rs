//! Answers to what means the same.

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
    let rules = SemanticRules {
        threshold: 0.9,
        mode,
        answer_threshold: 0.9,
        max_entries: 10,
        max_partition: 10,
    };
    let mut cached = Cached::of(acts);
    let clock = Arc::clone(&cached.stage.clock) as Arc<dyn Clock>;
    let (cache, work) = Cache::new(super::rules(), None, clock, 16);
    let cache = cache.comparing(Some(Semantic::new(rules, Arc::new(Letters))));
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
    assert!(run(
        &cached.stage.clock,
        cached.cache.evict(hit, CacheTenant::default())
    ));
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
