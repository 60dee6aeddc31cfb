//! Which vendor a request is for, and what it asks.

use http::Method;
use http::request::Parts;

use crate::record::Face;
use crate::vendor::{Framing, field};

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) face: Face,
    pub(crate) target: Target,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A generation; Google names the model and the kind of stream in the URL.
    Generate {
        model: Option<String>,
        framing: Option<Framing>,
    },
    Models,
    Model(String),
    WrongMethod,
    Unknown,
}

impl Route {
    pub(crate) fn of(head: &Parts) -> Self {
        let path = head.uri.path();
        let is_post = head.method == Method::POST;
        let generate = |face| {
            let target = if is_post {
                Target::Generate {
                    model: None,
                    framing: None,
                }
            } else {
                Target::WrongMethod
            };
            Self { face, target }
        };
        match path {
            "/v1/chat/completions" => return generate(Face::OpenAi),
            "/v1/messages" => return generate(Face::Anthropic),
            _ => {}
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
            Some("models") if head.method == Method::GET => Target::Models,
            Some(rest) => match rest.strip_prefix("models/") {
                Some(name) => return model(head, face, name),
                None => Target::Unknown,
            },
            None => Target::Unknown,
        };
        Self { face, target }
    }
}

/// `models/{model}` and `models/{model}:{verb}`.
fn model(head: &Parts, face: Face, name: &str) -> Route {
    let verb = name
        .rsplit_once(':')
        .filter(|(_, verb)| verb.ends_with("enerateContent"));
    let Some((model, verb)) = verb else {
        let target = if head.method == Method::GET {
            Target::Model(name.to_owned())
        } else {
            Target::WrongMethod
        };
        return Route { face, target };
    };
    let framing = match verb {
        "generateContent" => None,
        "streamGenerateContent" if query(head, "alt") == Some("sse") => Some(Framing::Events),
        "streamGenerateContent" => Some(Framing::Array),
        _ => {
            return Route {
                face: Face::Gemini,
                target: Target::Unknown,
            };
        }
    };
    let target = if head.method == Method::POST {
        Target::Generate {
            model: Some(model.to_owned()),
            framing,
        }
    } else {
        Target::WrongMethod
    };
    Route {
        face: Face::Gemini,
        target,
    }
}

/// Paths that vendors share are told apart by the fields that only one of them asks for.
fn face_of_fields(head: &Parts) -> Face {
    if field(head, "anthropic-version").is_some() {
        Face::Anthropic
    } else if field(head, "x-goog-api-key").is_some() || query(head, "key").is_some() {
        Face::Gemini
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
            assert_eq!(Route::of(&head), Route { face, target }, "{method} {uri}");
        }
    }
}
