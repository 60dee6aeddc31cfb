"""Virtual keys: made, shown, limited, rotated, revoked, each at once."""

import time

import openai
import pytest
from openai import OpenAI

from chats import user
from stack import FIRST_KEY, Gateway


def ask(client: OpenAI, model: str = "fast") -> None:
    client.chat.completions.create(model=model, messages=[user("Hello")])


def refused_within(client: OpenAI, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            ask(client)
        except openai.AuthenticationError:
            return True
    return False


def test_a_new_key_works_at_once_and_is_shown_only_in_part_afterwards(gateway: Gateway) -> None:
    made = gateway.administer("POST", "/keys", {"name": "newcomer"})
    assert made["key"].startswith("tl_")
    ask(gateway.client(made["key"]))
    (listed,) = [key for key in gateway.administer("GET", "/keys")["items"] if key["id"] == made["id"]]
    assert made["key"].startswith(listed["prefix"])
    assert made["key"].endswith(listed["last_four"])
    assert "key" not in listed
    assert made["key"] not in str(listed)


def test_a_revoked_key_is_refused_within_a_second(gateway: Gateway) -> None:
    made = gateway.administer("POST", "/keys", {"name": "short-lived"})
    client = gateway.client(made["key"])
    ask(client)
    gateway.administer("DELETE", f"/keys/{made['id']}")
    assert refused_within(client, seconds=1)


def test_a_rotated_key_stays_good_for_its_grace_period(gateway: Gateway) -> None:
    made = gateway.administer("POST", "/keys", {"name": "rotated"})
    rotated = gateway.administer("POST", f"/keys/{made['id']}/rotate", {"grace_seconds": 1})
    assert rotated["key"] != made["key"]
    ask(gateway.client(rotated["key"]))
    ask(gateway.client(made["key"]))
    assert refused_within(gateway.client(made["key"]), seconds=3)
    ask(gateway.client(rotated["key"]))


def test_a_key_for_some_models_is_refused_the_others(gateway: Gateway) -> None:
    made = gateway.administer("POST", "/keys", {"name": "narrow", "models": ["anthropic/*"]})
    client = gateway.client(made["key"])
    ask(client, "anthropic/claude")
    with pytest.raises(openai.PermissionDeniedError):
        ask(client, "google/gemini")


def test_a_key_is_bound_to_its_addresses(gateway: Gateway) -> None:
    elsewhere = gateway.administer("POST", "/keys", {"name": "elsewhere", "addresses": ["192.0.2.0/24"]})
    with pytest.raises((openai.AuthenticationError, openai.PermissionDeniedError)):
        ask(gateway.client(elsewhere["key"]))
    here = gateway.administer("POST", "/keys", {"name": "here", "addresses": ["127.0.0.0/8"]})
    ask(gateway.client(here["key"]))


def test_a_key_over_its_rate_is_told_when_to_come_back(gateway: Gateway) -> None:
    made = gateway.administer("POST", "/keys", {"name": "slow", "rate": {"rpm": 2}})
    client = gateway.client(made["key"])
    with pytest.raises(openai.RateLimitError) as refused:
        for _ in range(3):
            ask(client)
    assert refused.value.code == "rate_limit_exceeded"
    assert 0 < int(refused.value.response.headers["retry-after"]) <= 60


def test_a_key_over_its_budget_is_refused(gateway: Gateway) -> None:
    made = gateway.administer("POST", "/keys", {"name": "poor", "budget": {"usd": "0.000001", "per": "day"}})
    with pytest.raises(openai.RateLimitError) as refused:
        for _ in range(3):
            ask(gateway.client(made["key"]), "openai/gpt-4o")
    assert refused.value.code == "insufficient_quota"


def test_only_an_administrator_makes_keys(gateway: Gateway) -> None:
    headers = {"authorization": f"Bearer {FIRST_KEY}"}
    assert gateway.http.post("/api/v1/admin/keys", json={"name": "mine"}, headers=headers).status_code == 403
    assert gateway.http.post("/api/v1/admin/keys", json={"name": "mine"}).status_code == 401
