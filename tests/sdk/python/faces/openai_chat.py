"""The `openai` client's chat completions."""

import json
from typing import Any

import openai

from faces.face import LIMIT, PDF_TEXT, PERSON, PNG_URL, WEATHER, Answer, Call, Face, Failure

ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": WEATHER}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}


def user(kind: str, text: str) -> dict[str, Any]:
    """What a user says, with an image or a document beside it."""
    beside = {
        "user": [],
        "image": [{"type": "image_url", "image_url": {"url": PNG_URL}}],
        "document": [{"type": "file", "file": {"filename": "report.pdf", "file_data": f"data:application/pdf;base64,{PDF_TEXT}"}}],
    }[kind]
    return {"role": "user", "content": [*beside, {"type": "text", "text": text}] if beside else text}


def results(given: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"role": "tool", "tool_call_id": id, "content": text} for id, text in given]


def failure(error: openai.APIStatusError) -> Failure:
    return Failure(error.status_code, error.body["message"], error.request_id, error.response.headers.get("retry-after"))


class OpenaiChat(Face):
    name = "openai"
    errors = ERRORS
    failure = staticmethod(failure)

    def connect(self):
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.gateway.key, max_retries=0, timeout=30)

    def request(self, model, turns, wanted, headers):
        messages: list[Any] = []
        for kind, value in turns:
            match kind:
                case "answer":
                    messages.append(value.turn)
                case "results":
                    messages += results(value)
                case _:
                    messages.append(user(kind, value))
        request = {"model": model, "messages": messages, "max_completion_tokens": LIMIT, "extra_headers": headers}
        if wanted.tools:
            request["tools"] = [TOOL]
        if wanted.schema:
            request["response_format"] = SCHEMA
        if wanted.thoughts:
            request["reasoning_effort"] = "low"
        return request

    def whole(self, request):
        completion = self.client.chat.completions.create(**request)
        (choice,) = completion.choices
        message = choice.message
        calls = [Call(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []]
        answer = Answer(message.content or "", getattr(message, "reasoning_content", None) or "", calls, choice.finish_reason)
        answer.turn = message.model_dump(exclude_none=True)
        count(answer, completion.usage)
        return answer

    def events(self, request):
        return self.client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True})

    def collect(self, events):
        """Keeps what the format names, as most applications do: the extensions that carry signatures are lost."""
        answer, parts = Answer(), {}
        for chunk in events:
            if chunk.usage:
                count(answer, chunk.usage)
            for choice in chunk.choices:
                delta = choice.delta
                answer.text += delta.content or ""
                answer.thoughts += getattr(delta, "reasoning_content", None) or ""
                answer.pieces += bool(delta.content)
                answer.finish = choice.finish_reason or answer.finish
                for call in delta.tool_calls or []:
                    part = parts.setdefault(call.index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
                    part["id"] += call.id or ""
                    part["function"]["name"] += call.function.name or ""
                    part["function"]["arguments"] += call.function.arguments or ""
        answer.calls = [Call(part["id"], part["function"]["name"], json.loads(part["function"]["arguments"])) for part in parts.values()]
        answer.turn = {"role": "assistant", "content": answer.text or None} | ({"tool_calls": list(parts.values())} if parts else {})
        return answer


def count(answer: Answer, usage: Any) -> None:
    answer.input_tokens, answer.output_tokens = usage.prompt_tokens, usage.completion_tokens
    answer.cached_tokens = (usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens) or 0
