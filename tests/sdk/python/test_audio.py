"""Speech and transcripts by the official client."""

import io

import pytest
from openai import BadRequestError, OpenAI

from chats import identified
from stack import Gateway


def spoken(client: OpenAI, kind: str = "wav", **options) -> bytes:
    speech = client.audio.speech.create(model="openai/tts-1", voice="alloy", input="Hello", response_format=kind, **options)
    return speech.read()


def heard(sound: bytes) -> io.BytesIO:
    file = io.BytesIO(sound)
    file.name = "hello.wav"
    return file


def test_speech_is_made_and_recorded(client: OpenAI, gateway: Gateway, request_id: str) -> None:
    assert spoken(client, extra_headers=identified(request_id)).startswith(b"RIFF")
    row = gateway.logged(request_id)
    # The vendor says nothing of what it took: what the request has counts, and the row says so.
    assert (row["state"], row["status"]) == ("estimated", 200)


def test_speech_arrives_while_it_is_made(client: OpenAI) -> None:
    asked = {"model": "openai/tts-1", "voice": "alloy", "input": "Hello", "response_format": "pcm"}
    with client.audio.speech.with_streaming_response.create(**asked) as speech:
        sound = b"".join(speech.iter_bytes())
    assert sound


def test_what_was_said_is_written_down(client: OpenAI, gateway: Gateway, request_id: str) -> None:
    sound = spoken(client)
    transcript = client.audio.transcriptions.create(
        model="openai/whisper-1",
        file=heard(sound),
        response_format="verbose_json",
        timestamp_granularities=["segment"],
        extra_headers=identified(request_id),
    )
    assert transcript.text and transcript.segments
    assert gateway.logged(request_id)["operation"] == "transcription"
    assert client.audio.translations.create(model="openai/whisper-1", file=heard(sound)).text
    subtitles = client.audio.transcriptions.create(model="openai/whisper-1", file=heard(sound), response_format="srt")
    assert "-->" in subtitles


def test_a_transcript_is_streamed_with_its_usage(client: OpenAI, gateway: Gateway, request_id: str) -> None:
    events = client.audio.transcriptions.create(
        model="openai/gpt-4o-transcribe", file=heard(spoken(client)), stream=True, extra_headers=identified(request_id)
    )
    text = ""
    for event in events:
        if event.type == "transcript.text.delta":
            text += event.delta
        elif event.type == "transcript.text.done":
            done = event
    assert text and done.text == text
    row = gateway.logged(request_id)
    assert (row["state"], row["usage"]["output_tokens"]) == ("settled", done.usage.output_tokens)


def test_a_voice_that_nobody_has_is_refused_by_name(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.audio.speech.create(model="openai/tts-1", voice="nobody", input="Hello")
    assert refused.value.param == "voice"
