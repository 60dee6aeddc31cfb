"""The vendors' official clients, each reduced to what the matrix asks of it: the same conversation in its own words."""

from faces.anthropic_messages import Anthropic
from faces.cohere_chat import Cohere
from faces.face import Face
from faces.gemini import Gemini
from faces.langchain import LangChain
from faces.openai_chat import OpenaiChat
from faces.openai_responses import OpenaiResponses

FACES: list[type[Face]] = [OpenaiChat, OpenaiResponses, Anthropic, Gemini, Cohere, LangChain]
