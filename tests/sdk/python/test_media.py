"""Pictures and documents."""

import base64
import json
import struct
import zlib
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from chats import check_usage, user
from stack import Sim


def png(width: int, height: int) -> str:
    """A grey PNG as base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    picture = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return base64.b64encode(picture).decode()


PICTURE = png(8, 8)
PDF = base64.b64encode(b"%PDF-1.4\n1 0 obj << /Type /Catalog >> endobj\ntrailer << /Root 1 0 R >>\n%%EOF\n").decode()


def image(url: str, **more: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


@pytest.mark.parametrize("detail", [{}, {"detail": "low"}])
def test_a_picture_as_data_url_is_seen(client: OpenAI, model: str, detail: dict[str, str]) -> None:
    plain = client.chat.completions.create(model=model, messages=[user("What is this?")])
    content = [text("What is this?"), image(f"data:image/png;base64,{PICTURE}", **detail)]
    seen = client.chat.completions.create(model=model, messages=[user(content)])
    assert "What is this?" in seen.choices[0].message.content
    assert check_usage(seen.usage).prompt_tokens > plain.usage.prompt_tokens + 50


@pytest.mark.parametrize("target", ["anthropic/claude", "google/gemini"])
def test_a_wrongly_declared_media_type_is_corrected_on_translation(client: OpenAI, target: str) -> None:
    content = [text("What is this?"), image(f"data:image/jpeg;base64,{PICTURE}")]
    assert client.chat.completions.create(model=target, messages=[user(content)]).choices[0].message.content


@pytest.mark.parametrize("target", ["openai/gpt", "anthropic/claude"])
def test_a_picture_by_https_address_is_left_to_providers_that_fetch(client: OpenAI, target: str) -> None:
    content = [text("What is this?"), image("https://pictures.example/cat.png")]
    assert client.chat.completions.create(model=target, messages=[user(content)]).choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    "address", ["https://127.0.0.1/cat.png", "https://[::1]/cat.png", "https://169.254.169.254/latest", "https://10.0.0.1/cat.png"]
)
def test_the_gateway_fetches_nothing_from_private_addresses(client: OpenAI, sim: Sim, address: str) -> None:
    with pytest.raises(BadRequestError):
        client.chat.completions.create(model="google/gemini", messages=[user([text("What is this?"), image(address)])])
    assert sim.calls() == []


@pytest.mark.parametrize("target", ["anthropic/claude", "google/gemini"])
def test_a_data_url_that_is_no_picture_is_refused(client: OpenAI, target: str) -> None:
    with pytest.raises(BadRequestError):
        client.chat.completions.create(model=target, messages=[user([text("What?"), image("data:image/png;base64,!!!")])])


def test_a_document_is_read(client: OpenAI, model: str) -> None:
    plain = client.chat.completions.create(model=model, messages=[user("Summarise this")])
    document = {"type": "file", "file": {"filename": "report.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}}
    read = client.chat.completions.create(model=model, messages=[user([document, text("Summarise this")])])
    assert "Summarise this" in read.choices[0].message.content
    assert check_usage(read.usage).prompt_tokens > plain.usage.prompt_tokens


def test_audio_is_never_dropped_silently(client: OpenAI) -> None:
    audio = {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"RIFF....WAVEfmt ").decode(), "format": "wav"}}
    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(model="anthropic/claude", messages=[user([text("What is said?"), audio])])
    assert "audio" in json.dumps(refused.value.body)
