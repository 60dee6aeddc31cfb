"""Every official client against every provider: the same conversation, nothing of it lost, and all of it in the ledger."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from chats import identified
from faces import FACES, Face
from faces.face import Answer
from stack import Dribble, Gateway, Sim
from targets import TARGETS, Target, cost

#: What a call's finish is called, by client: after a text, and after a tool call.
FINISHED = {"stop", "completed", "end_turn", "STOP", "COMPLETE"}
CALLED = {"tool_calls", "completed", "tool_use", "STOP", "TOOL_CALL"}
UNICODE = "Grüße, 世界! 👩‍👩‍👧‍👦 e\u0301 \U0001f1e9\U0001f1ea"


@pytest.fixture(scope="session", params=FACES, ids=lambda face: face.name)
def face(request: pytest.FixtureRequest, gateway: Gateway) -> Face:
    return request.param(gateway)


@pytest.fixture(params=TARGETS, ids=str)
def target(request: pytest.FixtureRequest) -> Target:
    return request.param


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(scope="session")
def dribble(gateway: Gateway) -> Iterator[Dribble]:
    """The gateway behind a line that carries one byte at a time, both ways."""
    dribble = Dribble(gateway.url)
    yield dribble
    dribble.stop()


def check_recorded(call: dict[str, Any], answer: Answer, stream: bool) -> None:
    """The ledger has the same tokens as the client, and their price."""
    assert call["state"] == "settled"
    assert call["streamed"] is stream
    assert call["status"] == 200
    assert len(call["attempts"]) == 1
    usage = call["usage"]
    assert answer.input_tokens == usage["input_tokens"] > 0
    assert answer.output_tokens == usage["output_tokens"] > 0
    assert answer.cached_tokens == usage.get("cached_input_tokens", 0)
    assert Decimal(call["cost_usd"]) == cost(usage)


def test_a_text_arrives_with_its_usage_and_is_recorded(face: Face, target: Target, stream: bool, gateway: Gateway, request_id: str) -> None:
    """The provider hands its answer over one byte at a time."""
    turns = [("user", f'[[sim text="{UNICODE}" bytes=1 cached=3]]')]
    answer = face.ask(target.model, turns, stream=stream, headers=identified(request_id))
    assert answer.text == UNICODE
    assert answer.finish in FINISHED
    assert answer.cached_tokens == 3
    check_recorded(gateway.logged(request_id), answer, stream)


def test_text_is_not_broken_between_any_two_bytes_of_the_callers(face: Face, target: Target, dribble: Dribble) -> None:
    answer = type(face)(face.gateway, dribble.url).ask(target.model, [("user", f"Say {UNICODE}")], stream=True)
    assert UNICODE in answer.text


def test_a_tool_is_called_and_its_result_is_heard(face: Face, target: Target, stream: bool) -> None:
    question = ("user", "Use get_weather for Oslo")
    first = face.ask(target.model, [question], tools=True, stream=stream)
    assert [call.name for call in first.calls] == ["get_weather"]
    assert isinstance(first.calls[0].arguments["city"], str)
    assert first.finish in CALLED
    second = face.ask(target.model, [question, ("answer", first), ("results", [(first.calls[0].id, "rain")])], tools=True, stream=stream)
    assert "rain" in second.text
    assert not second.calls


def test_parallel_calls_keep_apart_and_their_results_find_them(face: Face, target: Target, stream: bool) -> None:
    wishes = " ".join(f'call=get_weather arguments="{{\\"city\\": \\"{city}\\"}}"' for city in ("Oslo", "Köln", "東京"))
    question = ("user", f"How is it? [[sim {wishes}]]")
    first = face.ask(target.model, [question], tools=True, stream=stream)
    assert [call.arguments for call in first.calls] == [{"city": "Oslo"}, {"city": "Köln"}, {"city": "東京"}]
    # Gemini itself gives its calls no identifiers; their places tell them apart.
    assert len({call.id for call in first.calls}) == 3 or [call.id for call in first.calls] == [None] * 3
    results = [(call.id, f"rain in {call.arguments['city']}") for call in first.calls]
    second = face.ask(target.model, [question, ("answer", first), ("results", results)], tools=True, stream=stream)
    places = [second.text.find(text) for _, text in results]
    assert -1 not in places
    assert places == sorted(places)


def test_an_image_is_seen(face: Face, target: Target, sim: Sim) -> None:
    answer = face.ask(target.seer or target.model, [("image", "What is this?")])
    assert "What is this?" in answer.text
    plain = face.ask(target.seer or target.model, [("user", "What is this?")])
    assert answer.input_tokens > plain.input_tokens


def test_a_document_is_read_or_refused_with_a_reason(face: Face, target: Target) -> None:
    turns = [("document", "What does it say?")]
    if target.refuses_documents and face.name != "cohere":
        with pytest.raises(face.errors[400]) as refused:
            face.ask(target.model, turns)
        assert target.refuses_documents in face.failure(refused.value).message
        return
    answer = face.ask(target.model, turns)
    assert "What does it say?" in answer.text
    plain = face.ask(target.model, [("user", "What does it say?")])
    assert answer.input_tokens > plain.input_tokens


def test_an_answer_follows_a_schema(face: Face, target: Target, stream: bool) -> None:
    answer = face.ask(target.model, [("user", "Who is it?")], schema=True, stream=stream)
    person = json.loads(answer.text)
    assert set(person) == {"name", "age"}
    assert isinstance(person["age"], int)


def test_thoughts_are_shown_counted_and_travel_back_with_the_tools_result(
    face: Face, target: Target, stream: bool, gateway: Gateway, request_id: str
) -> None:
    """The simulated providers refuse a second turn whose thoughts are missing or do not bear their signature."""
    question = ("user", "Use get_weather for Oslo")
    asked = {"tools": True, "thoughts": True, "stream": stream}
    first = face.ask(target.thinker, [question], headers=identified(request_id), **asked)
    assert [call.name for call in first.calls] == ["get_weather"]
    if target.shows_thoughts and face.shows_thoughts:
        assert "Simulated reasoning" in first.thoughts
    assert "Simulated reasoning" not in first.text
    usage = gateway.logged(request_id)["usage"]
    assert usage["output_tokens"] == first.output_tokens
    if target.counts_thoughts:
        assert 0 < usage["reasoning_tokens"] <= usage["output_tokens"]
    second = face.ask(target.thinker, [question, ("answer", first), ("results", [(first.calls[0].id, "rain")])], **asked)
    assert "rain" in second.text


def test_a_stream_of_thousands_of_events_arrives_whole(face: Face, target: Target) -> None:
    answer = face.ask(target.model, [("user", "[[sim words=2500 chunks=2000]]")], stream=True)
    assert answer.pieces >= 2000
    assert len(answer.text.split()) == 2500


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_a_providers_failure_raises_the_clients_own_class(
    face: Face, target: Target, status: int, gateway: Gateway, request_id: str
) -> None:
    turns = [("user", f"[[sim status={status} retry-after=60]]")]
    with pytest.raises(face.errors[status]) as raised:
        face.ask(target.model, turns, headers=identified(request_id))
    failure = face.failure(raised.value)
    assert failure.status == face.statuses.get(status, status)
    assert failure.message
    call = gateway.logged(request_id)
    assert failure.request_id == call["request_id"]
    assert failure.retry_after == ("60" if status in {429, 500, 503} else None)
    assert call["state"] == "failed"
    assert Decimal(call["cost_usd"]) == 0


def test_a_caller_that_goes_away_is_accounted_for(face: Face, target: Target, sim: Sim, gateway: Gateway, request_id: str) -> None:
    turns = [("user", "[[sim chunks=100 words=200 chunk-delay=30]]")]
    face.hang_up(target.model, turns, after=6, headers=identified(request_id))
    call = gateway.logged(request_id)
    assert call["state"] == "cancelled"
    assert call["usage"]["input_tokens"] > 0
    assert 0 < Decimal(call["cost_usd"]) == cost(call["usage"])
    (asked,) = sim.calls()
    assert not asked["completed"]


def test_an_unknown_model_raises_the_clients_own_class(face: Face) -> None:
    with pytest.raises(face.errors[404]):
        face.ask("nobody/nothing", [("user", "Hello")])


def test_an_unknown_key_raises_the_clients_own_class(face: Face, running_sim: Sim) -> None:
    class Stranger:
        url, key = face.gateway.url, "not-a-key-of-this-gateway"

    with pytest.raises(face.errors[401]) as raised:
        type(face)(Stranger()).ask("openai/gpt", [("user", "Hello")])
    assert face.failure(raised.value).status == 401
