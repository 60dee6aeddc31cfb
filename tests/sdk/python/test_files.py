"""Files by the official clients, kept in a folder and in an S3 that is simulated, and referred to in chats."""

import io
from collections.abc import Iterator

import anthropic
import boto3
import httpx2
import openai
import pytest
from google import genai
from moto.server import ThreadedMotoServer
from openai import OpenAI

from stack import FIRST_KEY, SECOND_KEY, Gateway, Sim, wait_for

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
# Larger than the suite's `server.max_body` and than one part of a multipart upload.
LARGE = bytes(range(256)) * 4096 * 10
BUCKET = "trunkline-media"
KEYS = {"aws_access_key_id": "AKIASUITE", "aws_secret_access_key": "suite/secret"}


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An S3 with one bucket; the address at which it is reached."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    s3(endpoint).create_bucket(Bucket=BUCKET)
    yield endpoint
    server.stop()


def s3(endpoint: str):
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)


def objects(endpoint: str) -> list[str]:
    return [found["Key"] for found in s3(endpoint).list_objects_v2(Bucket=BUCKET).get("Contents", [])]


@pytest.fixture(scope="module")
def in_s3(tmp_path_factory: pytest.TempPathFactory, running_sim: Sim, bucket: str) -> Iterator[Gateway]:
    media = f"""
media:
  store: s3://{BUCKET}/some/prefix
  endpoint: {bucket}
  region: us-east-1
  access_key_id: {KEYS["aws_access_key_id"]}
  secret_access_key: {KEYS["aws_secret_access_key"]}
"""
    gateway = Gateway(tmp_path_factory.mktemp("s3"), running_sim, more=media)
    yield gateway
    gateway.stop()


@pytest.fixture(params=["folder", "s3"])
def client(request: pytest.FixtureRequest) -> OpenAI:
    name = "gateway" if request.param == "folder" else "in_s3"
    return request.getfixturevalue(name).client()


@pytest.fixture
def claude(gateway: Gateway) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=gateway.url, api_key=FIRST_KEY, max_retries=0)


@pytest.mark.parametrize("content", [b"", b"{}\n", LARGE], ids=["empty", "small", "large"])
def test_a_file_is_uploaded_found_read_and_deleted(client: OpenAI, content: bytes) -> None:
    file = client.files.create(file=("lines.jsonl", content), purpose="batch")
    assert (file.object, file.filename, file.purpose, file.bytes) == ("file", "lines.jsonl", "batch", len(content))
    assert file.status == "processed"
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == content
    assert file in list(client.files.list(purpose="batch"))
    deleted = client.files.delete(file.id)
    assert (deleted.id, deleted.deleted) == (file.id, True)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_s3_holds_what_is_kept_and_nothing_else(in_s3: Gateway, bucket: str) -> None:
    before = objects(bucket)
    client = in_s3.client()
    files = [client.files.create(file=("a", content), purpose="user_data") for content in (b"small", LARGE)]
    added = sorted(set(objects(bucket)) - set(before))
    assert [name.rsplit("/", 1)[1] for name in added] == sorted(file.id for file in files)
    assert all(name.startswith("some/prefix/proj_") for name in added)
    for file in files:
        client.files.delete(file.id)
    assert objects(bucket) == before


def test_an_upload_that_is_broken_off_leaves_nothing_in_s3(in_s3: Gateway, bucket: str) -> None:
    before = objects(bucket)

    def half() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        yield LARGE
        raise ConnectionError("the client goes away")

    headers = {"authorization": f"Bearer {FIRST_KEY}", "content-type": "multipart/form-data; boundary=b"}
    with pytest.raises(ConnectionError):
        in_s3.http.post("/v1/files", content=half(), headers=headers)
    wait_for(lambda: "Uploads" not in s3(bucket).list_multipart_uploads(Bucket=BUCKET), "the parts to be taken back")
    assert objects(bucket) == before


def test_a_list_goes_on_from_page_to_page(client: OpenAI) -> None:
    files = [client.files.create(file=(f"{n}.txt", b"x"), purpose="vision") for n in range(5)]
    ids = [file.id for file in files]
    assert [file.id for file in client.files.list(purpose="vision", limit=2)] == ids[::-1]
    assert [file.id for file in client.files.list(purpose="vision", limit=2, order="asc")] == ids
    for file_id in ids:
        client.files.delete(file_id)


def test_a_file_ends_when_its_owner_says(client: OpenAI) -> None:
    expires_after = {"anchor": "created_at", "seconds": 3600}
    file = client.files.create(file=("a.txt", b"x"), purpose="user_data", expires_after=expires_after)
    assert file.expires_at == file.created_at + 3600


def test_another_key_knows_nothing_of_a_file(gateway: Gateway) -> None:
    file = gateway.client().files.create(file=("a.txt", b"x"), purpose="user_data")
    stranger = gateway.client(SECOND_KEY)
    for ask in (stranger.files.retrieve, stranger.files.content, stranger.files.delete):
        with pytest.raises(openai.NotFoundError):
            ask(file.id)
    assert file.id not in [other.id for other in stranger.files.list()]


def test_a_wrong_purpose_is_a_bad_request(gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        gateway.client().files.create(file=("a.txt", b"x"), purpose="lunch")  # type: ignore[arg-type]
    assert refused.value.param == "purpose"


def test_anthropics_client_keeps_files_too(claude: anthropic.Anthropic) -> None:
    file = claude.beta.files.upload(file=("notes.txt", io.BytesIO(b"hello"), "text/plain"))
    assert (file.type, file.filename, file.mime_type, file.size_bytes) == ("file", "notes.txt", "text/plain", 5)
    assert claude.beta.files.retrieve_metadata(file.id) == file
    assert claude.beta.files.download(file.id).read() == b"hello"
    assert file.id in [other.id for other in claude.beta.files.list(limit=1)]
    assert claude.beta.files.delete(file.id).type == "file_deleted"
    with pytest.raises(anthropic.NotFoundError):
        claude.beta.files.retrieve_metadata(file.id)


def test_every_provider_reads_a_file_that_a_chat_refers_to(client: OpenAI, model: str) -> None:
    file = client.files.create(file=("a.pdf", PDF), purpose="user_data")
    parts = [{"type": "text", "text": "What is in it?"}, {"type": "file", "file": {"file_id": file.id}}]
    completion = client.chat.completions.create(model=model, messages=[{"role": "user", "content": parts}])
    assert completion.choices[0].message.content


def test_responses_refer_to_files_and_pictures(gateway: Gateway, model: str) -> None:
    client = gateway.client()
    pdf = client.files.create(file=("a.pdf", PDF), purpose="user_data")
    parts = [{"type": "input_text", "text": "What is in it?"}, {"type": "input_file", "file_id": pdf.id}]
    response = client.responses.create(model=model, input=[{"role": "user", "content": parts}])
    assert response.output_text


def test_messages_refer_to_files(claude: anthropic.Anthropic, model: str) -> None:
    file = claude.beta.files.upload(file=("notes.txt", io.BytesIO(b"hello"), "text/plain"))
    source = {"type": "file", "file_id": file.id}
    content = [{"type": "text", "text": "What is in it?"}, {"type": "document", "source": source}]
    message = claude.beta.messages.create(
        model=model,
        max_tokens=100,
        messages=[{"role": "user", "content": content}],
        betas=["files-api-2025-04-14"],
    )
    assert message.content[0].text


def test_a_picture_is_handed_out_by_a_link(client: OpenAI) -> None:
    answer = client.images.generate(model="google/imagen-4.0-generate-001", prompt="a line", response_format="url")
    picture = httpx2.get(answer.data[0].url)
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    part = httpx2.get(answer.data[0].url, headers={"range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert httpx2.get(answer.data[0].url + "0").status_code == 404


@pytest.mark.parametrize("target", ["google/gemini", "openai/gpt", "anthropic/claude"])
def test_geminis_client_uploads_in_pieces_and_any_provider_reads_the_file(gateway: Gateway, target: str) -> None:
    client = genai.Client(api_key=FIRST_KEY, http_options=genai.types.HttpOptions(base_url=gateway.url))
    # Its pieces are 8 MiB.
    large = client.files.upload(file=io.BytesIO(LARGE), config={"mime_type": "application/octet-stream"})
    assert large.size_bytes == len(LARGE)
    file = client.files.upload(file=io.BytesIO(PDF), config={"mime_type": "application/pdf", "display_name": "a.pdf"})
    assert (file.display_name, file.state.name) == ("a.pdf", "ACTIVE")
    assert client.files.get(name=file.name).uri == file.uri
    assert client.files.download(file=file.name) == PDF
    names = [other.name for other in client.files.list(config={"page_size": 1})]
    assert {file.name, large.name} <= set(names)
    answer = client.models.generate_content(model=target, contents=["What is in it?", file])
    assert answer.text
    for name in (file.name, large.name):
        client.files.delete(name=name)
    with pytest.raises(genai.errors.ClientError) as gone:
        client.files.get(name=file.name)
    assert gone.value.code == 404
