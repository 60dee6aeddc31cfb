//! The compatible faces: which request speaks which vendor's API. They come before the [`router`](super::router),
//! which has everything else.

use domain::name::ModelName;
use providers::face::Face;
use providers::openai::OpenaiChat;

/// Which API a request speaks, and what its URL says.
pub struct Spoken {
    /// The API.
    pub face: &'static dyn Face,
    /// The same as it is recorded.
    pub name: domain::call::Face,
    /// The model that the URL names.
    pub model: Option<ModelName>,
    /// Whether the URL asks for a stream; `None` where the body says it.
    pub stream: Option<bool>,
}

/// The API that `path` belongs to; `None` where it is none of a face's. All of them are asked by POST.
pub fn spoken_at(path: &str) -> Option<Spoken> {
    match path {
        "/v1/chat/completions" => Some(plain(&OpenaiChat, domain::call::Face::OpenaiChat)),
        _ => None,
    }
}

/// An API whose URL says nothing of the request.
fn plain(face: &'static dyn Face, name: domain::call::Face) -> Spoken {
    Spoken {
        face,
        name,
        model: None,
        stream: None,
    }
}
