"""Callers of every face, streamed and not, who ask for faults, lose patience, and hang up."""

import http.client
import json
import random
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

from services import KEYS, Gateway

FACES = ["openai", "responses", "anthropic", "gemini", "cohere"]
ROUTES = ["any-openai", "any-anthropic", "any-google", "any-cohere"]
WISHES = {
    "": 30,
    "words=40": 10,
    "cached=3": 5,
    "usage=none": 4,
    "latency=300": 6,
    "latency=200 chunks=6 chunk-delay=60": 10,
    "status=500": 3,
    "status=429 retry-after=1": 3,
    "status=503 times=1 id={id}": 5,
    "status=400": 2,
    "error-200": 2,
    "garbage": 2,
    "cut=3": 4,
    "error-mid=3": 3,
    "hang=body": 2,
    "hang=head": 1,
    "html": 1,
}
"""What is wished of the provider, and how often."""
WHOSE = {"free": 5, "rated": 1, "budgeted": 2}
"""With which key it is asked, and how often."""
PATIENCE_SECONDS = 8


@dataclass
class Outcome:
    """What a caller saw of one call."""

    id: str
    key: str
    face: str
    model: str
    streamed: bool
    wish: str
    began: float
    hangs_up: str
    ended: float = 0.0
    status: int | None = None
    was_whole: bool = False


class Caller:
    """Calls one after the other until it is over. Every draw comes from the seed and the caller's number."""

    def __init__(self, seed: int, number: int, gateways: list[Gateway], over: threading.Event) -> None:
        self.number, self.gateways, self.over = number, gateways, over
        self.chance = random.Random(f"{seed} caller {number}")
        self.prefix = f"chaos-{seed}-{number}"
        self.outcomes: list[Outcome] = []

    def run(self) -> None:
        while not self.over.is_set():
            outcome = self.draw()
            gateway = self.chance.choice(self.gateways)
            self.outcomes.append(outcome)
            try:
                self.call(gateway.port, outcome)
            except (OSError, http.client.HTTPException):
                # Killed, frozen, or cut off; what the ledger says of it is looked at later.
                self.over.wait(0.1)
            outcome.ended = time.time()

    def draw(self) -> Outcome:
        id = f"{self.prefix}-{len(self.outcomes):06}"
        wish = self.chance.choices(list(WISHES), list(WISHES.values()))[0].format(id=id)
        hangs_up = self.chance.choices(["never", "at once", "after the head", "in the middle"], [80, 5, 5, 10])[0]
        return Outcome(
            id=id,
            key=self.chance.choices(list(WHOSE), list(WHOSE.values()))[0],
            face=self.chance.choice(FACES),
            model=self.chance.choice(ROUTES),
            streamed=self.chance.random() < 0.5,
            wish=wish,
            began=time.time(),
            hangs_up=hangs_up,
        )

    def call(self, port: int, outcome: Outcome) -> None:
        path, body = request(outcome)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        fields = {
            "authorization": f"Bearer {KEYS[outcome.key]}",
            "content-type": "application/json",
            "x-client-request-id": outcome.id,
            "anthropic-version": "2023-06-01",
        }
        try:
            connection.request("POST", path, json.dumps(body), fields)
            if outcome.hangs_up == "at once":
                time.sleep(self.chance.uniform(0, 0.05))
                return cut_off(connection)
            response = connection.getresponse()
            outcome.status = response.status
            if outcome.hangs_up == "after the head":
                return cut_off(connection)
            if outcome.hangs_up == "in the middle" and outcome.streamed:
                response.read1(self.chance.randrange(1, 400))
                return cut_off(connection)
            response.read()
            outcome.was_whole = True
        finally:
            connection.close()


def cut_off(connection: http.client.HTTPConnection) -> None:
    """Leaves without a word, as a client does that crashes: the other end reads a reset."""
    if connection.sock:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.sock.close()


def request(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """The path and body in the words of the face. The identifier is the first word that is said, by which the
    provider's record is held against the ledger."""
    wish = f" [[sim {outcome.wish}]]" if outcome.wish else ""
    words = f"{outcome.id}: say something.{wish}"
    messages = [{"role": "user", "content": words}]
    streamed = {"stream": True} if outcome.streamed else {}
    match outcome.face:
        case "openai":
            return "/v1/chat/completions", {"model": outcome.model, "messages": messages} | streamed
        case "responses":
            return "/v1/responses", {"model": outcome.model, "input": words, "store": False} | streamed
        case "anthropic":
            return "/v1/messages", {"model": outcome.model, "max_tokens": 500, "messages": messages} | streamed
        case "gemini":
            verb = "streamGenerateContent?alt=sse" if outcome.streamed else "generateContent"
            return f"/v1beta/models/{outcome.model}:{verb}", {"contents": [{"role": "user", "parts": [{"text": words}]}]}
        case _:
            return "/v2/chat", {"model": outcome.model, "messages": messages} | streamed
