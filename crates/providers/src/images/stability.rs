//! Stability: forms to `POST /v2beta/stable-image/…`
//! (<https://platform.stability.ai/docs/api-reference#tag/Generate>).

use bytes::Bytes;
use domain::chat::Conversion;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use http::response::Parts;
use serde::Deserialize;

use super::answer::{Form, Picture};
use super::request::ImageRequest;
use super::size::shape_of;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::media::media_type;
use crate::multipart::NewForm;
use crate::openai::media::encode_base64;
use crate::outgoing;
use crate::task::{PreparedTask, TaskReader, TaskStep};

const VENDOR: &str = "Stability";

const SHAPES: [&str; 9] = [
    "1:1", "2:3", "3:2", "4:5", "5:4", "9:16", "16:9", "9:21", "21:9",
];

/// How far a picture may be from the one that it starts from, where the caller does not say: OpenAI's edits
/// keep the most of it.
const STRENGTH: &str = "0.65";

/// The operation behind a model's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    Core,
    Ultra,
    /// Stable Diffusion 3.5 and so on, named in the form.
    Diffusion,
    /// Fills the transparent parts of a picture.
    Inpaint,
}

impl Model {
    fn of(name: &str) -> Self {
        match name.strip_prefix("stable-image-").unwrap_or(name) {
            "core" => Self::Core,
            "ultra" => Self::Ultra,
            "inpaint" => Self::Inpaint,
            _ => Self::Diffusion,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Core => "generate/core",
            Self::Ultra => "generate/ultra",
            Self::Diffusion => "generate/sd3",
            Self::Inpaint => "edit/inpaint",
        }
    }
}

pub(super) fn prepare(asked: &ImageRequest, target: &Target<'_>) -> Result<PreparedTask, Refusal> {
    let model = Model::of(target.model);
    let mut report = asked.report(VENDOR);
    asked.refuse_count(VENDOR, 1, &mut report)?;
    // Its masks say by darkness where to edit, not by transparency.
    asked.refuse_mask(VENDOR)?;
    asked.refuse_transparency(VENDOR, &mut report)?;
    asked.drop_quality(VENDOR, &mut report);
    asked.deliver_inline(VENDOR, &mut report);
    if asked.output_compression.is_some() {
        report.drop(
            "output_compression",
            "Stability decides how a picture is compressed",
        );
    }
    let mut form = NewForm::default().text("prompt", &*asked.prompt);
    if model == Model::Diffusion {
        form = form.text("model", target.model);
    }
    if let Some(format) = output_format(asked, model, &mut report)? {
        form = form.text("output_format", format);
    }
    let mut has_strength = false;
    for (name, raw) in &asked.others {
        has_strength |= name == "strength";
        let text: Option<String> = serde_json::from_str(raw.get()).ok();
        form = form.text(name, text.unwrap_or_else(|| raw.get().to_owned()));
        report.change(
            name.clone(),
            "sent to Stability under this name, as OpenAI's format has no such field",
        );
    }
    form = with_image(form, asked, model, has_strength, &mut report)?;
    if (asked.images.is_empty() || model == Model::Ultra)
        && let Some(shape) = shape_of(asked.size, &SHAPES, VENDOR, &mut report)
    {
        form = form.text("aspect_ratio", shape);
    } else if asked.size.is_some() {
        report.drop(
            "size",
            "Stability keeps the size of the picture that it starts from",
        );
    }
    let (form_type, body) = form.finish();
    let url = format!("{}/v2beta/stable-image/{}", target.base_url, model.path());
    Ok(PreparedTask {
        request: outgoing::post(&url, &form_type, "application/json", body)?,
        report: Some(report),
        reader: Box::new(Reader(Form::of(asked))),
    })
}

fn with_image<'a>(
    form: NewForm<'a>,
    asked: &'a ImageRequest,
    model: Model,
    has_strength: bool,
    report: &mut Conversion,
) -> Result<NewForm<'a>, Refusal> {
    let image = match (asked.images.as_slice(), model) {
        ([], Model::Inpaint) => {
            return Err(Refusal::of(
                "image",
                "This model of Stability edits pictures; show it one at `/v1/images/edits`.",
            ));
        }
        ([], _) => return Ok(form),
        ([_], Model::Core) => {
            return Err(Refusal::of(
                "image",
                "Stability's core model makes new pictures only; edit with `ultra`, `inpaint` or a Stable Diffusion model.",
            ));
        }
        ([image], _) => image,
        _ => {
            return Err(Refusal::of(
                "image",
                "Stability starts from one picture; leave the others out.",
            ));
        }
    };
    let (media_type, bytes) = image.bytes(VENDOR)?;
    let mut form = form.file("image", "image", media_type, bytes);
    if model == Model::Diffusion {
        form = form.text("mode", "image-to-image");
    }
    if model != Model::Inpaint && !has_strength {
        report.change(
            "image",
            format!("Stability wants to know how far it may leave the picture: {STRENGTH} is sent; name another `strength` from 0 to 1"),
        );
        form = form.text("strength", STRENGTH);
    } else {
        report.carry("image");
    }
    Ok(form)
}

fn output_format(
    asked: &ImageRequest,
    model: Model,
    report: &mut Conversion,
) -> Result<Option<&'static str>, Refusal> {
    let format = match (asked.output_format.as_deref(), model) {
        (None, _) => return Ok(None),
        (Some("png"), _) => "png",
        (Some("jpeg"), _) => "jpeg",
        (Some("webp"), Model::Core | Model::Ultra | Model::Inpaint) => "webp",
        (Some(other), _) => {
            return Err(Refusal::of(
                "output_format",
                format!(
                    "This model of Stability does not write `{other}`; `output_format` may be `png` and `jpeg`."
                ),
            ));
        }
    };
    report.carry("output_format");
    Ok(Some(format))
}

struct Reader(Form);

#[derive(Deserialize)]
struct Answer {
    image: Option<String>,
    finish_reason: Option<String>,
}

impl TaskReader for Reader {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let told = media_type(head);
        let told = if told.starts_with("image/") {
            // Hosts that resell it answer with the picture itself.
            Picture::here(encode_base64(&body), Some(&told))
        } else {
            let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
                DecodeError::Malformed(format!("the answer cannot be read: {error}"))
            })?;
            if answer.finish_reason.as_deref() == Some("CONTENT_FILTERED") {
                let message = "Stability withheld the picture: its content filter struck";
                return Err(ProviderError::new(Cause::ContentPolicy, message).into());
            }
            let base64 = answer
                .image
                .ok_or_else(|| DecodeError::Malformed("the answer holds no picture".to_owned()))?;
            let media_type = media_type_of(&base64);
            Picture::here(base64, media_type)
        };
        let usage = Usage {
            images: 1,
            ..Usage::default()
        };
        self.0.clone().finish(head, vec![told], usage, None)
    }
}

/// What a picture is, told by how its base64 begins.
fn media_type_of(base64: &str) -> Option<&'static str> {
    [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("UklGR", "image/webp"),
    ]
    .into_iter()
    .find(|(start, _)| base64.starts_with(start))
    .map(|(_, media_type)| media_type)
}
