"""What the gateway writes, held against the types of the vendors' own clients.

Every fixture of a translation says what a caller gets and what a provider is sent. Here each of those is read by the
annotations of the official client. What a client does not know must be listed, with the reason why it is written.
"""

import json
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cohere
import openai.types.audio as openai_audio
import pytest
import typing_extensions
from anthropic import types as anthropic
from anthropic.types import message_create_params as anthropic_request
from google.genai import types as google
from openai import types as openai
from openai.types import chat, responses, shared
from openai.types.chat import completion_create_params as chat_request
from openai.types.responses import response_create_params as responses_request

from shapes import events, fields, misfits, unfolded
from stack import Sim

SOURCES = Path(__file__).parents[3] / "crates/providers/src"
TASKS = ("count", "embeddings", "images", "audio", "rerank", "moderation")
INDEX = re.compile(r"\[\d+\]")
#: Formats that live in the folder of another.
FORMATS = {"openai/responses": "openai_responses", "openai/completions": "openai_completions"}


def called(method: Callable[..., Any], *required: str) -> Any:
    """A request as the parameters of a client's method describe it."""
    hints = typing_extensions.get_type_hints(method, include_extras=True)
    ours = ("return", "request_options")
    named = {name: typing_extensions.Required[hint] if name in required else typing_extensions.NotRequired[hint] for name, hint in hints.items() if name not in ours}
    return typing_extensions.TypedDict("Request", named | {"stream": typing_extensions.NotRequired[bool]})


class GoogleStatus(typing_extensions.TypedDict):
    """<https://cloud.google.com/apis/design/errors>, which the client has no type for."""

    code: int
    message: str
    status: str
    details: list[dict[str, Any]]


class GoogleError(typing_extensions.TypedDict):
    error: GoogleStatus


class OpenaiError(typing_extensions.TypedDict):
    error: shared.ErrorObject


class ImageError(typing_extensions.TypedDict):
    type: typing_extensions.Required[typing.Literal["error"]]
    error: shared.ErrorObject


class GoogleRequest(typing_extensions.TypedDict, total=False):
    """The client spreads these over its own configuration. <https://ai.google.dev/api/generate-content>"""

    contents: typing_extensions.Required[list[google.Content]]
    systemInstruction: google.Content
    tools: list[google.Tool]
    toolConfig: google.ToolConfig
    safetySettings: list[google.SafetySetting]
    generationConfig: google.GenerationConfig
    cachedContent: str
    labels: dict[str, str]
    serviceTier: str


class GoogleEmbeddings(typing_extensions.TypedDict, total=False):
    """<https://ai.google.dev/api/embeddings>: the client reads both endpoints into one class."""

    embeddings: list[google.ContentEmbedding]
    embedding: google.ContentEmbedding
    usageMetadata: google.UsageMetadata


#: What a caller gets: a whole answer, and an event of a stream.
ANSWERS: dict[str, tuple[Any, Any]] = {
    "openai": (chat.ChatCompletion, typing.Union[chat.ChatCompletionChunk, OpenaiError]),
    "openai_responses": (responses.Response, responses.ResponseStreamEvent),
    "openai_completions": (openai.Completion, typing.Union[openai.Completion, OpenaiError]),
    "anthropic": (anthropic.Message, typing.Union[anthropic.RawMessageStreamEvent, anthropic.ErrorResponse]),
    "gemini": (google.GenerateContentResponse, typing.Union[google.GenerateContentResponse, GoogleError]),
    "gemini_array": (google.GenerateContentResponse, typing.Union[google.GenerateContentResponse, GoogleError]),
    "cohere": (cohere.V2ChatResponse, cohere.V2ChatStreamResponse),
    "count/openai": (responses.InputTokenCountResponse, None),
    "count/anthropic": (anthropic.MessageTokensCount, None),
    "count/gemini": (google.CountTokensResponse, None),
    "embeddings/openai": (openai.CreateEmbeddingResponse, None),
    "embeddings/gemini": (GoogleEmbeddings, None),
    "embeddings/gemini_batch": (GoogleEmbeddings, None),
    "embeddings/cohere": (cohere.EmbedByTypeResponse, None),
    "rerank/cohere": (cohere.V2RerankResponse, None),
    "moderation/openai": (openai.ModerationCreateResponse, None),
    "images/generations": (openai.ImagesResponse, typing.Union[openai.ImageGenStreamEvent, ImageError]),
    "images/edits": (openai.ImagesResponse, typing.Union[openai.ImageEditStreamEvent, ImageError]),
    "audio/transcriptions": (openai_audio.TranscriptionCreateResponse, openai_audio.TranscriptionStreamEvent),
    "audio/translations": (openai_audio.TranslationCreateResponse, None),
}

#: What a provider is sent.
REQUESTS: dict[str, Any] = {
    "openai": chat_request.CompletionCreateParams,
    "azure": chat_request.CompletionCreateParams,
    "vertex_openai": chat_request.CompletionCreateParams,
    "openai_responses": responses_request.ResponseCreateParams,
    "openai_completions": openai.completion_create_params.CompletionCreateParams,
    "anthropic": anthropic_request.MessageCreateParams,
    "vertex_anthropic": anthropic_request.MessageCreateParams,
    "anthropic_on_bedrock": anthropic_request.MessageCreateParams,
    "gemini": GoogleRequest,
    "vertex": GoogleRequest,
    "cohere": called(cohere.ClientV2.chat_stream, "model", "messages"),
}

#: What no client knows and is written all the same, by the format and how a finding begins.
ADDED = {
    # Our own fields, the same in every format (docs/api.md).
    "what the provider said, in its own word": [
        "openai choices[].native_finish_reason",
        "anthropic delta.native_stop_reason",
        "gemini candidates[].nativeFinishReason",
        "gemini_array candidates[].nativeFinishReason",
        "cohere native_finish_reason",
        "cohere delta.native_finish_reason",
        "openai choices[].stop_sequence",
        "gemini candidates[].stopSequence",
    ],
    "what only the provider's format has": [
        "openai choices[].message.provider_content",
        "openai choices[].delta.provider_content",
        "openai choices[].message.native_annotations",
        "openai choices[].delta.native_annotations",
        "openai_responses output[].content[].native_annotations",
        "openai_responses response.output[].content[].native_annotations",
        "openai_responses item.content[].native_annotations",
        "openai_responses part.native_annotations",
        "anthropic provider_content",
        "gemini candidates[].providerContent",
        "cohere message.provider_content",
        "cohere delta.provider_content",
    ],
    # What compatible hosts have agreed on where OpenAI has nothing.
    "thoughts, as DeepSeek and OpenRouter write them": [
        "openai choices[].message.reasoning_content",
        "openai choices[].delta.reasoning_content",
        "openai choices[].message.reasoning_details",
        "openai choices[].delta.reasoning_details",
        "openai_completions choices[].reasoning_content",
    ],
    "thought signatures, as Google's compatible endpoint writes them": [
        "openai choices[].message.extra_content",
        "openai choices[].delta.extra_content",
        "openai choices[].message.tool_calls[].extra_content",
        "openai choices[].delta.tool_calls[].extra_content",
        "cohere message.tool_calls[].extra_content",
    ],
    "the seal of a thought, without which it cannot be sent back": [
        "cohere message.content[].signature",
        "cohere message.content[].redacted",
        "cohere delta.message.content.signature",
        "cohere delta.message.content.redacted",
    ],
    "usage that this client's vendor does not tell": [
        "openai usage.prompt_tokens_details.cache_write_1h_tokens",
        "anthropic usage.estimated",
        "count/openai estimated",
        "count/anthropic estimated",
        "count/gemini estimated",
        # The first event could only estimate it; so the last one says it, like the other counts.
        "anthropic usage.cache_creation",
        "anthropic usage.service_tier",
        "gemini usageMetadata.serviceTier",
    ],
    "an error's own code, where the vendor's errors have details": ["anthropic error.details"],
    "who answered": ["anthropic system_fingerprint"],
    # What the vendor itself writes beside its client's types.
    "written by the vendor too": [
        "openai_responses store",
        "openai_responses response.store",
        "openai_responses output[].status",
        "openai_responses response.output[].status",
        "openai_responses item.status",
        "openai_responses logprobs[].bytes",
        # Its reference has the fields at the top; clients look for an object.
        "openai_responses error",
        "openai_completions choices[].finish_reason: None is none",
        "audio/transcriptions task",
        "count/gemini promptTokensDetails",
        "count/gemini totalBillableCharacters",
        "audio/translations usage",
        "cohere delta.message.content",
        "cohere delta.message.tool_plan",
        "cohere delta.message.tool_calls",
        "cohere delta.message.citations",
    ],
    "no vendor's word fits a call that could not be read": ["openai choices[].finish_reason: 'error' is none"],
    "what was asked for with `encoding_format`": ["embeddings/openai data[].embedding: not a list"],
    # Fixtures in which a provider says what nobody knows: it goes on.
    "the provider's own additions": [
        "openai choices[].content_filter_results",
        "openai choices[].message.images",
        "openai choices[].delta.images",
        "openai choices[].delta.annotations",
        "openai container",
        "openai host_field",
        "openai meta",
        "openai metrics",
        "openai performanceConfig",
        "openai prompt_filter_results",
        "openai provider",
        "openai trace",
        "cohere message.content[]: 'map' is none",
    ],
}

#: The same of requests.
SENT = {
    "the caller's own words, which the vendor shall judge": [
        "anthropic context_management",
        "anthropic mcp_servers",
        "cohere mystery",
        "openai guided_regex",
        "openai_completions guided_regex",
        "openai_responses tools[]: 'tool_of_tomorrow' is none",
        "openai_responses input[].type: 'of_tomorrow' is none",
        "openai_responses input[].what",
        "openai_responses input[].content: not a list: None",
        # Google takes its words in both spellings.
        "gemini generationConfig.thinkingConfig.thinking_level",
        "gemini generationConfig.thinkingConfig.include_thoughts",
        "gemini generationConfig.thinkingConfig.thinking_budget",
    ],
    "what the version of the API takes that goes with it (2023-06-01)": [
        "anthropic temperature",
        "anthropic top_p",
        "anthropic top_k",
        "vertex_anthropic temperature",
    ],
    # The server fills in what its types demand, and takes an earlier answer without identifier and status.
    "the vendor takes less than its types demand": [
        "openai_responses input[].id: missing",
        "openai_responses input[].content[].detail: missing",
        "openai_responses input[].content[]: 'output_text' is none",
    ],
    "the model stands in the address, the version in the body": [
        "anthropic_on_bedrock anthropic_version",
        "anthropic_on_bedrock anthropic_beta",
        "anthropic_on_bedrock model: missing",
        "vertex_anthropic anthropic_version",
        "vertex_anthropic model: missing",
    ],
}


#: The least that each vendor answers, by its format.
LEAST: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]}),
    "openai_responses": ("/v1/responses", {"model": "gpt", "input": "Hi"}),
    "openai_completions": ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "Hi"}),
    "anthropic": ("/v1/messages", {"model": "claude", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}),
    "gemini": ("/v1beta/models/gemini:generateContent", {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}),
    "cohere": ("/v2/chat", {"model": "command", "messages": [{"role": "user", "content": "Hi"}]}),
}
#: Parameters of a client's method that are no fields of this body: fields of the head, and one of Vertex AI's.
ELSEWHERE = {"anthropic": {"user_profile_id", "workspace_id"}, "gemini": {"labels"}}
CREDENTIALS = {"authorization": "Bearer k", "x-api-key": "k", "x-goog-api-key": "k", "anthropic-version": "2023-06-01"}


class Case(NamedTuple):
    """A fixture's folder, and the formats that its files are in."""

    folder: Path
    face: str
    #: `None` where the target is a compatible host, which may take more and less than the vendor.
    format: str | None


def cases() -> Iterator[Case]:
    for fixtures in sorted(SOURCES.glob("**/fixtures")):
        parent = str(fixtures.parent.relative_to(SOURCES))
        for folder in sorted(fixtures.iterdir()):
            target = json.loads((folder / "target.json").read_text()) if (folder / "target.json").exists() else {}
            face = target.get("face", "openai")
            if parent in TASKS:
                yield Case(folder, f"{parent}/{face}", None)
                continue
            is_vendor = "base_url" not in target and "row" not in target.get("host", {})
            yield Case(folder, face, target.get("format", FORMATS.get(parent, parent)) if is_vendor else None)


def answers() -> Iterator[tuple[Case, str, str, Any, Any]]:
    """Each answer and event: its case, file, format, shape and value."""
    for case in cases():
        whole, event = ANSWERS.get(case.face, (None, None))
        for name in ("answer.json", "collected.json"):
            if whole and (case.folder / name).exists():
                yield case, name, case.face, whole, json.loads((case.folder / name).read_text())
        stream = case.folder / "answer_stream.txt"
        if event and stream.exists():
            text = stream.read_text()
            for value in json.loads(text) if case.face == "gemini_array" else events(text):
                # A client passes over Anthropic's heartbeat before it looks for a type.
                if value.get("type") != "ping":
                    yield case, stream.name, case.face, event, value


def requests() -> Iterator[tuple[Case, str, str, Any, Any]]:
    for case in cases():
        sent = case.folder / "provider_request.json"
        if case.format in REQUESTS and sent.exists():
            yield case, sent.name, case.format, REQUESTS[case.format], json.loads(sent.read_text())


@pytest.mark.parametrize(("values", "listed", "least"), [(answers, ADDED, 1000), (requests, SENT, 250)])
def test_what_is_written_fits_the_official_clients(values: Callable[[], Iterator[tuple[Case, str, str, Any, Any]]], listed: dict[str, list[str]], least: int) -> None:
    known = [one for group in listed.values() for one in group]
    unused = set(known)
    failures, count = [], 0
    for case, name, written, shape, value in values():
        count += 1
        for found in misfits(shape, value):
            plain = f"{written} {INDEX.sub('[]', found)}"
            reason = next((one for one in known if plain == one or plain.startswith((f"{one}:", f"{one} "))), None)
            unused.discard(reason)
            if reason is None:
                failures.append(f"{case.folder.relative_to(SOURCES)}/{name}: {found}")
    assert not failures, "\n".join(failures)
    assert not unused, f"listed and not found any more: {sorted(unused)}"
    assert count > least, f"only {count} were looked at"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda it: it.pop("id"), "id: missing"),
        (lambda it: it.update(created="now"), "created: not int: 'now'"),
        (lambda it: it.update(creatd=1), "creatd: unknown"),
        (lambda it: it["choices"][0].update(finish_reason="done"), "choices[0].finish_reason: 'done' is none of"),
        (lambda it: it["choices"][0]["message"].update(tool_calls=[{"id": "a", "type": "function"}]), "choices[0].message.tool_calls[0].function: missing"),
        (lambda it: it["choices"][0]["message"].update(annotations=[{"type": "page"}]), "choices[0].message.annotations[0].type: 'page' is none of"),
        (lambda it: it.update(usage=[]), "usage: [] is none of"),
    ],
)
def test_each_kind_of_misfit_is_found(change: Callable[[dict[str, Any]], Any], says: str) -> None:
    completion: dict[str, Any] = {
        "id": "a",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    }
    assert misfits(chat.ChatCompletion, completion) == []
    change(completion)
    found = misfits(chat.ChatCompletion, completion)
    assert any(one.startswith(says) for one in found), found


@pytest.mark.parametrize("name", LEAST)
def test_the_simulated_vendor_answers_as_its_client_expects(sim: Sim, name: str) -> None:
    path, body = LEAST[name]
    answer = sim.http.post(path, json=body, headers=CREDENTIALS)
    assert answer.status_code == 200, answer.text
    found = [f"{name} {one}" for one in misfits(ANSWERS[name][0], answer.json())]
    assert [one for one in found if not one.startswith("openai_responses store")] == []


@pytest.mark.parametrize("name", LEAST)
def test_the_simulated_vendor_knows_every_field_that_is_published_and_its_type(sim: Sim, name: str) -> None:
    path, body = LEAST[name]

    def refusal(field: str) -> str:
        """What it says to a value that no field takes, with the field's name taken out."""
        answer = sim.http.post(path, json=body | {field: {"no_such": {"field": [{}]}}}, headers=CREDENTIALS)
        assert answer.is_client_error, f"{field} is taken with any value"
        told = answer.json()
        return (told.get("message") or told["error"]["message"]).replace(field, "…")

    unknown = refusal("nobody_knows_this")
    published = {field for one in unfolded([REQUESTS[name]]) for field in fields(one)} - set(body) - ELSEWHERE.get(name, set())
    assert len(published) > 5
    assert [field for field in sorted(published) if refusal(field) == unknown] == []
