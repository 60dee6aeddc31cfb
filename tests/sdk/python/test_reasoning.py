"""Reasoning: effort in, content and tokens out, and what must travel back in the next turn."""

import pytest
from openai import OpenAI

from chats import check_usage, collect, user
from test_tools import TOOLS

# Two generations of each: thinking within a budget of tokens, and at a level of effort.
THINKERS = ["anthropic/claude-sonnet-4-5", "anthropic/claude-opus-4-7", "google/gemini-2.5-pro", "google/gemini-3-pro"]
CLAUDE = THINKERS[0]


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
@pytest.mark.parametrize("target", ["openai/gpt-5", *THINKERS])
def test_effort_becomes_reasoning_tokens(client: OpenAI, target: str, effort: str) -> None:
    completion = client.chat.completions.create(model=target, messages=[user("Think")], reasoning_effort=effort)
    usage = check_usage(completion.usage)
    assert usage.completion_tokens_details.reasoning_tokens > 0
    assert completion.choices[0].message.content


@pytest.mark.parametrize("target", ["openai/deepseek-r1", *THINKERS])
def test_reasoning_is_told_apart_from_the_answer(client: OpenAI, target: str) -> None:
    asked = {"model": target, "messages": [user("Think of Oslo")]} | ({} if "deepseek" in target else {"reasoning_effort": "medium"})
    message = client.chat.completions.create(**asked).choices[0].message
    assert message.reasoning_content
    assert message.reasoning_content not in message.content
    streamed = collect(client.chat.completions.create(**asked, stream=True))
    assert streamed.reasoning == message.reasoning_content
    assert streamed.content == message.content
    assert streamed.roles == ["assistant"]


@pytest.mark.parametrize("target", THINKERS)
def test_a_turn_given_back_as_it_came_is_taken(client: OpenAI, target: str) -> None:
    """The simulated providers refuse reasoning whose signature is missing or does not fit."""
    messages = [user("Use get_weather for Oslo")]
    asked = {"model": target, "tools": TOOLS, "reasoning_effort": "medium"}
    first = client.chat.completions.create(messages=messages, **asked)
    (call,) = first.choices[0].message.tool_calls
    messages += [first.choices[0].message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "cold"}]
    second = client.chat.completions.create(messages=messages, **asked)
    assert "cold" in second.choices[0].message.content
    messages += [second.choices[0].message.model_dump(exclude_none=True), user("Thank you")]
    third = client.chat.completions.create(messages=messages, **asked)
    assert "Thank you" in third.choices[0].message.content


def test_reasoning_without_its_signature_is_left_out_not_refused(client: OpenAI) -> None:
    history = {"role": "assistant", "content": "Oslo is cold.", "reasoning_content": "Let me think of something nobody signed."}
    messages = [user("How is Oslo?"), history, user("Thank you")]
    completion = client.chat.completions.create(model=CLAUDE, messages=messages, reasoning_effort="low")
    assert "Thank you" in completion.choices[0].message.content


def test_reasoning_that_the_provider_encrypted_travels_back(client: OpenAI) -> None:
    messages = [user("Think [[sim redacted]]")]
    first = client.chat.completions.create(model=CLAUDE, messages=messages, reasoning_effort="low")
    messages += [first.choices[0].message.model_dump(exclude_none=True), user("Go on")]
    second = client.chat.completions.create(model=CLAUDE, messages=messages, reasoning_effort="low")
    assert "Go on" in second.choices[0].message.content


def test_no_effort_means_no_reasoning(client: OpenAI) -> None:
    completion = client.chat.completions.create(model=CLAUDE, messages=[user("Hello")], reasoning_effort="none")
    assert not getattr(completion.choices[0].message, "reasoning_content", None)
