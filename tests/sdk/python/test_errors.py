"""Failures: the client raises the class that belongs to the cause."""

import time

import openai
import pytest
from openai import APIError, APIStatusError, InternalServerError, OpenAI

from chats import identified, user
from stack import Gateway, Sim

# Routes without a retry, so that what is seen is the first failure.
ROUTES = ["once-openai", "once-anthropic", "once-google"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "raised", "seen"),
    [
        (400, openai.BadRequestError, {400}),
        (404, openai.NotFoundError, {404}),
        (429, openai.RateLimitError, {429}),
        (500, InternalServerError, {500, 502}),
        (503, InternalServerError, {503}),
    ],
)
@pytest.mark.parametrize("route", ROUTES)
def test_a_providers_failure_raises_its_own_class(
    client: OpenAI, gateway: Gateway, request_id: str, route: str, status: int, raised: type[APIStatusError], seen: set[int], stream: bool
) -> None:
    with pytest.raises(raised) as failure:
        client.chat.completions.create(
            model=route, messages=[user(f"[[sim status={status}]]")], stream=stream, extra_headers=identified(request_id)
        )
    assert failure.value.status_code in seen
    assert failure.value.body["message"]
    assert failure.value.request_id
    logged = gateway.logged(request_id)
    assert logged["state"] == "failed"
    assert logged["status"] == failure.value.status_code
    assert logged["attempts"][0]["status"] == status


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_own_status_for_overload_is_an_overload(client: OpenAI, stream: bool) -> None:
    with pytest.raises(InternalServerError) as failure:
        client.chat.completions.create(model="once-anthropic", messages=[user("[[sim status=529]]")], stream=stream)
    assert failure.value.status_code in {503, 529}


@pytest.mark.parametrize("route", ROUTES)
def test_retry_after_is_kept(client: OpenAI, route: str) -> None:
    with pytest.raises(openai.RateLimitError) as failure:
        client.chat.completions.create(model=route, messages=[user("[[sim status=429 retry-after=17]]")])
    assert failure.value.response.headers["retry-after"] == "17"


def test_the_caller_is_told_to_come_back_later_rather_than_kept_waiting(client: OpenAI, model: str) -> None:
    started = time.monotonic()
    with pytest.raises(openai.RateLimitError) as failure:
        client.chat.completions.create(model=model, messages=[user("[[sim status=429 retry-after=120]]")])
    assert time.monotonic() - started < 5
    assert failure.value.response.headers["retry-after"] == "120"


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("route", ROUTES)
def test_a_credential_the_provider_refuses_is_not_the_callers_fault(client: OpenAI, route: str, status: int) -> None:
    with pytest.raises(InternalServerError) as failure:
        client.chat.completions.create(model=route, messages=[user(f"[[sim status={status}]]")])
    assert failure.value.status_code == 502
    assert failure.value.code == "provider_credential_refused"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["locked-openai/gpt", "locked-anthropic/claude", "locked-google/gemini"])
def test_a_wrong_provider_key_is_never_an_authentication_error(client: OpenAI, model: str, stream: bool) -> None:
    with pytest.raises(InternalServerError) as failure:
        client.chat.completions.create(model=model, messages=[user("Hello")], stream=stream)
    assert failure.value.status_code == 502
    assert failure.value.code == "provider_credential_refused"
    assert "invalid-key" not in failure.value.response.text


def test_a_wrong_key_of_ours_is_an_authentication_error(gateway: Gateway, sim: Sim, model: str) -> None:
    with pytest.raises(openai.AuthenticationError) as failure:
        gateway.client("not-a-key-of-this-gateway").chat.completions.create(model=model, messages=[user("Hello")])
    assert failure.value.code == "invalid_api_key"
    assert "not-a-key-of-this-gateway" not in failure.value.response.text
    assert sim.calls() == []


def test_a_key_may_use_only_its_own_models(gateway: Gateway, sim: Sim) -> None:
    client = gateway.client("key-for-one-model-only")
    assert client.chat.completions.create(model="fast", messages=[user("Hello")]).choices
    sim.forget_calls()
    with pytest.raises(openai.PermissionDeniedError) as failure:
        client.chat.completions.create(model="openai/gpt", messages=[user("Hello")])
    assert "openai/gpt" in failure.value.message
    assert sim.calls() == []


@pytest.mark.parametrize(("asked", "near"), [("fsat", "fast"), ("strict-cloud", "strict-claude")])
def test_an_unknown_model_is_not_found_and_the_nearest_names_are_told(client: OpenAI, sim: Sim, asked: str, near: str) -> None:
    with pytest.raises(openai.NotFoundError) as failure:
        client.chat.completions.create(model=asked, messages=[user("Hello")])
    assert failure.value.code == "model_not_found"
    assert asked in failure.value.message
    assert near in failure.value.message
    assert sim.calls() == []


@pytest.mark.parametrize("model", ["openai/no-such-model", "anthropic/no-such-model", "google/no-such-model"])
def test_a_model_the_provider_does_not_know_is_not_found(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=model, messages=[user("Hello")])


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_inside_a_200_is_an_http_error(client: OpenAI, model: str, stream: bool) -> None:
    with pytest.raises(APIStatusError) as failure:
        client.chat.completions.create(model=model, messages=[user("[[sim error-200]]")], stream=stream)
    assert failure.value.status_code >= 400
    assert failure.value.body["message"]


@pytest.mark.parametrize("broken", ["error-mid=6", "cut=6", "garbage"])
def test_a_stream_that_breaks_raises_and_never_ends_well(
    client: OpenAI, gateway: Gateway, model: str, request_id: str, broken: str
) -> None:
    content = ""
    with pytest.raises(APIError):
        for chunk in client.chat.completions.create(
            model=model, messages=[user(f"[[sim {broken} chunks=9]]")], stream=True, extra_headers=identified(request_id)
        ):
            for choice in chunk.choices:
                content += choice.delta.content or ""
                assert choice.finish_reason is None
    if broken != "garbage":
        assert content
    assert gateway.logged(request_id)["state"] in {"failed", "estimated"}


@pytest.mark.parametrize("broken", ["cut=1", "garbage", "html"])
def test_an_unreadable_answer_is_a_bad_gateway_in_clean_json(client: OpenAI, model: str, broken: str) -> None:
    with pytest.raises(InternalServerError) as failure:
        client.chat.completions.create(model=model, messages=[user(f"[[sim {broken}]]")])
    assert failure.value.status_code == 502
    assert failure.value.response.headers["content-type"].startswith("application/json")
    assert failure.value.body["message"]
    for leaked in ("<html", "<body", "sk-", "secret", "password"):
        assert leaked not in failure.value.response.text.lower()


def test_a_provider_that_nobody_answers_for_is_a_bad_gateway(client: OpenAI) -> None:
    with pytest.raises(InternalServerError) as failure:
        client.chat.completions.create(model="absent/gpt", messages=[user("Hello")])
    assert failure.value.status_code == 502
    assert failure.value.code == "provider_unreachable"


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_never_answers_is_a_timeout(client: OpenAI, gateway: Gateway, request_id: str, stream: bool) -> None:
    with pytest.raises(InternalServerError) as failure:
        client.chat.completions.create(
            model="impatient", messages=[user("[[sim hang=head]]")], stream=stream, extra_headers=identified(request_id)
        )
    assert failure.value.status_code == 504
    assert failure.value.code == "provider_timeout"
    assert gateway.logged(request_id)["error_type"] == "timeout"


def test_a_stream_that_falls_silent_is_ended_with_an_error(client: OpenAI, gateway: Gateway, request_id: str) -> None:
    with pytest.raises(APIError):
        for _ in client.chat.completions.create(
            model="impatient", messages=[user("[[sim hang=body chunks=9]]")], stream=True, extra_headers=identified(request_id)
        ):
            pass
    assert gateway.logged(request_id)["state"] in {"failed", "estimated"}


def test_every_failure_has_the_shape_of_the_face(gateway: Gateway) -> None:
    for body in (
        b'{"model": "fsat", "messages": []}',
        b"{",
        b'{"model": "fast", "messages": [{"role": "user", "content": "[[sim html]]"}]}',
    ):
        error = gateway.post(body).json()["error"]
        assert set(error) >= {"message", "type", "param", "code"}
        assert isinstance(error["message"], str)
        assert isinstance(error["type"], str)
