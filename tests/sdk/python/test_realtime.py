"""Realtime sessions by the official client: events pass, every response is a row of its own."""

import base64

import pytest
from openai import APIStatusError, AuthenticationError, BadRequestError, OpenAI
from openai.resources.realtime.realtime import RealtimeConnection
from websockets.exceptions import InvalidStatus

from chats import identified
from stack import Gateway, wait_for

TEXT_ONLY = {"type": "realtime", "output_modalities": ["text"], "audio": {"input": {"turn_detection": None}}}


def say(connection: RealtimeConnection, words: str) -> None:
    content = [{"type": "input_text", "text": words}]
    connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})


def test_a_conversation_in_text_is_answered_and_recorded(client: OpenAI, gateway: Gateway, request_id: str) -> None:
    usages = []
    with client.realtime.connect(model="openai/gpt", extra_headers=identified(request_id)) as connection:
        connection.session.update(session=TEXT_ONLY)
        for words in ("Hello", "And again"):
            say(connection, words)
            connection.response.create()
            said = ""
            for event in connection:
                assert event.type != "error", event
                if event.type == "response.output_text.delta":
                    said += event.delta
                elif event.type == "response.done":
                    usages.append(event.response.usage)
                    break
            assert words in said
    *responses, session = recorded(gateway, request_id, 3)
    assert session["status"] == 101
    for row, usage in zip(responses, usages, strict=True):
        assert row["state"] == "settled"
        assert row["usage"]["input_tokens"] == usage.input_tokens
        assert row["usage"]["output_tokens"] == usage.output_tokens
    assert responses[1]["usage"]["cached_input_tokens"] == usages[1].input_token_details.cached_tokens


def recorded(gateway: Gateway, request_id: str, count: int) -> list[dict]:
    """The rows of one session: its responses by age, and its own, which began first but is last here."""
    wait_for(lambda: len(gateway.logs(client_request_id=request_id)) == count, "the session to be recorded")
    *responses, session = gateway.logs(client_request_id=request_id)
    return [*reversed(responses), session]


def test_speech_begins_a_response_by_itself_and_is_counted(client: OpenAI, gateway: Gateway, request_id: str) -> None:
    with client.realtime.connect(model="openai/gpt", extra_headers=identified(request_id)) as connection:
        for sound in (b"\1" * 48_000, b"\0" * 9_600):
            connection.input_audio_buffer.append(audio=base64.b64encode(sound).decode())
        heard = b""
        for event in connection:
            if event.type == "response.output_audio.delta":
                heard += base64.b64decode(event.delta)
            elif event.type == "response.done":
                usage = event.response.usage
                break
    assert heard
    row, _ = recorded(gateway, request_id, 2)
    assert row["usage"]["input_audio_tokens"] == usage.input_token_details.audio_tokens
    assert row["usage"]["output_audio_tokens"] == usage.output_token_details.audio_tokens


def test_what_the_provider_refuses_is_told_and_the_session_goes_on(client: OpenAI) -> None:
    with client.realtime.connect(model="openai/gpt") as connection:
        connection.session.update(session={"type": "realtime", "output_modalities": ["text", "audio"]})
        while (event := connection.recv()).type != "error":
            pass
        assert event.error.param == "session.output_modalities"
        connection.session.update(session=TEXT_ONLY)
        while connection.recv().type != "session.updated":
            pass


@pytest.mark.parametrize(("key", "model", "status"), [("not-a-key-of-anyone", "openai/gpt", 401), (None, "nobody/knows", 404)])
def test_a_refused_handshake_has_the_status_of_its_cause(gateway: Gateway, key: str | None, model: str, status: int) -> None:
    client = gateway.client(key) if key else gateway.client()
    with pytest.raises(InvalidStatus) as failure, client.realtime.connect(model=model):
        pass
    assert failure.value.response.status_code == status


def test_a_client_secret_opens_the_session_that_it_describes(client: OpenAI, gateway: Gateway, request_id: str) -> None:
    secret = client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={"model": "openai/gpt", "instructions": "Speak of ships.", **TEXT_ONLY},
    )
    assert secret.value.startswith("ek_")
    assert secret.session.type == "realtime" and secret.session.model == "openai/gpt"
    browser = gateway.client(secret.value)
    with browser.realtime.connect(model="openai/gpt", extra_headers=identified(request_id)) as connection:
        created = connection.recv()
        assert created.type == "session.created"
        assert created.session.instructions == "Speak of ships."
        say(connection, "Hello")
        connection.response.create()
        assert any(event.type == "response.done" for event in until_done(connection))
    response, _ = recorded(gateway, request_id, 2)
    assert response["state"] == "settled"
    with pytest.raises(AuthenticationError, match="realtime sessions"):
        browser.models.list()
    with pytest.raises(InvalidStatus) as failure, browser.realtime.connect(model="openai/gpt-other"):
        pass
    assert failure.value.response.status_code == 400


def until_done(connection: RealtimeConnection):
    for event in connection:
        assert event.type != "error", event
        yield event
        if event.type == "response.done":
            return


def test_the_beta_makes_client_secrets_too(client: OpenAI) -> None:
    session = client.beta.realtime.sessions.create(model="openai/gpt", voice="ash")
    assert session.client_secret.value.startswith("ek_")
    assert session.voice == "ash"
    session = client.beta.realtime.transcription_sessions.create(input_audio_transcription={"model": "whisper-1"})
    assert session.client_secret.expires_at > 0


def test_a_client_secret_that_cannot_be_made_names_what_is_wrong(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as failure:
        client.realtime.client_secrets.create(expires_after={"anchor": "created_at", "seconds": 5})
    assert failure.value.param == "expires_after.seconds"
    with pytest.raises(BadRequestError, match="realtime sessions"):
        client.realtime.client_secrets.create(session={"type": "realtime", "model": "anthropic/claude"})


def test_a_call_over_webrtc_is_told_what_to_use_instead(client: OpenAI) -> None:
    with pytest.raises(APIStatusError, match="WebSocket") as failure:
        client.realtime.calls.create(sdp="v=0")
    assert failure.value.status_code == 501
