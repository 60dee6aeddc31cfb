"""Refusals and safety blocks."""

import pytest
from openai import ContentFilterFinishReasonError, OpenAI

from chats import check_usage, collect, user
from test_structured import Bicycle

NATIVE_FINISHES = [
    ("openai/gpt", "content_filter"),
    ("anthropic/claude", "refusal"),
    ("google/gemini", "SAFETY"),
    ("google/gemini", "PROHIBITED_CONTENT"),
]


@pytest.mark.parametrize("target", ["anthropic/claude", "google/gemini"])
def test_a_refusal_finishes_as_content_filter(client: OpenAI, target: str) -> None:
    completion = client.chat.completions.create(model=target, messages=[user("[[sim refusal]]")])
    assert completion.choices[0].finish_reason == "content_filter"
    check_usage(completion.usage)


@pytest.mark.parametrize("target", ["anthropic/claude", "google/gemini"])
def test_a_streamed_refusal_finishes_as_content_filter(client: OpenAI, target: str) -> None:
    streamed = collect(client.chat.completions.create(model=target, messages=[user("[[sim refusal]]")], stream=True))
    assert streamed.roles == ["assistant"]
    assert streamed.finish_reasons == ["content_filter"]


def test_openais_own_refusal_stays_as_it_is(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="openai/gpt", messages=[user("[[sim refusal]]")])
    assert completion.choices[0].message.refusal
    assert not completion.choices[0].message.content
    streamed = collect(client.chat.completions.create(model="openai/gpt", messages=[user("[[sim refusal]]")], stream=True))
    assert streamed.refusal == completion.choices[0].message.refusal


@pytest.mark.parametrize(("target", "native"), NATIVE_FINISHES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_native_safety_finish_becomes_content_filter(client: OpenAI, target: str, native: str, stream: bool) -> None:
    asked = client.chat.completions.create(model=target, messages=[user(f"[[sim finish={native}]]")], stream=stream)
    finishes = collect(asked).finish_reasons if stream else [asked.choices[0].finish_reason]
    assert finishes == ["content_filter"]


def test_the_clients_own_parse_sees_the_filter(client: OpenAI, model: str) -> None:
    native = dict(NATIVE_FINISHES[:3])[model]
    with pytest.raises(ContentFilterFinishReasonError):
        client.chat.completions.parse(model=model, messages=[user(f"[[sim finish={native}]]")], response_format=Bicycle)
