"""Every kind of provider that answers, and what it truly cannot do."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Target:
    """A provider of `trunkline.yaml` with its models."""

    #: A model that takes text, tools, schemas.
    model: str
    #: One that thinks.
    thinker: str
    #: One that sees pictures, where that is another.
    seer: str | None = None
    #: Whether thoughts are shown, or only counted.
    shows_thoughts: bool = True
    #: Whether they are counted apart from the rest of the output.
    counts_thoughts: bool = True
    #: Why it refuses a PDF, in words of the refusal.
    refuses_documents: str | None = None

    def __str__(self) -> str:
        return self.model


TARGETS = [
    Target("openai/gpt", thinker="openai/gpt-5", shows_thoughts=False),
    Target("official/gpt", thinker="official/gpt-5", shows_thoughts=False),
    Target("anthropic/claude", thinker="anthropic/claude-sonnet-4-5"),
    Target("google/gemini", thinker="google/gemini-3-pro"),
    Target(
        "cohere/command-a",
        thinker="cohere/command-a-reasoning-08-2025",
        seer="cohere/command-a-vision",
        counts_thoughts=False,
        refuses_documents="plain text",
    ),
    # Nova does not think, however it is asked.
    Target("bedrock/amazon.nova-pro-v1:0", thinker="bedrock/amazon.nova-pro-v1:0", shows_thoughts=False, counts_thoughts=False),
    Target("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", thinker="bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0"),
    Target("mistral/mistral-large-latest", thinker="mistral/magistral-medium-latest", counts_thoughts=False),
    Target(
        "huggingface/meta-llama/Llama-3.3-70B-Instruct",
        thinker="huggingface/deepseek-ai/DeepSeek-R1",
        refuses_documents="unknown variant `file`",
    ),
    Target("azure/gpt", thinker="azure/gpt-5", shows_thoughts=False),
    Target("vertex/gemini", thinker="vertex/gemini-2.5-pro"),
    Target("vertex/claude", thinker="vertex/claude-sonnet-4-5"),
]


def cost(usage: dict[str, Any]) -> Decimal:
    """What `trunkline.yaml` says that this costs at each of them, in dollars: its prices are for a million tokens."""
    cached = usage.get("cached_input_tokens", 0)
    return (Decimal("2.5") * (usage["input_tokens"] - cached) + Decimal("0.25") * cached + 10 * usage["output_tokens"]) / 1_000_000
