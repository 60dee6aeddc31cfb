//! Writes a transcript in the form that the caller asked for.

use std::fmt::Write as _;

use domain::usage::Usage;
use http::HeaderValue;
use serde_json::{Value, json};

use super::request::{Shape, TranscriptionRequest};
use super::transcript::{Segment, Transcript, Word};
use super::{OpenaiTranscripts, language};
use crate::audio::duration;
use crate::task::TaskAnswer;

/// What of the request decides how the answer is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    goal: OpenaiTranscripts,
    shape: Shape,
    words: bool,
    segments: bool,
    stream: bool,
    temperature: f64,
}

impl Form {
    pub(super) fn of(asked: &TranscriptionRequest) -> Self {
        Self {
            goal: asked.goal,
            shape: asked.shape,
            words: asked.words,
            segments: asked.segments,
            stream: asked.stream,
            temperature: asked.temperature.unwrap_or(0.0),
        }
    }

    /// The answer. Where no usage is told, the length of the recording is what it took.
    pub(super) fn answer(
        self,
        transcript: &Transcript,
        usage: Option<Usage>,
        model: Option<String>,
    ) -> TaskAnswer {
        let usage = usage.or_else(|| {
            let milliseconds = duration::from_seconds(transcript.seconds());
            (milliseconds > 0).then(|| Usage {
                input_audio_milliseconds: milliseconds,
                ..Usage::default()
            })
        });
        let (body, content_type) = if self.stream {
            (
                self.events(transcript, usage),
                "text/event-stream; charset=utf-8",
            )
        } else {
            self.whole(transcript, usage)
        };
        TaskAnswer {
            body: body.into(),
            content_type: HeaderValue::from_static(content_type),
            usage,
            response_model: model,
        }
    }

    fn whole(self, transcript: &Transcript, usage: Option<Usage>) -> (String, &'static str) {
        const JSON: &str = "application/json";
        const TEXT: &str = "text/plain; charset=utf-8";
        match self.shape {
            Shape::Json => {
                let mut answer = json!({"text": transcript.text});
                with_usage(&mut answer, usage);
                (answer.to_string(), JSON)
            }
            Shape::Text => (format!("{}\n", transcript.text), TEXT),
            Shape::Srt => (srt(&transcript.segments()), TEXT),
            Shape::Vtt => (vtt(&transcript.segments()), TEXT),
            Shape::Verbose => (self.verbose(transcript, usage).to_string(), JSON),
            Shape::Diarized => (diarized(transcript, usage).to_string(), JSON),
        }
    }

    fn verbose(self, transcript: &Transcript, usage: Option<Usage>) -> Value {
        let task = match self.goal {
            OpenaiTranscripts::Transcriptions => "transcribe",
            OpenaiTranscripts::Translations => "translate",
        };
        let mut answer = json!({
            "task": task,
            "language": transcript.language.as_deref().map_or("", language::name),
            "duration": transcript.seconds(),
            "text": transcript.text,
        });
        let Some(fields) = answer.as_object_mut() else {
            return answer;
        };
        if self.words {
            let words: Vec<Value> = transcript.words.iter().map(word).collect();
            fields.insert("words".to_owned(), words.into());
        }
        if self.segments {
            let segments = transcript.segments();
            let segments = segments.iter().enumerate();
            let segments: Vec<Value> = segments
                .map(|(id, segment)| self.segment(id, segment))
                .collect();
            fields.insert("segments".to_owned(), segments.into());
        }
        with_usage(&mut answer, usage);
        answer
    }

    fn segment(self, id: usize, segment: &Segment) -> Value {
        json!({
            "id": id,
            "seek": 0,
            "start": segment.start,
            "end": segment.end,
            "text": segment.text,
            "tokens": [],
            "temperature": self.temperature,
            "avg_logprob": segment.log_probability.unwrap_or(0.0),
            "compression_ratio": 0.0,
            "no_speech_prob": 0.0,
        })
    }

    /// The events of a transcript that is there as a whole.
    fn events(self, transcript: &Transcript, usage: Option<Usage>) -> String {
        let mut events = Vec::new();
        if self.shape == Shape::Diarized {
            let segments = transcript.segments();
            events.extend(segments.iter().enumerate().map(speech));
        } else {
            events.push(json!({"type": "transcript.text.delta", "delta": transcript.text}));
        }
        let mut done = json!({"type": "transcript.text.done", "text": transcript.text});
        // The format's own event counts tokens only.
        with_usage(&mut done, usage.filter(|usage| usage.total_tokens() > 0));
        events.push(done);
        let mut stream = String::new();
        for event in events {
            // Writing to a string cannot fail.
            write!(stream, "data: {event}\n\n").ok();
        }
        stream
    }
}

fn word(word: &Word) -> Value {
    json!({"word": word.text, "start": word.start, "end": word.end})
}

fn diarized(transcript: &Transcript, usage: Option<Usage>) -> Value {
    let segments = transcript.segments();
    let segments: Vec<Value> = segments.iter().enumerate().map(speech).collect();
    let mut answer = json!({
        "task": "transcribe",
        "duration": transcript.seconds(),
        "text": transcript.text,
        "segments": segments,
    });
    with_usage(&mut answer, usage);
    answer
}

/// A segment with its speaker; also an event.
fn speech((number, segment): (usize, &Segment)) -> Value {
    json!({
        "type": "transcript.text.segment",
        "id": format!("seg_{number:03}"),
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "speaker": speaker(segment.speaker.unwrap_or(0)),
    })
}

/// `A` to `Z`, then `AA` and so on, as OpenAI names them.
fn speaker(number: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(number % 26).unwrap_or(0));
    match number / 26 {
        0 => letter.to_string(),
        more => format!("{}{letter}", speaker(more - 1)),
    }
}

/// Puts in what it took: tokens, or seconds where those are billed.
fn with_usage(answer: &mut Value, usage: Option<Usage>) {
    let (Some(usage), Some(fields)) = (usage, answer.as_object_mut()) else {
        return;
    };
    let told = if usage.total_tokens() > 0 {
        json!({
            "type": "tokens",
            "input_tokens": usage.input_tokens,
            "input_token_details": {
                "text_tokens": usage.input_tokens.saturating_sub(usage.input_audio_tokens),
                "audio_tokens": usage.input_audio_tokens,
            },
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens(),
        })
    } else {
        json!({"type": "duration", "seconds": usage.input_audio_milliseconds.div_ceil(1_000)})
    };
    fields.insert("usage".to_owned(), told);
}

fn srt(segments: &[Segment]) -> String {
    let mut text = String::new();
    for (number, segment) in segments.iter().enumerate() {
        let (start, end) = (time(segment.start, ','), time(segment.end, ','));
        // Writing to a string cannot fail.
        write!(
            text,
            "{}\n{start} --> {end}\n{}\n\n",
            number + 1,
            cue(segment)
        )
        .ok();
    }
    text
}

fn vtt(segments: &[Segment]) -> String {
    let mut text = String::from("WEBVTT\n\n");
    for segment in segments {
        let (start, end) = (time(segment.start, '.'), time(segment.end, '.'));
        // Writing to a string cannot fail.
        write!(
            text,
            "{start} --> {end}\n{}\n\n",
            cue(segment).replace("-->", "->")
        )
        .ok();
    }
    text
}

/// An empty line would end the cue.
fn cue(segment: &Segment) -> String {
    segment
        .text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// `00:01:02,345`
fn time(seconds: f64, point: char) -> String {
    let milliseconds = duration::from_seconds(seconds);
    let (seconds, milliseconds) = (milliseconds / 1_000, milliseconds % 1_000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments() -> [Segment; 2] {
        let segment = |text: &str, start: f64| Segment {
            text: text.to_owned(),
            start,
            end: start + 1.25,
            ..Segment::default()
        };
        [
            segment("Guten Morgen.", 0.0),
            segment("Zwei\n\nZeilen --> hier", 3_661.5),
        ]
    }

    #[test]
    fn subtitles_are_numbered_and_timed() {
        assert_eq!(
            srt(&segments()),
            "1\n00:00:00,000 --> 00:00:01,250\nGuten Morgen.\n\n\
             2\n01:01:01,500 --> 01:01:02,750\nZwei Zeilen --> hier\n\n"
        );
    }

    #[test]
    fn a_web_subtitle_cannot_be_taken_for_a_time() {
        assert_eq!(
            vtt(&segments()),
            "WEBVTT\n\n00:00:00.000 --> 00:00:01.250\nGuten Morgen.\n\n\
             01:01:01.500 --> 01:01:02.750\nZwei Zeilen -> hier\n\n"
        );
    }

    #[test]
    fn speakers_have_letters_however_many_there_are() {
        let names: Vec<String> = [0, 25, 26, 701, 702].into_iter().map(speaker).collect();
        assert_eq!(names, ["A", "Z", "AA", "ZZ", "AAA"]);
    }
}
