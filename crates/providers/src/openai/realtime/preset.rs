//! What the sessions of a client secret begin with: read where the secret is asked for, told to the provider
//! before the caller says anything (<https://platform.openai.com/docs/api-reference/realtime-sessions>).

use std::time::Duration;

use bytes::Bytes;
use domain::name::ModelName;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{model, pairs};
use crate::face::InvalidRequest;
use crate::url;

/// The shortest and the longest life of a secret, in seconds.
const LIFETIMES: std::ops::RangeInclusive<u64> = 10..=7_200;
/// How long a secret lives when nobody says, in seconds.
const LIFETIME: u64 = 600;
/// The same of those of the beta, in seconds.
const BETA_LIFETIME: u64 = 60;
/// What a session of the beta says of itself in the handshake.
const BETA: (HeaderName, HeaderValue) = (
    HeaderName::from_static("openai-beta"),
    HeaderValue::from_static("realtime=v1"),
);

/// Where a client secret is asked for, and so in which words its session is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// `/v1/realtime/client_secrets`.
    ClientSecrets,
    /// `/v1/realtime/sessions`, of the beta.
    Sessions,
    /// `/v1/realtime/transcription_sessions`, of the beta.
    TranscriptionSessions,
}

/// What a session begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preset {
    edition: Edition,
    /// The model that is asked for, as the caller named it.
    #[serde(with = "named")]
    model: Option<ModelName>,
    /// As it was described, but for the model.
    session: Map<String, Value>,
}

/// What a client secret is asked to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// What its sessions begin with.
    pub preset: Preset,
    /// How long it opens sessions.
    pub lifetime: Duration,
}

/// Reads a request for a client secret.
pub fn read(edition: Edition, body: &[u8]) -> Result<Wanted, InvalidRequest> {
    let body = if body.is_empty() { b"{}" } else { body };
    let mut body: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| InvalidRequest {
            detail: format!("The body must be a JSON object: {error}."),
            param: None,
        })?;
    let (mut session, seconds) = match edition {
        Edition::ClientSecrets => {
            let seconds = lifetime(body.remove("expires_after"), "expires_after", LIFETIME)?;
            let session = match body.remove("session") {
                None | Some(Value::Null) => json!({ "type": "realtime" }),
                Some(session) => session,
            };
            if let Some(unknown) = body.keys().next() {
                let detail = format!("Unknown parameter: '{unknown}'.");
                return Err(InvalidRequest::of(unknown.clone(), detail));
            }
            let Value::Object(session) = session else {
                let detail = "'session' must be an object that describes the session.";
                return Err(InvalidRequest::of("session", detail));
            };
            let kind = session.get("type").and_then(Value::as_str);
            if !matches!(kind, Some("realtime" | "transcription")) {
                let detail = "'session.type' must be 'realtime' or 'transcription'.";
                return Err(InvalidRequest::of("session.type", detail));
            }
            (session, seconds)
        }
        Edition::Sessions | Edition::TranscriptionSessions => {
            let expires_after = match body.remove("client_secret") {
                Some(Value::Object(mut secret)) => secret
                    .remove("expires_after")
                    .or_else(|| secret.remove("expires_at")),
                _ => None,
            };
            let param = "client_secret.expires_after";
            (body, lifetime(expires_after, param, BETA_LIFETIME)?)
        }
    };
    let model = take_model(edition, &mut session)?;
    let preset = Preset {
        edition,
        model,
        session,
    };
    let lifetime = Duration::from_secs(seconds);
    Ok(Wanted { preset, lifetime })
}

fn lifetime(wanted: Option<Value>, param: &str, default: u64) -> Result<u64, InvalidRequest> {
    let wanted = match wanted {
        None | Some(Value::Null) => return Ok(default),
        Some(wanted) => wanted,
    };
    let anchor = wanted.get("anchor");
    if anchor.is_some_and(|anchor| anchor != "created_at") {
        let detail = format!("'{param}.anchor' must be 'created_at'.");
        return Err(InvalidRequest::of(format!("{param}.anchor"), detail));
    }
    let seconds = match wanted.get("seconds") {
        None | Some(Value::Null) if wanted.is_object() => Some(default),
        seconds => seconds.and_then(Value::as_u64),
    };
    let allowed = seconds.filter(|seconds| LIFETIMES.contains(seconds));
    allowed.ok_or_else(|| {
        let (least, most) = (LIFETIMES.start(), LIFETIMES.end());
        let detail = format!("'{param}.seconds' must be a whole number from {least} to {most}.");
        InvalidRequest::of(format!("{param}.seconds"), detail)
    })
}

/// Takes out the model that is asked for: a transcription has none but the one that writes down.
fn take_model(
    edition: Edition,
    session: &mut Map<String, Value>,
) -> Result<Option<ModelName>, InvalidRequest> {
    let is_transcription = is_transcription(edition, session);
    let (named, param) = if is_transcription {
        let place = transcription_pointer(edition);
        let transcription = pointer_mut(session, place);
        let named = transcription.and_then(|it| it.as_object_mut()?.remove("model"));
        (named, format!("{}.model", place.join(".")))
    } else {
        (session.remove("model"), "model".to_owned())
    };
    let param = match edition {
        Edition::ClientSecrets => format!("session.{param}"),
        Edition::Sessions | Edition::TranscriptionSessions => param,
    };
    match named {
        None | Some(Value::Null) => Ok(None),
        Some(named) => {
            let name = named.as_str().and_then(|name| name.parse().ok());
            let detail = format!("'{param}' must be the name of a model.");
            name.map(Some)
                .ok_or_else(|| InvalidRequest::of(param, detail))
        }
    }
}

fn is_transcription(edition: Edition, session: &Map<String, Value>) -> bool {
    match edition {
        Edition::ClientSecrets => session
            .get("type")
            .is_some_and(|kind| kind == "transcription"),
        Edition::Sessions => false,
        Edition::TranscriptionSessions => true,
    }
}

/// Where a session says how speech is written down.
fn transcription_pointer(edition: Edition) -> &'static [&'static str] {
    match edition {
        Edition::ClientSecrets => &["audio", "input", "transcription"],
        Edition::Sessions | Edition::TranscriptionSessions => &["input_audio_transcription"],
    }
}

fn pointer_mut<'a>(object: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Value> {
    let (first, rest) = path.split_first()?;
    let member = object.get_mut(*first)?;
    rest.iter()
        .try_fold(member, |member, key| member.get_mut(key))
}

impl Preset {
    /// The model that its sessions are held with; `None` where the handshake names it.
    pub fn model(&self) -> Option<&ModelName> {
        self.model.as_ref()
    }

    /// Whether its sessions only write down what is said.
    fn is_transcription(&self) -> bool {
        is_transcription(self.edition, &self.session)
    }

    /// The query of a handshake whose caller sent `asked`. The model is that of the secret, whatever the caller
    /// says, and one that says another is told so.
    pub fn query(&self, asked: &str) -> Result<String, InvalidRequest> {
        let passed = pairs(asked).filter(|(name, _)| !matches!(*name, "model" | "intent" | "key"));
        let mut query: Vec<String> = passed
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let names_one = pairs(asked).any(|(name, _)| name == "model");
        let model = match &self.model {
            None => model(asked)?,
            Some(own) if names_one && model(asked)? != *own => {
                let detail =
                    format!("The client secret opens sessions with the model '{own}' only.");
                return Err(InvalidRequest::of("model", detail));
            }
            Some(own) => own.clone(),
        };
        if self.is_transcription() {
            query.insert(0, "intent=transcription".to_owned());
        }
        query.insert(0, url::form(&[("model", model.as_str())]));
        Ok(query.join("&"))
    }

    /// Adds what the handshake says of a session of the beta.
    pub fn announce(&self, headers: &mut HeaderMap) {
        if self.edition != Edition::ClientSecrets {
            let (name, value) = BETA;
            headers.insert(name, value);
        }
    }

    /// The event that tells the provider, which knows the model as `model`.
    pub fn update(&self, event_id: &str, model: &str) -> String {
        let mut session = self.session.clone();
        if self.is_transcription() {
            set_transcription_model(self.edition, &mut session, model);
        }
        let kind = match self.edition {
            Edition::ClientSecrets | Edition::Sessions => "session.update",
            Edition::TranscriptionSessions => "transcription_session.update",
        };
        json!({ "type": kind, "event_id": event_id, "session": session }).to_string()
    }

    /// The answer to whoever asked for a secret: `value` is its text, good until `expires_at` in seconds since
    /// 1970, and `id` names the session that it describes.
    pub fn answer(&self, value: &str, expires_at: i64, id: &str) -> Bytes {
        let mut session = self.session.clone();
        let named = self.model.as_ref().map(ModelName::as_str);
        let is_transcription = self.is_transcription();
        if let Some(model) = named.filter(|_| is_transcription) {
            set_transcription_model(self.edition, &mut session, model);
        }
        let object = if is_transcription {
            "realtime.transcription_session"
        } else {
            "realtime.session"
        };
        session.insert("object".to_owned(), json!(object));
        session.insert("id".to_owned(), json!(id));
        if let Some(model) = named.filter(|_| !is_transcription) {
            session.insert("model".to_owned(), json!(model));
        }
        let secret = json!({ "value": value, "expires_at": expires_at });
        let answer = match self.edition {
            Edition::ClientSecrets => {
                json!({ "value": value, "expires_at": expires_at, "session": session })
            }
            Edition::Sessions | Edition::TranscriptionSessions => {
                session.insert("client_secret".to_owned(), secret);
                Value::Object(session)
            }
        };
        answer.to_string().into()
    }
}

fn set_transcription_model(edition: Edition, session: &mut Map<String, Value>, model: &str) {
    let mut place = session;
    for key in transcription_pointer(edition) {
        let member = place.entry(*key).or_insert(Value::Null);
        if !member.is_object() {
            *member = json!({});
        }
        let Some(object) = member.as_object_mut() else {
            return;
        };
        place = object;
    }
    place.insert("model".to_owned(), json!(model));
}

/// How a model's name is kept.
mod named {
    use domain::name::ModelName;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::ref_option,
        reason = "serde calls it with a reference to the field"
    )]
    pub(super) fn serialize<S: Serializer>(
        name: &Option<ModelName>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match name {
            Some(name) => serializer.serialize_some(name.as_str()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ModelName>, D::Error> {
        let name: Option<String> = Option::deserialize(deserializer)?;
        let name = name.map(|name| name.parse().map_err(D::Error::custom));
        name.transpose()
    }
}

/// What an event of the provider's says about the session that a preset wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Outset {
    /// It has begun, not yet as it is wanted.
    Created,
    /// It is as it is wanted: the event with which it would have begun.
    Updated(String),
    /// The provider refuses what is wanted.
    Refused,
    /// Nothing.
    Other,
}

/// Reads an event that comes while the preset with `event_id` is awaited.
pub fn outset(text: &str, event_id: &str) -> Outset {
    let Ok(mut event) = serde_json::from_str::<Map<String, Value>>(text) else {
        return Outset::Other;
    };
    let created = match event.get("type").and_then(Value::as_str) {
        Some("session.created" | "transcription_session.created") => return Outset::Created,
        Some("session.updated") => "session.created",
        Some("transcription_session.updated") => "transcription_session.created",
        Some("error") => {
            let about = event.get("error").and_then(|error| error.get("event_id"));
            return match about.and_then(Value::as_str) {
                Some(about) if about != event_id => Outset::Other,
                _ => Outset::Refused,
            };
        }
        _ => return Outset::Other,
    };
    event.insert("type".to_owned(), json!(created));
    Outset::Updated(Value::Object(event).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(edition: Edition, body: &Value) -> Result<Wanted, InvalidRequest> {
        super::read(edition, body.to_string().as_bytes())
    }

    fn preset(edition: Edition, body: &Value) -> Preset {
        let wanted = read(edition, body).unwrap();
        let kept = serde_json::to_vec(&wanted.preset).unwrap();
        let preset: Preset = serde_json::from_slice(&kept).unwrap();
        assert_eq!(preset, wanted.preset, "it reads back as it was kept");
        preset
    }

    fn json_of(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_session_is_told_the_provider_without_the_callers_name_of_the_model() {
        let preset = preset(
            Edition::ClientSecrets,
            &json!({ "session": { "type": "realtime", "model": "fast", "instructions": "Be brief." } }),
        );
        assert_eq!(preset.model().unwrap().as_str(), "fast");
        assert_eq!(
            json_of(&preset.update("event_1", "gpt-realtime")),
            json!({ "type": "session.update", "event_id": "event_1",
                "session": { "type": "realtime", "instructions": "Be brief." } })
        );
        let answer = preset.answer("ek_1", 1_000, "sess_1");
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            answer,
            json!({ "value": "ek_1", "expires_at": 1_000, "session": {
                "type": "realtime", "instructions": "Be brief.", "object": "realtime.session",
                "id": "sess_1", "model": "fast" } })
        );
    }

    #[test]
    fn a_transcription_is_held_with_the_model_that_writes_down() {
        let preset = preset(
            Edition::ClientSecrets,
            &json!({ "session": { "type": "transcription",
                "audio": { "input": { "transcription": { "model": "ear", "language": "de" } } } } }),
        );
        assert_eq!(preset.query("").unwrap(), "model=ear&intent=transcription");
        let update = json_of(&preset.update("e", "gpt-4o-transcribe"));
        assert_eq!(
            update["session"]["audio"]["input"]["transcription"],
            json!({ "language": "de", "model": "gpt-4o-transcribe" })
        );
        let beta = json!({ "input_audio_transcription": { "model": "ear" } });
        let preset = self::preset(Edition::TranscriptionSessions, &beta);
        let update = json_of(&preset.update("e", "whisper-1"));
        assert_eq!(update["type"], "transcription_session.update");
        assert_eq!(
            update["session"]["input_audio_transcription"]["model"],
            "whisper-1"
        );
    }

    #[test]
    fn a_session_of_the_beta_says_so_in_its_handshake() {
        let body = json!({ "model": "gpt", "voice": "ash", "client_secret": {
            "expires_after": { "anchor": "created_at", "seconds": 30 } } });
        let wanted = read(Edition::Sessions, &body).unwrap();
        assert_eq!(wanted.lifetime, Duration::from_secs(30));
        let mut headers = HeaderMap::new();
        wanted.preset.announce(&mut headers);
        assert_eq!(headers["openai-beta"], "realtime=v1");
        let answer = wanted.preset.answer("ek_1", 1_000, "sess_1");
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            answer,
            json!({ "voice": "ash", "object": "realtime.session", "id": "sess_1", "model": "gpt",
                "client_secret": { "value": "ek_1", "expires_at": 1_000 } })
        );
    }

    #[test]
    fn a_handshake_names_the_model_of_the_secret_or_none() {
        let body = json!({ "session": { "type": "realtime", "model": "sim/gpt" } });
        let preset = preset(Edition::ClientSecrets, &body);
        for asked in [
            "",
            "model=sim%2Fgpt",
            "model=sim/gpt&key=ek_1&intent=transcription",
        ] {
            assert_eq!(preset.query(asked).unwrap(), "model=sim%2Fgpt", "{asked}");
        }
        assert_eq!(
            preset.query("x=1&model=sim/gpt").unwrap(),
            "model=sim%2Fgpt&x=1"
        );
        let refused = preset.query("model=other").unwrap_err();
        assert_eq!(refused.param.as_deref(), Some("model"));
        let unbound = self::preset(Edition::ClientSecrets, &json!({}));
        assert_eq!(unbound.query("model=gpt").unwrap(), "model=gpt");
        assert!(unbound.query("").is_err());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = json!({ "expires_after": { "anchor": "created_at", "seconds": 7201 } });
        let anchor = json!({ "expires_after": { "anchor": "now", "seconds": 60 } });
        for (body, param) in [
            (long, "expires_after.seconds"),
            (anchor, "expires_after.anchor"),
            (json!({ "expires_after": 5 }), "expires_after.seconds"),
            (json!({ "session": { "model": "gpt" } }), "session.type"),
            (json!({ "session": [] }), "session"),
            (json!({ "sessions": {} }), "sessions"),
            (
                json!({ "session": { "type": "realtime", "model": 5 } }),
                "session.model",
            ),
        ] {
            let refused = read(Edition::ClientSecrets, &body).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some(param), "{}", refused.detail);
        }
        assert!(super::read(Edition::Sessions, b"[").is_err());
        let defaults = [(Edition::ClientSecrets, 600), (Edition::Sessions, 60)];
        for (edition, seconds) in defaults {
            let wanted = super::read(edition, b"").unwrap();
            assert_eq!(wanted.lifetime.as_secs(), seconds);
        }
    }

    #[test]
    fn the_first_thing_a_caller_hears_is_the_session_as_it_is_wanted() {
        let created = r#"{"type":"session.created","session":{"id":"s"}}"#;
        assert_eq!(outset(created, "e"), Outset::Created);
        let updated = r#"{"type":"session.updated","session":{"id":"s"}}"#;
        assert_eq!(outset(updated, "e"), Outset::Updated(created.to_owned()));
        let error = |about: &str| format!(r#"{{"type":"error","error":{{"event_id":{about}}}}}"#);
        assert_eq!(outset(&error("\"e\""), "e"), Outset::Refused);
        assert_eq!(outset(&error("null"), "e"), Outset::Refused);
        assert_eq!(outset(&error("\"other\""), "e"), Outset::Other);
        assert_eq!(outset("{", "e"), Outset::Other);
    }
}
