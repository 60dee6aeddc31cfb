//! Media that models made is stored and handed out by a link, where its caller asks for that.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::call::Operation;
use domain::caller::{Caller, Owner};
use domain::file::FilePurpose;
use domain::media::MediaType;
use http::header::HOST;
use http::response::Parts;
use http::{HeaderMap, HeaderValue};
use providers::dialect::{DecodeError, End};
use providers::task::{TaskAnswer, TaskReader, TaskStep, TaskStream};
use serde_json::Value;

use super::{FileError, Files, Label};

/// The field by which a caller wants the sound of an answer to be stored: `true`.
const STORE: &str = "x-trunkline-store";

/// How the media of one answer is given out.
pub(crate) struct Delivery {
    owner: Owner,
    what: Deliverable,
    /// Where links begin: `https://gateway.example`.
    base: String,
}

/// What the caller gets of an answer.
pub(crate) struct Given {
    /// The answer.
    pub(crate) body: Bytes,
    /// Where the whole of it is stored.
    pub(crate) link: Option<String>,
    /// Whether it holds pictures whose caller asked for links to them.
    pub(crate) is_inlined: bool,
}

impl Given {
    /// An answer that is not changed.
    pub(crate) fn as_it_is(body: Bytes) -> Self {
        Self {
            body,
            link: None,
            is_inlined: false,
        }
    }
}

/// What is given out by a link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deliverable {
    /// Pictures that stand in the answer as `data:` URLs.
    Pictures,
    /// The same, as base64 in the answer, since nothing is to be stored.
    InlinePictures,
    /// The whole answer, which is sound.
    Sound,
}

impl Delivery {
    /// How the answer to a task is given out; `None` where it stays as it is. A caller who asked for a
    /// picture's URL gets one; sound is stored for those who say so.
    pub(crate) fn of(
        files: &Files,
        operation: Operation,
        caller: &Caller,
        asked: &HeaderMap,
    ) -> Option<Self> {
        let what = match operation {
            Operation::ImageGeneration if files.rules.delivers_urls => Deliverable::Pictures,
            Operation::ImageGeneration => Deliverable::InlinePictures,
            Operation::Speech if asked.get(STORE).is_some_and(|value| value == "true") => {
                Deliverable::Sound
            }
            _ => return None,
        };
        Some(Self {
            owner: caller.owner(),
            what,
            base: files.base_of(asked)?,
        })
    }

    /// A reader that gives sound as a whole, since only a whole file can be linked to.
    pub(crate) fn reader(&self, reader: Box<dyn TaskReader>) -> Box<dyn TaskReader> {
        match self.what {
            Deliverable::Pictures | Deliverable::InlinePictures => reader,
            Deliverable::Sound => Box::new(Gathered(reader)),
        }
    }

    /// Stores what is to be stored. An answer that was paid for is not lost when it cannot be stored: it then
    /// stays as it is.
    pub(crate) async fn give_out(
        &self,
        files: &Files,
        content_type: &HeaderValue,
        body: Bytes,
    ) -> Given {
        let given = match self.what {
            Deliverable::Pictures => {
                let linked = self.link_pictures(files, &body).await;
                linked.map(|linked| (linked, None))
            }
            Deliverable::InlinePictures => {
                let inlined = inline_pictures(&body);
                return Given {
                    is_inlined: inlined.is_some(),
                    body: inlined.unwrap_or(body),
                    link: None,
                };
            }
            Deliverable::Sound => {
                let link = self.link_sound(files, content_type, &body).await;
                link.map(|link| (None, link))
            }
        };
        match given {
            Ok((changed, link)) => Given {
                body: changed.unwrap_or(body),
                link,
                is_inlined: false,
            },
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(
                    error,
                    "an answer's media could not be stored and goes out inline"
                );
                Given::as_it_is(body)
            }
        }
    }

    /// The answer with links in the place of `data:` URLs; `None` where there are none.
    async fn link_pictures(&self, files: &Files, body: &Bytes) -> Result<Option<Bytes>, FileError> {
        let Some(mut answer) = with_data_urls(body) else {
            return Ok(None);
        };
        for picture in pictures(&mut answer) {
            let Some(Value::String(url)) = picture.get_mut("url") else {
                continue;
            };
            if let Some((media_type, content)) = inline(url) {
                *url = self.link(files, media_type, content).await?;
            }
        }
        Ok(Some(answer.to_string().into()))
    }

    async fn link_sound(
        &self,
        files: &Files,
        content_type: &HeaderValue,
        body: &Bytes,
    ) -> Result<Option<String>, FileError> {
        let media_type = content_type
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok());
        let Some(media_type) =
            media_type.filter(|it: &MediaType| it.as_str().starts_with("audio/"))
        else {
            return Ok(None);
        };
        self.link(files, media_type, body.clone()).await.map(Some)
    }

    async fn link(
        &self,
        files: &Files,
        media_type: MediaType,
        content: Bytes,
    ) -> Result<String, FileError> {
        let label = Label {
            purpose: FilePurpose::Generated,
            filename: media_type.generated_name(),
            media_type,
            keep_for: None,
        };
        let file = files.keep(self.owner, label, content).await?;
        Ok(format!("{}{}", self.base, files.link(&file)))
    }
}

impl Files {
    /// Where links begin: as configured, else at the address by which the caller came.
    pub fn base_of(&self, asked: &HeaderMap) -> Option<String> {
        if let Some(url) = &self.public_url {
            return Some(url.clone());
        }
        let host = asked.get(HOST)?.to_str().ok()?;
        Some(format!("http://{host}"))
    }
}

/// An answer that has pictures as `data:` URLs.
fn with_data_urls(body: &[u8]) -> Option<Value> {
    memchr::memmem::find(body, b"\"url\":\"data:")?;
    serde_json::from_slice(body).ok()
}

fn pictures(answer: &mut Value) -> impl Iterator<Item = &mut Value> {
    let pictures = answer.get_mut("data").and_then(Value::as_array_mut);
    pictures.into_iter().flatten()
}

/// The answer with base64 in the place of `data:` URLs; `None` where there are none.
fn inline_pictures(body: &[u8]) -> Option<Bytes> {
    let mut answer = with_data_urls(body)?;
    for picture in pictures(&mut answer).filter_map(Value::as_object_mut) {
        let url = picture.get("url").and_then(Value::as_str);
        let data = url.and_then(|url| url.strip_prefix("data:")?.split_once(";base64,"));
        if let Some((_, data)) = data {
            let data = data.to_owned();
            picture.insert("b64_json".to_owned(), data.into());
            picture.shift_remove("url");
        }
    }
    Some(answer.to_string().into())
}

/// The content of a `data:` URL in base64 (RFC 2397).
fn inline(url: &str) -> Option<(MediaType, Bytes)> {
    let (media_type, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    let content = STANDARD.decode(data).ok()?;
    Some((media_type.parse().ok()?, content.into()))
}

/// Reads an answer as a whole that would else pass piece by piece.
struct Gathered(Box<dyn TaskReader>);

impl TaskReader for Gathered {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let Some(mut stream) = self.0.stream(head) else {
            return self.0.read(head, body);
        };
        let mut pieces = Vec::new();
        stream.push(&body, &mut pieces)?;
        stream.finish(End::Clean, &mut pieces)?;
        Ok(TaskStep::Done(gathered(&*stream, &pieces)))
    }
}

fn gathered(stream: &dyn TaskStream, pieces: &[Bytes]) -> TaskAnswer {
    let observed = stream.observed();
    TaskAnswer {
        body: pieces.concat().into(),
        content_type: stream.content_type(),
        usage: observed.usage,
        response_model: observed.response_model.clone(),
    }
}
