"""Starts the simulated provider and a gateway in front of it, and asks both what happened."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import AsyncOpenAI, OpenAI

FIRST_KEY = "key-of-the-first-application"
SECOND_KEY = "key-of-the-second-application"
LIMITED_KEY = "key-for-one-model-only"
CONFIGURATION = Path(__file__).parent.parent / "trunkline.yaml"
PATIENCE_SECONDS = 10


class Service:
    """One process of the binary under test, stopped by its own process id."""

    def __init__(self, arguments: list[str], home: Path, ready: str, environment: dict[str, str] | None = None) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = home / f"{arguments[0]}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [os.environ["TRUNKLINE_BINARY"], *arguments, "--listen", f"127.0.0.1:{port}"],
                cwd=home,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "HOME": str(home), **(environment or {})},
            )
        self.http = httpx2.Client(base_url=self.url, timeout=PATIENCE_SECONDS)
        try:
            wait_for(lambda: self.answers(ready), f"{arguments[0]} to be ready, its output is in {self.log}")
        except BaseException:
            self.stop()
            raise

    def answers(self, path: str) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"the process ended with {self.process.returncode}:\n{self.log.read_text()}")
        try:
            return self.http.get(path).is_success
        except httpx2.TransportError:
            return False

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Sim(Service):
    """`trunkline sim`: every provider the gateway knows of."""

    def __init__(self, home: Path) -> None:
        super().__init__(["sim"], home, ready="/sim/calls")

    def calls(self) -> list[dict[str, Any]]:
        """What the gateway asked, oldest first."""
        return self.http.get("/sim/calls").raise_for_status().json()

    def google_key(self) -> str:
        """The key file of the one service account that it knows."""
        return self.http.get("/sim/google-key-file").raise_for_status().text

    def forget_calls(self) -> None:
        self.http.delete("/sim/calls").raise_for_status()


class Gateway(Service):
    """`trunkline serve`: with the suites' configuration in front of `sim`, or with none at all."""

    key = FIRST_KEY

    def __init__(self, home: Path, sim: Sim | None = None, more: str = "") -> None:
        """`more` is appended to the suites' configuration."""
        data = home / "data"
        arguments = ["serve", "--data-dir", str(data)]
        environment = {}
        if sim:
            configuration = home / CONFIGURATION.name
            configuration.write_text(CONFIGURATION.read_text() + more)
            arguments += ["--config", str(configuration)]
            environment = {"SIM_URL": sim.url, "GOOGLE_KEY": sim.google_key()}
        super().__init__(arguments, home, ready="/readyz", environment=environment)
        self.admin_key = (data / "admin.key").read_text().strip()

    def client(self, key: str = FIRST_KEY, **options: Any) -> OpenAI:
        """The official client with nothing but base URL and key; it does not retry unless told to."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=key, **{"max_retries": 0, "timeout": 30} | options)

    def async_client(self, key: str = FIRST_KEY) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=30)

    def post(self, content: bytes, key: str | None = FIRST_KEY, **headers: str) -> httpx2.Response:
        """Bytes that the client would never send."""
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        return self.http.post("/v1/chat/completions", content=content, headers={"content-type": "application/json"} | headers)

    def administer(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One administrative request; what it answers."""
        headers = {"authorization": f"Bearer {self.admin_key}"}
        envelope = self.http.request(method, f"/api/v1/admin{path}", json=body, headers=headers).raise_for_status().json()
        assert envelope["success"] is True, envelope
        return envelope["data"]

    def logs(self, key: str | None = None, **filters: str | int) -> list[dict[str, Any]]:
        """Rows of the call log as the owner of `key` sees them, by default the administrator."""
        response = self.http.get("/api/v1/db/logs", params=filters, headers={"authorization": f"Bearer {key or self.admin_key}"})
        envelope = response.raise_for_status().json()
        assert envelope["success"] is True, envelope
        return envelope["data"]["items"]

    def logged(self, client_request_id: str) -> dict[str, Any]:
        """The one row of this call, as soon as the call has ended and reached the store."""
        rows: list[dict[str, Any]] = []

        def has_ended() -> bool:
            rows[:] = self.logs(client_request_id=client_request_id)
            return bool(rows) and rows[0]["ended_at"] is not None

        wait_for(has_ended, f"call {client_request_id} to be in the log")
        assert len(rows) == 1, rows
        return rows[0]


class Dribble:
    """A line to a service that carries one byte at a time, both ways."""

    def __init__(self, url: str) -> None:
        self.there = (urlsplit(url).hostname, urlsplit(url).port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.there)
            for source, sink in ((near, far), (far, near)):
                sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
                threading.Thread(target=carry, args=(source, sink), daemon=True).start()

    def stop(self) -> None:
        self.listener.close()


def carry(source: socket.socket, sink: socket.socket) -> None:
    try:
        while received := source.recv(65536):
            for byte in received:
                sink.send(bytes([byte]))
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        sink.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Waits until the condition holds; other processes bring it about, so there is nothing to be told by."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_SECONDS} s in vain for {what}")
        time.sleep(0.02)
