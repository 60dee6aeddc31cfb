"""The `openai` client's responses."""

import json
from typing import Any

from faces.face import LIMIT, PDF_TEXT, PERSON, PNG_URL, WEATHER, Answer, Call
from faces.openai_chat import OpenaiChat

TOOL = {"type": "function", "name": "get_weather", "description": "The weather.", "parameters": WEATHER, "strict": True}


def user(kind: str, text: str) -> dict[str, Any]:
    beside = {
        "user": [],
        "image": [{"type": "input_image", "image_url": PNG_URL, "detail": "auto"}],
        "document": [{"type": "input_file", "filename": "report.pdf", "file_data": f"data:application/pdf;base64,{PDF_TEXT}"}],
    }[kind]
    return {"role": "user", "content": [*beside, {"type": "input_text", "text": text}]}


class OpenaiResponses(OpenaiChat):
    name = "responses"

    def request(self, model, turns, wanted, headers):
        items: list[Any] = []
        for kind, value in turns:
            match kind:
                case "answer":
                    items += value.turn
                case "results":
                    items += [{"type": "function_call_output", "call_id": id, "output": text} for id, text in value]
                case _:
                    items.append(user(kind, value))
        request = {"model": model, "input": items, "max_output_tokens": LIMIT, "store": False, "extra_headers": headers}
        if wanted.tools:
            request["tools"] = [TOOL]
        if wanted.schema:
            request["text"] = {"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}}
        if wanted.thoughts:
            request |= {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        return request

    def whole(self, request):
        return read(self.client.responses.create(**request))

    def events(self, request):
        return self.client.responses.stream(**request)

    def collect(self, events):
        pieces = sum(event.type == "response.output_text.delta" for event in events)
        answer = read(events.get_final_response())
        answer.pieces = pieces
        return answer


def read(response: Any) -> Answer:
    calls = [Call(item.call_id, item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"]
    thoughts = "".join(part.text for item in response.output if item.type == "reasoning" for part in item.summary)
    usage = response.usage
    return Answer(
        response.output_text,
        thoughts,
        calls,
        response.status,
        usage.input_tokens,
        usage.input_tokens_details.cached_tokens,
        usage.output_tokens,
        # The parsed fields of the stream helper are the client's own.
        turn=[item.model_dump(exclude_none=True, exclude={"parsed_arguments": True, "content": {"__all__": {"parsed"}}}) for item in response.output],
    )
