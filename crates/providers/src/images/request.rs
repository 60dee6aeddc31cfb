//! What a caller who wants pictures asks for, whichever way it is written.

use bytes::Bytes;
use domain::chat::Conversion;
use domain::name::ModelName;
use domain::usage::Usage;
use serde_json::value::RawValue;

use super::size::Size;
use super::{OpenaiImages, form, json};
use crate::dialect::Refusal;
use crate::face::{Asked, InvalidRequest};
use crate::task::TaskEnvelope;

/// The most pictures that may be asked for at once, as OpenAI has it
/// (<https://platform.openai.com/docs/api-reference/images/create#images-create-n>).
const MAX_PICTURES: u32 = 10;

/// A picture that the caller shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// Its bytes.
    Bytes {
        /// What they are.
        media_type: String,
        /// The picture.
        bytes: Bytes,
    },
    /// Where it is.
    Url(String),
    /// Its identifier in the files of OpenAI.
    File(String),
}

/// How the caller gets a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Its bytes in base64, as OpenAI's current models always do.
    #[default]
    Base64,
    /// An address.
    Url,
}

/// A request, for a target that speaks another format.
#[derive(Debug)]
pub(super) struct ImageRequest {
    pub(super) goal: OpenaiImages,
    /// What the picture shows; empty for a variation.
    pub(super) prompt: String,
    /// How many pictures.
    pub(super) count: u32,
    /// Their size; `None` where the model chooses.
    pub(super) size: Option<Size>,
    pub(super) quality: Option<String>,
    pub(super) background: Option<String>,
    /// `png`, `jpeg`, `webp` and so on.
    pub(super) output_format: Option<String>,
    pub(super) output_compression: Option<u32>,
    pub(super) delivery: Delivery,
    pub(super) stream: bool,
    /// The pictures to start from.
    pub(super) images: Vec<Shown>,
    /// Whether a mask says where to edit.
    pub(super) masked: bool,
    /// Fields of OpenAI's that concern its own models alone and were given.
    pub(super) foreign: Vec<&'static str>,
    /// Fields that OpenAI's format does not know, as they were written in JSON.
    pub(super) others: Vec<(String, Box<RawValue>)>,
}

/// Fields that only OpenAI's own models understand, and what every other vendor does instead.
pub(super) const FOREIGN: [(&str, &str); 12] = [
    (
        "style",
        "has no such styles; say in `prompt` how it should look",
    ),
    ("moderation", "moderates by its own rules"),
    ("user", "takes no word about who asks"),
    ("safety_identifier", "takes no word about who asks"),
    (
        "input_fidelity",
        "decides itself how closely it keeps to the pictures",
    ),
    ("partial_images", "shows a picture once it is done"),
    ("complexity", "plans a picture in its own way"),
    ("frame_count", "makes no moving pictures"),
    ("frame_duration_ms", "makes no moving pictures"),
    ("svg", "makes no vector graphics"),
    ("markup", "takes no markup over a picture"),
    ("stream_options", "has no options for streams"),
];

/// Reads the envelope.
pub(super) fn envelope(
    goal: OpenaiImages,
    asked: &Asked,
    body: &Bytes,
) -> Result<TaskEnvelope, InvalidRequest> {
    let seen = if is_json(goal, asked) {
        json::envelope(goal, body)?
    } else {
        form::envelope(goal, asked, body)?
    };
    Ok(TaskEnvelope {
        estimate: estimate(&seen),
        model: seen.model,
        stream: seen.stream,
    })
}

/// What the envelope is made of.
pub(super) struct Seen {
    pub(super) model: ModelName,
    pub(super) stream: bool,
    pub(super) count: u32,
    pub(super) prompt_bytes: usize,
    pub(super) images: usize,
    pub(super) quality: Option<String>,
}

/// What pictures take. Some models are billed by the picture and others by the token: about 272, 1056 or 4160
/// tokens come out for a square of low, medium or high quality
/// (<https://platform.openai.com/docs/guides/image-generation#cost-and-latency>), and a picture that goes in
/// counts about 300.
fn estimate(seen: &Seen) -> Usage {
    let each = match seen.quality.as_deref() {
        Some("low" | "standard") => 272,
        Some("high" | "hd" | "xhigh" | "max") => 4_160,
        _ => 1_056,
    };
    let count = u64::from(seen.count);
    let shown = 300 * seen.images as u64;
    Usage {
        images: count,
        input_image_tokens: shown,
        output_image_tokens: each * count,
        ..Usage::text((seen.prompt_bytes as u64).div_ceil(4) + shown, each * count)
    }
}

/// Pictures are made from JSON, and edited from a form unless the request says that it is JSON.
pub(super) fn is_json(goal: OpenaiImages, asked: &Asked) -> bool {
    let told = asked.headers.get(http::header::CONTENT_TYPE);
    let told = told
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_form = told
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("multipart/");
    let is_json = told
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("application/json");
    match goal {
        OpenaiImages::Generations => !is_form,
        OpenaiImages::Edits | OpenaiImages::Variations => is_json,
    }
}

/// How many pictures, within the bounds.
pub(super) fn count(number: Option<u32>) -> Result<u32, InvalidRequest> {
    match number.unwrap_or(1) {
        count @ 1..=MAX_PICTURES => Ok(count),
        other => Err(InvalidRequest::of(
            "n",
            format!("`n` must be an integer from 1 to {MAX_PICTURES}, not {other}."),
        )),
    }
}

impl ImageRequest {
    /// Reads the request.
    pub(super) fn read(goal: OpenaiImages, asked: &Asked, body: &Bytes) -> Result<Self, Refusal> {
        let read = if is_json(goal, asked) {
            json::request(goal, body)
        } else {
            form::request(goal, asked, body)
        };
        let request = read.map_err(refusal)?;
        if goal != OpenaiImages::Generations && request.images.is_empty() {
            return Err(Refusal::of(
                "image",
                "`image` is missing; it must be a picture.",
            ));
        }
        Ok(request)
    }

    /// The report of what happens to the request at any target but OpenAI: whatever a vendor file does not
    /// report itself.
    pub(super) fn report(&self, vendor: &str) -> Conversion {
        let mut report = Conversion::default();
        report.carry("model");
        if !self.prompt.is_empty() {
            report.carry("prompt");
        }
        for name in &self.foreign {
            let reason = FOREIGN
                .iter()
                .find(|(known, _)| known == name)
                .map_or("has nothing like it", |(_, reason)| reason);
            report.drop(*name, format!("{vendor} {reason}"));
        }
        if self.stream {
            report.change(
                "stream",
                "the stream has one event for each picture, once it is done",
            );
        }
        report
    }

    /// How pictures reach the caller from a vendor that sends them in its answer.
    pub(super) fn deliver_inline(&self, vendor: &str, report: &mut Conversion) {
        if self.delivery == Delivery::Url {
            report.change(
                "response_format",
                format!(
                    "{vendor} keeps no pictures at addresses; the address holds the picture itself"
                ),
            );
        }
    }

    /// Drops the qualities of which a vendor has none.
    pub(super) fn drop_quality(&self, vendor: &str, report: &mut Conversion) {
        if self
            .quality
            .as_deref()
            .is_some_and(|quality| quality != "auto")
        {
            report.drop(
                "quality",
                format!("{vendor} makes every picture as well as the model can"),
            );
        }
    }

    /// Refuses a transparent background; any other is what every model makes.
    pub(super) fn refuse_transparency(
        &self,
        vendor: &str,
        report: &mut Conversion,
    ) -> Result<(), Refusal> {
        match self.background.as_deref() {
            Some("transparent") => Err(Refusal::of(
                "background",
                format!(
                    "{vendor} makes no transparent backgrounds; leave `background` out or use a model of OpenAI."
                ),
            )),
            Some(_) => {
                report.carry("background");
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Refuses more pictures than a vendor makes at once.
    pub(super) fn refuse_count(
        &self,
        vendor: &str,
        most: u32,
        report: &mut Conversion,
    ) -> Result<(), Refusal> {
        if self.count > most {
            let made = if most == 1 {
                "one picture".to_owned()
            } else {
                format!("at most {most} pictures")
            };
            return Err(Refusal::of(
                "n",
                format!(
                    "{vendor} makes {made} at a time; set `n` to {most} and ask again for more."
                ),
            ));
        }
        if self.count > 1 {
            report.carry("n");
        }
        Ok(())
    }

    /// Refuses a mask.
    pub(super) fn refuse_mask(&self, vendor: &str) -> Result<(), Refusal> {
        if !self.masked {
            return Ok(());
        }
        Err(Refusal::of(
            "mask",
            format!(
                "{vendor} takes no mask whose transparent parts say where to edit; say it in `prompt`, or use a model of OpenAI."
            ),
        ))
    }

    /// Refuses pictures to start from.
    pub(super) fn refuse_images(&self, vendor: &str) -> Result<(), Refusal> {
        if self.images.is_empty() {
            return Ok(());
        }
        Err(Refusal::of(
            "image",
            format!("{vendor} makes new pictures only; edit them with another model."),
        ))
    }

    /// Drops the fields that the format does not know.
    pub(super) fn drop_others(&self, vendor: &str, report: &mut Conversion) {
        for (name, _) in &self.others {
            report.drop(
                name.clone(),
                format!("{vendor} is not told of it: OpenAI's format has no such field"),
            );
        }
    }

    /// Hands the fields that the format does not know to a vendor whose models each have their own.
    pub(super) fn pass_others(
        &self,
        vendor: &str,
        body: &mut serde_json::Map<String, serde_json::Value>,
        report: &mut Conversion,
    ) {
        for (name, raw) in &self.others {
            let Ok(value) = serde_json::from_str(raw.get()) else {
                continue;
            };
            body.insert(name.clone(), value);
            report.change(
                name.clone(),
                format!("sent to {vendor} under this name, as OpenAI's format has no such field"),
            );
        }
    }
}

impl Shown {
    /// Its bytes, for a vendor that takes nothing else.
    pub(super) fn bytes(&self, vendor: &str) -> Result<(&str, &Bytes), Refusal> {
        match self {
            Self::Bytes { media_type, bytes } => Ok((media_type, bytes)),
            Self::Url(_) => Err(Refusal::of(
                "images",
                format!(
                    "{vendor} does not fetch pictures; send this one as a `data:` URL or in a form."
                ),
            )),
            Self::File(id) => Err(Self::refuse_file(id, vendor)),
        }
    }

    /// An address that holds it or leads to it.
    pub(super) fn url(&self, vendor: &str) -> Result<String, Refusal> {
        match self {
            Self::Bytes { media_type, bytes } => Ok(data_url(media_type, bytes)),
            Self::Url(url) => Ok(url.clone()),
            Self::File(id) => Err(Self::refuse_file(id, vendor)),
        }
    }

    fn refuse_file(id: &str, vendor: &str) -> Refusal {
        Refusal::of(
            "images",
            format!(
                "The file `{id}` is at OpenAI, where {vendor} cannot read it; send the picture itself."
            ),
        )
    }
}

/// Bytes as an address (RFC 2397).
pub(super) fn data_url(media_type: &str, bytes: &[u8]) -> String {
    format!(
        "data:{media_type};base64,{}",
        crate::openai::media::encode_base64(bytes)
    )
}

/// What a picture is, told by its first bytes.
pub(super) fn sniff(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else if bytes.starts_with(b"GIF8") {
        Some("image/gif")
    } else {
        None
    }
}

pub(super) fn refusal(invalid: InvalidRequest) -> Refusal {
    Refusal {
        detail: invalid.detail,
        param: invalid.param,
    }
}
