"""Plain chat, streamed."""

import time

import pytest
from openai import OpenAI

from chats import answering, check_usage, collect, user


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_has_one_role_one_finish_and_usage_only_on_request(client: OpenAI, model: str, include_usage: bool) -> None:
    whole = client.chat.completions.create(model=model, messages=[user("Count to three")])
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    streamed = collect(client.chat.completions.create(model=model, messages=[user("Count to three")], stream=True, **options))
    assert streamed.content == whole.choices[0].message.content
    assert streamed.content_chunks > 1
    assert streamed.roles == ["assistant"]
    assert streamed.finish_reasons == ["stop"]
    assert len(streamed.usages) == (1 if include_usage else 0)
    if include_usage:
        assert check_usage(streamed.usages[0]).completion_tokens == whole.usage.completion_tokens
        assert streamed.last.choices == []
        assert streamed.last.usage is not None


def test_every_chunk_of_a_stream_has_one_id_and_one_model(client: OpenAI, model: str) -> None:
    chunks = list(client.chat.completions.create(model=model, messages=[user("Hello")], stream=True))
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert len({chunk.model for chunk in chunks}) == 1
    assert len({chunk.created for chunk in chunks}) == 1


def test_a_stream_ends_with_done_once(client: OpenAI, model: str) -> None:
    with client.chat.completions.with_streaming_response.create(model=model, messages=[user("Hello")], stream=True) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert lines.count("data: [DONE]") == 1


@pytest.mark.parametrize("how", ["bytes=1", "bytes=7", "crlf", "crlf bytes=3"])
def test_a_stream_cut_into_odd_pieces_arrives_whole(client: OpenAI, model: str, how: str) -> None:
    whole = client.chat.completions.create(model=model, messages=[user("[[sim unicode]]")]).choices[0].message.content
    streamed = collect(client.chat.completions.create(model=model, messages=[user(f"[[sim unicode {how}]]")], stream=True))
    assert any(ord(character) > 0xFFFF for character in whole)
    assert streamed.content == whole
    assert streamed.finish_reasons == ["stop"]


def test_a_stream_of_two_thousand_events_arrives_whole(client: OpenAI, model: str) -> None:
    asked = {"model": model, "messages": [user("[[sim words=3000 chunks=2000]]")]}
    limit = {"max_completion_tokens": 16_000}
    whole = client.chat.completions.create(**asked, **limit)
    streamed = collect(client.chat.completions.create(**asked, **limit, stream=True))
    assert streamed.content_chunks == 2000
    assert streamed.content == whole.choices[0].message.content
    assert streamed.finish_reasons == ["stop"]


def test_content_is_passed_on_as_it_comes(client: OpenAI, model: str) -> None:
    arrivals = []
    for chunk in client.chat.completions.create(model=model, messages=[user("[[sim chunks=4 chunk-delay=150]]")], stream=True):
        if chunk.choices and chunk.choices[0].delta.content:
            arrivals.append(time.monotonic())
    assert arrivals[-1] - arrivals[0] > 0.3


def test_an_empty_answer_still_has_its_role_and_finish(client: OpenAI, model: str) -> None:
    streamed = collect(client.chat.completions.create(model=model, messages=[answering("")], stream=True))
    assert streamed.content == ""
    assert streamed.roles == ["assistant"]
    assert streamed.finish_reasons == ["stop"]


def test_the_clients_own_stream_helper_understands_every_event(client: OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=[answering("one two three")]) as stream:
        kinds = {event.type for event in stream}
        completion = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert completion.choices[0].message.content == "one two three"


@pytest.mark.parametrize("target", ["openai/gpt", "google/gemini"])
def test_several_choices_can_be_streamed_together(client: OpenAI, target: str) -> None:
    texts = {0: "", 1: ""}
    finishes = []
    for chunk in client.chat.completions.create(model=target, messages=[user("Hello")], n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                finishes.append((choice.index, choice.finish_reason))
    assert all("Hello" in text for text in texts.values())
    assert sorted(finishes) == [(0, "stop"), (1, "stop")]
