//! What the simulated provider says: always marked as simulated, always the same for the same request.

use serde_json::Value;

use crate::digest::Draws;
use crate::directive::{Directive, Voice};
use crate::prompt::{Choice, Output, Prompt, Reasoning, Tool};
use crate::{schema, tokens};

/// One answer, before it is put into a vendor's words.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) thinking: Option<Thinking>,
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: Finish,
    /// Tokens of everything said, reasoning included.
    pub(crate) output: u64,
    /// Tokens of the reasoning.
    pub(crate) reasoning: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Thinking {
    pub(crate) text: String,
    pub(crate) redacted: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Makes the call's id.
    pub(crate) hash: u64,
    pub(crate) name: String,
    /// A JSON object, unless the output limit cut it short.
    pub(crate) arguments: String,
}

/// Why the answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    StopSequence(String),
    ToolCalls,
    Refused,
    /// As the caller wished.
    Native(String),
}

/// The longest echo of the caller's words, in bytes.
const ECHO: usize = 400;
/// The most calls in one turn.
const CALLS: usize = 16;
const REFUSAL: &str = "I'm sorry, but I can't help with that. (This is a simulated refusal.)";
const UNICODE: &str = "Simulated: Grüße aus Köln — ¿qué tal? Привет, мир! 你好，世界。こんにちは 안녕하세요 नमस्ते مرحبا שלום \
    e\u{301}a\u{308} 𝒳 𐍈 👋🏽 👩‍👩‍👧‍👦 🇩🇪 ❤️‍🔥 \u{202e}rtl\u{202c} \"quotes\" \\ back\tslash\u{1}\u{2028}end";

/// Composes the answer number `number` to a prompt; `said` is the caller's last text without directives.
pub(crate) fn compose(prompt: &Prompt, directive: &Directive, said: &str, number: usize) -> Answer {
    let mut draws = Draws::new(prompt.digest.with_number(number as u64));
    let mut answer = Answer {
        thinking: None,
        text: String::new(),
        calls: Vec::new(),
        finish: Finish::Stop,
        output: 0,
        reasoning: 0,
    };
    if directive.voice == Voice::Refusal {
        answer.text.push_str(if prompt.habits.speaks_refusals {
            REFUSAL
        } else {
            ""
        });
        answer.output = tokens::of_text(&answer.text);
        answer.finish = Finish::Refused;
        return answer;
    }
    think(&mut answer, prompt, directive, said);
    let mut left = prompt
        .output_limit
        .unwrap_or(u64::MAX)
        .saturating_sub(answer.output);
    let called = called_tools(prompt, directive, said);
    if called.is_empty() {
        let text = text(prompt, directive, said, number, &mut draws);
        let rest = text.strip_prefix(&prompt.begun).map(str::to_owned);
        answer.text = rest.unwrap_or(text);
        stop_text(&mut answer, &prompt.stops);
        take_text(&mut answer, left);
    } else {
        answer.finish = Finish::ToolCalls;
        if prompt.habits.prefaces_calls {
            answer.text = format!(
                "I'll use {} for that (simulated).",
                called
                    .first()
                    .map_or("a tool", |(tool, _)| tool.name.as_str())
            );
            left = take_text(&mut answer, left);
        }
        call(&mut answer, &called, left, said, &mut draws);
    }
    if let Some(finish) = &directive.finish {
        answer.finish = Finish::Native(finish.clone());
    }
    answer
}

fn think(answer: &mut Answer, prompt: &Prompt, directive: &Directive, said: &str) {
    let limit = prompt.output_limit.unwrap_or(u64::MAX);
    match prompt.reasoning {
        Reasoning::Off => {}
        Reasoning::Hidden { tokens } => answer.reasoning = tokens.min(limit),
        Reasoning::Shown { budget } | Reasoning::Omitted { budget } => {
            let text = format!(
                "Simulated reasoning: the caller said \"{}\", so the answer says that it is simulated and repeats it.",
                trimmed(said)
            );
            let text = tokens::head(&text, budget.min(limit)).to_owned();
            answer.reasoning = tokens::of_text(&text);
            let text = if matches!(prompt.reasoning, Reasoning::Omitted { .. }) {
                String::new()
            } else {
                text
            };
            answer.thinking = Some(Thinking {
                text,
                redacted: directive.redacted,
            });
        }
    }
    answer.output = answer.reasoning;
}

/// Shortens the text to what is left of the limit; gives back what is left then.
fn take_text(answer: &mut Answer, left: u64) -> u64 {
    let kept = tokens::head(&answer.text, left).len();
    if kept < answer.text.len() {
        answer.text.truncate(kept);
        answer.finish = Finish::Length;
    }
    let spent = tokens::of_text(&answer.text);
    answer.output += spent;
    left.saturating_sub(spent)
}

fn stop_text(answer: &mut Answer, stops: &[String]) {
    let first = stops
        .iter()
        .filter_map(|stop| answer.text.find(stop.as_str()).map(|place| (place, stop)))
        .min_by_key(|(place, _)| *place);
    if let Some((place, stop)) = first {
        answer.text.truncate(place);
        answer.finish = Finish::StopSequence(stop.clone());
    }
}

fn call(answer: &mut Answer, called: &[Called<'_>], mut left: u64, said: &str, draws: &mut Draws) {
    let words: Vec<&str> = said.split_whitespace().take(32).collect();
    for (tool, wished) in called {
        let hash = draws.next();
        let mut arguments = wished.map_or_else(
            || match schema::sample(&tool.schema, &words, draws) {
                arguments @ Value::Object(_) => arguments.to_string(),
                _ => "{}".to_owned(),
            },
            str::to_owned,
        );
        let name = tokens::of_text(&tool.name);
        if left <= name {
            answer.finish = Finish::Length;
            return;
        }
        let kept = tokens::head(&arguments, left - name).len();
        let is_cut = kept < arguments.len();
        arguments.truncate(kept);
        let spent = name + tokens::of_text(&arguments);
        answer.output += spent;
        left = left.saturating_sub(spent);
        answer.calls.push(Call {
            hash,
            name: tool.name.clone(),
            arguments,
        });
        if is_cut {
            answer.finish = Finish::Length;
            return;
        }
    }
}

/// A tool that is called, and with what, where the caller wished for it.
type Called<'a> = (&'a Tool, Option<&'a str>);

/// The tools this turn calls: those that the caller wished for; else those that its words name, in their order, the same one
/// twice if it was named twice.
fn called_tools<'a>(prompt: &'a Prompt, directive: &'a Directive, said: &str) -> Vec<Called<'a>> {
    let (allowed, is_required) = match &prompt.choice {
        Choice::None => return Vec::new(),
        Choice::Auto(_) if !prompt.results.is_empty() => return Vec::new(),
        Choice::Auto(allowed) => (allowed, false),
        Choice::Required(allowed) => (allowed, true),
    };
    let may_call = |tool: &&Tool| allowed.is_empty() || allowed.contains(&tool.name);
    let mut called: Vec<Called<'_>> = if directive.calls.is_empty() {
        let mut named: Vec<(usize, &Tool)> = Vec::new();
        for tool in prompt.tools.iter().filter(may_call) {
            named.extend(mentions(said, &tool.name).map(|place| (place, tool)));
        }
        named.sort_by_key(|(place, _)| *place);
        named.into_iter().map(|(_, tool)| (tool, None)).collect()
    } else {
        let offered = |name: &str| {
            prompt
                .tools
                .iter()
                .filter(may_call)
                .find(|tool| tool.name == name)
        };
        let wished = directive.calls.iter();
        wished
            .filter_map(|wish| Some((offered(&wish.name)?, wish.arguments.as_deref())))
            .collect()
    };
    called.truncate(CALLS);
    if called.is_empty() && is_required {
        called.extend(prompt.tools.iter().find(may_call).map(|tool| (tool, None)));
    }
    if !prompt.parallel {
        called.truncate(1);
    }
    called
}

/// Where a text names a tool as a word of its own.
fn mentions<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part =
        |character: char| character.is_alphanumeric() || character == '_' || character == '-';
    text.match_indices(name)
        .filter(move |(place, found)| {
            let before = text
                .get(..*place)
                .and_then(|before| before.chars().next_back());
            let after = text
                .get(place + found.len()..)
                .and_then(|after| after.chars().next());
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
        .map(|(place, _)| place)
}

fn text(
    prompt: &Prompt,
    directive: &Directive,
    said: &str,
    number: usize,
    draws: &mut Draws,
) -> String {
    let echoed = match &directive.voice {
        Voice::Quoted(text) => return text.clone(),
        Voice::Words(count) => return words(*count),
        Voice::Unicode => return UNICODE.to_owned(),
        Voice::Refusal => return REFUSAL.to_owned(),
        Voice::Echo => trimmed(said),
    };
    match &prompt.output {
        Output::Schema(schema) => {
            let source: Vec<&str> = said.split_whitespace().take(32).collect();
            return schema::sample(schema, &source, draws).to_string();
        }
        Output::Json => {
            return serde_json::json!({"simulated": true, "model": prompt.model, "said": echoed})
                .to_string();
        }
        Output::Text => {}
    }
    let mut text = format!(
        "This is a simulated answer from Trunkline's sim provider (model {}).",
        prompt.model
    );
    for result in &prompt.results {
        text.extend([
            " The tool ",
            &result.name,
            " answered: ",
            trimmed(&result.text),
        ]);
    }
    if prompt.results.is_empty() {
        text.extend([" You said: ", echoed]);
    }
    if number > 0 {
        text.extend([" (choice ", &(number + 1).to_string(), ")"]);
    }
    if let Some(chunks) = directive.chunks {
        let missing = chunks.saturating_sub(text.chars().count());
        if missing > 0 {
            text.push(' ');
            text.push_str(&words(missing));
        }
    }
    text
}

fn trimmed(text: &str) -> &str {
    let end = text.floor_char_boundary(ECHO);
    text.get(..end).unwrap_or(text)
}

fn words(count: usize) -> String {
    let vocabulary = [
        "simulated",
        "words",
        "follow",
        "one",
        "another",
        "without",
        "meaning",
        "or",
        "end",
    ];
    let chosen: Vec<&str> = vocabulary.into_iter().cycle().take(count).collect();
    chosen.join(" ")
}

/// Cuts a text into the pieces a stream sends: exactly `wanted` of about equal length if that many are asked for and there are
/// as many characters, else pieces of about `usual` bytes that end where a word does.
pub(crate) fn pieces(text: &str, wanted: Option<usize>, usual: usize) -> Vec<&str> {
    match wanted {
        Some(wanted) => equal_pieces(text, wanted),
        None => word_pieces(text, usual),
    }
}

fn equal_pieces(text: &str, wanted: usize) -> Vec<&str> {
    let count = text.chars().count();
    let wanted = wanted.clamp(1, count.max(1));
    let mut pieces = Vec::with_capacity(wanted);
    let mut rest = text;
    for index in 0..wanted {
        let characters = count * (index + 1) / wanted - count * index / wanted;
        let end = rest
            .char_indices()
            .nth(characters)
            .map_or(rest.len(), |(place, _)| place);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

fn word_pieces(text: &str, usual: usize) -> Vec<&str> {
    let mut pieces = Vec::with_capacity(text.len() / usual.max(1) + 1);
    let mut rest = text;
    while !rest.is_empty() {
        let least = rest.ceil_char_boundary(usual.max(1));
        let end = rest
            .get(least..)
            .and_then(|after| after.find(' '))
            .map_or(rest.len(), |place| least + place);
        // A text without spaces is still sent in pieces.
        let end = end.min(rest.ceil_char_boundary(usual.saturating_mul(3).max(1)));
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Cuts the JSON text of arguments into short uneven pieces, also inside its escapes, as vendors do.
pub(crate) fn fragments(arguments: &str, hash: u64) -> Vec<&str> {
    let mut draws = Draws::new(crate::digest::Digest::new(hash));
    let mut fragments = Vec::new();
    let mut rest = arguments;
    while !rest.is_empty() {
        let size = usize::try_from(1 + draws.below(9)).unwrap_or(1);
        let (fragment, after) = rest.split_at(rest.ceil_char_boundary(size));
        fragments.push(fragment);
        rest = after;
    }
    fragments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pieces_are_as_many_as_asked_and_together_the_text() {
        for (text, wanted) in [
            ("héllo wörld", 3),
            ("abc", 3),
            (UNICODE, 50),
            ("a", 1),
            ("", 1),
        ] {
            let pieces = pieces(text, Some(wanted), 4);
            assert_eq!(pieces.len(), wanted, "{text}");
            assert_eq!(pieces.concat(), text);
        }
    }

    #[test]
    fn word_pieces_and_fragments_are_together_the_text() {
        for text in [
            "",
            "one",
            "This is a simulated answer",
            UNICODE,
            "longwithoutanyspacesinitatallnotone",
        ] {
            assert_eq!(word_pieces(text, 4).concat(), text);
            assert_eq!(fragments(text, 9).concat(), text);
            assert!(
                fragments(text, 9)
                    .iter()
                    .all(|fragment| !fragment.is_empty())
            );
        }
    }

    #[test]
    fn a_tool_is_named_only_by_its_whole_name() {
        let text = "get_weather, then get_weather_now and my-get_weather; (get_weather)";
        assert_eq!(mentions(text, "get_weather").count(), 2);
    }
}
