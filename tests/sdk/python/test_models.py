"""The list of models."""

import openai
import pytest
from openai import OpenAI

from stack import LIMITED_KEY, Gateway


def test_the_list_holds_the_configured_routes(client: OpenAI) -> None:
    models = list(client.models.list())
    names = [model.id for model in models]
    assert {"fast", "strict-claude", "once-google"} <= set(names)
    assert len(names) == len(set(names))
    assert all(model.object == "model" for model in models)


def test_a_key_is_shown_only_what_it_may_use(gateway: Gateway) -> None:
    assert [model.id for model in gateway.client(LIMITED_KEY).models.list()] == ["fast"]


def test_one_model_can_be_looked_up(client: OpenAI) -> None:
    assert client.models.retrieve("fast").id == "fast"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_the_list_is_for_key_holders(gateway: Gateway) -> None:
    with pytest.raises(openai.AuthenticationError):
        gateway.client("nobody-knows-this-key").models.list()
