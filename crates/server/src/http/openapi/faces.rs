//! The compatible faces in the document: what bodies look like is the vendor's to describe, and the document
//! says where.

use serde_json::{Value, json};

/// One route of a vendor's API.
struct Face {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    described_at: &'static str,
}

const FACES: [Face; 34] = [
    Face {
        path: "/v1/completions",
        method: "post",
        id: "createCompletion",
        summary: "Continue a text, whole or streamed",
        described_at: "https://platform.openai.com/docs/api-reference/completions",
    },
    Face {
        path: "/v1/moderations",
        method: "post",
        id: "createModeration",
        summary: "Judge whether content is harmful",
        described_at: "https://platform.openai.com/docs/api-reference/moderations",
    },
    Face {
        path: "/v1/rerank",
        method: "post",
        id: "createRerank",
        summary: "Put documents in the order in which they answer a query",
        described_at: "https://jina.ai/reranker",
    },
    Face {
        path: "/v1/messages/count_tokens",
        method: "post",
        id: "countMessageTokens",
        summary: "How many tokens of input a message would be; an estimate, and marked as one, for other vendors",
        described_at: "https://platform.claude.com/docs/en/api/messages-count-tokens",
    },
    Face {
        path: "/anthropic/v1/messages/count_tokens",
        method: "post",
        id: "countMessageTokensUnderPrefix",
        summary: "The same",
        described_at: "https://platform.claude.com/docs/en/api/messages-count-tokens",
    },
    Face {
        path: "/v2/rerank",
        method: "post",
        id: "createCohereRerank",
        summary: "Put documents in the order in which they answer a query",
        described_at: "https://docs.cohere.com/reference/rerank",
    },
    Face {
        path: "/v1beta/models/{model}:countTokens",
        method: "post",
        id: "countTokens",
        summary: "How many tokens of input a request would be",
        described_at: "https://ai.google.dev/api/tokens",
    },
    Face {
        path: "/v1/chat/completions",
        method: "post",
        id: "createChatCompletion",
        summary: "Answer a chat, whole or streamed",
        described_at: "https://platform.openai.com/docs/api-reference/chat/create",
    },
    Face {
        path: "/v1/responses",
        method: "post",
        id: "createResponse",
        summary: "Answer items, whole or streamed",
        described_at: "https://platform.openai.com/docs/api-reference/responses/create",
    },
    Face {
        path: "/v1/responses/input_tokens",
        method: "post",
        id: "countResponseInput",
        summary: "How many tokens of input a request would be; an estimate, and marked as one, for other vendors",
        described_at: "https://platform.openai.com/docs/api-reference/responses/input-tokens",
    },
    Face {
        path: "/v1/responses/compact",
        method: "post",
        id: "compactResponse",
        summary: "Make a conversation shorter, at OpenAI",
        described_at: "https://platform.openai.com/docs/api-reference/responses/compact",
    },
    Face {
        path: "/v1/embeddings",
        method: "post",
        id: "createEmbedding",
        summary: "Vectors of texts",
        described_at: "https://platform.openai.com/docs/api-reference/embeddings/create",
    },
    Face {
        path: "/v1/images/generations",
        method: "post",
        id: "createImage",
        summary: "Make pictures",
        described_at: "https://platform.openai.com/docs/api-reference/images/create",
    },
    Face {
        path: "/v1/images/edits",
        method: "post",
        id: "createImageEdit",
        summary: "Edit pictures",
        described_at: "https://platform.openai.com/docs/api-reference/images/createEdit",
    },
    Face {
        path: "/v1/images/variations",
        method: "post",
        id: "createImageVariation",
        summary: "Vary a picture",
        described_at: "https://platform.openai.com/docs/api-reference/images/createVariation",
    },
    Face {
        path: "/v1/audio/speech",
        method: "post",
        id: "createSpeech",
        summary: "Read a text aloud",
        described_at: "https://platform.openai.com/docs/api-reference/audio/createSpeech",
    },
    Face {
        path: "/v1/audio/transcriptions",
        method: "post",
        id: "createTranscription",
        summary: "Write a recording down",
        described_at: "https://platform.openai.com/docs/api-reference/audio/createTranscription",
    },
    Face {
        path: "/v1/audio/translations",
        method: "post",
        id: "createTranslation",
        summary: "Write a recording down in English",
        described_at: "https://platform.openai.com/docs/api-reference/audio/createTranslation",
    },
    Face {
        path: "/v1/messages",
        method: "post",
        id: "createMessage",
        summary: "Answer a chat, whole or streamed",
        described_at: "https://platform.claude.com/docs/en/api/messages",
    },
    Face {
        path: "/anthropic/v1/messages",
        method: "post",
        id: "createMessageUnderPrefix",
        summary: "The same",
        described_at: "https://platform.claude.com/docs/en/api/messages",
    },
    Face {
        path: "/v2/chat",
        method: "post",
        id: "createCohereChat",
        summary: "Answer a chat, whole or streamed",
        described_at: "https://docs.cohere.com/reference/chat",
    },
    Face {
        path: "/v2/embed",
        method: "post",
        id: "createCohereEmbedding",
        summary: "Vectors of texts and pictures",
        described_at: "https://docs.cohere.com/reference/embed",
    },
    Face {
        path: "/v1beta/models/{model}:generateContent",
        method: "post",
        id: "generateContent",
        summary: "Answer a chat",
        described_at: "https://ai.google.dev/api/generate-content",
    },
    Face {
        path: "/v1beta/models/{model}:streamGenerateContent",
        method: "post",
        id: "streamGenerateContent",
        summary: "Stream an answer, as events with alt=sse, else as a JSON array",
        described_at: "https://ai.google.dev/api/generate-content",
    },
    Face {
        path: "/v1beta/models/{model}:embedContent",
        method: "post",
        id: "embedContent",
        summary: "The vector of one content",
        described_at: "https://ai.google.dev/api/embeddings",
    },
    Face {
        path: "/v1beta/models/{model}:batchEmbedContents",
        method: "post",
        id: "batchEmbedContents",
        summary: "The vectors of several contents",
        described_at: "https://ai.google.dev/api/embeddings",
    },
    Face {
        path: "/v1/models",
        method: "get",
        id: "listModels",
        summary: "The models that the key may ask for, in the shape of the API that asks",
        described_at: "https://platform.openai.com/docs/api-reference/models",
    },
    Face {
        path: "/v1/models/{model}",
        method: "get",
        id: "retrieveModel",
        summary: "One model; its name may hold slashes",
        described_at: "https://platform.openai.com/docs/api-reference/models",
    },
    Face {
        path: "/v1beta/models",
        method: "get",
        id: "listGeminiModels",
        summary: "The same in the shape of Gemini",
        described_at: "https://ai.google.dev/api/models",
    },
    Face {
        path: "/v1beta/models/{model}",
        method: "get",
        id: "retrieveGeminiModel",
        summary: "One model",
        described_at: "https://ai.google.dev/api/models",
    },
    Face {
        path: "/anthropic/v1/models",
        method: "get",
        id: "listAnthropicModels",
        summary: "The same in the shape of Anthropic",
        described_at: "https://platform.claude.com/docs/en/api/models-list",
    },
    Face {
        path: "/anthropic/v1/models/{model}",
        method: "get",
        id: "retrieveAnthropicModel",
        summary: "One model",
        described_at: "https://platform.claude.com/docs/en/api/models-list",
    },
    Face {
        path: "/gemini/v1beta/models",
        method: "get",
        id: "listGeminiModelsUnderPrefix",
        summary: "The same in the shape of Gemini",
        described_at: "https://ai.google.dev/api/models",
    },
    Face {
        path: "/gemini/v1beta/models/{model}",
        method: "get",
        id: "retrieveGeminiModelUnderPrefix",
        summary: "One model",
        described_at: "https://ai.google.dev/api/models",
    },
];

/// Every route of the compatible faces, by its path.
pub(super) fn described() -> impl Iterator<Item = (String, Value)> {
    FACES.iter().map(|face| {
        let operation = face.operation();
        (face.path.to_owned(), json!({ face.method: operation }))
    })
}

impl Face {
    fn operation(&self) -> Value {
        let any = json!({ "type": "object", "additionalProperties": true });
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "externalDocs": { "url": self.described_at },
            "parameters": self.parameters(),
            "responses": {
                "200": { "description": "The answer.", "content": {
                    "application/json": { "schema": any },
                    "text/event-stream": { "schema": { "type": "string" } },
                } },
                "default": { "description": "Not done, in the vendor's shape.", "content": {
                    "application/json": { "schema": any },
                } },
            },
        });
        if self.method == "post" {
            let types = if self.takes_files() {
                json!({ "multipart/form-data": { "schema": any } })
            } else {
                json!({ "application/json": { "schema": any } })
            };
            operation["requestBody"] = json!({ "required": true, "content": types });
        }
        operation
    }

    fn takes_files(&self) -> bool {
        [
            "createImageEdit",
            "createImageVariation",
            "createTranscription",
            "createTranslation",
        ]
        .contains(&self.id)
    }

    fn parameters(&self) -> Vec<Value> {
        let text = json!({ "type": "string" });
        let mut parameters = vec![
            json!({ "name": "x-client-request-id", "in": "header", "schema": { "type": "string", "maxLength": 256 } }),
            json!({
                "name": "x-trunkline-report", "in": "header", "schema": text,
                "description": "`cost`, `conversion`, or both: adds a `trunkline` field to the answer.",
            }),
        ];
        if self.path.contains("{model}") {
            parameters
                .push(json!({ "name": "model", "in": "path", "required": true, "schema": text }));
        }
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::faces::spoken_at;

    #[test]
    fn what_is_described_is_spoken() {
        for face in FACES.iter().filter(|face| face.method == "post") {
            let path = face.path.replace("{model}", "some/model:1");
            assert!(spoken_at(&path, None).is_some(), "{path}");
        }
    }
}
