"""Failures that go away: the gateway tries again, the caller sees one answer."""

import uuid

import openai
import pytest
from openai import OpenAI

from chats import collect, identified, user
from stack import Gateway, Sim


def failing_once(status: int, **more: str) -> dict[str, str]:
    items = " ".join(f"{key}={value}" for key, value in more.items())
    return user(f"[[sim status={status} times=1 id={uuid.uuid4()} {items}]] Hello")


@pytest.mark.parametrize("status", [429, 503])
def test_a_passing_failure_is_tried_again(client: OpenAI, gateway: Gateway, sim: Sim, model: str, request_id: str, status: int) -> None:
    response = client.chat.completions.with_raw_response.create(
        model=model, messages=[failing_once(status)], extra_headers=identified(request_id)
    )
    assert "Hello" in response.parse().choices[0].message.content
    assert response.headers["x-trunkline-attempts"] == "2"
    assert [call["status"] for call in sim.calls()] == [status, 200]
    logged = gateway.logged(request_id)
    assert logged["state"] == "settled"
    assert [attempt["status"] for attempt in logged["attempts"]] == [status, 200]
    assert [attempt["number"] for attempt in logged["attempts"]] == [1, 2]


def test_a_stream_is_tried_again_before_its_first_event(client: OpenAI, sim: Sim, model: str) -> None:
    streamed = collect(client.chat.completions.create(model=model, messages=[failing_once(429)], stream=True))
    assert "Hello" in streamed.content
    assert streamed.roles == ["assistant"]
    assert [call["status"] for call in sim.calls()] == [429, 200]


def test_the_provider_says_how_long_to_wait(client: OpenAI, gateway: Gateway, model: str, request_id: str) -> None:
    client.chat.completions.create(model=model, messages=[failing_once(429, **{"retry-after": "1"})], extra_headers=identified(request_id))
    assert gateway.logged(request_id)["latency_ms"] >= 1000


def test_a_refused_request_is_not_tried_again(client: OpenAI, sim: Sim, model: str) -> None:
    with pytest.raises(openai.BadRequestError) as failure:
        client.chat.completions.create(model=model, messages=[failing_once(400)])
    assert failure.value.response.headers["x-trunkline-attempts"] == "1"
    assert len(sim.calls()) == 1


def test_the_clients_own_retry_works_too(gateway: Gateway, sim: Sim) -> None:
    completion = gateway.client(max_retries=2).chat.completions.create(model="once-anthropic", messages=[failing_once(429)])
    assert "Hello" in completion.choices[0].message.content
    assert len(sim.calls()) == 2
