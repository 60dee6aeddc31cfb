"""Answers that are kept and given again, as the official clients see them."""

import socket
import subprocess
from collections.abc import Iterator

import pytest
from anthropic import Anthropic

from conftest import running
from stack import FIRST_KEY, Gateway, Sim

CACHE = """
cache: { exact: { ttl: 10m } }
"""


@pytest.fixture(scope="module")
def caching(tmp_path_factory: pytest.TempPathFactory, running_sim: Sim) -> Iterator[Gateway]:
    yield from running(lambda: Gateway(tmp_path_factory.mktemp("caching"), running_sim, CACHE))


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    """A server of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    yield f"redis://127.0.0.1:{port}"
    process.kill()
    process.wait()


def ask(gateway: Gateway, model: str, words: str, request_id: str, **more: object) -> tuple[str, str]:
    """What the cache said, and what was answered."""
    answered = gateway.client().chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": words}],
        extra_headers={"x-client-request-id": request_id},
        **more,
    )
    content = answered.parse().choices[0].message.content
    assert content
    return answered.headers["x-trunkline-cache"], content


def test_the_same_request_is_asked_once_and_both_calls_are_in_the_log(
    caching: Gateway, sim: Sim, model: str, request_id: str
) -> None:
    first = ask(caching, model, f"Say {request_id}", f"{request_id}-1")
    second = ask(caching, model, f"Say {request_id}", f"{request_id}-2")
    assert (first[0], second[0]) == ("miss", "hit")
    assert first[1] == second[1]
    assert len(sim.calls()) == 1
    missed, hit = caching.logged(f"{request_id}-1"), caching.logged(f"{request_id}-2")
    assert (missed["cache"], hit["cache"], hit["state"]) == ("miss", "hit", "settled")
    assert float(hit["cost_usd"]) == 0
    assert hit["saved_usd"] == missed["cost_usd"]
    assert hit["usage"] == missed["usage"]
    assert hit["attempts"] == []


def test_a_stream_is_given_again_also_to_who_wants_it_whole(caching: Gateway, sim: Sim, model: str, request_id: str) -> None:
    words = f"Stream {request_id}"

    def streamed() -> str:
        chunks = caching.client().chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": words}],
            stream=True,
            stream_options={"include_usage": True},
        )
        pieces = list(chunks)
        assert pieces[-1].usage and pieces[-1].usage.completion_tokens
        return "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)

    first = streamed()
    assert first
    assert streamed() == first
    assert ask(caching, model, words, request_id) == ("hit", first)
    assert len(sim.calls()) == 1


def test_the_anthropic_client_gets_its_answers_again(caching: Gateway, sim: Sim, request_id: str) -> None:
    client = Anthropic(base_url=caching.url, api_key=FIRST_KEY, max_retries=0)
    asked = {"model": "openai/gpt", "max_tokens": 50, "messages": [{"role": "user", "content": f"Say {request_id}"}]}
    first = client.messages.create(**asked)
    again = client.messages.with_raw_response.create(**asked)
    assert again.headers["x-trunkline-cache"] == "hit"
    assert int(again.headers["age"]) >= 0
    assert again.parse().content == first.content
    with client.messages.stream(**asked) as stream:
        message = stream.get_final_message()
    assert message.content[0].text == first.content[0].text
    assert message.usage.output_tokens == first.usage.output_tokens
    assert len(sim.calls()) == 1


def test_a_request_may_leave_the_cache_alone_and_a_wrong_word_is_an_error(caching: Gateway, sim: Sim, request_id: str) -> None:
    words = f"Anew {request_id}"
    ask(caching, "openai/gpt", words, f"{request_id}-1")
    anew = caching.post(
        b'{"model":"openai/gpt","messages":[{"role":"user","content":"%s"}]}' % words.encode(),
        **{"x-trunkline-cache": "no-cache"},
    )
    assert anew.headers["x-trunkline-cache"] == "miss"
    assert len(sim.calls()) == 2
    wrong = caching.post(b'{"model":"openai/gpt","messages":[{"role":"user","content":"Hi"}]}', **{"x-trunkline-cache": "sometimes"})
    assert wrong.status_code == 400
    assert wrong.json()["error"]["param"] == "x-trunkline-cache"


def test_answers_outlive_the_process_in_redis(
    tmp_path_factory: pytest.TempPathFactory, sim: Sim, redis: str, request_id: str
) -> None:
    home = tmp_path_factory.mktemp("sharing")
    # Longer than the default, which a busy machine may exceed.
    more = f"cache: {{ exact: {{ ttl: 10m, shared_wait: 2s }} }}\nshared: {redis}\n"
    first = Gateway(home, sim, more)
    try:
        outcome, content = ask(first, "openai/gpt", request_id, f"{request_id}-1")
        assert outcome == "miss"
        first.logged(f"{request_id}-1")
    finally:
        first.stop()
    second = Gateway(home, sim, more)
    try:
        assert ask(second, "openai/gpt", request_id, f"{request_id}-2") == ("hit", content)
    finally:
        second.stop()
    assert len(sim.calls()) == 1
