"""OpenAI's responses as its official client keeps, follows, cancels and counts them."""

import time

import openai
import pytest
from openai import OpenAI

from chats import identified
from stack import SECOND_KEY, Gateway, wait_for

TARGETS = ["openai/gpt", "groq/gpt", "anthropic/claude"]


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    return request.param


def over(client: OpenAI, response_id: str) -> openai.types.responses.Response:
    """The answer, once it is over."""
    wait_for(lambda: client.responses.retrieve(response_id).status not in {"queued", "in_progress"}, "the answer to be over")
    return client.responses.retrieve(response_id)


def test_an_answer_is_made_in_the_background(client: OpenAI, gateway: Gateway, target: str, request_id: str) -> None:
    asked = client.responses.create(
        model=target, input='[[sim text="Grüße" latency=100]]', background=True, extra_headers={"x-client-request-id": request_id}
    )
    assert asked.status == "queued"
    assert asked.background is True
    answer = over(client, asked.id)
    assert (answer.status, answer.output_text) == ("completed", "Grüße")
    assert answer.id == asked.id
    assert answer.usage.output_tokens > 0
    assert gateway.logged(request_id)["state"] == "settled"
    with pytest.raises(openai.NotFoundError):
        gateway.client(SECOND_KEY).responses.retrieve(asked.id)
    again = client.responses.create(model=target, input="More", previous_response_id=asked.id)
    assert again.output_text
    assert len(client.responses.input_items.list(again.id).data) == 3


def test_an_answer_in_the_background_is_cancelled(client: OpenAI, gateway: Gateway, target: str, request_id: str) -> None:
    asked = client.responses.create(
        model=target, input="[[sim latency=60000]]", background=True, extra_headers={"x-client-request-id": request_id}
    )
    wait_for(lambda: client.responses.retrieve(asked.id).status == "in_progress", "the answer to be begun")
    time.sleep(0.1)
    assert client.responses.cancel(asked.id).status == "cancelled"
    assert client.responses.cancel(asked.id).status == "cancelled"
    assert client.responses.retrieve(asked.id).status == "cancelled"
    assert gateway.logged(request_id)["state"] == "cancelled"
    waited_for = client.responses.create(model=target, input="Hello")
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(waited_for.id)


def test_a_stream_in_the_background_is_followed_from_where_it_was_left(client: OpenAI, target: str) -> None:
    stream = client.responses.create(model=target, input="[[sim words=20 chunks=20 chunk-delay=20]]", background=True, stream=True)
    first = next(iter(stream))
    assert first.type == "response.created"
    stream.close()
    events = list(client.responses.retrieve(first.response.id, stream=True, starting_after=first.sequence_number))
    assert [event.sequence_number for event in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "response.completed"
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert said == events[-1].response.output_text


def test_a_kept_answer_is_told_again_as_a_stream(client: OpenAI, target: str) -> None:
    tools = [{"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]
    for question in ["Hello", "Use get_weather for Oslo"]:
        answer = client.responses.create(model=target, input=question, tools=tools)
        events = list(client.responses.retrieve(answer.id, stream=True))
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert events[-1].type == "response.completed"
        assert events[-1].response.output == answer.output
        done = [event.item for event in events if event.type == "response.output_item.done"]
        assert done == answer.output


def test_input_is_counted(client: OpenAI, target: str) -> None:
    counted = client.responses.input_tokens.count(model=target, input="Hello there")
    assert counted.object == "response.input_tokens"
    assert counted.input_tokens > 2


def test_only_openai_compacts(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="compact"):
        client.responses.compact(model="anthropic/claude", input="Hello")


def test_a_compacted_conversation_goes_on(client: OpenAI, gateway: Gateway, request_id: str) -> None:
    compacted = client.responses.compact(model="official/gpt", input="Hello", extra_headers=identified(request_id))
    assert [item.type for item in compacted.output] == ["message", "compaction"]
    row = gateway.logged(request_id)
    assert (row["state"], row["usage"]["input_tokens"]) == ("settled", compacted.usage.input_tokens)
    going_on = [item.model_dump(exclude_none=True) for item in compacted.output] + [{"role": "user", "content": "And now?"}]
    assert client.responses.create(model="official/gpt", input=going_on).output_text
