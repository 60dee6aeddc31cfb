"""Tools: one and several calls, streamed fragments, results, every way to choose."""

import json
from typing import Any

import pytest
from openai import OpenAI

from chats import collect, user


def function(name: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": f"Does {name}.", "parameters": parameters, **more}}


WEATHER = function("get_weather", {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}})
CLOCK = function("get_time", {"zone": {"type": "string"}})
PING = {"type": "function", "function": {"name": "ping"}}
TOOLS = [WEATHER, CLOCK]


def check_weather(arguments: str) -> None:
    parsed = json.loads(arguments)
    assert set(parsed) == {"city", "unit"}
    assert isinstance(parsed["city"], str)
    assert parsed["unit"] in {"celsius", "fahrenheit"}


def test_a_tool_is_called_and_its_result_is_answered(client: OpenAI, model: str) -> None:
    messages = [user("Use get_weather for Oslo")]
    first = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    (choice,) = first.choices
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "get_weather"
    check_weather(call.function.arguments)

    messages += [choice.message, {"role": "tool", "tool_call_id": call.id, "content": '{"degrees": -7}'}]
    second = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    assert second.choices[0].finish_reason == "stop"
    assert "-7" in second.choices[0].message.content


def test_parallel_calls_have_their_own_ids_and_all_results_are_taken(client: OpenAI, model: str) -> None:
    messages = [user("Use get_weather, get_time and get_weather again")]
    first = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    calls = first.choices[0].message.tool_calls
    assert sorted(call.function.name for call in calls) == ["get_time", "get_weather", "get_weather"]
    assert len({call.id for call in calls}) == 3

    messages += [first.choices[0].message]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": f"result {n}"} for n, call in enumerate(calls)]
    second = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    assert second.choices[0].finish_reason == "stop"
    assert "result" in second.choices[0].message.content


def test_parallel_calls_can_be_forbidden(client: OpenAI, model: str) -> None:
    messages = [user("Use get_weather and get_time")]
    if model.startswith("google/"):
        # Google has no such switch: the promise cannot be kept, and the caller is told.
        completion = client.chat.completions.create(
            model=model, messages=messages, tools=TOOLS, parallel_tool_calls=False, extra_headers={"x-trunkline-report": "conversion"}
        )
        assert "parallel_tool_calls" in json.dumps(completion.model_extra["trunkline"]["conversion"]["dropped"])
    else:
        completion = client.chat.completions.create(model=model, messages=messages, tools=TOOLS, parallel_tool_calls=False)
        assert len(completion.choices[0].message.tool_calls) == 1


@pytest.mark.parametrize("pieces", ["", " [[sim bytes=3]]"])
def test_streamed_fragments_make_whole_calls(client: OpenAI, model: str, pieces: str) -> None:
    messages = [user(f"Use get_weather and get_time{pieces}")]
    chunks = list(client.chat.completions.create(model=model, messages=messages, tools=TOOLS, stream=True))
    fragments = [part for chunk in chunks for choice in chunk.choices for part in choice.delta.tool_calls or []]
    for index in (0, 1):
        of_one = [part for part in fragments if part.index == index]
        assert of_one[0].id
        assert of_one[0].function.name
        assert not any(part.id or part.function.name for part in of_one[1:]), "later fragments are arguments only"

    streamed = collect(chunks)
    assert sorted(streamed.calls) == [0, 1]
    assert {call.name for call in streamed.calls.values()} == {"get_weather", "get_time"}
    assert len({call.id for call in streamed.calls.values()}) == 2
    check_weather(next(call for call in streamed.calls.values() if call.name == "get_weather").arguments)
    assert streamed.roles == ["assistant"]
    assert streamed.finish_reasons == ["tool_calls"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_without_arguments_is_an_empty_object(client: OpenAI, model: str, stream: bool) -> None:
    asked = client.chat.completions.create(model=model, messages=[user("Now")], tools=[PING], tool_choice="required", stream=stream)
    arguments = collect(asked).calls[0].arguments if stream else asked.choices[0].message.tool_calls[0].function.arguments
    assert json.loads(arguments) == {}


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("auto", []),
        ("none", []),
        ("required", ["get_weather", "get_time"]),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_time"}}]},
            },
            ["get_time"],
        ),
    ],
    ids=["auto", "none", "required", "named", "allowed"],
)
def test_every_tool_choice_is_kept(client: OpenAI, model: str, choice: Any, called: list[str]) -> None:
    completion = client.chat.completions.create(model=model, messages=[user("Hello")], tools=TOOLS, tool_choice=choice)
    calls = completion.choices[0].message.tool_calls or []
    assert bool(calls) == bool(called)
    assert {call.function.name for call in calls} <= set(called)
    assert completion.choices[0].finish_reason in ({"tool_calls", "stop"} if called else {"stop"})


def test_no_tool_is_called_when_the_choice_is_none_even_if_named(client: OpenAI, model: str) -> None:
    completion = client.chat.completions.create(model=model, messages=[user("Use get_weather")], tools=TOOLS, tool_choice="none")
    assert not completion.choices[0].message.tool_calls
    assert completion.choices[0].message.content


@pytest.mark.parametrize("name", ["2fa-code", "a" * 64])
def test_a_tool_name_that_the_provider_would_refuse_comes_back_as_it_was(client: OpenAI, model: str, name: str) -> None:
    tool = function(name, {"digits": {"type": "integer"}})
    messages = [user("Please")]
    first = client.chat.completions.create(model=model, messages=messages, tools=[tool], tool_choice="required")
    (call,) = first.choices[0].message.tool_calls
    assert call.function.name == name
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "123456"}]
    second = client.chat.completions.create(model=model, messages=messages, tools=[tool])
    assert "123456" in second.choices[0].message.content


def test_history_written_elsewhere_is_taken(client: OpenAI, model: str) -> None:
    """Ids of another provider, arguments that are an empty string, results as parts, and calls that were made twice."""
    calls = [
        {"id": "call:1/ü", "type": "function", "function": {"name": "ping", "arguments": ""}},
        {"id": "call:2/ü", "type": "function", "function": {"name": "ping", "arguments": "{}"}},
    ]
    messages = [
        user("Ping twice"),
        {"role": "assistant", "content": "Gladly.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call:2/ü", "content": [{"type": "text", "text": "second pong"}]},
        {"role": "tool", "tool_call_id": "call:1/ü", "content": "[1, 2]"},
        user("Thank you"),
    ]
    completion = client.chat.completions.create(model=model, messages=messages, tools=[PING])
    assert completion.choices[0].finish_reason == "stop"


def test_history_with_tools_is_taken_when_no_tool_may_be_called_any_more(client: OpenAI, model: str) -> None:
    messages = [
        user("Ping"),
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "ping", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "pong"},
        user("And now?"),
    ]
    completion = client.chat.completions.create(model=model, messages=messages, tools=[PING], tool_choice="none")
    assert completion.choices[0].finish_reason == "stop"


def test_the_signature_of_a_thought_survives_a_client_that_drops_unknown_fields(client: OpenAI) -> None:
    messages = [user("Use get_weather for Oslo")]
    first = client.chat.completions.create(model="google/gemini-3-flash", messages=messages, tools=TOOLS)
    (call,) = first.choices[0].message.tool_calls
    plain = {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}
    messages += [{"role": "assistant", "tool_calls": [plain]}, {"role": "tool", "tool_call_id": call.id, "content": "cold"}]
    second = client.chat.completions.create(model="google/gemini-3-flash", messages=messages, tools=TOOLS)
    assert "cold" in second.choices[0].message.content
