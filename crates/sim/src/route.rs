//! Which format and vendor a request is for, and what it asks.

mod clouds;

use http::Method;
use http::request::Parts;

use crate::openai::StoredCall;
use crate::record::{Face, Host};
use crate::vendor::{Framing, field};

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) face: Face,
    pub(crate) host: Host,
    pub(crate) target: Target,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A generation; some vendors name the model and the kind of stream in the URL.
    Generate {
        model: Option<String>,
        framing: Option<Framing>,
    },
    /// The tokens of a request's input.
    Count {
        model: Option<String>,
    },
    /// An answer that was kept.
    Stored(StoredCall),
    Models,
    Model(String),
    WrongMethod,
    Unknown,
}

impl Target {
    /// A generation that names everything in its body.
    const PLAIN: Self = Self::Generate {
        model: None,
        framing: None,
    };

    /// This, if the method is the one it takes.
    fn by(self, wanted: &Method, method: &Method) -> Self {
        if wanted == method {
            self
        } else {
            Self::WrongMethod
        }
    }
}

impl Route {
    pub(crate) fn of(head: &Parts) -> Self {
        let path = head.uri.path();
        let method = &head.method;
        if let Some(route) = clouds::route(head) {
            return route;
        }
        if let Some(rest) = path.strip_prefix("/v1/") {
            let posted = |face, target: Target| Self {
                face,
                host: Host::of(face),
                target: target.by(&Method::POST, method),
            };
            match rest {
                "chat/completions" => return posted(Face::OpenAi, Target::PLAIN),
                "completions" => return posted(Face::OpenAiCompletions, Target::PLAIN),
                "messages" => return posted(Face::Anthropic, Target::PLAIN),
                "messages/count_tokens" => {
                    return posted(Face::Anthropic, Target::Count { model: None });
                }
                "responses" => return posted(Face::OpenAiResponses, Target::PLAIN),
                "responses/input_tokens" => {
                    return posted(Face::OpenAiResponses, Target::Count { model: None });
                }
                _ => {}
            }
            if let Some(rest) = rest.strip_prefix("responses/") {
                return Self {
                    face: Face::OpenAiResponses,
                    host: Host::OpenAi,
                    target: StoredCall::of(method, rest).map_or(Target::Unknown, Target::Stored),
                };
            }
        }
        if path.starts_with("/v2/") {
            return Self {
                face: Face::Cohere,
                host: Host::Cohere,
                target: match path {
                    "/v2/chat" => Target::PLAIN.by(&Method::POST, method),
                    _ => Target::Unknown,
                },
            };
        }
        let face = if path.starts_with("/v1beta/") {
            Face::Gemini
        } else {
            face_of_fields(head)
        };
        let rest = path
            .strip_prefix("/v1beta/")
            .or_else(|| path.strip_prefix("/v1/"));
        let target = match rest {
            Some("models") if method == Method::GET => Target::Models,
            Some(rest) => match rest.strip_prefix("models/") {
                Some(name) => return model(head, face, name),
                None => Target::Unknown,
            },
            None => Target::Unknown,
        };
        Self {
            face,
            host: Host::of(face),
            target,
        }
    }
}

/// The verbs that may follow a model's name in Google's paths.
const VERBS: [&str; 3] = ["generateContent", "streamGenerateContent", "countTokens"];

/// `models/{model}` and `models/{model}:{verb}`.
fn model(head: &Parts, face: Face, name: &str) -> Route {
    let verb = name
        .rsplit_once(':')
        .filter(|(_, verb)| VERBS.contains(verb));
    match verb {
        Some((model, verb)) => Route {
            face: Face::Gemini,
            host: Host::Gemini,
            target: google_verb(head, model, verb).by(&Method::POST, &head.method),
        },
        None => Route {
            face,
            host: Host::of(face),
            target: Target::Model(name.to_owned()).by(&Method::GET, &head.method),
        },
    }
}

fn google_verb(head: &Parts, model: &str, verb: &str) -> Target {
    let model = Some(model.to_owned());
    let framing = match verb {
        "generateContent" => None,
        "streamGenerateContent" if query(head, "alt") == Some("sse") => Some(Framing::Events),
        "streamGenerateContent" => Some(Framing::Array),
        "countTokens" => return Target::Count { model },
        _ => return Target::Unknown,
    };
    Target::Generate { model, framing }
}

/// Paths that vendors share are told apart by the fields that only one of them asks for.
fn face_of_fields(head: &Parts) -> Face {
    if field(head, "anthropic-version").is_some() {
        Face::Anthropic
    } else if field(head, "x-goog-api-key").is_some() || query(head, "key").is_some() {
        Face::Gemini
    } else if field(head, "x-fern-sdk-name") == Some("cohere") {
        Face::Cohere
    } else {
        Face::OpenAi
    }
}

/// The value of a query parameter, not decoded: what is looked for here needs none of it.
pub(crate) fn query<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.uri
        .query()?
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_vendor_and_the_fields_decide_where_it_does_not() {
        let generate = |model: Option<&str>, framing| Target::Generate {
            model: model.map(str::to_owned),
            framing,
        };
        for (method, uri, fields, face, target) in [
            (
                "POST",
                "/v1/chat/completions",
                &[][..],
                Face::OpenAi,
                generate(None, None),
            ),
            (
                "GET",
                "/v1/chat/completions",
                &[],
                Face::OpenAi,
                Target::WrongMethod,
            ),
            (
                "POST",
                "/v1/messages?beta=true",
                &[],
                Face::Anthropic,
                generate(None, None),
            ),
            (
                "POST",
                "/v1beta/models/gemini:generateContent",
                &[],
                Face::Gemini,
                generate(Some("gemini"), None),
            ),
            (
                "POST",
                "/v1/models/a/b:c:streamGenerateContent?alt=sse",
                &[],
                Face::Gemini,
                generate(Some("a/b:c"), Some(Framing::Events)),
            ),
            (
                "POST",
                "/v1beta/models/gemini:streamGenerateContent",
                &[],
                Face::Gemini,
                generate(Some("gemini"), Some(Framing::Array)),
            ),
            ("GET", "/v1beta/models", &[], Face::Gemini, Target::Models),
            (
                "GET",
                "/v1/models",
                &["x-goog-api-key"],
                Face::Gemini,
                Target::Models,
            ),
            (
                "GET",
                "/v1/models",
                &["anthropic-version"],
                Face::Anthropic,
                Target::Models,
            ),
            (
                "GET",
                "/v1/models/gpt",
                &[],
                Face::OpenAi,
                Target::Model("gpt".to_owned()),
            ),
            ("POST", "/v1/embeddings", &[], Face::OpenAi, Target::Unknown),
        ] {
            let mut request = http::Request::builder().method(method).uri(uri);
            for name in fields {
                request = request.header(*name, "x");
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            let host = Host::of(face);
            assert_eq!(
                Route::of(&head),
                Route { face, host, target },
                "{method} {uri}"
            );
        }
    }
}
