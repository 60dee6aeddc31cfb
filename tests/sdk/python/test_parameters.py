"""Sampling, limits, stop sequences, and what only some providers know."""

import json
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from chats import collect, user


@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature": 0},
        {"top_p": 0.9},
        {"temperature": 1.7},
        {"max_tokens": 200},
        {"max_completion_tokens": 200},
        {"stop": "\n\n"},
        {"stop": ["END", "STOP"]},
        {"user": "customer 17 <seventeen@example.org>"},
        {"metadata": {"ticket": "42"}, "store": False},
        {"temperature": None, "stop": None, "tools": None, "max_tokens": None},
    ],
    ids=lambda parameters: "+".join(parameters),
)
def test_what_the_face_documents_is_taken_for_every_provider(client: OpenAI, model: str, parameters: dict[str, Any]) -> None:
    completion = client.chat.completions.create(model=model, messages=[user("Hello")], **parameters)
    assert completion.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_an_answer_ends_at_the_token_limit(client: OpenAI, model: str, limit: str, stream: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if stream else {}
    asked = client.chat.completions.create(model=model, messages=[user("[[sim words=500]]")], stream=stream, **{limit: 20}, **options)
    if stream:
        streamed = collect(asked)
        assert streamed.finish_reasons == ["length"]
        assert streamed.usages[0].completion_tokens <= 20
    else:
        assert asked.choices[0].finish_reason == "length"
        assert asked.usage.completion_tokens <= 20


@pytest.mark.parametrize("stop", ["STOP", ["never said", "STOP"]], ids=["one", "several"])
def test_an_answer_ends_before_a_stop_sequence(client: OpenAI, model: str, stop: str | list[str]) -> None:
    asked = user('[[sim text="one two STOP three"]]')
    completion = client.chat.completions.create(model=model, messages=[asked], stop=stop)
    assert completion.choices[0].message.content.strip() == "one two"
    assert completion.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", ["openai/gpt-5", "anthropic/claude-opus-4-7"])
def test_a_provider_that_refuses_sampling_is_still_usable(client: OpenAI, model: str) -> None:
    if model.startswith("openai/"):
        # The caller speaks OpenAI's format to OpenAI: the request is not ours to change, and the refusal is OpenAI's.
        with pytest.raises(BadRequestError) as refused:
            client.chat.completions.create(model=model, messages=[user("Hello")], temperature=0.2)
        assert refused.value.param == "temperature"
    else:
        completion = client.chat.completions.create(
            model=model, messages=[user("Hello")], temperature=0.2, extra_headers={"x-trunkline-report": "conversion"}
        )
        assert "temperature" in json.dumps(completion.model_extra["trunkline"]["conversion"]["dropped"])


def test_of_two_ways_to_sample_one_is_kept_where_the_provider_takes_only_one(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model="anthropic/claude-sonnet-4-5",
        messages=[user("Hello")],
        temperature=0.7,
        top_p=0.9,
        extra_headers={"x-trunkline-report": "conversion"},
    )
    report = completion.model_extra["trunkline"]["conversion"]
    assert [loss["field"] for loss in report["dropped"]] == ["top_p"]
    assert "temperature" in report["carried"]


@pytest.mark.parametrize("parameters", [{"logit_bias": {"50256": -100}}, {"seed": 7}, {"frequency_penalty": 0.5, "presence_penalty": 0.5}])
def test_what_a_provider_does_not_know_is_dropped_and_said(client: OpenAI, parameters: dict[str, Any]) -> None:
    completion = client.chat.completions.create(
        model="anthropic/claude", messages=[user("Hello")], extra_headers={"x-trunkline-report": "conversion"}, **parameters
    )
    dropped = json.dumps(completion.model_extra["trunkline"]["conversion"]["dropped"])
    assert all(name in dropped for name in parameters)


def test_values_out_of_range_are_the_callers_mistake(client: OpenAI, model: str) -> None:
    with pytest.raises(BadRequestError):
        client.chat.completions.create(model=model, messages=[user("Hello")], temperature=9)
