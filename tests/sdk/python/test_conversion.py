"""The report of what a translation carried, changed and dropped."""

import json

import openai
import pytest
from openai import OpenAI

from chats import user
from stack import Sim

REPORT = {"x-trunkline-report": "conversion"}
TRANSLATED = ["anthropic/claude", "google/gemini"]


@pytest.mark.parametrize("model", TRANSLATED)
def test_a_translated_answer_carries_its_report(client: OpenAI, model: str) -> None:
    completion = client.chat.completions.create(
        model=model, messages=[user("Hello")], temperature=0.5, logit_bias={"50256": -100}, extra_headers=REPORT
    )
    report = completion.model_extra["trunkline"]["conversion"]
    assert set(report) == {"carried", "changed", "dropped"}
    assert {"messages", "temperature"} <= set(report["carried"])
    (loss,) = [loss for loss in report["dropped"] if loss["field"] == "logit_bias"]
    assert loss["reason"]


@pytest.mark.parametrize("model", TRANSLATED)
def test_a_stream_carries_its_report_in_its_last_frame(client: OpenAI, model: str) -> None:
    chunks = list(
        client.chat.completions.create(model=model, messages=[user("Hello")], logit_bias={"1": 1}, stream=True, extra_headers=REPORT)
    )
    assert "logit_bias" in json.dumps(chunks[-1].model_extra["trunkline"]["conversion"]["dropped"])
    assert not any("trunkline" in (chunk.model_extra or {}) for chunk in chunks[:-1])


def test_a_clamped_temperature_is_a_change(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="anthropic/claude", messages=[user("Hello")], temperature=1.7, extra_headers=REPORT)
    assert "temperature" in [change["field"] for change in completion.model_extra["trunkline"]["conversion"]["changed"]]


def test_there_is_no_report_unless_asked_for(client: OpenAI, model: str) -> None:
    completion = client.chat.completions.create(model=model, messages=[user("Hello")])
    assert "trunkline" not in (completion.model_extra or {})


def test_a_strict_route_refuses_to_drop_anything(client: OpenAI, sim: Sim) -> None:
    assert client.chat.completions.create(model="strict-claude", messages=[user("Hello")]).choices
    sim.forget_calls()
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="strict-claude", messages=[user("Hello")], logit_bias={"50256": -100})
    assert "logit_bias" in refused.value.message
    assert sim.calls() == []
