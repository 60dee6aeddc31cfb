//! One generation, from the request's rules to the answer's pieces.

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::answer::{self, Answer};
use crate::body::SimBody;
use crate::directive::{Directive, Fault, InvalidDirective, UsageReport};
use crate::handover::{headed, html, json, refused, shaped_stream, shaped_whole, stream};
use crate::prompt::Prompt;
use crate::record::{Entry, SimCall, SimUsage, excerpt};
use crate::sim::{Sim, parsed};
use crate::vendor::{Api, Failure, Framing, Reply, field};

/// A request that has been read, with what the caller wished.
struct Understood {
    body: Value,
    prompt: Prompt,
    directive: Directive,
    said: String,
}

impl Sim {
    pub(crate) async fn generate(
        &self,
        api: Api,
        head: &Parts,
        body: &Bytes,
        path_model: Option<&str>,
        path_framing: Option<Framing>,
    ) -> Response<SimBody> {
        let mut request_id = String::new();
        let entry = self.record().open(|sequence| {
            request_id = api.vendor.request_id(self.hash(sequence), sequence);
            SimCall {
                sequence,
                request_id: request_id.clone(),
                response_id: None,
                face: api.face,
                host: api.host,
                model: path_model.unwrap_or_default().to_owned(),
                path: head.uri.path().to_owned(),
                streamed: path_framing.is_some(),
                status: None,
                usage: None,
                usage_reported: false,
                completed: false,
                prompt: String::new(),
                client_request_id: field(head, "x-client-request-id").map(str::to_owned),
            }
        });
        let response = match self.understand(api, head, body, (path_model, path_framing)) {
            Err(failure) => refused(api, &request_id, &failure, path_framing),
            Ok(understood) => {
                entry.note(|call| {
                    call.model.clone_from(&understood.prompt.model);
                    call.streamed = understood.prompt.stream.is_some();
                    call.prompt = excerpt(&understood.said);
                });
                self.answer(api, &request_id, &entry, &understood).await
            }
        };
        let (head, body) = response.into_parts();
        entry.note(|call| call.status = Some(head.status.as_u16()));
        Response::from_parts(head, body.recorded(entry))
    }

    fn understand(
        &self,
        api: Api,
        head: &Parts,
        body: &Bytes,
        path: (Option<&str>, Option<Framing>),
    ) -> Result<Understood, Failure> {
        self.authenticate(api, head, body)?;
        let value = parsed(api, body)?;
        let prompt = api.format.read(&self.ask(api, head, body, &value, path))?;
        let refuse = |InvalidDirective(sentence)| Failure {
            message: sentence,
            ..api.failure(400, None, &prompt.model)
        };
        let (mut directive, said) = Directive::extract(&prompt.said).map_err(refuse)?;
        self.faults()
            .apply(api.face, &prompt.model, &mut directive)
            .map_err(refuse)?;
        Ok(Understood {
            body: value,
            prompt,
            directive,
            said,
        })
    }

    async fn answer(
        &self,
        api: Api,
        request_id: &str,
        entry: &Entry,
        understood: &Understood,
    ) -> Response<SimBody> {
        let Understood {
            prompt, directive, ..
        } = understood;
        if !directive.latency.is_zero() {
            tokio::time::sleep(directive.latency).await;
        }
        let overloaded = api.failure(
            api.vendor.overloaded_status(api.face),
            directive.retry_after,
            &prompt.model,
        );
        match directive.fault {
            Some(Fault::HangHead) => std::future::pending().await,
            Some(Fault::Status(status)) => {
                let failure = api.failure(status, directive.retry_after, &prompt.model);
                return refused(api, request_id, &failure, prompt.stream);
            }
            Some(Fault::Html) => return html(),
            Some(Fault::ErrorMid(_)) if prompt.stream.is_none() => {
                return refused(api, request_id, &overloaded, None);
            }
            Some(Fault::ErrorIn200) if prompt.stream.is_none() => {
                return json(
                    api,
                    request_id,
                    StatusCode::OK,
                    &api.error(&overloaded, request_id),
                );
            }
            Some(Fault::Garbage) if prompt.stream.is_none() => {
                let body = SimBody::whole(Bytes::from_static(
                    b"{\"simulated\": garbage, \xff\xfe this is not JSON",
                ));
                return headed(api, request_id, StatusCode::OK, "application/json", body);
            }
            _ => {}
        }
        let answers: Vec<Answer> = (0..prompt.choices)
            .map(|number| answer::compose(prompt, directive, &understood.said, number))
            .collect();
        let usage = self.usage(prompt, directive, &answers);
        let response_id = api
            .format
            .response_id(self.hash(entry.sequence), entry.sequence);
        entry.note(|call| {
            call.usage = Some(usage);
            call.usage_reported = directive.usage != UsageReport::None
                && (prompt.stream.is_none() || prompt.reports_usage);
            call.response_id = Some(response_id.clone());
        });
        let created = (self.options().now)();
        let reply = Reply {
            host: api.host,
            asked: &understood.body,
            prompt,
            answers: &answers,
            usage,
            directive,
            response_id: &response_id,
            created,
            seed: self.options().seed,
        };
        api.format.keep(&reply, self.stored());
        let Some(framing) = prompt.stream else {
            let response = json(api, request_id, StatusCode::OK, &api.format.whole(&reply));
            return response.map(|body| shaped_whole(body, directive));
        };
        let frames = stream(api, &reply, framing, &overloaded, request_id);
        let mut response = headed(
            api,
            request_id,
            StatusCode::OK,
            framing.media_type(),
            shaped_stream(frames, directive),
        );
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    fn usage(&self, prompt: &Prompt, directive: &Directive, answers: &[Answer]) -> SimUsage {
        let now = (self.options().now)();
        let cached = self.cached(&prompt.prefix, now);
        let mut usage = SimUsage {
            input: prompt.input,
            cached_input: cached.read.min(prompt.input),
            cache_write_5m: cached.write_5m,
            cache_write_1h: cached.write_1h,
            output: answers.iter().map(|answer| answer.output).sum(),
            reasoning: answers.iter().map(|answer| answer.reasoning).sum(),
        };
        if let Some(cached) = directive.cached {
            usage.cached_input = cached.min(prompt.input);
            usage.cache_write_5m = 0;
            usage.cache_write_1h = 0;
        }
        usage
    }
}
