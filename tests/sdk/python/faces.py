"""The vendors' official clients, each reduced to what the matrix asks of it: the same conversation in its own words."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import anthropic
import cohere
import openai
from google import genai
from google.genai import errors as genai_errors, types
from langchain_openai import ChatOpenAI

from stack import FIRST_KEY, Gateway

#: A red dot.
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==")
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name", "age"], "additionalProperties": False}


@dataclass
class Call:
    """One tool call."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass
class Answer:
    """What an application gets out of an answer, whichever client read it."""

    text: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class Face:
    """One client. A turn is ("user", text), ("image", text), ("calls", Answer) or ("results", [(id, text), …])."""

    name: str
    #: What the client raises when the gateway refuses, by status.
    errors: dict[int, type[Exception]]

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def ask(self, model: str, turns: list[tuple[str, Any]], tools: bool = False, schema: bool = False, stream: bool = False, **headers: str) -> Answer:
        raise NotImplementedError


class OpenaiChat(Face):
    name = "openai"
    errors = {401: openai.AuthenticationError, 404: openai.NotFoundError, 429: openai.RateLimitError, 500: openai.InternalServerError}

    def ask(self, model, turns, tools=False, schema=False, stream=False, **headers):
        client = self.gateway.client(default_headers=headers)
        messages = []
        for kind, value in turns:
            if kind == "user":
                messages.append({"role": "user", "content": value})
            elif kind == "image":
                url = "data:image/png;base64," + base64.b64encode(PNG).decode()
                messages.append({"role": "user", "content": [{"type": "text", "text": value}, {"type": "image_url", "image_url": {"url": url}}]})
            elif kind == "calls":
                calls = [{"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}} for call in value.calls]
                messages.append({"role": "assistant", "content": value.text or None, "tool_calls": calls})
            else:
                messages += [{"role": "tool", "tool_call_id": id, "content": text} for id, text in value]
        options: dict[str, Any] = {}
        if tools:
            options["tools"] = [{"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": WEATHER}}]
        if schema:
            options["response_format"] = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
        if not stream:
            whole = client.chat.completions.create(model=model, messages=messages, max_completion_tokens=500, **options)
            choice = whole.choices[0]
            calls = [Call(call.id, call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []]
            return Answer(choice.message.content or "", calls, choice.finish_reason, whole.usage.prompt_tokens, whole.usage.completion_tokens)
        answer, parts = Answer(), {}
        for chunk in client.chat.completions.create(model=model, messages=messages, max_completion_tokens=500, stream=True, stream_options={"include_usage": True}, **options):
            if chunk.usage:
                answer.input_tokens, answer.output_tokens = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
            for choice in chunk.choices:
                answer.text += choice.delta.content or ""
                answer.finish = choice.finish_reason or answer.finish
                for call in choice.delta.tool_calls or []:
                    part = parts.setdefault(call.index, ["", "", ""])
                    part[0] += call.id or ""
                    part[1] += call.function.name or ""
                    part[2] += call.function.arguments or ""
        answer.calls = [Call(id, name, json.loads(arguments)) for id, name, arguments in parts.values()]
        return answer


class OpenaiResponses(Face):
    name = "responses"
    errors = OpenaiChat.errors

    def ask(self, model, turns, tools=False, schema=False, stream=False, **headers):
        client = self.gateway.client(default_headers=headers)
        items: list[dict[str, Any]] = []
        for kind, value in turns:
            if kind == "user":
                items.append({"role": "user", "content": value})
            elif kind == "image":
                url = "data:image/png;base64," + base64.b64encode(PNG).decode()
                items.append({"role": "user", "content": [{"type": "input_text", "text": value}, {"type": "input_image", "image_url": url, "detail": "auto"}]})
            elif kind == "calls":
                items += [{"type": "function_call", "call_id": call.id, "name": call.name, "arguments": json.dumps(call.arguments)} for call in value.calls]
            else:
                items += [{"type": "function_call_output", "call_id": id, "output": text} for id, text in value]
        options: dict[str, Any] = {}
        if tools:
            options["tools"] = [{"type": "function", "name": "get_weather", "description": "The weather.", "parameters": WEATHER, "strict": True}]
        if schema:
            options["text"] = {"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}}
        if stream:
            with client.responses.stream(model=model, input=items, max_output_tokens=500, **options) as events:
                for _ in events:
                    pass
                whole = events.get_final_response()
        else:
            whole = client.responses.create(model=model, input=items, max_output_tokens=500, **options)
        calls = [Call(item.call_id, item.name, json.loads(item.arguments)) for item in whole.output if item.type == "function_call"]
        return Answer(whole.output_text, calls, whole.status, whole.usage.input_tokens, whole.usage.output_tokens)


class Anthropic(Face):
    name = "anthropic"
    errors = {401: anthropic.AuthenticationError, 404: anthropic.NotFoundError, 429: anthropic.RateLimitError, 500: anthropic.InternalServerError}

    def client(self, **headers: str) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=self.gateway.url, api_key=FIRST_KEY, max_retries=0, timeout=30, default_headers=headers)

    def ask(self, model, turns, tools=False, schema=False, stream=False, **headers):
        messages: list[dict[str, Any]] = []
        for kind, value in turns:
            if kind == "user":
                messages.append({"role": "user", "content": value})
            elif kind == "image":
                source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
                messages.append({"role": "user", "content": [{"type": "text", "text": value}, {"type": "image", "source": source}]})
            elif kind == "calls":
                blocks = [{"type": "text", "text": value.text}] if value.text else []
                blocks += [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in value.calls]
                messages.append({"role": "assistant", "content": blocks})
            else:
                messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": text} for id, text in value]})
        options: dict[str, Any] = {}
        if tools:
            options["tools"] = [{"name": "get_weather", "description": "The weather.", "input_schema": WEATHER}]
        if schema:
            options["output_config"] = {"format": {"type": "json_schema", "schema": PERSON}}
        client = self.client(**headers)
        if stream:
            with client.messages.stream(model=model, max_tokens=500, messages=messages, **options) as events:
                whole = events.get_final_message()
        else:
            whole = client.messages.create(model=model, max_tokens=500, messages=messages, **options)
        text = "".join(block.text for block in whole.content if block.type == "text")
        calls = [Call(block.id, block.name, block.input) for block in whole.content if block.type == "tool_use"]
        return Answer(text, calls, whole.stop_reason, whole.usage.input_tokens, whole.usage.output_tokens)


class Gemini(Face):
    name = "genai"
    errors = {401: genai_errors.ClientError, 404: genai_errors.ClientError, 429: genai_errors.ClientError, 500: genai_errors.ServerError}

    def client(self, **headers: str) -> genai.Client:
        options = types.HttpOptions(base_url=self.gateway.url, headers=headers, timeout=30_000, retry_options=types.HttpRetryOptions(attempts=1))
        return genai.Client(api_key=FIRST_KEY, http_options=options)

    def ask(self, model, turns, tools=False, schema=False, stream=False, **headers):
        contents = []
        for kind, value in turns:
            if kind == "user":
                contents.append(types.UserContent([types.Part.from_text(text=value)]))
            elif kind == "image":
                contents.append(types.UserContent([types.Part.from_text(text=value), types.Part.from_bytes(data=PNG, mime_type="image/png")]))
            elif kind == "calls":
                contents.append(value.content)
            else:
                parts = [types.Part(function_response=types.FunctionResponse(id=id, name="get_weather", response={"output": text})) for id, text in value]
                contents.append(types.UserContent(parts))
        config = types.GenerateContentConfig(max_output_tokens=500)
        if tools:
            declaration = types.FunctionDeclaration(name="get_weather", description="The weather.", parameters_json_schema=WEATHER)
            config.tools = [types.Tool(function_declarations=[declaration])]
            config.automatic_function_calling = types.AutomaticFunctionCallingConfig(disable=True)
        if schema:
            config.response_mime_type = "application/json"
            config.response_json_schema = PERSON
        client = self.client(**headers)
        answer, parts = Answer(), []
        responses = client.models.generate_content_stream(model=model, contents=contents, config=config) if stream else [client.models.generate_content(model=model, contents=contents, config=config)]
        for response in responses:
            for candidate in response.candidates or []:
                parts += (candidate.content.parts or []) if candidate.content else []
                answer.finish = candidate.finish_reason.value if candidate.finish_reason else answer.finish
            if response.usage_metadata:
                answer.input_tokens = response.usage_metadata.prompt_token_count or 0
                answer.output_tokens = response.usage_metadata.candidates_token_count or 0
        answer.text = "".join(part.text for part in parts if part.text and not part.thought)
        answer.calls = [Call(part.function_call.id, part.function_call.name, part.function_call.args) for part in parts if part.function_call]
        answer.content = types.ModelContent(parts)
        return answer


class Cohere(Face):
    name = "cohere"
    errors = {401: cohere.UnauthorizedError, 404: cohere.NotFoundError, 429: cohere.TooManyRequestsError, 500: cohere.InternalServerError}

    def client(self, **headers: str) -> cohere.ClientV2:
        return cohere.ClientV2(api_key=FIRST_KEY, base_url=self.gateway.url, timeout=30)

    def ask(self, model, turns, tools=False, schema=False, stream=False, **headers):
        messages: list[dict[str, Any]] = []
        for kind, value in turns:
            if kind == "user":
                messages.append({"role": "user", "content": value})
            elif kind == "image":
                url = "data:image/png;base64," + base64.b64encode(PNG).decode()
                messages.append({"role": "user", "content": [{"type": "text", "text": value}, {"type": "image_url", "image_url": {"url": url}}]})
            elif kind == "calls":
                calls = [{"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}} for call in value.calls]
                messages.append({"role": "assistant", "tool_calls": calls})
            else:
                messages += [{"role": "tool", "tool_call_id": id, "content": text} for id, text in value]
        options: dict[str, Any] = {"max_tokens": 500, "request_options": {"max_retries": 0, "additional_headers": headers}}
        if tools:
            options["tools"] = [{"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": WEATHER}}]
        if schema:
            options["response_format"] = {"type": "json_object", "json_schema": PERSON}
        client = self.client()
        answer = Answer()
        if not stream:
            whole = client.chat(model=model, messages=messages, **options)
            answer.text = "".join(block.text for block in whole.message.content or [] if block.type == "text")
            answer.calls = [Call(call.id, call.function.name, json.loads(call.function.arguments)) for call in whole.message.tool_calls or []]
            answer.finish = whole.finish_reason
            answer.input_tokens, answer.output_tokens = int(whole.usage.tokens.input_tokens), int(whole.usage.tokens.output_tokens)
            return answer
        begun: list[list[str]] = []
        for event in client.chat_stream(model=model, messages=messages, **options):
            if event.type == "content-delta":
                answer.text += event.delta.message.content.text or ""
            elif event.type == "tool-call-start":
                call = event.delta.message.tool_calls
                begun.append([call.id, call.function.name, call.function.arguments or ""])
            elif event.type == "tool-call-delta":
                begun[-1][2] += event.delta.message.tool_calls.function.arguments or ""
            elif event.type == "message-end":
                answer.finish = event.delta.finish_reason
                answer.input_tokens, answer.output_tokens = int(event.delta.usage.tokens.input_tokens), int(event.delta.usage.tokens.output_tokens)
        answer.calls = [Call(id, name, json.loads(arguments)) for id, name, arguments in begun]
        return answer


class LangChain(Face):
    name = "langchain"
    errors = OpenaiChat.errors

    def ask(self, model, turns, tools=False, schema=False, stream=False, **headers):
        chat = ChatOpenAI(model=model, base_url=f"{self.gateway.url}/v1", api_key=FIRST_KEY, max_retries=0, timeout=30, max_completion_tokens=500, stream_usage=True, default_headers=headers)
        messages: list[Any] = []
        for kind, value in turns:
            if kind == "user":
                messages.append({"role": "user", "content": value})
            elif kind == "image":
                url = "data:image/png;base64," + base64.b64encode(PNG).decode()
                messages.append({"role": "user", "content": [{"type": "text", "text": value}, {"type": "image_url", "image_url": {"url": url}}]})
            elif kind == "calls":
                messages.append(value.message)
            else:
                messages += [{"role": "tool", "tool_call_id": id, "content": text} for id, text in value]
        bound: Any = chat
        if tools:
            bound = chat.bind_tools([{"type": "function", "function": {"name": "get_weather", "description": "The weather.", "parameters": WEATHER}}])
        if schema:
            bound = chat.bind(response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}})
        if stream:
            message = None
            for chunk in bound.stream(messages):
                message = chunk if message is None else message + chunk
        else:
            message = bound.invoke(messages)
        calls = [Call(call["id"], call["name"], call["args"]) for call in message.tool_calls]
        usage = message.usage_metadata or {}
        text = message.content if isinstance(message.content, str) else "".join(part.get("text", "") for part in message.content)
        answer = Answer(text, calls, message.response_metadata.get("finish_reason"), usage.get("input_tokens", 0), usage.get("output_tokens", 0))
        answer.message = message
        return answer


FACES: list[type[Face]] = [OpenaiChat, OpenaiResponses, Anthropic, Gemini, Cohere, LangChain]


