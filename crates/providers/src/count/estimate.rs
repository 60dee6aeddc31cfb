//! About how many tokens of input a request is, where the provider cannot be asked.
//!
//! The words are counted by the model's own tokenizer: by one that the operator brought along, or by OpenAI's for
//! OpenAI's models. For other families, OpenAI's count is scaled by a rule of thumb, rounded up. Pictures, pages and
//! recordings count by the piece. It is an estimate, good for planning a context, and is never what anyone is
//! charged for.

use std::borrow::Cow;
use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::chat::{ChatRequest, Media, Message, OutputFormat, Part, Source, Tool};
use domain::tokenizer::Tokenizers;
use memchr::memmem;
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

/// Text is counted in pieces of this many bytes, which bounds the time that one piece can take; what is cut
/// in two counts at most one token more.
const PIECE: usize = 1_024;

/// As much text as is counted, in bytes; the rest is taken to be like it.
const MOST_COUNTED: usize = 1 << 20;

/// What surrounds a message: its role and its delimiters
/// (<https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken>).
const PER_MESSAGE: u64 = 4;

/// What surrounds a call, a result or a tool.
const PER_ITEM: u64 = 8;

/// How a family of models counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Family {
    /// The tokenizer of OpenAI's that counts its words.
    vocabulary: Vocabulary,
    /// Tokens for every hundred of that one's.
    percent: u64,
    /// Tokens of a middling picture.
    picture: u64,
    /// Tokens of a page of a PDF: its text, and its picture where the family looks at it.
    page: u64,
    /// Tokens that having tools at all takes.
    tools: u64,
}

/// A tokenizer of OpenAI's (<https://github.com/openai/tiktoken/blob/main/tiktoken/model.py>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vocabulary {
    /// Of GPT-4o and all models since.
    O200k,
    /// Of GPT-4 and GPT-3.5.
    Cl100k,
}

impl Vocabulary {
    /// Its tables take some 30 MB, which are made when first needed (in a tenth of a second) and kept.
    fn tokenizer(self) -> &'static CoreBPE {
        match self {
            Self::O200k => o200k_base_singleton(),
            Self::Cl100k => cl100k_base_singleton(),
        }
    }

    fn count(self, text: &str) -> u64 {
        let tokenizer = self.tokenizer();
        let counted = text_tokens(text, |piece| {
            Ok::<_, Infallible>(tokenizer.count_ordinary(piece) as u64)
        });
        let Ok(tokens) = counted;
        tokens
    }
}

/// Every vendor that is not known.
const OTHER: Family = Family {
    vocabulary: Vocabulary::O200k,
    percent: 110,
    picture: 1_000,
    page: 1_000,
    tools: 0,
};

/// 85 and 170 for each of four tiles (<https://platform.openai.com/docs/guides/images-vision#calculating-costs>).
const OPENAI: Family = Family {
    vocabulary: Vocabulary::O200k,
    percent: 100,
    picture: 765,
    page: 1_300,
    tools: 12,
};

/// GPT-4 and GPT-3.5, before GPT-4o.
const OLDER_OPENAI: Family = Family {
    vocabulary: Vocabulary::Cl100k,
    ..OPENAI
};

/// Up to Claude 4.6. Pictures: <https://platform.claude.com/docs/en/build-with-claude/vision#image-costs>, pages:
/// <https://platform.claude.com/docs/en/build-with-claude/pdf-support#estimate-your-costs>, tools:
/// <https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview#pricing>.
const CLAUDE: Family = Family {
    vocabulary: Vocabulary::O200k,
    percent: 115,
    picture: 1_600,
    page: 3_000,
    tools: 346,
};

/// From Claude 4.7 on, whose tokens are shorter
/// (<https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-7>).
const CLAUDE_OF_SHORT_TOKENS: Family = Family {
    percent: 145,
    ..CLAUDE
};

/// <https://ai.google.dev/gemini-api/docs/tokens>: 258 for a page, and for each tile of a picture.
const GEMINI: Family = Family {
    vocabulary: Vocabulary::O200k,
    percent: 100,
    picture: 1_100,
    page: 258,
    tools: 0,
};

impl Family {
    fn of(model: &str) -> Self {
        let model = model.to_ascii_lowercase();
        let is_named = |words: &[&str]| words.iter().any(|word| model.contains(word));
        if model.contains("claude") {
            if crate::anthropic::has_short_tokens(&model) {
                CLAUDE_OF_SHORT_TOKENS
            } else {
                CLAUDE
            }
        } else if is_named(&["gemini", "gemma"]) {
            GEMINI
        } else if model
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(is_openais)
        {
            if is_older_openais(&model) {
                OLDER_OPENAI
            } else {
                OPENAI
            }
        } else {
            OTHER
        }
    }
}

/// Whether a word of a model's name is one of OpenAI's.
fn is_openais(word: &str) -> bool {
    word.starts_with("gpt") || matches!(word, "chatgpt" | "codex" | "o1" | "o3" | "o4")
}

/// `gpt-4`, `gpt-4-turbo-2024-04-09`, `gpt-3.5-turbo`, `azure/gpt-35-turbo`; not `gpt-4o` or `gpt-4.1`.
fn is_older_openais(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name == "gpt-4"
        || ["gpt-4-", "gpt-3.5", "gpt-35"]
            .iter()
            .any(|it| name.starts_with(it))
}

/// About how many tokens of input `request` is for `model`, by the one of `tokenizers` that is for it, if there is
/// one; at least 1.
pub(crate) fn input_tokens(request: &ChatRequest, model: &str, tokenizers: &Tokenizers) -> u64 {
    let family = Family::of(model);
    let mut count = Count {
        family,
        text: String::new(),
        others: 3,
    };
    for message in &request.messages {
        count.message(message);
    }
    if !request.tools.is_empty() {
        count.others += family.tools;
    }
    for tool in &request.tools {
        count.tool(tool);
    }
    if let OutputFormat::JsonSchema { schema, .. } = &request.output {
        count.add(schema.get());
    }
    let own = tokenizers.of(model).and_then(|tokenizer| {
        let counted = text_tokens(&count.text, |piece| tokenizer.count(piece));
        // One that fails on a text leaves it to the rule of thumb: the answer is an estimate either way.
        counted.ok()
    });
    let words = own.unwrap_or_else(|| {
        let words = family.vocabulary.count(&count.text);
        words.saturating_mul(family.percent).div_ceil(100)
    });
    words.saturating_add(count.others).max(1)
}

/// How many tokens a text is, whose pieces `count` counts: exact but for a token at every cut between pieces, and
/// extrapolated beyond a mebibyte.
fn text_tokens<E>(text: &str, count: impl Fn(&str) -> Result<u64, E>) -> Result<u64, E> {
    let mut rest = text;
    let mut counted = 0;
    let mut tokens = 0_u64;
    while !rest.is_empty() && counted < MOST_COUNTED {
        let (piece, after) = cut(rest);
        tokens += count(piece)?;
        counted += piece.len();
        rest = after;
    }
    if rest.is_empty() {
        return Ok(tokens);
    }
    let share = text.len() as u64 / counted.max(1) as u64;
    Ok(tokens.saturating_mul(share.saturating_add(1)))
}

/// A piece from the front of a text, cut before a space where there is one, as tokens begin with it.
fn cut(text: &str) -> (&str, &str) {
    if text.len() <= PIECE {
        return (text, "");
    }
    let end = text.floor_char_boundary(PIECE);
    let whole = text.get(..end).unwrap_or(text);
    let space = whole.rfind(' ').filter(|at| *at > 0).unwrap_or(end);
    text.split_at_checked(space).unwrap_or((text, ""))
}

/// What was found so far.
struct Count {
    family: Family,
    /// All words, one after the other.
    text: String,
    /// Tokens of what is not words.
    others: u64,
}

impl Count {
    fn add(&mut self, words: &str) {
        self.text.push_str(words);
        self.text.push('\n');
    }

    fn message(&mut self, message: &Message) {
        self.others += PER_MESSAGE;
        if let Message::User {
            name: Some(name), ..
        }
        | Message::Assistant {
            name: Some(name), ..
        } = message
        {
            self.add(name);
        }
        if let Message::Tool(result) = message {
            self.others += PER_ITEM;
            self.add(&result.call_id);
        }
        for part in message.content() {
            self.part(part);
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text(text) => self.add(&text.text),
            Part::Refusal(words) => self.add(words),
            Part::Reasoning(thought) => {
                if let Some(words) = &thought.text {
                    self.add(words);
                }
            }
            Part::ToolCall(call) => {
                self.others += PER_ITEM;
                self.add(&call.name);
                self.add(&call.arguments);
            }
            Part::Image(_) => self.others += self.family.picture,
            Part::Document(document) => self.document(document),
            Part::Audio(recording) => self.others += seconds(&recording.source) * 32,
            Part::Unknown { raw, .. } => self.add(raw.get()),
        }
    }

    fn document(&mut self, document: &Media) {
        if let Some(name) = &document.name {
            self.add(name);
        }
        match text_of(&document.source) {
            Some(text) => self.add(&text),
            None => self.others += pages(&document.source) * self.family.page,
        }
    }

    fn tool(&mut self, tool: &Tool) {
        self.others += PER_ITEM;
        match tool {
            Tool::Function {
                name,
                description,
                parameters,
                ..
            } => {
                self.add(name);
                self.add(description.as_deref().unwrap_or_default());
                self.add(parameters.as_ref().map_or("", |raw| raw.get()));
            }
            Tool::Hosted { raw, .. } => self.add(raw.get()),
        }
    }
}

fn text_of(source: &Source) -> Option<Cow<'_, str>> {
    match source {
        Source::Text(text) => Some(Cow::Borrowed(text)),
        Source::Inline { media_type, base64 } if media_type.starts_with("text/") => {
            let bytes = STANDARD.decode(base64).ok()?;
            Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
        }
        _ => None,
    }
}

/// How many pages a PDF has, as far as its bytes tell: newer ones pack the list of pages, and then a page is
/// taken to be 50 kB. Of a document that is elsewhere nothing is known but that it has one.
fn pages(source: &Source) -> u64 {
    let Source::Inline { base64, .. } = source else {
        return 1;
    };
    let bytes = STANDARD.decode(base64).unwrap_or_default();
    let is_page = |after: &[u8]| !after.first().is_some_and(u8::is_ascii_alphabetic);
    let listed = [&b"/Type /Page"[..], &b"/Type/Page"[..]]
        .into_iter()
        .map(|mark| {
            let found = memmem::find_iter(&bytes, mark);
            found
                .filter(|at| bytes.get(at + mark.len()..).is_some_and(is_page))
                .count() as u64
        })
        .sum();
    if listed > 0 {
        return listed;
    }
    (bytes.len() as u64).div_ceil(50_000).max(1)
}

/// About how long a recording is, at 128 kbit in a second.
fn seconds(source: &Source) -> u64 {
    match source {
        Source::Inline { base64, .. } => (base64.len() as u64 / 4 * 3).div_ceil(16_000),
        _ => 60,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::sync::Arc;

    use bolero::check;
    use domain::chat::Text;
    use domain::key::ModelPattern;
    use domain::tokenizer::{Tokenizer, TokenizerError};

    use super::*;

    fn said(text: &str) -> ChatRequest {
        let mut request = ChatRequest::new("m".parse().unwrap());
        request.messages.push(Message::User {
            content: vec![Part::Text(Text::from(text))],
            name: None,
        });
        request
    }

    fn tokens(request: &ChatRequest, model: &str) -> u64 {
        input_tokens(request, model, &Tokenizers::default())
    }

    #[test]
    fn words_are_counted_by_the_tokenizer() {
        // "hello world" is two tokens, its line end one; a message takes four and the answer's beginning three.
        assert_eq!(tokens(&said("hello world"), "gpt-5.4"), 10);
        assert_eq!(Vocabulary::O200k.count("tiktoken is great!"), 6);
    }

    #[test]
    fn older_models_of_openais_have_their_own_tokenizer() {
        // https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken: "お誕生日おめでとう" is nine tokens of
        // `cl100k_base` and eight of `o200k_base`.
        let request = said("お誕生日おめでとう");
        for older in [
            "gpt-4",
            "gpt-4-turbo",
            "openai/gpt-3.5-turbo-0125",
            "gpt-35-turbo",
        ] {
            assert_eq!(tokens(&request, older), 9 + 8, "{older}");
        }
        for newer in ["gpt-4o", "gpt-4.1-mini", "gpt-5.4", "o3"] {
            assert_eq!(tokens(&request, newer), 8 + 8, "{newer}");
        }
    }

    /// Finds a token in every letter, but fails on digits.
    struct Letters;

    impl Tokenizer for Letters {
        fn count(&self, text: &str) -> Result<u64, TokenizerError> {
            if text.contains(|letter: char| letter.is_ascii_digit()) {
                return Err(TokenizerError("digits".to_owned()));
            }
            Ok(text.chars().count() as u64)
        }
    }

    #[test]
    fn a_model_whose_tokenizer_is_there_is_counted_by_it() {
        let mut tokenizers = Tokenizers::default();
        tokenizers.push(&[ModelPattern::new("*llama*")], Arc::new(Letters));
        let request = said("hello world");
        // Eleven letters and the end of the line, beside the message's four and the answer's three.
        assert_eq!(input_tokens(&request, "meta/Llama-4", &tokenizers), 12 + 7);
        let other = input_tokens(&request, "qwen3", &tokenizers);
        assert_eq!(other, tokens(&request, "qwen3"));
        let failing = said("hello 1");
        let instead = input_tokens(&failing, "meta/Llama-4", &tokenizers);
        assert_eq!(instead, tokens(&failing, "meta/Llama-4"));
    }

    #[test]
    fn other_families_count_more_tokens_for_the_same_words() {
        let request = said(&"The quick brown fox jumps over the lazy dog. ".repeat(100));
        let count = |model| tokens(&request, model);
        assert!(count("gpt-5.4") < count("claude-sonnet-4-5"));
        assert!(count("claude-sonnet-4-5") < count("claude-opus-4-7"));
        assert_eq!(count("gemini-3-pro"), count("gpt-5.4"));
        assert!(count("llama-3") > count("gpt-5.4"));
    }

    #[test]
    fn what_is_cut_into_pieces_counts_as_the_whole() {
        let text = "Es war einmal ein kleines Mädchen, das ging in den Wald. ".repeat(200);
        let whole = o200k_base_singleton().count_ordinary(&text) as u64;
        let pieces = Vocabulary::O200k.count(&text);
        assert!(pieces.abs_diff(whole) <= text.len() as u64 / PIECE as u64);
    }

    #[test]
    fn a_text_of_any_length_takes_little_time() {
        let text = "word ".repeat(4_000_000);
        let tokens = Vocabulary::O200k.count(&text);
        assert!((4_000_000..=5_000_000).contains(&tokens), "{tokens}");
    }

    #[test]
    fn pages_of_a_document_are_counted_by_their_marks() {
        let pdf = b"%PDF-1.4 /Type /Pages /Type /Page /Type/Page\n/Type /Page>";
        let source = Source::Inline {
            media_type: "application/pdf".to_owned(),
            base64: STANDARD.encode(pdf).into(),
        };
        assert_eq!(pages(&source), 3);
    }

    #[test]
    fn long_runs_of_one_kind_do_not_break_the_tokenizer() {
        for run in [" ", "a", "A", "字", "!", "\n", "́", "1"] {
            assert!(Vocabulary::O200k.count(&run.repeat(50_000)) > 0, "{run:?}");
        }
    }

    #[test]
    fn no_text_makes_the_count_panic() {
        check!()
            .with_test_time(Duration::from_secs(2))
            .for_each(|bytes: &[u8]| {
                Vocabulary::O200k.count(&String::from_utf8_lossy(bytes));
            });
    }
}
