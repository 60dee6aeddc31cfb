//! Where Google's models answer: at the Gemini API or at Vertex AI.

use crate::dialect::{Refusal, Target};
use crate::kind::ProviderKind;
use crate::{gemini, vertex};

/// The URL of a model with a verb (`generateContent`, `predict`).
pub(crate) fn url(kind: ProviderKind, target: &Target<'_>, verb: &str) -> Result<String, Refusal> {
    if kind == ProviderKind::Vertex {
        return vertex::model_url(target, "google", verb);
    }
    let model = gemini::model_path(target.model)?;
    Ok(format!("{}/v1beta/{model}:{verb}", target.base_url))
}
