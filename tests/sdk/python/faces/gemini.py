"""The `google-genai` client."""

from contextlib import closing
from typing import Any

from google import genai
from google.genai import errors, types

from faces.face import LIMIT, PDF, PERSON, PNG, THOUGHT, WEATHER, Answer, Call, Face, Failure


def user(kind: str, text: str) -> types.UserContent:
    beside = {
        "user": [],
        "image": [types.Part.from_bytes(data=PNG, mime_type="image/png")],
        "document": [types.Part.from_bytes(data=PDF, mime_type="application/pdf")],
    }[kind]
    return types.UserContent([*beside, types.Part.from_text(text=text)])


def result(id: str, text: str) -> types.Part:
    return types.Part(function_response=types.FunctionResponse(id=id, name="get_weather", response={"output": text}))


class Gemini(Face):
    name = "genai"
    errors = {status: errors.ClientError for status in (400, 401, 404, 429)} | {status: errors.ServerError for status in (500, 503)}

    def connect(self):
        options = types.HttpOptions(base_url=self.url, timeout=30_000, retry_options=types.HttpRetryOptions(attempts=1))
        return genai.Client(api_key=self.gateway.key, http_options=options)

    def request(self, model, turns, wanted, headers):
        contents: list[Any] = []
        for kind, value in turns:
            match kind:
                case "answer":
                    contents.append(value.turn)
                case "results":
                    contents.append(types.UserContent([result(id, text) for id, text in value]))
                case _:
                    contents.append(user(kind, value))
        config = types.GenerateContentConfig(max_output_tokens=LIMIT, http_options=types.HttpOptions(headers=headers))
        if wanted.tools:
            declaration = types.FunctionDeclaration(name="get_weather", description="The weather.", parameters_json_schema=WEATHER)
            config.tools = [types.Tool(function_declarations=[declaration])]
            config.automatic_function_calling = types.AutomaticFunctionCallingConfig(disable=True)
        if wanted.schema:
            config.response_mime_type = "application/json"
            config.response_json_schema = PERSON
        if wanted.thoughts:
            config.thinking_config = types.ThinkingConfig(include_thoughts=True, thinking_budget=THOUGHT)
        return {"model": model, "contents": contents, "config": config}

    def whole(self, request):
        return self.collect([self.client.models.generate_content(**request)])

    def events(self, request):
        return closing(self.client.models.generate_content_stream(**request))

    def collect(self, events):
        answer, parts = Answer(), []
        for response in events:
            for candidate in response.candidates or []:
                said = (candidate.content.parts or []) if candidate.content else []
                answer.pieces += any(part.text and not part.thought for part in said)
                answer.finish = candidate.finish_reason.value if candidate.finish_reason else answer.finish
                parts += said
            if usage := response.usage_metadata:
                answer.input_tokens = usage.prompt_token_count or 0
                answer.cached_tokens = usage.cached_content_token_count or 0
                answer.output_tokens = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        answer.text = "".join(part.text for part in parts if part.text and not part.thought)
        answer.thoughts = "".join(part.text for part in parts if part.text and part.thought)
        answer.calls = [Call(part.function_call.id, part.function_call.name, part.function_call.args) for part in parts if part.function_call]
        answer.turn = types.ModelContent(parts)
        return answer

    def failure(self, error):
        headers = error.response.headers
        return Failure(error.code, error.message, headers.get("x-request-id"), headers.get("retry-after"))
