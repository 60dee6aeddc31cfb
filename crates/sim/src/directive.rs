//! Wishes that a test writes into the last user message: `[[sim key=value key …]]`.
//! They choose a fault or the shape of the answer, and are not echoed.

use std::time::Duration;

use serde_json::{Map, Value};

/// What the caller wants the simulated provider to do differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) fault: Option<Fault>,
    /// `retry-after=SECONDS`, told with a `status` fault.
    pub(crate) retry_after: Option<u64>,
    /// `times=N`: the fault strikes only the first N requests with this `id`.
    pub(crate) times: Option<u32>,
    /// `id=TEXT`: which requests are counted together; without it, those with the same fault.
    pub(crate) id: Option<String>,
    /// `latency=MS`: before the head.
    pub(crate) latency: Duration,
    /// `chunk-delay=MS`: between the events of a stream.
    pub(crate) chunk_delay: Duration,
    /// `bytes=N`: the body is handed over in pieces of N bytes, whatever the event boundaries.
    pub(crate) piece_bytes: Option<usize>,
    /// `chunks=N`: exactly N content events in a stream.
    pub(crate) chunks: Option<usize>,
    pub(crate) voice: Voice,
    /// `call=NAME`, once for each call: these tools are called, whichever else the text names.
    pub(crate) calls: Vec<WishedCall>,
    pub(crate) usage: UsageReport,
    /// `cached=N`: as if N input tokens had been read from the prompt cache.
    pub(crate) cached: Option<u64>,
    /// `finish=VALUE`: the vendor's own finish reason, whatever it is.
    pub(crate) finish: Option<String>,
    /// `redacted`: reasoning comes encrypted, where the vendor does that.
    pub(crate) redacted: bool,
    /// `crlf`: a stream with a byte order mark, comments and `\r\n`.
    pub(crate) crlf: bool,
}

/// What goes wrong. One request has at most one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `status=N`: the vendor's own error for this status.
    Status(u16),
    /// `html`: a proxy's error page.
    Html,
    /// `garbage`: a 200 that is not JSON, or a stream that stops being one.
    Garbage,
    /// `error-200`: the vendor's error object under status 200, or as a stream's first event.
    ErrorIn200,
    /// `hang=head`: no answer at all.
    HangHead,
    /// `hang=body`: the body stops half-way and stays open.
    HangBody,
    /// `cut=N`: the connection breaks after N events, or in the middle of a whole body.
    Cut(usize),
    /// `error-mid=N`: the vendor's error event after N events, which ends the stream.
    ErrorMid(usize),
}

/// What the answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Voice {
    /// That it is simulated, and the caller's last words.
    #[default]
    Echo,
    /// `words=N`
    Words(usize),
    /// `unicode`: many scripts, combining marks, joined emoji.
    Unicode,
    /// `text="…"`
    Quoted(String),
    /// `refusal`: the vendor's way to say no.
    Refusal,
}

/// A tool that is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WishedCall {
    pub(crate) name: String,
    /// `arguments="{…}"` after `call`: a JSON object; without it, what the tool's schema allows.
    pub(crate) arguments: Option<String>,
}

/// `usage=none|zero`: how usage is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum UsageReport {
    #[default]
    Full,
    None,
    Zero,
}

/// Why a directive cannot be followed; told to the caller in the vendor's error shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidDirective(pub(crate) String);

const OPEN: &str = "[[sim";
const CLOSE: &str = "]]";
const KNOWN: &str = "status, retry-after, times, id, latency, chunk-delay, hang, cut, error-mid, error-200, garbage, html, chunks, words, \
    bytes, usage, cached, redacted, refusal, finish, unicode, crlf, text, call, arguments";

impl Directive {
    /// Reads every directive in `text`; the second value is the text without them.
    pub(crate) fn extract(text: &str) -> Result<(Self, String), InvalidDirective> {
        let mut directive = Self::default();
        let mut said = String::new();
        let mut rest = text;
        while let Some((before, inside)) = rest.split_once(OPEN) {
            said.push_str(before);
            rest = directive.read(inside, true)?;
        }
        said.push_str(rest);
        Ok((directive, said.trim().to_owned()))
    }

    /// Takes the items of `text`, which stands alone, over what is already wished.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), InvalidDirective> {
        self.read(text, false).map(|_| ())
    }

    /// Reads items up to `]]` (or to the end of the text, where it stands alone); gives back what follows.
    fn read<'a>(&mut self, text: &'a str, bracketed: bool) -> Result<&'a str, InvalidDirective> {
        let mut rest = text;
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return if bracketed {
                    Err(InvalidDirective(
                        "a [[sim …]] directive is not closed by ]]".to_owned(),
                    ))
                } else {
                    Ok(rest)
                };
            }
            if bracketed && let Some(after) = rest.strip_prefix(CLOSE) {
                return Ok(after);
            }
            let (key, value, after) = item(rest)?;
            self.set(key, value.as_deref())?;
            rest = after;
        }
    }

    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), InvalidDirective> {
        match (key, value) {
            ("status", Some(value)) => self.fail(Fault::Status(status(value)?)),
            ("html", None) => self.fail(Fault::Html),
            ("garbage", None) => self.fail(Fault::Garbage),
            ("error-200", None) => self.fail(Fault::ErrorIn200),
            ("hang", Some("head")) => self.fail(Fault::HangHead),
            ("hang", Some("body")) => self.fail(Fault::HangBody),
            ("cut", Some(value)) => self.fail(Fault::Cut(number(key, value)?)),
            ("error-mid", Some(value)) => self.fail(Fault::ErrorMid(number(key, value)?)),
            ("retry-after", Some(value)) => set(&mut self.retry_after, number(key, value)?),
            ("times", Some(value)) => set(&mut self.times, number(key, value)?),
            ("id", Some(value)) => set(&mut self.id, value.to_owned()),
            ("latency", Some(value)) => self.latency = milliseconds(key, value)?,
            ("chunk-delay", Some(value)) => self.chunk_delay = milliseconds(key, value)?,
            ("bytes", Some(value)) => set(&mut self.piece_bytes, number_from(1, key, value)?),
            ("chunks", Some(value)) => set(&mut self.chunks, number_from(1, key, value)?),
            ("words", Some(value)) => self.voice = Voice::Words(number_from(0, key, value)?),
            ("text", Some(value)) => self.voice = Voice::Quoted(value.to_owned()),
            ("call", Some(name)) => self.calls.push(WishedCall {
                name: name.to_owned(),
                arguments: None,
            }),
            ("arguments", Some(value)) => self.give_arguments(value)?,
            ("unicode", None) => self.voice = Voice::Unicode,
            ("refusal", None) => self.voice = Voice::Refusal,
            ("usage", Some("none")) => self.usage = UsageReport::None,
            ("usage", Some("zero")) => self.usage = UsageReport::Zero,
            ("cached", Some(value)) => set(&mut self.cached, number(key, value)?),
            ("finish", Some(value)) => set(&mut self.finish, value.to_owned()),
            ("redacted", None) => self.redacted = true,
            ("crlf", None) => self.crlf = true,
            _ if KNOWN.split(", ").any(|known| known.trim() == key) => {
                let value = value.unwrap_or("nothing");
                return Err(InvalidDirective(format!(
                    "the simulation directive '{key}' does not take {value}"
                )));
            }
            _ => {
                return Err(InvalidDirective(format!(
                    "unknown simulation directive '{key}'; known are {KNOWN}"
                )));
            }
        }
        Ok(())
    }

    /// Gives the call that was wished for last what it is called with.
    fn give_arguments(&mut self, value: &str) -> Result<(), InvalidDirective> {
        let is_object = serde_json::from_str::<Map<String, Value>>(value).is_ok();
        match self.calls.last_mut() {
            Some(call) if is_object => {
                call.arguments = Some(value.to_owned());
                Ok(())
            }
            Some(_) => Err(InvalidDirective(format!(
                "the simulation directive 'arguments' takes a JSON object, not {value}"
            ))),
            None => Err(InvalidDirective(
                "the simulation directive 'arguments' stands after a 'call'".to_owned(),
            )),
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }
}

fn set<T>(slot: &mut Option<T>, value: T) {
    *slot = Some(value);
}

/// One `key`, `key=value` or `key="quoted value"`, and what follows it.
fn item(text: &str) -> Result<(&str, Option<String>, &str), InvalidDirective> {
    let end = |text: &str| {
        text.find(|character: char| character.is_whitespace())
            .into_iter()
            .chain(text.find(CLOSE))
            .min()
            .unwrap_or(text.len())
    };
    let (word, after) = text.split_at(end(text));
    let Some((key, value)) = word.split_once('=') else {
        return Ok((word, None, after));
    };
    if !value.starts_with('"') {
        return Ok((key, Some(value.to_owned()), after));
    }
    let (_, quoted) = text.split_once("=\"").unwrap_or_default();
    let mut value = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Ok((key, Some(value), characters.as_str())),
            '\\' => value.push(match characters.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            }),
            other => value.push(other),
        }
    }
    Err(InvalidDirective(format!(
        "the value of the simulation directive '{key}' is not closed by a quotation mark"
    )))
}

fn status(value: &str) -> Result<u16, InvalidDirective> {
    match value.parse() {
        Ok(status @ 400..=599) => Ok(status),
        _ => Err(InvalidDirective(format!(
            "the simulation directive 'status' takes 400 to 599, not {value}"
        ))),
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, InvalidDirective> {
    value.parse().map_err(|_| {
        InvalidDirective(format!(
            "the simulation directive '{key}' takes a whole number, not {value}"
        ))
    })
}

/// The most that a directive may ask for, so that no request makes an answer that fills the memory.
const MOST: usize = 1_000_000;

fn number_from(least: usize, key: &str, value: &str) -> Result<usize, InvalidDirective> {
    let number = number(key, value)?;
    if (least..=MOST).contains(&number) {
        Ok(number)
    } else {
        Err(InvalidDirective(format!(
            "the simulation directive '{key}' takes {least} to {MOST}, not {value}"
        )))
    }
}

fn milliseconds(key: &str, value: &str) -> Result<Duration, InvalidDirective> {
    number(key, value).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_directives_is_said_as_it_is() {
        assert_eq!(
            Directive::extract("hello [there]"),
            Ok((Directive::default(), "hello [there]".to_owned()))
        );
    }

    #[test]
    fn every_directive_is_read_and_taken_out_of_the_text() {
        let (directive, said) = Directive::extract(
            "say [[sim status=429 retry-after=3 times=2 id=a latency=10 chunk-delay=5 chunks=7 bytes=3 usage=zero cached=9 finish=SAFETY crlf redacted]] this",
        )
        .unwrap();
        assert_eq!(said, "say  this");
        assert_eq!(
            directive,
            Directive {
                fault: Some(Fault::Status(429)),
                retry_after: Some(3),
                times: Some(2),
                id: Some("a".to_owned()),
                latency: Duration::from_millis(10),
                chunk_delay: Duration::from_millis(5),
                piece_bytes: Some(3),
                chunks: Some(7),
                voice: Voice::Echo,
                calls: Vec::new(),
                usage: UsageReport::Zero,
                cached: Some(9),
                finish: Some("SAFETY".to_owned()),
                redacted: true,
                crlf: true,
            }
        );
    }

    #[test]
    fn a_quoted_text_may_hold_spaces_brackets_and_quotation_marks() {
        let (directive, said) =
            Directive::extract(r#"[[sim text="a ]] \"b\"\nc" words=3]]x[[sim text="last one"]]"#)
                .unwrap();
        assert_eq!(said, "x");
        assert_eq!(directive.voice, Voice::Quoted("last one".to_owned()));
        let (directive, _) = Directive::extract(r#"[[sim text="a ]] \"b\"\nc"]]"#).unwrap();
        assert_eq!(directive.voice, Voice::Quoted("a ]] \"b\"\nc".to_owned()));
    }

    #[test]
    fn a_call_is_wished_for_with_its_arguments_or_without() {
        let (directive, said) = Directive::extract(
            r#"[[sim call=read arguments="{\"path\": \"a b\"}" call=list]] now"#,
        )
        .unwrap();
        assert_eq!(said, "now");
        let wished = |name: &str, arguments: Option<&str>| WishedCall {
            name: name.to_owned(),
            arguments: arguments.map(str::to_owned),
        };
        assert_eq!(
            directive.calls,
            [
                wished("read", Some(r#"{"path": "a b"}"#)),
                wished("list", None)
            ]
        );
    }

    #[test]
    fn faults_are_each_their_own() {
        for (text, fault) in [
            ("hang=head", Fault::HangHead),
            ("hang=body", Fault::HangBody),
            ("cut=0", Fault::Cut(0)),
            ("error-mid=2", Fault::ErrorMid(2)),
            ("error-200", Fault::ErrorIn200),
            ("garbage", Fault::Garbage),
            ("html", Fault::Html),
        ] {
            let mut directive = Directive::default();
            directive.add(text).unwrap();
            assert_eq!(directive.fault, Some(fault), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_named() {
        for (text, named) in [
            ("[[sim teapot=1]]", "'teapot'"),
            ("[[sim status=200]]", "'status'"),
            ("[[sim words=many]]", "'words'"),
            ("[[sim hang=feet]]", "feet"),
            ("[[sim html=1]]", "'html'"),
            ("[[sim bytes=0]]", "'bytes'"),
            ("[[sim chunks=3", "not closed"),
            ("[[sim arguments={}]]", "after a 'call'"),
            ("[[sim call=read arguments=[]]]", "JSON object"),
            ("[[sim text=\"open]]", "quotation mark"),
        ] {
            let InvalidDirective(sentence) = Directive::extract(text).unwrap_err();
            assert!(sentence.contains(named), "{text}: {sentence}");
        }
    }
}
