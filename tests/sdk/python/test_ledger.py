"""The call log: every call is in it once, and each key sees its own."""

import httpx2
import pytest
from openai import OpenAI

from chats import identified, user
from stack import FIRST_KEY, SECOND_KEY, Gateway, wait_for

FIELDS = {
    "request_id", "client_request_id", "started_at", "ended_at", "state", "operation", "face", "provider", "request_model",
    "response_model", "route", "key_id", "project_id", "status", "error_type", "attempts", "usage", "cost_usd", "cache",
    "latency_ms", "time_to_first_token_ms", "overhead_ms",
}  # fmt: skip


def test_a_call_is_logged_with_every_field(client: OpenAI, gateway: Gateway, model: str, request_id: str) -> None:
    response = client.chat.completions.with_raw_response.create(model=model, messages=[user("Hello")], extra_headers=identified(request_id))
    logged = gateway.logged(request_id)
    assert not FIELDS - set(logged)
    assert logged["request_id"] == response.headers["x-request-id"]
    assert logged["client_request_id"] == request_id
    assert logged["state"] == "settled"
    assert logged["operation"] == "chat"
    assert logged["provider"] == model.split("/")[0]
    assert logged["request_model"] == model
    assert logged["response_model"] == response.parse().model
    assert logged["status"] == 200
    assert logged["error_type"] is None
    assert len(logged["attempts"]) == 1
    assert logged["started_at"] <= logged["ended_at"]


def test_a_route_is_logged_by_its_name(client: OpenAI, gateway: Gateway, request_id: str) -> None:
    client.chat.completions.create(model="fast", messages=[user("Hello")], extra_headers=identified(request_id))
    logged = gateway.logged(request_id)
    assert logged["route"] == "fast"
    assert logged["request_model"] == "fast"


def test_the_time_to_the_first_token_of_a_stream_is_logged(client: OpenAI, gateway: Gateway, model: str, request_id: str) -> None:
    for _ in client.chat.completions.create(
        model=model, messages=[user("[[sim latency=200 chunks=4 chunk-delay=100]]")], stream=True, extra_headers=identified(request_id)
    ):
        pass
    logged = gateway.logged(request_id)
    assert 200 <= logged["time_to_first_token_ms"] < logged["latency_ms"]


def test_a_key_sees_only_its_own_calls(gateway: Gateway, model: str, request_id: str) -> None:
    for key, name in ((FIRST_KEY, "first"), (SECOND_KEY, "second")):
        gateway.client(key).chat.completions.create(model=model, messages=[user("Hello")], extra_headers=identified(f"{request_id}-{name}"))
    first, second = (gateway.logged(f"{request_id}-{name}") for name in ("first", "second"))
    assert first["key_id"] != second["key_id"]
    assert [row["request_id"] for row in gateway.logs(FIRST_KEY, client_request_id=f"{request_id}-first")] == [first["request_id"]]
    assert gateway.logs(FIRST_KEY, client_request_id=f"{request_id}-second") == []
    assert {row["key_id"] for row in gateway.logs(SECOND_KEY)} == {second["key_id"]}


def test_the_log_is_read_page_by_page(client: OpenAI, gateway: Gateway, request_id: str) -> None:
    for _ in range(5):
        client.chat.completions.create(model="fast", messages=[user("Hello")], extra_headers=identified(request_id))
    wait_for(lambda: len(gateway.logs(client_request_id=request_id)) == 5, "five calls to be in the log")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": 2, "request_model": "fast"} | ({"cursor": cursor} if cursor else {})
        page = gateway.http.get("/api/v1/db/logs", params=parameters, headers={"authorization": f"Bearer {gateway.admin_key}"}).json()[
            "data"
        ]
        assert len(page["items"]) <= 2
        seen += [row["request_id"] for row in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) >= 5


@pytest.mark.parametrize("authorization", [{}, {"authorization": "Bearer nobody-knows-this-key"}])
def test_the_log_is_for_key_holders(gateway: Gateway, authorization: dict[str, str]) -> None:
    response: httpx2.Response = gateway.http.get("/api/v1/db/logs", headers=authorization)
    assert response.status_code == 401
    envelope = response.json()
    assert envelope["success"] is False
    assert envelope["error"]
    assert envelope["request_id"]
