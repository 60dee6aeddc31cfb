"""Requests that no client should send: refused in the face's shape, before any provider is asked."""

import json

import pytest

from stack import Gateway, Sim

HELLO = [{"role": "user", "content": "Hello"}]


def body(**fields: object) -> bytes:
    return json.dumps({"model": "anthropic/claude", "messages": HELLO} | fields).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"model": "fast", "messages": [}',
        b'{"model": "fast", "messages": []} trailing',
        b'{"model": "fast", "messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b"\x00\x01\x02",
        b"[" * 100_000,
        body(model=None),
        body(model=7),
        body(model=""),
        body(model="x" * 5000),
        body(messages=None),
        body(messages="Hello"),
        body(messages=[]),
        body(messages=[7]),
        body(messages=[{"role": "wizard", "content": "Hello"}]),
        body(messages=[{"role": "user", "content": 7}]),
        body(messages=[{"role": "user", "content": [{"type": "smell"}]}]),
        body(messages=[{"role": "tool", "content": "an answer to nothing"}]),
        body(temperature="warm"),
        body(max_tokens=-1),
        body(max_tokens=1.5),
        body(stream="yes"),
        body(tools=[{"type": "function"}]),
        body(tools="all"),
        body(tool_choice="whatever"),
        body(stop=[1, 2]),
        body(n=0),
        body(response_format={"type": "json_schema"}),
    ],
    ids=lambda content: repr(content[:40]),
)
def test_a_request_that_makes_no_sense_is_refused_before_any_provider_is_asked(gateway: Gateway, sim: Sim, content: bytes) -> None:
    response = gateway.post(content)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) > 10
    assert set(error) >= {"param", "code"}
    assert sim.calls() == []


def test_the_field_at_fault_is_named(gateway: Gateway) -> None:
    error = gateway.post(body(temperature="warm")).json()["error"]
    assert error["param"] == "temperature"
    error = gateway.post(body(messages=[*HELLO, {"role": "wizard", "content": "Hello"}])).json()["error"]
    assert error["param"].startswith("messages[1]")


def test_a_missing_model_is_named(gateway: Gateway) -> None:
    error = gateway.post(json.dumps({"messages": HELLO}).encode()).json()["error"]
    assert "model" in error["message"]


def test_too_large_a_body_is_refused(gateway: Gateway, sim: Sim) -> None:
    response = gateway.post(body(messages=[{"role": "user", "content": "x" * 5_000_000}]))
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"
    assert sim.calls() == []


def test_no_key_no_service(gateway: Gateway, sim: Sim) -> None:
    response = gateway.post(body(), key=None)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"
    assert sim.calls() == []


def test_an_unknown_path_and_a_wrong_method_are_told_in_the_faces_shape(gateway: Gateway) -> None:
    authorization = {"authorization": f"Bearer {gateway.admin_key}"}
    assert gateway.http.post("/v1/no/such/path", headers=authorization).status_code == 404
    response = gateway.http.get("/v1/chat/completions", headers=authorization)
    assert response.status_code == 405
    assert response.json()["error"]["message"]


def test_verbatim_requests_keep_what_we_do_not_know(gateway: Gateway, sim: Sim) -> None:
    """The provider speaks the caller's format, so whether a field exists is the provider's to say, and it says no."""
    response = gateway.post(body(model="openai/gpt", frobnicate=True))
    assert response.status_code == 400
    assert "frobnicate" in response.json()["error"]["message"]
    assert len(sim.calls()) == 1


def test_the_gateway_is_still_well_after_all_this(gateway: Gateway) -> None:
    for content in (
        b"{" * 1000,
        b'{"model":',
        body(messages=[{"role": "user", "content": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")}]),
    ):
        gateway.post(content)
    assert gateway.http.get("/readyz").is_success
    assert gateway.post(body()).status_code == 200
