"""Fixtures of every file: one simulated provider and one gateway for the whole run, forgotten calls for each test."""

import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from openai import OpenAI

from stack import Gateway, Service, Sim

AnyService = TypeVar("AnyService", bound=Service)
TARGETS = ["openai/gpt", "anthropic/claude", "google/gemini"]


@pytest.fixture(scope="session")
def running_sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sim]:
    yield from running(lambda: Sim(tmp_path_factory.mktemp("sim")))


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, running_sim: Sim) -> Iterator[Gateway]:
    yield from running(lambda: Gateway(tmp_path_factory.mktemp("gateway"), running_sim))


def running(start: Callable[[], AnyService]) -> Iterator[AnyService]:
    """One failure to start ends the run: it would only be repeated by every test."""
    try:
        service = start()
    except (RuntimeError, TimeoutError, OSError) as failure:
        pytest.exit(str(failure), returncode=1)
    yield service
    service.stop()


@pytest.fixture
def sim(running_sim: Sim) -> Sim:
    """The simulated provider, with no memory of earlier tests."""
    running_sim.forget_calls()
    return running_sim


@pytest.fixture(scope="session")
def client(gateway: Gateway) -> OpenAI:
    return gateway.client()


@pytest.fixture(params=TARGETS)
def model(request: pytest.FixtureRequest) -> str:
    """A model of each provider in turn: the caller's own format once, translated ones otherwise."""
    return request.param


@pytest.fixture
def request_id() -> str:
    """A fresh `x-client-request-id`."""
    return f"suite-{uuid.uuid4()}"
