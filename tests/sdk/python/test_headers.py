"""What every answer says about itself."""

import re
from decimal import Decimal

import pytest
from openai import OpenAI

from chats import identified, user
from stack import Gateway

PRICED = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "google/gemini-2.5-flash"]


def test_an_answer_names_its_call_provider_and_model(client: OpenAI, model: str) -> None:
    headers = client.chat.completions.with_raw_response.create(model=model, messages=[user("Hello")]).headers
    provider, name = model.split("/")
    assert headers["x-request-id"]
    assert headers["x-trunkline-provider"] == provider
    assert headers["x-trunkline-model"] == name
    assert headers["x-trunkline-attempts"] == "1"
    assert headers["x-trunkline-cache"] in {"miss", "bypass"}
    assert float(headers["x-trunkline-overhead-ms"]) >= 0


def test_a_stream_names_its_call_provider_and_model(client: OpenAI, model: str) -> None:
    with client.chat.completions.with_streaming_response.create(model=model, messages=[user("Hello")], stream=True) as response:
        headers = response.headers
        assert headers["x-request-id"]
        assert headers["x-trunkline-provider"] == model.split("/")[0]
        assert headers["x-trunkline-model"] == model.split("/")[1]
        assert "x-trunkline-cost-usd" not in headers
        response.read()


@pytest.mark.parametrize("model", PRICED)
def test_the_cost_in_the_answer_is_the_cost_in_the_log(client: OpenAI, gateway: Gateway, model: str, request_id: str) -> None:
    response = client.chat.completions.with_raw_response.create(
        model=model, messages=[user("[[sim words=100]]")], extra_headers=identified(request_id)
    )
    cost = response.headers["x-trunkline-cost-usd"]
    assert re.fullmatch(r"\d+\.\d{9}", cost)
    assert Decimal(cost) > 0
    logged = gateway.logged(request_id)
    assert logged["cost_usd"] == cost
    assert logged["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("model", PRICED)
def test_a_stream_costs_what_the_whole_answer_costs(client: OpenAI, gateway: Gateway, model: str, request_id: str) -> None:
    asked = {"model": model, "messages": [user("[[sim words=100]]")]}
    client.chat.completions.create(**asked, extra_headers=identified(f"{request_id}-whole"))
    for _ in client.chat.completions.create(**asked, stream=True, extra_headers=identified(f"{request_id}-stream")):
        pass
    assert gateway.logged(f"{request_id}-stream")["cost_usd"] == gateway.logged(f"{request_id}-whole")["cost_usd"]


def test_failures_name_their_call_too(client: OpenAI, gateway: Gateway) -> None:
    response = gateway.post(b"{", **{"x-client-request-id": "mine"})
    assert response.headers["x-request-id"]


def test_headers_of_the_providers_own_account_do_not_leak(client: OpenAI, model: str) -> None:
    """The limits and the organisation are those of the gateway's account, and say nothing about the caller's."""
    headers = client.chat.completions.with_raw_response.create(model=model, messages=[user("Hello")]).headers
    assert not [name for name in headers if name.startswith(("anthropic-ratelimit-", "openai-organization", "set-cookie"))]
