"""Callers that go away: the provider is not left talking, and the call is accounted for."""

import pytest
from openai import APITimeoutError, OpenAI

from chats import check_usage, identified, user
from stack import Gateway, Sim, wait_for


def test_closing_a_stream_early_ends_the_call(client: OpenAI, gateway: Gateway, sim: Sim, model: str, request_id: str) -> None:
    stream = client.chat.completions.create(
        model=model, messages=[user("[[sim chunks=200 words=400 chunk-delay=50]]")], stream=True, extra_headers=identified(request_id)
    )
    with stream:
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
    logged = gateway.logged(request_id)
    assert logged["state"] in {"cancelled", "settled", "estimated"}
    assert logged["usage"]["input_tokens"] > 0
    (call,) = sim.calls()
    assert call["completed"] == (logged["state"] == "settled"), "only an answer that was read to its end is settled"


def test_a_caller_that_stops_waiting_ends_the_call(gateway: Gateway, sim: Sim, model: str, request_id: str) -> None:
    with pytest.raises(APITimeoutError):
        gateway.client(timeout=0.5).chat.completions.create(
            model=model, messages=[user("[[sim latency=60000]]")], extra_headers=identified(request_id)
        )
    logged = gateway.logged(request_id)
    assert logged["state"] == "cancelled"
    assert logged["latency_ms"] < 5000
    (call,) = sim.calls()
    assert not call["completed"]


def test_a_stream_read_to_its_last_event_is_settled(client: OpenAI, gateway: Gateway, sim: Sim, model: str, request_id: str) -> None:
    """The client closes the connection as soon as it has seen `[DONE]`; that is no hang-up."""
    for _ in client.chat.completions.create(model=model, messages=[user("Hello")], stream=True, extra_headers=identified(request_id)):
        pass
    assert gateway.logged(request_id)["state"] == "settled"
    wait_for(lambda: all(call["completed"] for call in sim.calls()), "the provider's answer to be read to its end")


def test_the_gateway_serves_on_after_many_hang_ups(client: OpenAI, gateway: Gateway, model: str, request_id: str) -> None:
    for n in range(20):
        with client.chat.completions.create(
            model=model, messages=[user("[[sim chunks=50 chunk-delay=20]]")], stream=True, extra_headers=identified(f"{request_id}-{n}")
        ) as stream:
            next(iter(stream))
    for n in range(20):
        assert gateway.logged(f"{request_id}-{n}")["state"] in {"cancelled", "settled", "estimated"}
    check_usage(client.chat.completions.create(model=model, messages=[user("Still there?")]).usage)
