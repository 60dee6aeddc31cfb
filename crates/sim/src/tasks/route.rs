//! Which endpoint a request is for.

use http::Method;
use http::request::Parts;

use super::house::{ANTHROPIC, BEDROCK, GEMINI, HUGGING_FACE, OPENAI, VERTEX};
use super::{
    Endpoint, House, Other, Work, black_forest_labs, cohere, deepgram, elevenlabs, fal, replicate,
    stability, storage,
};
use crate::anthropic;
use crate::bedrock;
use crate::gemini::tasks as gemini;
use crate::openai::huggingface;
use crate::openai::tasks as openai;
use crate::vertex;

const S3: House = House::Other(Other::S3);

/// The endpoint; `None` for a request that is for something else, or has another method.
pub(super) fn of(head: &Parts) -> Option<Endpoint> {
    let path = head.uri.path();
    match head.method {
        Method::POST => posted(path),
        Method::GET => got(path),
        Method::PUT if path.starts_with(storage::S3) => Some(look(S3, storage::put_s3)),
        Method::DELETE if path.starts_with(storage::S3) => Some(look(S3, storage::delete_s3)),
        Method::DELETE if path.starts_with(storage::OBJECTS) => Some(look(VERTEX, storage::delete)),
        Method::DELETE if path.starts_with("/v1beta/files/") => {
            Some(look(GEMINI, gemini::batches::delete))
        }
        Method::DELETE => path
            .strip_prefix("/v1/files/")
            .map(|_| look(OPENAI, openai::files::delete)),
        _ => None,
    }
}

type Make = fn(&super::Asked<'_>) -> Result<super::Wish, crate::vendor::Failure>;
type Look = fn(&super::Asked<'_>) -> Result<super::Output, crate::vendor::Failure>;

fn make(house: House, make: Make) -> Endpoint {
    Endpoint {
        house,
        work: Work::Make(make),
    }
}

fn look(house: House, look: Look) -> Endpoint {
    Endpoint {
        house,
        work: Work::Look(look),
    }
}

fn batch(house: House) -> Endpoint {
    Endpoint {
        house,
        work: Work::Batch,
    }
}

fn posted(path: &str) -> Option<Endpoint> {
    let other = |name: Other, work: Make| Some(make(House::Other(name), work));
    let found = match path {
        "/v1/images/generations" => make(OPENAI, openai::images::generate),
        "/v1/images/edits" => make(OPENAI, openai::images::edit),
        "/v1/images/variations" => make(OPENAI, openai::images::vary),
        "/v1/audio/speech" => make(OPENAI, openai::speech::speak),
        "/v1/audio/transcriptions" => make(OPENAI, openai::transcripts::transcribe),
        "/v1/audio/translations" => make(OPENAI, openai::transcripts::translate),
        "/v1/embeddings" => make(OPENAI, openai::embeddings::embed),
        "/v1/responses/compact" => make(OPENAI, openai::compaction::compact),
        "/v1/moderations" => make(OPENAI, openai::moderations::judge),
        "/v1/rerank" => make(OPENAI, openai::rerank::rank),
        "/v1/files" => look(OPENAI, openai::files::upload),
        "/v1/batches" => look(OPENAI, openai::batches::create),
        openai::jobs::PREFIX => look(OPENAI, openai::jobs::create),
        bedrock::jobs::JOB => look(BEDROCK, bedrock::jobs::create),
        "/upload/v1beta/files" => look(GEMINI, gemini::batches::upload),
        "/v1/messages/batches" => look(ANTHROPIC, anthropic::batches::create),
        "/v1/fine_tuning/jobs" => look(OPENAI, openai::fine_tuning::create),
        "/v1/speech-to-text" => return other(Other::ElevenLabs, elevenlabs::hear),
        "/v1/speak" => return other(Other::Deepgram, deepgram::speak),
        "/v1/listen" => return other(Other::Deepgram, deepgram::listen),
        "/v1/predictions" => return other(Other::Replicate, replicate::create),
        "/v2/embed" => return other(Other::Cohere, cohere::embed),
        "/v2/rerank" => return other(Other::Cohere, cohere::rank),
        "/v2beta/stable-image/generate/core"
        | "/v2beta/stable-image/generate/ultra"
        | "/v2beta/stable-image/generate/sd3"
        | "/v2beta/stable-image/edit/inpaint" => return other(Other::Stability, stability::make),
        _ => return posted_below(path),
    };
    Some(found)
}

/// Paths that name a model, a voice, a batch or a job.
fn posted_below(path: &str) -> Option<Endpoint> {
    let other = |name: Other, work: Make| Some(make(House::Other(name), work));
    if path.starts_with("/fal-ai/") || path.starts_with("/queue/fal-ai/") {
        return other(Other::Fal, fal::run);
    }
    if let Some((_, model)) = path.split_once("/publishers/google/models/") {
        return of_google(VERTEX, model);
    }
    if let Some((_, rest)) = path.split_once(vertex::jobs::COLLECTION) {
        return match rest {
            "" => Some(look(VERTEX, vertex::jobs::create)),
            rest if rest.ends_with(":cancel") => Some(look(VERTEX, vertex::jobs::cancel)),
            _ => None,
        };
    }
    if path.starts_with(bedrock::jobs::JOB) && path.ends_with("/stop") {
        return Some(look(BEDROCK, bedrock::jobs::stop));
    }
    if path.starts_with(huggingface::PREFIX) && path.ends_with(huggingface::TASK) {
        return Some(make(HUGGING_FACE, huggingface::extract));
    }
    if path.starts_with(storage::UPLOAD) {
        return Some(look(VERTEX, storage::upload));
    }
    let rest = path
        .strip_prefix("/v1/")
        .or_else(|| path.strip_prefix("/v1beta/"))?;
    if rest.starts_with("text-to-speech/") {
        return other(Other::ElevenLabs, elevenlabs::speak);
    }
    if path.starts_with(openai::fine_tuning::PREFIX) {
        return Some(look(OPENAI, openai::fine_tuning::steer));
    }
    if rest.starts_with("flux-") {
        return other(Other::BlackForestLabs, black_forest_labs::submit);
    }
    if rest.starts_with("messages/batches/") && rest.ends_with("/cancel") {
        return Some(look(ANTHROPIC, anthropic::batches::cancel));
    }
    if path.starts_with(openai::jobs::PREFIX) && rest.ends_with("/cancel") {
        return Some(look(OPENAI, openai::jobs::cancel));
    }
    if rest.starts_with("batches/") && rest.ends_with(":cancel") {
        return Some(look(GEMINI, gemini::batches::cancel));
    }
    if rest.starts_with("batches/") && rest.ends_with("/cancel") {
        return Some(look(OPENAI, openai::batches::cancel));
    }
    let model = rest.strip_prefix("models/")?;
    if model.ends_with("/predictions") {
        return other(Other::Replicate, replicate::create);
    }
    of_google(GEMINI, model)
}

/// `{model}:{verb}`, at the Gemini API or at Vertex AI.
fn of_google(house: House, model: &str) -> Option<Endpoint> {
    match model.rsplit_once(':')? {
        (_, "embedContent") => Some(make(house, gemini::embeddings::one)),
        (_, "batchGenerateContent") => Some(look(house, gemini::batches::create)),
        (_, "batchEmbedContents") => Some(make(house, gemini::embeddings::batch)),
        (model, "predict") if model.starts_with("imagen") => {
            Some(make(house, gemini::imagen::predict))
        }
        (model, "generateContent") if gemini::made::makes(model) => {
            Some(make(house, gemini::made::generate))
        }
        _ => None,
    }
}

fn got(path: &str) -> Option<Endpoint> {
    let other = |name: Other, work: Look| Some(look(House::Other(name), work));
    if path.starts_with("/delivery/") {
        return other(Other::Delivery, black_forest_labs::delivery);
    }
    if path.starts_with("/queue/fal-ai/") {
        return other(Other::Fal, fal::look);
    }
    if path.starts_with(storage::S3) {
        return other(Other::S3, storage::get_s3);
    }
    if path.starts_with(storage::OBJECTS) {
        return Some(look(VERTEX, storage::download));
    }
    if path == bedrock::jobs::LIST {
        return Some(look(BEDROCK, bedrock::jobs::list));
    }
    if path.ends_with(vertex::jobs::COLLECTION) {
        return Some(look(VERTEX, vertex::jobs::list));
    }
    if path.starts_with(bedrock::jobs::JOB) {
        return Some(batch(BEDROCK));
    }
    if path.contains(vertex::jobs::COLLECTION) {
        return Some(batch(VERTEX));
    }
    if path.starts_with("/download/v1beta/files/") {
        return Some(look(GEMINI, gemini::batches::download));
    }
    if path == "/v1beta/batches" {
        return Some(look(GEMINI, gemini::batches::list));
    }
    if path.starts_with("/v1beta/batches/") {
        return Some(batch(GEMINI));
    }
    let rest = path.strip_prefix("/v1/")?;
    match rest {
        "messages/batches" => return Some(look(ANTHROPIC, anthropic::batches::list)),
        "batch/jobs" => return Some(look(OPENAI, openai::jobs::list)),
        "files" => return Some(look(OPENAI, openai::files::list)),
        "batches" => return Some(look(OPENAI, openai::batches::list)),
        "fine_tuning/jobs" => return Some(look(OPENAI, openai::fine_tuning::list)),
        "get_result" => return other(Other::BlackForestLabs, black_forest_labs::result),
        _ => {}
    }
    if let Some(file) = rest.strip_prefix("files/") {
        let work = if file.ends_with("/content") {
            openai::files::content
        } else {
            openai::files::get
        };
        return Some(look(OPENAI, work));
    }
    if rest.starts_with("messages/batches/") {
        return Some(if rest.ends_with("/results") {
            look(ANTHROPIC, anthropic::batches::results)
        } else {
            batch(ANTHROPIC)
        });
    }
    if path.starts_with(openai::fine_tuning::PREFIX) {
        return Some(look(OPENAI, openai::fine_tuning::look));
    }
    if rest.starts_with("batches/") || rest.starts_with("batch/jobs/") {
        return Some(batch(OPENAI));
    }
    if rest.starts_with("predictions/") {
        return other(Other::Replicate, replicate::look);
    }
    None
}
