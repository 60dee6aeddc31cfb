"""Chats of applications over a WebSocket, by a client that knows nothing of Trunkline."""

import json

from websockets.sync.client import connect

from stack import FIRST_KEY, Gateway


def test_chats_share_a_connection_and_each_has_the_frames_of_the_event_stream(gateway: Gateway, model: str) -> None:
    url = gateway.url.replace("http", "ws", 1) + "/api/ai/chat"
    request = {"model": model, "messages": [{"role": "user", "content": "Grüße 👋"}], "stream": True}
    said = {"a": "", "b": ""}
    usage = {}
    with connect(url, additional_headers={"authorization": f"Bearer {FIRST_KEY}"}) as connection:
        for name in said:
            connection.send(json.dumps({"type": "chat", "id": name, "request": request}))
        done = set()
        while done != set(said):
            frame = json.loads(connection.recv(timeout=10))
            if frame["type"] == "done":
                done.add(frame["id"])
                continue
            assert frame["type"] == "chunk", frame
            for choice in frame["data"]["choices"]:
                said[frame["id"]] += choice["delta"].get("content") or ""
            usage[frame["id"]] = frame["data"].get("usage") or usage.get(frame["id"])
    assert all("Grüße 👋" in words for words in said.values())
    assert all(usage[name]["completionTokens"] > 0 for name in said)
