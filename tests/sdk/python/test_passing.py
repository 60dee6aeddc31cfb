"""Official clients at their vendors' own APIs, through the gateway: what they send passes, and is recorded."""

import io
import json

import anthropic
import openai
import pytest
from anthropic import Anthropic
from google import genai
from openai import OpenAI

from stack import FIRST_KEY, LIMITED_KEY, Gateway

EXAMPLE = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}


@pytest.fixture
def own(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=f"{gateway.url}/passthrough/openai", api_key=FIRST_KEY, max_retries=0)


@pytest.fixture
def claude(gateway: Gateway) -> Anthropic:
    return Anthropic(base_url=f"{gateway.url}/passthrough/anthropic", api_key=FIRST_KEY, max_retries=0)


def recorded(gateway: Gateway, request_id: str) -> dict:
    call = gateway.logged(request_id)
    assert call["operation"] == "pass_through"
    assert call["state"] == "settled"
    return call


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_openais_chat_passes(own: OpenAI, gateway: Gateway, request_id: str, stream: bool) -> None:
    marked = {"x-client-request-id": request_id}
    asked = {"model": "gpt-5.4-nano", "messages": [{"role": "user", "content": '[[sim text="Grüße"]]'}], "extra_headers": marked}
    if stream:
        chunks = list(own.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        usage = chunks[-1].usage
    else:
        answer = own.chat.completions.create(**asked)
        text, usage = answer.choices[0].message.content, answer.usage
    assert text == "Grüße"
    call = recorded(gateway, request_id)
    assert call["usage"]["output_tokens"] == usage.completion_tokens
    assert float(call["cost_usd"]) > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_anthropics_messages_pass(claude: Anthropic, gateway: Gateway, request_id: str, stream: bool) -> None:
    asked = {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}], "extra_headers": {"x-client-request-id": request_id}}
    if stream:
        with claude.messages.stream(**asked) as events:
            answer = events.get_final_message()
    else:
        answer = claude.messages.create(**asked)
    assert answer.content[0].text
    call = recorded(gateway, request_id)
    assert call["usage"]["output_tokens"] == answer.usage.output_tokens
    assert call["provider"] == "anthropic"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_geminis_contents_pass(gateway: Gateway, request_id: str, stream: bool) -> None:
    options = {"base_url": f"{gateway.url}/passthrough/google", "headers": {"x-client-request-id": request_id}}
    client = genai.Client(api_key=FIRST_KEY, http_options=options)
    asked = {"model": "gemini-3.1-flash-lite", "contents": "Hello"}
    if stream:
        *_, answer = client.models.generate_content_stream(**asked)
    else:
        answer = client.models.generate_content(**asked)
    call = recorded(gateway, request_id)
    assert call["usage"]["input_tokens"] == answer.usage_metadata.prompt_token_count
    assert float(call["cost_usd"]) > 0


def test_errors_are_raised_as_the_vendors_own(own: OpenAI, claude: Anthropic, gateway: Gateway) -> None:
    with pytest.raises(openai.NotFoundError):
        own.fine_tuning.jobs.retrieve("ftjob-nobody")
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(model="claude", max_tokens=10, messages=[])
    limited = own.with_options(api_key=LIMITED_KEY)
    with pytest.raises(openai.PermissionDeniedError, match="models"):
        limited.files.list()
    locked = OpenAI(base_url=f"{gateway.url}/passthrough/locked-openai", api_key=FIRST_KEY, max_retries=0)
    with pytest.raises(openai.InternalServerError) as raised:
        locked.models.list()
    assert raised.value.status_code == 502


def test_a_model_is_tuned(own: OpenAI, client: OpenAI) -> None:
    examples = "\n".join([json.dumps(EXAMPLE)] * 10)
    file = own.files.create(file=("examples.jsonl", io.BytesIO(examples.encode())), purpose="fine-tune")
    jobs = client.fine_tuning.jobs
    job = jobs.create(model="openai/gpt-4.1-nano", training_file=file.id, suffix="ours")
    assert job.model == "gpt-4.1-nano"
    assert job.id in [listed.id for listed in jobs.list(limit=5)]
    while (job := jobs.retrieve(job.id)).status != "succeeded":
        assert job.status in {"queued", "running"}
    assert job.fine_tuned_model.startswith("ft:gpt-4.1-nano:")
    assert len(list(jobs.list_events(job.id, limit=2))) == 4
    other = jobs.create(model="gpt-4.1-nano", training_file=file.id, extra_query={"provider": "openai"})
    assert jobs.cancel(other.id).status == "cancelled"
    assert own.files.content(file.id).text == examples
