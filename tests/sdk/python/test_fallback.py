"""Two providers of which one fails: every official client sees good answers only."""

import uuid

import pytest

from chats import identified
from faces import FACES, Face
from stack import Gateway

#: Routes of `trunkline.yaml` whose fallback speaks another format than their target.
ROUTES = ["sturdy-openai", "sturdy-anthropic", "sturdy-google"]
#: What goes wrong before there is any content.
FAILURES = ["status=429", "status=500", "status=503", "hang=head", "error-200", "html", "cut=0"]
SAFE = "Please try again shortly."


@pytest.fixture(scope="session", params=FACES, ids=lambda face: face.name)
def face(request: pytest.FixtureRequest, gateway: Gateway) -> Face:
    return request.param(gateway)


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return request.param


def failing_once(failure: str) -> tuple[str, str]:
    return "user", f"[[sim {failure} times=1 id={uuid.uuid4()}]] Hello"


@pytest.mark.parametrize("route", ROUTES)
def test_a_client_sees_good_answers_only(face: Face, stream: bool, route: str) -> None:
    for failure in FAILURES:
        answer = face.ask(route, [failing_once(failure)], stream=stream)
        assert "Hello" in answer.text, failure
        assert answer.output_tokens > 0, failure


def test_the_log_says_who_stood_in(face: Face, stream: bool, gateway: Gateway, request_id: str) -> None:
    face.ask("sturdy-absent", [("user", "Hello")], stream=stream, headers=identified(request_id))
    call = gateway.logged(request_id)
    assert [(attempt["provider"], attempt.get("reason", "first")) for attempt in call["attempts"]] == [("absent", "first"), ("openai", "fallback")]
    assert call["state"] == "settled"


def test_the_safe_reply_is_an_answer_to_every_client(face: Face, stream: bool, gateway: Gateway, request_id: str) -> None:
    answer = face.ask("safe", [("user", "[[sim status=500]] Hello")], stream=stream, headers=identified(request_id))
    assert answer.text == SAFE
    assert not answer.calls
    call = gateway.logged(request_id)
    assert (call["state"], call["end_reason"], call["status"]) == ("failed", "safe_reply", 200)


def test_a_stream_that_is_cut_goes_on_unseen(face: Face, gateway: Gateway, request_id: str) -> None:
    wish = f"[[sim words=60 chunks=30 cut=12 times=1 id={uuid.uuid4()}]]"
    whole = face.ask("anthropic/claude", [("user", "[[sim words=60]]")])
    answer = face.ask("continued", [("user", wish)], stream=True, headers=identified(request_id))
    assert answer.text == whole.text
    call = gateway.logged(request_id)
    assert [attempt.get("reason", "first") for attempt in call["attempts"]] == ["first", "continuation"]
    usage = call["usage"]
    assert (answer.input_tokens, answer.output_tokens) == (usage["input_tokens"], usage["output_tokens"])
