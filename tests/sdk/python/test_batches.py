"""Batches of both vendors: handed over to a provider that runs them, or asked line by line."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI
from openai.types import Batch

from stack import FIRST_KEY, SECOND_KEY, Gateway, Sim

PATIENCE_SECONDS = 60
ENDS = {"completed", "failed", "expired", "cancelled"}


def until(look: Callable[[], Any], what: str) -> Any:
    """What `look` answers as soon as it answers something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s in vain for {what}"
        time.sleep(0.05)
    return found


def chat(custom_id: str, model: str, words: str) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": words}]}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def submit(client: OpenAI, lines: list[Any], endpoint: str = "/v1/chat/completions", **options: Any) -> Batch:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    file = client.files.create(file=("lines.jsonl", text.encode()), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", **options)  # type: ignore[arg-type]


def ended(client: OpenAI, batch: Batch) -> Batch:
    def look() -> Batch | None:
        found = client.batches.retrieve(batch.id)
        return found if found.status in ENDS else None

    return until(look, f"{batch.id} to end")


def content(client: OpenAI, file_id: str | None) -> dict[str, dict[str, Any]]:
    if file_id is None:
        return {}
    lines = [json.loads(line) for line in client.files.content(file_id).text.splitlines()]
    found = {line["custom_id"]: line for line in lines}
    assert len(found) == len(lines), "a line comes once"
    return found


# Handed over to OpenAI, asked one by one, and handed over in a translation to the others.
MODELS = ["whole-openai/gpt", "openai/gpt", "anthropic/claude", "google/gemini", "mistral/gpt"]


@pytest.mark.parametrize("model", MODELS)
def test_every_line_is_answered_and_recorded(gateway: Gateway, client: OpenAI, model: str) -> None:
    lines = [
        chat("one", model, "Count to one"),
        chat("größe 東京", model, 'Say "two"\nlines'),
        chat("broken", model, "[[sim status=400]]"),
    ]
    batch = submit(client, lines, metadata={"what": "test"})
    assert batch.object == "batch" and batch.status in {"validating", "in_progress"}
    batch = ended(client, batch)
    assert batch.status == "completed" and batch.errors is None and batch.metadata == {"what": "test"}
    assert batch.request_counts and batch.request_counts.model_dump() == {"total": 3, "completed": 2, "failed": 1}
    assert batch.in_progress_at and batch.finalizing_at and batch.completed_at and batch.model == model
    output = content(client, batch.output_file_id)
    assert set(output) == {"one", "größe 東京"}
    for line in output.values():
        assert line["error"] is None and line["response"]["status_code"] == 200, line
        completion = openai.types.chat.ChatCompletion.model_validate(line["response"]["body"])
        assert completion.choices[0].message.content
    errors = content(client, batch.error_file_id)
    assert errors["broken"]["response"]["status_code"] == 400
    assert errors["broken"]["response"]["body"]["error"]["message"]
    rows = until(lambda: (found := gateway.logs(batch_id=batch.id)) and len(found) == 3 and found, "the lines to be in the log")
    by_id = {row["client_request_id"]: row for row in rows}
    assert by_id["broken"]["state"] == "failed"
    for custom_id, line in output.items():
        row = by_id[custom_id]
        assert (row["state"], row["request_id"]) == ("settled", line["response"]["request_id"])
        usage = line["response"]["body"]["usage"]
        assert (row["usage"]["input_tokens"], row["usage"]["output_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert batch.usage and batch.usage.total_tokens == sum(line["response"]["body"]["usage"]["total_tokens"] for line in output.values())


def test_a_batch_is_handed_over_where_the_provider_runs_batches(client: OpenAI, sim: Sim) -> None:
    batches = {model: ended(client, submit(client, [chat("a", model, "Hello")])) for model in ["whole-openai/gpt", "openai/gpt"]}
    there = sim.http.get("/v1/batches", headers={"authorization": "Bearer sk-test"}).json()["data"]
    names = {batch["metadata"]["trunkline_batch"] for batch in there if batch["metadata"]}
    assert batches["whole-openai/gpt"].id in names
    assert batches["openai/gpt"].id not in names


def test_vectors_come_in_batches_too(client: OpenAI) -> None:
    for model in ["whole-openai/text-embedding-3-small", "openai/text-embedding-3-small"]:
        body = {"model": model, "input": ["one", "two"]}
        line = {"custom_id": "v", "method": "POST", "url": "/v1/embeddings", "body": body}
        batch = ended(client, submit(client, [line], "/v1/embeddings"))
        assert batch.status == "completed", batch
        output = content(client, batch.output_file_id)
        assert len(output["v"]["response"]["body"]["data"]) == 2


def test_what_is_wrong_with_lines_is_told_by_number(client: OpenAI) -> None:
    good = chat("good", "openai/gpt", "Hello")
    batch = submit(
        client,
        [
            good,
            "no json",
            good,
            good | {"custom_id": "url", "url": "/v1/embeddings"},
            good | {"custom_id": "method", "method": "GET"},
            chat("model", "nobody/knows", "Hello"),
            {"custom_id": "nothing", "method": "POST", "url": "/v1/chat/completions"},
            good | {"custom_id": "stream", "body": good["body"] | {"stream": True}},
        ],
    )
    batch = ended(client, batch)
    assert batch.status == "failed" and batch.failed_at and batch.output_file_id is None
    assert batch.errors and batch.errors.data
    found = {fault.line: (fault.code, fault.param) for fault in batch.errors.data}
    assert found == {
        2: ("invalid_json_line", None),
        3: ("duplicate_custom_id", "custom_id"),
        4: ("invalid_url", "url"),
        5: ("invalid_method", "method"),
        6: ("model_not_found", "body.model"),
        7: ("missing_required_parameter", "body"),
        8: ("invalid_request", "body.stream"),
    }
    empty = ended(client, submit(client, [" "]))
    assert empty.errors and empty.errors.data and empty.errors.data[0].code == "empty_file"


def test_a_wrong_batch_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.batches.create(input_file_id="file-nothing", endpoint="/v1/chat/completions", completion_window="24h")
    file = client.files.create(file=("a.jsonl", b"{}"), purpose="user_data")
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert refused.value.param == "input_file_id"
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(input_file_id=file.id, endpoint="/v1/audio/speech", completion_window="24h")  # type: ignore[arg-type]
    assert refused.value.param == "endpoint"
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_nothing")


def test_a_batch_is_its_owners_alone(gateway: Gateway, client: OpenAI) -> None:
    batch = submit(client, [chat("a", "openai/gpt", "Hello")])
    other = gateway.client(SECOND_KEY)
    for attempt in (other.batches.retrieve, other.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            attempt(batch.id)
    assert batch.id not in [found.id for found in other.batches.list()]
    ended(client, batch)


def test_lists_go_on_after_a_batch(client: OpenAI) -> None:
    made = [ended(client, submit(client, [chat("a", "openai/gpt", "Hello")])).id for _ in range(3)]
    first = client.batches.list(limit=2)
    assert [batch.id for batch in first.data] == made[:0:-1] and first.has_more
    assert made[0] in [batch.id for batch in first.get_next_page().data]


@pytest.mark.parametrize("model", ["whole-openai/gpt", "openai/gpt"])
def test_a_batch_that_is_cancelled_ends_soon(client: OpenAI, model: str) -> None:
    lines = [chat(f"line-{number}", model, "[[sim latency=30000]]") for number in range(12)]
    batch = submit(client, lines)
    until(lambda: client.batches.retrieve(batch.id).status == "in_progress", "the batch to be in progress")
    began = time.monotonic()
    assert client.batches.cancel(batch.id).status in {"cancelling", "cancelled"}
    batch = ended(client, batch)
    assert batch.status == "cancelled" and batch.cancelled_at and batch.cancelling_at
    assert time.monotonic() - began < 15
    errors = content(client, batch.error_file_id)
    assert len(errors) + len(content(client, batch.output_file_id)) == 12
    assert any(line["error"] and line["error"]["code"] == "batch_cancelled" for line in errors.values())
    with pytest.raises(openai.BadRequestError):
        client.batches.cancel(batch.id)


def test_lines_that_ended_before_a_kill_are_not_asked_again(tmp_path: Path, running_sim: Sim) -> None:
    gateway = Gateway(tmp_path, running_sim)
    client = gateway.client()
    lines = [chat(f"line-{number}", "openai/gpt", f"[[sim latency={200 + 150 * number}]]") for number in range(16)]
    batch = submit(client, lines)

    def has_some() -> bool:
        counts = client.batches.retrieve(batch.id).request_counts
        return bool(counts and 3 <= counts.completed < 16)

    until(has_some, "some lines to end")
    gateway.process.kill()
    gateway.process.wait()
    gateway = Gateway(tmp_path, running_sim)
    try:
        client = gateway.client()
        before = client.batches.retrieve(batch.id).request_counts
        assert before and before.completed >= 3
        batch = ended(client, batch)
        assert batch.status == "completed"
        assert batch.request_counts and batch.request_counts.completed == 16
        assert len(content(client, batch.output_file_id)) == 16
        def settled_lines() -> list[str]:
            rows = gateway.logs(batch_id=batch.id, limit=100)
            return [row["client_request_id"] for row in rows if row["state"] == "settled"]

        # Rows of interrupted lines may come before the last line's.
        until(lambda: len(set(settled_lines())) >= 16, "every line to be logged")
        settled = settled_lines()
        rows = gateway.logs(batch_id=batch.id, limit=100)
        # A line in flight is asked again, and the ledger shows both; one whose answer was kept is not.
        interrupted = [row["client_request_id"] for row in rows if row["end_reason"] == "interrupted"]
        assert len(interrupted) <= 4, "no more than were asked at the same time"
        assert set(settled) == {f"line-{number}" for number in range(16)}
        assert len(settled) <= 16 + 4
    finally:
        gateway.stop()


def test_a_batch_stops_with_its_key(gateway: Gateway) -> None:
    made = gateway.administer("POST", "/keys", {"name": "short-lived", "models": ["*"]})
    client = gateway.client(made["key"])
    lines = [chat(f"line-{number}", "openai/gpt", "[[sim latency=2000]]") for number in range(40)]
    batch = submit(client, lines)
    until(lambda: client.batches.retrieve(batch.id).status == "in_progress", "the batch to be in progress")
    gateway.administer("DELETE", f"/keys/{made['id']}")
    time.sleep(7)
    asked = len(gateway.logs(batch_id=batch.id, limit=100))
    time.sleep(4)
    assert len(gateway.logs(batch_id=batch.id, limit=100)) == asked < 40


def messages(gateway: Gateway, key: str = FIRST_KEY) -> Anthropic:
    return Anthropic(base_url=gateway.url, auth_token=key, max_retries=0, timeout=30)


def message(custom_id: str, model: str, words: str) -> dict[str, Any]:
    params = {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": words}]}
    return {"custom_id": custom_id, "params": params}


@pytest.mark.parametrize("model", ["anthropic/claude", "line-anthropic/claude", "openai/gpt"])
def test_message_batches_are_answered(gateway: Gateway, sim: Sim, model: str) -> None:
    client = messages(gateway)
    batch = client.messages.batches.create(requests=[message("one", model, "Hello"), message("two", model, "[[sim status=400]]")])  # type: ignore[list-item]
    assert batch.id.startswith("msgbatch_") and batch.processing_status == "in_progress"
    assert batch.request_counts.processing == 2 and batch.results_url is None

    def look() -> Any:
        found = client.messages.batches.retrieve(batch.id)
        return found if found.processing_status == "ended" else None

    batch = until(look, "the message batch to end")
    assert (batch.request_counts.succeeded, batch.request_counts.errored, batch.request_counts.processing) == (1, 1, 0)
    results = {line.custom_id: line.result for line in client.messages.batches.results(batch.id)}
    assert results["one"].type == "succeeded" and results["one"].message.content[0].type == "text"
    assert results["two"].type == "errored" and results["two"].error.error.type == "invalid_request_error"
    rows = until(lambda: (found := gateway.logs(batch_id=batch.id.removeprefix("msg"))) and len(found) == 2 and found, "the requests to be logged")
    assert {row["state"] for row in rows} == {"settled", "failed"}
    assert batch.id in [found.id for found in client.messages.batches.list(limit=5)]
    with pytest.raises(anthropic.NotFoundError):
        messages(gateway, SECOND_KEY).messages.batches.retrieve(batch.id)
    assert client.messages.batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve(batch.id)


def test_a_message_batch_that_is_canceled_says_so(gateway: Gateway) -> None:
    client = messages(gateway)
    requests = [message(f"line-{number}", "line-anthropic/claude", "[[sim latency=30000]]") for number in range(6)]
    batch = client.messages.batches.create(requests=requests)  # type: ignore[arg-type]
    with pytest.raises(anthropic.BadRequestError):
        client.messages.batches.delete(batch.id)
    assert client.messages.batches.cancel(batch.id).cancel_initiated_at
    until(lambda: client.messages.batches.retrieve(batch.id).processing_status == "ended", "the message batch to end")
    batch = client.messages.batches.retrieve(batch.id)
    assert batch.request_counts.canceled == 6
    assert {line.result.type for line in client.messages.batches.results(batch.id)} == {"canceled"}


def test_wrong_message_batches_are_refused(gateway: Gateway) -> None:
    client = messages(gateway)
    good = message("one", "anthropic/claude", "Hello")
    for requests in ([], [good, good], [good | {"custom_id": "a b"}]):
        with pytest.raises(anthropic.BadRequestError):
            client.messages.batches.create(requests=requests)  # type: ignore[arg-type]
