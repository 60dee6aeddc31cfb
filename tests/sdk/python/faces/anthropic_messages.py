"""The `anthropic` client."""

from typing import Any

import anthropic

from faces.face import LIMIT, PDF_TEXT, PERSON, PNG_URL, THOUGHT, WEATHER, Answer, Call, Face, Failure


def user(kind: str, text: str) -> dict[str, Any]:
    def block(of: str, media_type: str, data: str) -> list[dict[str, Any]]:
        return [{"type": of, "source": {"type": "base64", "media_type": media_type, "data": data}}]

    beside = {
        "user": lambda: [],
        "image": lambda: block("image", "image/png", PNG_URL.partition(",")[2]),
        "document": lambda: block("document", "application/pdf", PDF_TEXT),
    }[kind]()
    return {"role": "user", "content": [*beside, {"type": "text", "text": text}]}


class Anthropic(Face):
    name = "anthropic"
    errors = {
        400: anthropic.BadRequestError,
        401: anthropic.AuthenticationError,
        404: anthropic.NotFoundError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        503: anthropic.OverloadedError,
    }
    #: Anthropic has a status of its own for an overload.
    statuses = Face.statuses | {503: 529}

    def connect(self):
        return anthropic.Anthropic(base_url=self.url, api_key=self.gateway.key, max_retries=0, timeout=30)

    def request(self, model, turns, wanted, headers):
        messages: list[dict[str, Any]] = []
        for kind, value in turns:
            match kind:
                case "answer":
                    messages.append({"role": "assistant", "content": value.turn})
                case "results":
                    blocks = [{"type": "tool_result", "tool_use_id": id, "content": text} for id, text in value]
                    messages.append({"role": "user", "content": blocks})
                case _:
                    messages.append(user(kind, value))
        request = {"model": model, "max_tokens": LIMIT, "messages": messages, "extra_headers": headers}
        if wanted.tools:
            request["tools"] = [{"name": "get_weather", "description": "The weather.", "input_schema": WEATHER}]
        if wanted.schema:
            request["output_config"] = {"format": {"type": "json_schema", "schema": PERSON}}
        if wanted.thoughts:
            request["thinking"] = {"type": "enabled", "budget_tokens": THOUGHT}
        return request

    def whole(self, request):
        return read(self.client.messages.create(**request))

    def events(self, request):
        return self.client.messages.stream(**request)

    def collect(self, events):
        pieces = sum(event.type == "content_block_delta" and event.delta.type == "text_delta" for event in events)
        answer = read(events.get_final_message())
        answer.pieces = pieces
        return answer

    def failure(self, error):
        return Failure(error.status_code, error.body["error"]["message"], error.request_id, error.response.headers.get("retry-after"))


def read(message: Any) -> Answer:
    def said(kind: str, field: str) -> str:
        return "".join(getattr(block, field) for block in message.content if block.type == kind)

    usage = message.usage
    cached = usage.cache_read_input_tokens or 0
    return Answer(
        said("text", "text"),
        said("thinking", "thinking"),
        [Call(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"],
        message.stop_reason,
        usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
        cached,
        usage.output_tokens,
        # The parsed output of the stream helper is the client's own.
        turn=[block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in message.content],
    )
