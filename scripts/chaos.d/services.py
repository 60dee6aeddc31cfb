"""The processes under test, each ended by its own process id."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

KEYS = {"free": "key-of-the-callers-in-chaos", "rated": "key-of-callers-with-a-rate", "budgeted": "key-of-callers-with-a-budget"}
"""The callers' keys by name. Nothing holds the first back; the others have limits that a run uses up."""
RATE = 25
"""Requests in an hour."""
BUDGET_DOLLARS = "0.01"
"""In all."""
PATIENCE_SECONDS = 60
PRICES = {"input": "2.5", "cached_input": "0.25", "output": "10"}
"""Dollars for a million tokens of every model, so that every row of the ledger can be computed again."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(condition: Any, what: str, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)


def get(port: int, path: str, key: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {key}"} if key else {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Process:
    """A process of the binary under test with its output in a file."""

    def __init__(self, home: Path, name: str, ready: str) -> None:
        self.home, self.name, self.ready = home, name, ready
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, arguments: list[str]) -> None:
        with (self.home / f"{self.name}.log").open("ab") as output:
            self.process = subprocess.Popen(
                [os.environ["TRUNKLINE_BINARY"], *arguments, "--listen", f"127.0.0.1:{self.port}"],
                cwd=self.home,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
            )

    def answers(self) -> bool:
        try:
            return get(self.port, self.ready)[0] == 200
        except OSError:
            return False

    def wait_until_ready(self) -> None:
        wait_for(self.answers, f"{self.name} to be ready; its output is in {self.home / self.name}.log")

    def end_with(self, number: signal.Signals) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        self.end_with(signal.SIGKILL)

    def stop(self) -> None:
        self.end_with(signal.SIGTERM)


class Sim(Process):
    """Every provider, strict, with a record of what it was asked."""

    def __init__(self, home: Path, seed: int) -> None:
        super().__init__(home, "sim", "/sim/calls?since=999999999")
        self.url = f"http://127.0.0.1:{self.port}"
        self.run(["sim", "--seed", str(seed % 2**32)])
        self.wait_until_ready()

    def calls(self) -> list[dict[str, Any]]:
        return json.loads(get(self.port, "/sim/calls")[1])


class Database:
    """A throwaway PostgreSQL that may be stopped and started."""

    def __init__(self, url: str, home: Path, binaries: Path) -> None:
        self.url, self.home, self.binaries = url, home, binaries
        # The throwaway server acknowledges what it has not written: killed, it would lose what the gateways were
        # told that it has.
        keep = "ALTER DATABASE postgres SET synchronous_commit TO on"
        subprocess.run([str(binaries / "psql"), url, "--quiet", "--command", keep], check=True)

    @classmethod
    def of_environment(cls) -> "Database":
        variable = os.environ.__getitem__
        return cls(variable("CHAOS_POSTGRES_URL"), Path(variable("CHAOS_POSTGRES_HOME")), Path(variable("CHAOS_POSTGRES_BIN")))

    def control(self, *arguments: str) -> None:
        command = [str(self.binaries / "pg_ctl"), *arguments, "--silent", "--wait", f"--pgdata={self.home / 'data'}"]
        if os.getuid() == 0:
            command = ["runuser", "--user", "postgres", "--", *command]
        subprocess.run(command, cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def restart(self, pause: float) -> None:
        # The options that it was started with stand in postmaster.opts, each quoted; the first two are its data.
        options = (self.home / "data" / "postmaster.opts").read_text().split('"')[1:-1:2][2:]
        given = " ".join(shell_quoted(option) for option in options)
        self.control("stop", "--mode=immediate")
        time.sleep(pause)
        self.control("start", f"--log={self.home / 'log'}", f"--options={given}")


class Redis:
    """What the gateways share, which may be lost, away, and slow."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(["redis-server", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.answers, "Redis to start")

    def answers(self) -> bool:
        try:
            return self.say("PING").startswith(b"+PONG")
        except OSError:
            return False

    def say(self, command: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(command.encode() + b"\r\n")
            return connection.recv(1024)

    def flush(self) -> None:
        self.say("FLUSHALL")

    def be_slow(self, seconds: float) -> None:
        """Answers nobody for so long, and then everybody."""
        self.say(f"CLIENT PAUSE {int(seconds * 1000)} ALL")
        time.sleep(seconds)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(PATIENCE_SECONDS)

    def restart(self, pause: float) -> None:
        self.kill()
        time.sleep(pause)
        self.start()


def shell_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


class Gateway(Process):
    """The gateway, with a data directory that outlives its processes."""

    def __init__(self, home: Path, number: int, sim: str, database: Database | None, redis: Redis | None) -> None:
        super().__init__(home, f"gateway-{number}", "/readyz")
        self.data = home / f"data-{number}"
        self.configuration = home / f"{self.name}.yaml"
        self.configuration.write_text(json.dumps(configuration(sim, database, redis)))
        self.arguments = ["--config", str(self.configuration), "--data-dir", str(self.data)]

    def start(self) -> None:
        # A database that is down keeps a gateway from starting; whoever supervises it tries again.
        def has_started() -> bool:
            if self.process is None or self.process.poll() is not None:
                self.run(["serve", *self.arguments])
                time.sleep(0.2)
            return self.answers()

        wait_for(has_started, f"{self.name} to start; its output is in {self.home / self.name}.log")

    def freeze(self, seconds: float) -> None:
        """As a machine does that runs out of memory or is moved: nothing happens, and everybody's time goes on."""
        if self.process:
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self.process.send_signal(signal.SIGCONT)

    def metric(self, name: str) -> int:
        text = get(self.port, "/metrics")[1].decode()
        found = re.search(rf"^{name}(?:_total)?(?:\{{[^}}]*\}})? ([0-9.e+]+)$", text, re.MULTILINE)
        return int(float(found[1])) if found else 0

    def wait_until_quiet(self) -> tuple[int, int]:
        """The attempts that were dispatched and captured once both stand still and are equal, or after a while."""
        figures: tuple[int, int] = (0, -1)

        def is_quiet() -> bool:
            nonlocal figures
            before = figures
            figures = (self.metric("trunkline_ledger_dispatched"), self.metric("trunkline_ledger_captured"))
            time.sleep(0.3)
            return before == figures and figures[0] == figures[1]

        try:
            wait_for(is_quiet, "calls to end")
        except TimeoutError:
            pass
        return figures

    def journal_of_the_dead(self) -> list[str]:
        """Segments beside those of the process that lives."""
        return sorted(lock.stem for lock in (self.data / "journal").glob("*.lock"))[:-1]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [os.environ["TRUNKLINE_BINARY"], *arguments, *self.arguments],
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
        )

    def logs(self) -> list[dict[str, Any]]:
        listed = self.command("logs", "--limit", "1000000", "--json")
        if listed.returncode != 0:
            raise RuntimeError(listed.stderr)
        return [json.loads(line) for line in listed.stdout.splitlines()]


def configuration(sim: str, database: Database | None, redis: Redis | None) -> dict[str, Any]:
    """JSON is YAML."""
    local = {"api_key": "sk-chaos", "allow_private_address": True}
    kinds = {"openai": ("openai", f"{sim}/v1"), "anthropic": ("anthropic", sim), "google": ("gemini", sim), "cohere": ("cohere", sim)}
    models = {"openai": "gpt", "anthropic": "claude", "google": "gemini", "cohere": "command"}
    routes = {f"any-{name}": {"targets": [{"model": f"{name}/{model}"}], "timeout": {"first_byte": "2s", "idle": "2s", "total": "5s"},
                              "retries": {"attempts": 3, "backoff": {"initial": "50ms", "max": "500ms"}}}
              for name, model in models.items()}  # fmt: skip
    settings: dict[str, Any] = {
        "providers": {name: {"kind": kind, "base_url": url} | local for name, (kind, url) in kinds.items()},
        "models": routes,
        "prices": [{"provider": name, "model": model} | PRICES for name, model in models.items()],
        "keys": [{"name": name, "key": key} for name, key in KEYS.items()],
        "limits": [
            {"name": "rate", "key": "rated", "requests": RATE, "per": "hour"},
            {"name": "budget", "key": "budgeted", "usd": float(BUDGET_DOLLARS), "per": "total"},
        ],
        "server": {"drain": "2s"},
    }
    if database and redis:
        settings["store"] = database.url
        settings["shared"] = redis.url
        settings["server"]["secret"] = "the-secret-that-all-gateways-of-chaos-share"
    return settings

