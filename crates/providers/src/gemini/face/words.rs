//! The caller's words for what a translation reports or refuses. Dialects speak in the words of OpenAI's
//! chat format; where things stand is in [`ChatRequest::paths`].

use std::borrow::Cow;

use domain::chat::ChatRequest;

/// Google's words for fields at the top of OpenAI's request. What stands below one has no peer of its own.
const FIELDS: [(&str, &str); 25] = [
    ("messages", "contents"),
    ("tool_choice", "toolConfig.functionCallingConfig"),
    ("max_completion_tokens", "generationConfig.maxOutputTokens"),
    ("max_tokens", "generationConfig.maxOutputTokens"),
    ("temperature", "generationConfig.temperature"),
    ("top_p", "generationConfig.topP"),
    ("top_k", "generationConfig.topK"),
    ("seed", "generationConfig.seed"),
    ("frequency_penalty", "generationConfig.frequencyPenalty"),
    ("presence_penalty", "generationConfig.presencePenalty"),
    ("stop", "generationConfig.stopSequences"),
    ("n", "generationConfig.candidateCount"),
    (
        "response_format.json_schema",
        "generationConfig.responseSchema",
    ),
    ("response_format", "generationConfig.responseMimeType"),
    ("reasoning_effort", "generationConfig.thinkingConfig"),
    (
        "reasoning.max_tokens",
        "generationConfig.thinkingConfig.thinkingBudget",
    ),
    ("reasoning", "generationConfig.thinkingConfig"),
    (
        "thinking.budget_tokens",
        "generationConfig.thinkingConfig.thinkingBudget",
    ),
    ("thinking", "generationConfig.thinkingConfig"),
    (
        "include_reasoning",
        "generationConfig.thinkingConfig.includeThoughts",
    ),
    ("logprobs", "generationConfig.responseLogprobs"),
    ("top_logprobs", "generationConfig.logprobs"),
    ("service_tier", "serviceTier"),
    ("stream_options", "usageMetadata"),
    ("stream", "streamGenerateContent"),
];

/// Google's words for fields of parts and tools.
const INSIDE: [(&str, &str); 10] = [
    (
        ".extra_content.google.thought_signature",
        ".thoughtSignature",
    ),
    (".function.arguments", ".functionCall.args"),
    (".function.parameters", ".parameters"),
    (".function.name", ".name"),
    (".image_url.detail", ".mediaResolution"),
    (".image_url", ".inlineData"),
    (".file.filename", ".inlineData.displayName"),
    (".file", ".inlineData"),
    (".input_audio", ".inlineData"),
    (".reasoning_details", ".parts"),
];

/// The caller's path of `path`.
pub(super) fn of<'a>(request: &ChatRequest, path: &'a str) -> Cow<'a, str> {
    // The keys of the extensions are the caller's own.
    if request.extensions.contains_key(path) {
        return Cow::Borrowed(path);
    }
    let placed = request.paths.of(path);
    if placed == path {
        let known = FIELDS
            .iter()
            .find(|(field, _)| below(path, field).is_some());
        return known.map_or(Cow::Borrowed(path), |(_, words)| Cow::Borrowed(*words));
    }
    let inside = INSIDE.iter().find_map(|(field, words)| {
        let (before, after) = placed.split_once(field)?;
        is_end(after).then(|| format!("{before}{words}{after}"))
    });
    inside.map_or(placed, Cow::Owned)
}

/// What stands behind `field` in a path that begins with it.
fn below<'a>(path: &'a str, field: &str) -> Option<&'a str> {
    path.strip_prefix(field).filter(|rest| is_end(rest))
}

fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['.', '['])
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::face::Asked;

    #[test]
    fn what_a_translation_reports_is_said_in_the_callers_words() {
        let asked = Asked {
            model: Some("m".parse().unwrap()),
            ..Asked::default()
        };
        let body = br#"{
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": [{"googleSearch": {}}, {"functionDeclarations": [
                {"name": "a"}, {"name": "b", "parametersJsonSchema": {"type": "object"}}]}],
            "contents": [
                {"role": "user", "parts": [
                    {"text": "Look"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]},
                {"role": "model", "parts": [{"text": "I "}]},
                {"role": "model", "parts": [{"text": "look."}, {"functionCall": {"name": "a"}}]},
                {"role": "user", "parts": [
                    {"text": "Then?"}, {"functionResponse": {"name": "a", "response": {"output": "x"},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}]}}]}
            ],
            "labels": {"a": "b"}
        }"#;
        let request = parse::request(&asked, body).unwrap();
        for (path, expected) in [
            ("model", "model"),
            ("labels", "labels"),
            ("messages", "contents"),
            ("messages[0].content[0]", "systemInstruction.parts[0]"),
            (
                "messages[1].content[1].image_url.detail",
                "contents[0].parts[1].mediaResolution",
            ),
            ("messages[2]", "contents[1]"),
            ("messages[2].content[0]", "contents[1].parts[0]"),
            (
                "messages[2].tool_calls[0].function.arguments",
                "contents[2].parts[1].functionCall.args",
            ),
            (
                "messages[3].tool_call_id",
                "contents[3].parts[1].functionResponse.id",
            ),
            (
                "messages[3].content",
                "contents[3].parts[1].functionResponse.response",
            ),
            (
                "messages[3].content[0]",
                "contents[3].parts[1].functionResponse.response",
            ),
            (
                "messages[3].content[1]",
                "contents[3].parts[1].functionResponse.parts[0]",
            ),
            ("messages[4].content[0]", "contents[3].parts[0]"),
            ("tools", "tools"),
            ("tools[0]", "tools[0].googleSearch"),
            (
                "tools[1].function.name",
                "tools[1].functionDeclarations[0].name",
            ),
            (
                "tools[2].function.parameters",
                "tools[1].functionDeclarations[1].parametersJsonSchema",
            ),
            ("stop", "generationConfig.stopSequences"),
            (
                "response_format.json_schema.name",
                "generationConfig.responseSchema",
            ),
            (
                "thinking.budget_tokens",
                "generationConfig.thinkingConfig.thinkingBudget",
            ),
        ] {
            assert_eq!(of(&request, path), expected, "{path}");
        }
    }
}
