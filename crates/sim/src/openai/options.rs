//! Parameters that change nothing of an answer here, and are held to the vendor's published types all the same.
//! <https://platform.openai.com/docs/api-reference/chat/create>,
//! <https://platform.openai.com/docs/api-reference/responses/create>

use super::check::{array, boolean, object, one_of, required, text, wrong_type};
use crate::node::Node;
use crate::vendor::Failure;

/// Those of chat completions, the retired ones too.
pub(super) fn of_chat(root: &Node<'_, '_>) -> Result<(), Failure> {
    if let Some(audio) = root.present("audio") {
        object(&audio, &["format", "voice"])?;
        let formats = ["wav", "aac", "mp3", "flac", "opus", "pcm16"];
        one_of(&required(&audio, "format")?, &formats)?;
        let voice = required(&audio, "voice")?;
        if voice.value.is_object() {
            object(&voice, &["id"])?;
            text(&required(&voice, "id")?)?;
        } else {
            text(&voice)?;
        }
    }
    if let Some(prediction) = root.present("prediction") {
        object(&prediction, &["type", "content"])?;
        one_of(&required(&prediction, "type")?, &["content"])?;
        let content = required(&prediction, "content")?;
        if content.text().is_none() && !content.value.is_array() {
            return Err(wrong_type(
                &content,
                "one of a string or an array of objects",
            ));
        }
    }
    if let Some(search) = root.present("web_search_options") {
        object(&search, &["search_context_size", "user_location"])?;
        word(&search, "search_context_size", &["low", "medium", "high"])?;
        if let Some(location) = search.present("user_location") {
            object(&location, &["type", "approximate"])?;
            one_of(&required(&location, "type")?, &["approximate"])?;
            let place = required(&location, "approximate")?;
            object(&place, &["city", "country", "region", "timezone"])?;
        }
    }
    if let Some(functions) = root.present("functions") {
        array(&functions)?;
        for function in functions.items() {
            object(&function, &["name", "description", "parameters"])?;
            text(&required(&function, "name")?)?;
        }
    }
    if let Some(call) = root.present("function_call") {
        if call.text().is_some() {
            one_of(&call, &["none", "auto"])?;
        } else {
            object(&call, &["name"])?;
            text(&required(&call, "name")?)?;
        }
    }
    if let Some(cache) = root.present("prompt_cache_options") {
        object(&cache, &["mode", "ttl"])?;
        word(&cache, "mode", &["implicit", "explicit"])?;
        word(&cache, "ttl", &["30m"])?;
    }
    moderation(root)
}

/// Those of the responses.
pub(super) fn of_responses(root: &Node<'_, '_>) -> Result<(), Failure> {
    if let Some(programs) = root.present("access_programs") {
        object(&programs, &["cyber"])?;
        let kinds = ["standard", "daybreak_blue", "daybreak_red"];
        word(&programs, "cyber", &kinds)?;
    }
    if let Some(image) = root.present("image") {
        object(&image, &["context_compression"])?;
        word(
            &image,
            "context_compression",
            &["auto", "enabled", "disabled"],
        )?;
    }
    if let Some(management) = root.present("context_management") {
        array(&management)?;
        for step in management.items() {
            text(&required(&step, "type")?)?;
        }
    }
    if let Some(cache) = root.present("prompt_cache_options") {
        object(
            &cache,
            &["comparison_response_id", "mode", "prewarm", "ttl"],
        )?;
        word(&cache, "mode", &["implicit", "explicit"])?;
        word(&cache, "ttl", &["30m", "12h"])?;
        if let Some(prewarm) = cache.present("prewarm") {
            boolean(&prewarm)?;
        }
    }
    moderation(root)
}

fn moderation(root: &Node<'_, '_>) -> Result<(), Failure> {
    let Some(moderation) = root.present("moderation") else {
        return Ok(());
    };
    object(&moderation, &["model", "policy"])?;
    text(&required(&moderation, "model")?)?;
    if let Some(policy) = moderation.present("policy") {
        object(&policy, &["input", "output"])?;
    }
    Ok(())
}

/// One of these words, where the member is there.
fn word(parent: &Node<'_, '_>, key: &str, words: &[&str]) -> Result<(), Failure> {
    parent
        .present(key)
        .map_or(Ok(()), |node| one_of(&node, words).map(drop))
}
