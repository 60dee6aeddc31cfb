"""`langchain-openai`: it knows the fields of OpenAI's own, and loses all others."""

from contextlib import closing

from langchain_openai import ChatOpenAI

from faces import openai_chat
from faces.face import LIMIT, Answer, Call, Face


class LangChain(Face):
    name = "langchain"
    errors = openai_chat.ERRORS
    failure = staticmethod(openai_chat.failure)
    shows_thoughts = False

    def connect(self):
        """A model of this framework is a client of its own."""

    def request(self, model, turns, wanted, headers):
        chat = ChatOpenAI(
            model=model,
            base_url=f"{self.url}/v1",
            api_key=self.gateway.key,
            max_retries=0,
            timeout=30,
            max_completion_tokens=LIMIT,
            stream_usage=True,
            default_headers=headers,
            reasoning_effort="low" if wanted.thoughts else None,
        )
        messages = []
        for kind, value in turns:
            match kind:
                case "answer":
                    messages.append(value.turn)
                case "results":
                    messages += openai_chat.results(value)
                case _:
                    messages.append(openai_chat.user(kind, value))
        if wanted.tools:
            chat = chat.bind_tools([openai_chat.TOOL])
        if wanted.schema:
            chat = chat.bind(response_format=openai_chat.SCHEMA)
        return chat, messages

    def whole(self, request):
        chat, messages = request
        return read(chat.invoke(messages))

    def events(self, request):
        chat, messages = request
        return closing(chat.stream(messages))

    def collect(self, events):
        message, pieces = None, 0
        for chunk in events:
            pieces += bool(chunk.text)
            message = chunk if message is None else message + chunk
        answer = read(message)
        answer.pieces = pieces
        return answer


def read(message) -> Answer:
    usage = message.usage_metadata
    return Answer(
        str(message.text),
        "",
        [Call(call["id"], call["name"], call["args"]) for call in message.tool_calls],
        message.response_metadata.get("finish_reason"),
        usage["input_tokens"],
        usage.get("input_token_details", {}).get("cache_read", 0),
        usage["output_tokens"],
        turn=message,
    )
