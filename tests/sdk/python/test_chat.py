"""Plain chat, not streamed."""

import asyncio

import pytest
from openai import BadRequestError, OpenAI

from chats import answering, check_usage, user
from stack import Gateway

CONVERSATION = [
    {"role": "system", "content": "You are terse."},
    {"role": "developer", "content": "Answer in English."},
    {"role": "user", "content": "My name is Ada."},
    {"role": "assistant", "content": "Noted."},
    {"role": "user", "content": "This is a second thought."},
    {"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "text", "text": "my name?"}]},
]
MANY_SCRIPTS = "Grüße, 世界! Ωmega नमस्ते e\u0301 👩‍👩‍👧‍👦 \\u0041 \u2028"


def test_a_plain_question_gets_an_answer_in_the_shape_of_the_face(client: OpenAI, model: str) -> None:
    completion = client.chat.completions.create(model=model, messages=[user("Hello there")])
    assert completion.object == "chat.completion"
    assert completion.id
    assert completion.created > 1_700_000_000
    assert completion.model.startswith(model.split("/")[1])
    (choice,) = completion.choices
    assert choice.index == 0
    assert choice.finish_reason == "stop"
    assert choice.message.role == "assistant"
    assert "simulated" in choice.message.content
    assert "Hello there" in choice.message.content
    assert not choice.message.tool_calls
    check_usage(completion.usage)


def test_a_conversation_with_system_and_developer_messages_is_taken(client: OpenAI, model: str) -> None:
    completion = client.chat.completions.create(model=model, messages=CONVERSATION)
    assert "my name?" in completion.choices[0].message.content


def test_more_conversation_costs_more_input(client: OpenAI, model: str) -> None:
    short = client.chat.completions.create(model=model, messages=CONVERSATION[-1:])
    long = client.chat.completions.create(model=model, messages=CONVERSATION)
    assert check_usage(long.usage).prompt_tokens > check_usage(short.usage).prompt_tokens


def test_a_system_prompt_alone_is_taken_where_the_provider_takes_it(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="google/gemini", messages=[{"role": "system", "content": "Say something."}])
    assert completion.choices[0].message.content


def test_text_of_many_scripts_arrives_unchanged(client: OpenAI, model: str) -> None:
    completion = client.chat.completions.create(
        model=model, messages=[user(f'[[sim text="{MANY_SCRIPTS.replace(chr(92), chr(92) * 2)}"]]')]
    )
    assert completion.choices[0].message.content == MANY_SCRIPTS


def test_a_configured_route_is_a_model_name(client: OpenAI) -> None:
    response = client.chat.completions.with_raw_response.create(model="fast", messages=[user("Hello")])
    assert response.parse().choices[0].finish_reason == "stop"
    assert response.headers["x-trunkline-provider"] == "openai"
    assert response.headers["x-trunkline-model"] == "gpt"


@pytest.mark.parametrize("target", ["openai/gpt", "google/gemini"])
def test_several_choices_come_back_where_the_provider_can(client: OpenAI, target: str) -> None:
    completion = client.chat.completions.create(model=target, messages=[user("Hello")], n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    assert all(choice.message.content for choice in completion.choices)
    check_usage(completion.usage)


def test_several_choices_are_refused_where_the_provider_has_only_one(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(model="anthropic/claude", messages=[user("Hello")], n=2)
    assert refused.value.param == "n"


def test_concurrent_calls_each_get_their_own_answer(gateway: Gateway, model: str) -> None:
    async def ask_all() -> list[str]:
        async with gateway.async_client() as client:
            asked = [client.chat.completions.create(model=model, messages=[answering(f"number {n}")]) for n in range(30)]
            return [completion.choices[0].message.content for completion in await asyncio.gather(*asked)]

    assert asyncio.run(ask_all()) == [f"number {n}" for n in range(30)]
