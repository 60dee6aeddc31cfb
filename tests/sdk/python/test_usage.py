"""Usage: one arithmetic in the answer, in the stream, in the call log."""

from typing import Any

import pytest
from openai import OpenAI
from openai.types import CompletionUsage

from chats import check_usage, collect, identified, user
from stack import Gateway, Sim
from test_reasoning import THINKERS


def ask(client: OpenAI, model: str, words: str, request_id: str, stream: bool, **parameters: Any) -> CompletionUsage | None:
    options = {"stream_options": {"include_usage": True}} if stream else {}
    asked = client.chat.completions.create(
        model=model, messages=[user(words)], stream=stream, extra_headers=identified(request_id), **options, **parameters
    )
    if not stream:
        return asked.usage
    return next(iter(collect(asked).usages), None)


@pytest.mark.parametrize("stream", [False, True])
def test_the_answer_the_log_and_the_provider_count_the_same(
    client: OpenAI, gateway: Gateway, sim: Sim, model: str, request_id: str, stream: bool
) -> None:
    usage = check_usage(ask(client, model, "Count on it [[sim cached=5]]", request_id, stream))
    logged = gateway.logged(request_id)
    (call,) = sim.calls()
    assert logged["state"] == "settled"
    assert call["completed"]
    assert usage.prompt_tokens == logged["usage"]["input_tokens"] == call["usage"]["input"]
    assert usage.completion_tokens == logged["usage"]["output_tokens"] == call["usage"]["output"]
    assert usage.prompt_tokens_details.cached_tokens == logged["usage"]["cached_input_tokens"] == call["usage"]["cached_input"] == 5


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("target", ["openai/gpt-5", *THINKERS])
def test_reasoning_is_part_of_the_output(client: OpenAI, gateway: Gateway, sim: Sim, target: str, request_id: str, stream: bool) -> None:
    usage = check_usage(ask(client, target, "Think", request_id, stream, reasoning_effort="high"))
    logged = gateway.logged(request_id)["usage"]
    (call,) = sim.calls()
    assert usage.completion_tokens == logged["output_tokens"] == call["usage"]["output"]
    assert usage.completion_tokens_details.reasoning_tokens == logged["reasoning_tokens"] == call["usage"]["reasoning"] > 0


def test_a_stream_is_logged_with_its_usage_even_if_the_caller_did_not_ask_for_it(
    client: OpenAI, gateway: Gateway, sim: Sim, model: str, request_id: str
) -> None:
    stream = client.chat.completions.create(model=model, messages=[user("Hello")], stream=True, extra_headers=identified(request_id))
    assert collect(stream).usages == []
    logged = gateway.logged(request_id)
    (call,) = sim.calls()
    assert logged["state"] == "settled"
    assert logged["usage"]["input_tokens"] == call["usage"]["input"] > 0
    assert logged["usage"]["output_tokens"] == call["usage"]["output"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_an_explicit_zero_is_zero(client: OpenAI, gateway: Gateway, model: str, request_id: str, stream: bool) -> None:
    usage = ask(client, model, "[[sim usage=zero]]", request_id, stream)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (0, 0, 0)
    logged = gateway.logged(request_id)
    assert logged["state"] == "settled"
    assert logged["usage"]["input_tokens"] == logged["usage"]["output_tokens"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_missing_usage_is_estimated_and_flagged(client: OpenAI, gateway: Gateway, model: str, request_id: str, stream: bool) -> None:
    ask(client, model, "[[sim usage=none words=50]]", request_id, stream)
    logged = gateway.logged(request_id)
    assert logged["state"] == "estimated"
    assert logged["usage"]["input_tokens"] > 0
    assert logged["usage"]["output_tokens"] > 0
