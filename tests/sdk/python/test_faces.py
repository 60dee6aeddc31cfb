"""Every official client against every provider: the same conversation, and nothing of it lost."""

import json

import pytest

from faces import FACES, Face
from stack import Gateway

TARGETS = [
    "openai/gpt",
    "anthropic/claude",
    "google/gemini",
    "cohere/command-a",
    "bedrock/amazon.nova-pro-v1:0",
    "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0",
    "azure/gpt",
    "vertex/gemini",
    "vertex/claude",
]
#: What a call's finish is called, by client: after a text, and after a tool call.
FINISHED = {"stop", "completed", "end_turn", "STOP", "COMPLETE"}
CALLED = {"tool_calls", "completed", "tool_use", "STOP", "TOOL_CALL"}
UNICODE = "Grüße, 世界! 👩‍👩‍👧‍👦 e\u0301 \U0001f1e9\U0001f1ea"


@pytest.fixture(params=FACES, ids=lambda face: face.name)
def face(request: pytest.FixtureRequest, gateway: Gateway) -> Face:
    return request.param(gateway)


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return request.param


def test_a_text_arrives_with_its_usage_and_is_recorded(face: Face, target: str, stream: bool, gateway: Gateway, request_id: str) -> None:
    answer = face.ask(target, [("user", f'[[sim text="{UNICODE}"]]')], stream=stream, **{"x-client-request-id": request_id})
    assert answer.text == UNICODE
    assert answer.finish in FINISHED
    assert answer.input_tokens > 0
    assert answer.output_tokens > 0
    call = gateway.logged(request_id)
    assert call["state"] == "settled"
    assert call["streamed"] is stream
    assert call["usage"]["input_tokens"] == answer.input_tokens
    assert call["usage"]["output_tokens"] == answer.output_tokens


def test_a_tool_is_called_and_its_result_is_heard(face: Face, target: str, stream: bool) -> None:
    question = ("user", "Use get_weather for Oslo")
    first = face.ask(target, [question], tools=True, stream=stream)
    assert [call.name for call in first.calls] == ["get_weather"]
    assert isinstance(first.calls[0].arguments["city"], str)
    assert first.finish in CALLED
    second = face.ask(target, [question, ("calls", first), ("results", [(first.calls[0].id, "rain")])], tools=True, stream=stream)
    assert second.text
    assert not second.calls


def test_parallel_calls_keep_apart_and_their_results_find_them(face: Face, target: str, stream: bool) -> None:
    question = ("user", "Use get_weather, get_weather and get_weather again")
    first = face.ask(target, [question], tools=True, stream=stream)
    assert len(first.calls) == 3
    # Gemini itself gives its calls no identifiers; their places tell them apart.
    assert len({call.id for call in first.calls}) == 3 or [call.id for call in first.calls] == [None] * 3
    results = [(call.id, f"rain {place}") for place, call in enumerate(first.calls)]
    second = face.ask(target, [question, ("calls", first), ("results", results)], tools=True, stream=stream)
    assert second.text


def test_an_image_is_seen(face: Face, target: str) -> None:
    model = target.replace("command-a", "command-a-vision")
    answer = face.ask(model, [("image", "What is this?")])
    assert answer.text


def test_an_answer_follows_a_schema(face: Face, target: str, stream: bool) -> None:
    answer = face.ask(target, [("user", "Who is it?")], schema=True, stream=stream)
    person = json.loads(answer.text)
    assert set(person) == {"name", "age"}


def test_a_long_stream_arrives_whole(face: Face, target: str) -> None:
    answer = face.ask(target, [("user", "[[sim words=300 chunks=150]]")], stream=True)
    assert len(answer.text.split()) >= 300


def test_a_provider_that_is_busy_raises_the_clients_own_error(face: Face, target: str) -> None:
    with pytest.raises(face.errors[429]):
        face.ask(target, [("user", "[[sim status=429 retry-after=60]]")])


def test_an_unknown_model_raises_the_clients_own_error(face: Face) -> None:
    with pytest.raises(face.errors[404]):
        face.ask("nobody/nothing", [("user", "Hello")])
