"""Small builders of requests and readers of streams."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def answering(text: str) -> dict[str, Any]:
    """A user message that the simulated provider answers with exactly this text."""
    return user(f'[[sim text="{text}"]]')


def identified(request_id: str) -> dict[str, str]:
    return {"x-client-request-id": request_id}


@dataclass
class StreamedCall:
    """One tool call, put together from its fragments."""

    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass
class Streamed:
    """A whole stream, put together the way applications do."""

    content: str = ""
    reasoning: str = ""
    refusal: str = ""
    content_chunks: int = 0
    roles: list[str] = field(default_factory=list)
    finish_reasons: list[str] = field(default_factory=list)
    usages: list[CompletionUsage] = field(default_factory=list)
    calls: dict[int, StreamedCall] = field(default_factory=lambda: defaultdict(StreamedCall))
    last: ChatCompletionChunk | None = None


def collect(stream: Iterable[ChatCompletionChunk]) -> Streamed:
    whole = Streamed()
    for chunk in stream:
        whole.last = chunk
        if chunk.usage:
            whole.usages.append(chunk.usage)
        for choice in chunk.choices:
            delta = choice.delta
            if delta.role:
                whole.roles.append(delta.role)
            if delta.content:
                whole.content += delta.content
                whole.content_chunks += 1
            whole.reasoning += getattr(delta, "reasoning_content", None) or ""
            whole.refusal += delta.refusal or ""
            if choice.finish_reason:
                whole.finish_reasons.append(choice.finish_reason)
            for fragment in delta.tool_calls or []:
                call = whole.calls[fragment.index]
                call.id += fragment.id or ""
                if fragment.function:
                    call.name += fragment.function.name or ""
                    call.arguments += fragment.function.arguments or ""
    return whole


def check_usage(usage: CompletionUsage | None) -> CompletionUsage:
    """What holds for the usage of every answer, whoever gave it."""
    assert usage is not None
    assert usage.prompt_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    if usage.prompt_tokens_details:
        assert 0 <= (usage.prompt_tokens_details.cached_tokens or 0) <= usage.prompt_tokens
    if usage.completion_tokens_details:
        assert 0 <= (usage.completion_tokens_details.reasoning_tokens or 0) <= usage.completion_tokens
    return usage
