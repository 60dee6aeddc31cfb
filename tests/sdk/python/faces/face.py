"""What the matrix asks of a client, and what it gets, whichever vendor's words it speaks."""

import base64
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from stack import Gateway

#: A red dot.
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==")
PNG_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
#: A document without a page.
PDF = b"%PDF-1.4\n1 0 obj << /Type /Catalog >> endobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"
PDF_TEXT = base64.b64encode(PDF).decode()
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name", "age"], "additionalProperties": False}
#: How much may be thought, in tokens; and how much may be said with it.
THOUGHT, LIMIT = 1024, 4096

#: ("user" | "image" | "document", text), ("answer", Answer), or ("results", [(id, text), …]).
Turn = tuple[str, Any]


@dataclass
class Call:
    """One tool call."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass
class Answer:
    """What an application gets out of an answer."""

    text: str = ""
    #: Thoughts that are shown.
    thoughts: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None
    #: All of the input, from a cache or not.
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    #: How many events had some of the text.
    pieces: int = 0
    #: The turn as the client puts it into the next request.
    turn: Any = None


@dataclass
class Failure:
    """What an application can read of an error that the client raised."""

    status: int
    message: str
    request_id: str | None
    retry_after: str | None


@dataclass
class Wanted:
    """What a request asks for beside the conversation."""

    tools: bool = False
    schema: bool = False
    thoughts: bool = False


class Face:
    """One client with nothing but base URL and key; it does not retry."""

    name: str
    #: The class that the client raises, by status.
    errors: dict[int, type[Exception]]
    #: The status that it sees where a provider's is translated: a server that fails behind a gateway is a bad gateway.
    statuses = {500: 502}
    #: Whether an application sees what the model thought.
    shows_thoughts = True

    def __init__(self, gateway: Gateway, url: str | None = None) -> None:
        self.gateway = gateway
        self.url = url or gateway.url
        self.client = self.connect()

    def ask(self, model: str, turns: list[Turn], stream: bool = False, headers: dict[str, str] | None = None, **wanted: bool) -> Answer:
        request = self.request(model, turns, Wanted(**wanted), headers or {})
        if not stream:
            return self.whole(request)
        with self.events(request) as events:
            return self.collect(events)

    def hang_up(self, model: str, turns: list[Turn], after: int, headers: dict[str, str]) -> None:
        """Reads so many events of a stream and goes away."""
        with self.events(self.request(model, turns, Wanted(), headers)) as events:
            for _ in islice(iter(events), after):
                pass

    def connect(self) -> Any:
        raise NotImplementedError

    def request(self, model: str, turns: list[Turn], wanted: Wanted, headers: dict[str, str]) -> Any:
        """What the client's own functions take."""
        raise NotImplementedError

    def whole(self, request: Any) -> Answer:
        raise NotImplementedError

    def events(self, request: Any) -> AbstractContextManager[Iterable[Any]]:
        """The client's own stream; leaving it closes the connection."""
        raise NotImplementedError

    def collect(self, events: Iterable[Any]) -> Answer:
        raise NotImplementedError

    def failure(self, error: Any) -> Failure:
        raise NotImplementedError


