"""Official clients that count tokens: through their own API at every provider, and at the clouds' own APIs."""

from collections.abc import Callable

import boto3
import google.auth.credentials
import pytest
from anthropic import Anthropic, AnthropicVertex
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from google import genai
from openai import OpenAI

from stack import FIRST_KEY, Gateway

#: Providers that count, and what each is called there.
COUNTED = [
    "anthropic/claude",
    "google/gemini",
    "vertex/gemini",
    "vertex/claude",
    "bedrock/amazon.nova-pro-v1:0",
    "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
]
#: Providers that do not, or not this model.
ESTIMATED = ["openai/gpt", "cohere/command-a", "mistral/mistral-large-latest", "azure/gpt", "bedrock/us.anthropic.claude-opus-4-7"]
WORDS = "How many tokens would this be, and who says so?"


@pytest.fixture
def claude(gateway: Gateway) -> Anthropic:
    return Anthropic(base_url=gateway.url, api_key=FIRST_KEY, max_retries=0)


@pytest.fixture
def gemini(gateway: Gateway) -> genai.Client:
    return genai.Client(api_key=FIRST_KEY, http_options={"base_url": gateway.url})


def counted(claude: Anthropic, gemini: genai.Client, client: OpenAI, model: str) -> list[tuple[int, bool]]:
    """What each client is told, and whether it is an estimate."""
    message = claude.messages.count_tokens(model=model, messages=[{"role": "user", "content": WORDS}])
    raw = gemini.models.count_tokens(model=model, contents=WORDS)
    answer = client.responses.input_tokens.count(model=model, input=WORDS)
    estimated = [bool((told.model_extra or {}).get("estimated")) for told in (message, answer)]
    return [(message.input_tokens, estimated[0]), (raw.total_tokens, estimated[0]), (answer.input_tokens, estimated[1])]


@pytest.mark.parametrize("model", COUNTED)
def test_the_count_is_what_is_billed(claude: Anthropic, gemini: genai.Client, client: OpenAI, model: str) -> None:
    billed = claude.messages.create(model=model, max_tokens=10, messages=[{"role": "user", "content": WORDS}]).usage.input_tokens
    assert counted(claude, gemini, client, model) == [(billed, False)] * 3


@pytest.mark.parametrize("model", ESTIMATED)
def test_an_estimate_says_so(claude: Anthropic, gemini: genai.Client, client: OpenAI, model: str) -> None:
    for tokens, is_estimated in counted(claude, gemini, client, model)[:2]:
        assert tokens > 5
        assert is_estimated


def vertex_claude(gateway: Gateway) -> int:
    client = AnthropicVertex(
        base_url=f"{gateway.url}/passthrough/vertex/v1", access_token=FIRST_KEY, project_id="simulated", region="us-central1", max_retries=0
    )
    return client.messages.count_tokens(model="claude-sonnet-4-5@20250929", messages=[{"role": "user", "content": WORDS}]).input_tokens


class Key(google.auth.credentials.Credentials):
    """A virtual key, where the client expects an access token."""

    def __init__(self) -> None:
        super().__init__()
        self.token = FIRST_KEY

    def refresh(self, request: object) -> None:
        pass


def vertex_gemini(gateway: Gateway) -> int:
    options = {"base_url": f"{gateway.url}/passthrough/vertex"}
    client = genai.Client(vertexai=True, project="simulated", location="us-central1", credentials=Key(), http_options=options)
    return client.models.count_tokens(model="gemini-2.5-flash", contents=WORDS).total_tokens


def aws(gateway: Gateway) -> "boto3.client":
    """AWS's client sends a bearer token over TLS only, so that the key is written in behind its back."""
    unsigned = Config(signature_version=UNSIGNED)
    client = boto3.client("bedrock-runtime", endpoint_url=f"{gateway.url}/passthrough/bedrock", region_name="us-east-1", config=unsigned)

    def prove(request: AWSPreparedRequest, **_: object) -> None:
        request.headers["Authorization"] = f"Bearer {FIRST_KEY}"

    client.meta.events.register("before-send", prove)
    return client


@pytest.mark.parametrize("count", [vertex_claude, vertex_gemini], ids=["claude", "gemini"])
def test_vertex_ais_own_clients_count(count: Callable[[Gateway], int], claude: Anthropic, gateway: Gateway) -> None:
    model = {vertex_claude: "vertex/claude", vertex_gemini: "vertex/gemini"}[count]
    expected = claude.messages.count_tokens(model=model, messages=[{"role": "user", "content": WORDS}]).input_tokens
    assert count(gateway) == expected


def test_awss_own_client_counts(claude: Anthropic, gateway: Gateway) -> None:
    """Anthropic's client for Bedrock counts nothing: it says that it is not supported yet."""
    client = aws(gateway)
    model = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    expected = claude.messages.count_tokens(model=f"bedrock/{model}", messages=[{"role": "user", "content": WORDS}]).input_tokens
    messages = [{"role": "user", "content": [{"text": WORDS}]}]
    answer = client.count_tokens(modelId=model, input={"converse": {"messages": messages}})
    assert answer["inputTokens"] == expected
    with pytest.raises(ClientError) as refused:
        client.count_tokens(modelId=f"us.{model}", input={"converse": {"messages": messages}})
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
