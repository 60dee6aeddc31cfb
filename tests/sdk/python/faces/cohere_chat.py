"""The `cohere` client."""

import json
from contextlib import closing
from typing import Any

import cohere
from cohere.core.api_error import ApiError

from faces.face import LIMIT, PERSON, PNG_URL, THOUGHT, WEATHER, Answer, Call, Face, Failure


class Cohere(Face):
    name = "cohere"
    errors = {
        400: cohere.BadRequestError,
        401: cohere.UnauthorizedError,
        404: cohere.NotFoundError,
        429: cohere.TooManyRequestsError,
        # It has a class for 500, and none for a bad gateway.
        500: ApiError,
        503: cohere.ServiceUnavailableError,
    }

    def connect(self):
        return cohere.ClientV2(api_key=self.gateway.key, base_url=self.url, timeout=30)

    def request(self, model, turns, wanted, headers):
        options = {"max_retries": 0, "additional_headers": headers}
        request: dict[str, Any] = {"model": model, "messages": [], "max_tokens": LIMIT, "request_options": options}
        for kind, value in turns:
            match kind:
                case "answer":
                    request["messages"].append(value.turn)
                case "results":
                    request["messages"] += [{"role": "tool", "tool_call_id": id, "content": text} for id, text in value]
                case "image":
                    content = [{"type": "image_url", "image_url": {"url": PNG_URL}}, {"type": "text", "text": value}]
                    request["messages"].append({"role": "user", "content": content})
                case "document":
                    # Cohere's documents are words, beside the conversation.
                    request["documents"] = [{"id": "report", "data": {"title": "Report", "text": "It rained in Oslo."}}]
                    request["messages"].append({"role": "user", "content": value})
                case _:
                    request["messages"].append({"role": "user", "content": value})
        if wanted.tools:
            request["tools"] = [{"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": WEATHER}}]
        if wanted.schema:
            request["response_format"] = {"type": "json_object", "json_schema": PERSON}
        if wanted.thoughts:
            request["thinking"] = {"type": "enabled", "token_budget": THOUGHT}
        return request

    def whole(self, request):
        response = self.client.chat(**request)
        message = response.message
        blocks = message.content or []
        calls = [Call(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []]
        answer = Answer(
            "".join(block.text for block in blocks if block.type == "text"),
            "".join(block.thinking for block in blocks if block.type == "thinking"),
            calls,
            response.finish_reason,
            turn=message.model_dump(exclude_none=True),
        )
        count(answer, response.usage)
        return answer

    def events(self, request):
        return closing(self.client.chat_stream(**request))

    def collect(self, events):
        answer, begun = Answer(), []
        for event in events:
            match event.type:
                case "content-delta":
                    content = event.delta.message.content
                    answer.text += content.text or ""
                    answer.thoughts += content.thinking or ""
                    answer.pieces += bool(content.text)
                case "tool-call-start":
                    call = event.delta.message.tool_calls
                    begun.append({"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments or ""}})
                case "tool-call-delta":
                    begun[-1]["function"]["arguments"] += event.delta.message.tool_calls.function.arguments or ""
                case "message-end":
                    answer.finish = event.delta.finish_reason
                    count(answer, event.delta.usage)
        answer.calls = [Call(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in begun]
        answer.turn = {"role": "assistant", "tool_calls": begun} if begun else {"role": "assistant", "content": answer.text}
        return answer

    def failure(self, error):
        return Failure(error.status_code, error.body["message"], error.headers.get("x-request-id"), error.headers.get("retry-after"))


def count(answer: Answer, usage: Any) -> None:
    answer.input_tokens, answer.output_tokens = int(usage.tokens.input_tokens), int(usage.tokens.output_tokens)
    answer.cached_tokens = int(usage.cached_tokens or 0)
