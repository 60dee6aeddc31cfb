//! Vectors that a provider makes of what callers ask: each is a call of the caller's, which pays for it, and is
//! counted, journaled and recorded as any other.

use async_trait::async_trait;
use bytes::Bytes;
use domain::call::{Face, Operation};
use domain::caller::Caller;
use domain::embedder::EmbedderError;
use domain::id::RequestId;
use domain::name::ModelName;
use providers::embeddings::OpenaiEmbeddings;
use providers::face::Asked;
use providers::task::Task;
use serde::Deserialize;
use serde_json::json;

use crate::admit::set_aside;
use crate::chat::{ChatError, Gateway, Inbound, ReportWanted};
use crate::reply::Reply;
use crate::task::SendingTask;

/// Asks a provider for the vectors of texts.
#[async_trait]
pub(crate) trait Asks: Sync {
    /// The vector that `model` gives a text, as the provider has it.
    async fn ask(&self, model: &ModelName, text: &str) -> Result<Vec<f32>, EmbedderError>;
}

/// Asks on behalf of a caller, whose call it serves.
pub(crate) struct OnBehalf<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) caller: &'a Caller,
    pub(crate) call: RequestId,
}

#[derive(Deserialize)]
struct Vectors {
    data: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    embedding: Vec<f32>,
}

#[async_trait]
impl Asks for OnBehalf<'_> {
    async fn ask(&self, model: &ModelName, text: &str) -> Result<Vec<f32>, EmbedderError> {
        let asked = self.gateway.embed(self.caller, self.call, model, text);
        let body = asked.await.map_err(failed)?;
        let vectors: Vectors = serde_json::from_slice(&body).map_err(failed)?;
        let vector = vectors.data.into_iter().next();
        vector
            .map(|vector| vector.embedding)
            .ok_or_else(|| EmbedderError::Failed("the answer has no vector".to_owned()))
    }
}

fn failed(error: impl std::error::Error) -> EmbedderError {
    EmbedderError::Failed(error.to_string())
}

impl Gateway {
    /// Asks for the vector of a text, in the words of OpenAI's API. Of the caller's limits it takes money only:
    /// it is no request of theirs. Whether their key permits the model is not asked either, since the operator
    /// chose it; where their requests may go is.
    async fn embed(
        &self,
        caller: &Caller,
        call: RequestId,
        model: &ModelName,
        text: &str,
    ) -> Result<Bytes, ChatError> {
        let task: &'static dyn Task = &OpenaiEmbeddings;
        let now = self.clock.now();
        let request_id = RequestId::new(now, &*self.entropy);
        let body = json!({ "model": model, "input": text, "encoding_format": "float" });
        let inbound = Inbound {
            request_id,
            started_at: now,
            received: self.clock.moment(),
            face: task,
            face_name: Face::Openai,
            asked: Asked {
                request_id: request_id.to_string(),
                ..Asked::default()
            },
            body: Bytes::from(body.to_string()),
            client_request_id: Some(call.to_string()),
            batch_id: None,
            traceparent: None,
            report: ReportWanted::default(),
            wishes: None,
        };
        let envelope = task.envelope(&inbound.asked, &inbound.body)?;
        let mut plan = self.plan_task(caller, &inbound, &envelope)?;
        let admission = self.limits.admit_aside(caller);
        let admitted = set_aside(admission, &mut plan, envelope.estimate, now).await?;
        let sending = SendingTask {
            operation: Operation::CacheEmbedding,
            envelope,
            plan,
            admitted,
            recorder: None,
            is_miss: false,
        };
        match self.send_task(caller, inbound, sending).await? {
            Reply::Whole { body, .. } => Ok(body),
            // Vectors are not streamed.
            Reply::Stream { .. } => Ok(Bytes::new()),
        }
    }
}
