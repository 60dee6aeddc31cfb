"""The first start: an empty directory, no configuration, no provider's key."""

import stat
from collections.abc import Iterator

import pytest
from openai import OpenAI

from chats import check_usage, collect, identified, user
from conftest import running
from stack import Gateway

MODELS = ["sim/gpt", "sim/claude", "sim/gemini"]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    yield from running(lambda: Gateway(tmp_path_factory.mktemp("bare")))


@pytest.fixture
def first_client(bare: Gateway) -> OpenAI:
    return bare.client(bare.admin_key)


def test_the_admin_key_is_printed_and_kept_for_its_owner_only(bare: Gateway) -> None:
    kept = bare.log.parent / "data" / "admin.key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert bare.admin_key in bare.log.read_text()


@pytest.mark.parametrize("model", MODELS)
def test_the_first_request_works_and_says_that_it_is_simulated(bare: Gateway, first_client: OpenAI, model: str, request_id: str) -> None:
    completion = first_client.chat.completions.create(model=model, messages=[user("Hello")], extra_headers=identified(request_id))
    assert "simulated" in completion.choices[0].message.content
    check_usage(completion.usage)
    assert bare.logged(request_id)["state"] == "settled"


@pytest.mark.parametrize("model", MODELS)
def test_the_first_stream_works(first_client: OpenAI, model: str) -> None:
    streamed = collect(first_client.chat.completions.create(model=model, messages=[user("Hello")], stream=True))
    assert "simulated" in streamed.content
    assert streamed.finish_reasons == ["stop"]


@pytest.mark.parametrize("model", MODELS)
def test_the_simulated_models_reason_when_asked_to(first_client: OpenAI, model: str) -> None:
    completion = first_client.chat.completions.create(model=model, messages=[user("Think")], reasoning_effort="medium")
    assert check_usage(completion.usage).completion_tokens_details.reasoning_tokens > 0


def test_the_simulated_models_are_listed(first_client: OpenAI) -> None:
    assert set(MODELS) <= {model.id for model in first_client.models.list()}


def test_without_a_key_there_is_no_service(bare: Gateway) -> None:
    assert bare.post(b'{"model": "sim/gpt", "messages": []}', key=None).status_code == 401
