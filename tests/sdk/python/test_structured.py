"""Structured output: by schema, by the client's own `parse`, as any JSON."""

import json
from enum import Enum

import pytest
from openai import OpenAI
from pydantic import BaseModel

from chats import collect, user

CITY = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "population": {"type": "integer"},
        "kind": {"type": "string", "enum": ["town", "city"]},
        "mayor": {"type": ["string", "null"]},
        "districts": {
            "type": "array",
            "items": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False},
        },
    },
    "required": ["name", "population", "kind", "mayor", "districts"],
    "additionalProperties": False,
}
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": CITY}}


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Wheel(BaseModel):
    inches: float
    colour: Colour


class Bicycle(BaseModel):
    """Uses `$defs`, `$ref`, an enumeration, a union with null and a list."""

    owner: str | None
    gears: int
    wheels: list[Wheel]


def check_city(text: str) -> None:
    city = json.loads(text)
    assert set(city) == set(CITY["required"])
    assert isinstance(city["population"], int)
    assert city["kind"] in {"town", "city"}
    assert all(set(district) == {"name"} for district in city["districts"])


def test_an_answer_follows_its_schema(client: OpenAI, model: str) -> None:
    completion = client.chat.completions.create(model=model, messages=[user("Describe Oslo")], response_format=BY_SCHEMA)
    assert completion.choices[0].finish_reason == "stop"
    assert not completion.choices[0].message.tool_calls
    check_city(completion.choices[0].message.content)


def test_a_streamed_answer_follows_its_schema(client: OpenAI, model: str) -> None:
    stream = client.chat.completions.create(model=model, messages=[user("Describe Oslo")], response_format=BY_SCHEMA, stream=True)
    streamed = collect(stream)
    assert streamed.finish_reasons == ["stop"]
    assert not streamed.calls
    check_city(streamed.content)


def test_the_clients_own_parse_gives_an_object(client: OpenAI, model: str) -> None:
    completion = client.chat.completions.parse(model=model, messages=[user("Invent a bicycle")], response_format=Bicycle)
    assert isinstance(completion.choices[0].message.parsed, Bicycle)


def test_the_clients_own_streamed_parse_gives_an_object(client: OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=[user("Invent a bicycle")], response_format=Bicycle) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Bicycle)


@pytest.mark.parametrize("stream", [False, True])
def test_any_json_can_be_asked_for(client: OpenAI, model: str, stream: bool) -> None:
    asked = client.chat.completions.create(
        model=model, messages=[user("Answer with a JSON object")], response_format={"type": "json_object"}, stream=stream
    )
    text = collect(asked).content if stream else asked.choices[0].message.content
    if model.startswith("anthropic/"):
        # Anthropic has no JSON mode without a schema: the wish becomes an instruction, which the simulated model cannot follow.
        assert text
    else:
        assert isinstance(json.loads(text), dict)


def test_a_schema_and_tools_can_be_given_together(client: OpenAI) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    for target in ("openai/gpt", "anthropic/claude"):
        completion = client.chat.completions.create(model=target, messages=[user("Describe Oslo")], tools=[tool], response_format=BY_SCHEMA)
        check_city(completion.choices[0].message.content)
