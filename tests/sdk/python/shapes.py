"""Whether JSON fits the types of an official client: what is missing, of another type, or unknown to it.

The clients themselves are lenient: they leave out checks, keep what they do not know and give up a union silently. So
the annotations of their own classes are read here and taken at their word.
"""

import base64
import binascii
import collections.abc
import datetime
import enum
import functools
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

import pydantic
import typing_extensions

LISTS = (list, tuple, set, frozenset, collections.abc.Iterable, collections.abc.Sequence)
UNIONS = (typing.Union, types.UnionType)
#: Fields whose constant tells one shape of a union from the others.
CONSTANTS = ("type", "role", "object")
MAPS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def misfits(shape: Any, value: Any, at: str = "") -> list[str]:
    """What speaks against `value` being a `shape`, each as `path: what`; nothing where it fits."""
    shape = bare(shape)
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if shape in (Any, object, pydantic.JsonValue):
        return []
    if origin in UNIONS:
        return best(list(arguments), value, at)
    if origin is typing.Literal:
        return [] if any(value == one and type(value) is type(one) for one in arguments) else [f"{at}: {value!r} is none of {arguments}"]
    if origin in LISTS or shape in LISTS:
        if not isinstance(value, list):
            return [wrong(at, "a list", value)]
        element = arguments[0] if arguments else Any
        return [found for index, one in enumerate(value) for found in misfits(element, one, f"{at}[{index}]")]
    if origin in MAPS or shape in MAPS:
        if not isinstance(value, dict):
            return [wrong(at, "an object", value)]
        element = arguments[1] if arguments else Any
        return [found for name, one in value.items() for found in misfits(element, one, below(at, name))]
    if is_object(shape):
        return in_object(shape, value, at)
    return [] if is_plain(shape, value) else [wrong(at, getattr(shape, "__name__", str(shape)), value)]


def best(alternatives: list[Any], value: Any, at: str) -> list[str]:
    """Of the alternatives, the one whose constants fit; where several do, the one against which the least speaks."""
    known = [one for one in unfolded(alternatives) if one is not Any and one is not object]
    if not any(one is not type(None) for one in known):
        return []
    candidates = [one for one in known if is_of_kind(one, value)]
    if not candidates:
        kind = value.get("type", value.get("role")) if isinstance(value, dict) else value
        return [f"{at}: {kind!r} is none of {len(known)} alternatives"]
    return min((misfits(one, value, at) for one in candidates), key=len)


def unfolded(alternatives: list[Any]) -> list[Any]:
    """The alternatives, with those of unions among them in their place."""
    flat = []
    for one in map(bare, alternatives):
        flat += unfolded(list(typing.get_args(one))) if typing.get_origin(one) in UNIONS else [one]
    return flat


def is_of_kind(shape: Any, value: Any) -> bool:
    """Whether the value is of the shape's kind of JSON, and an object has the constants by which shapes are told apart."""
    kind = typing.get_origin(shape) or shape
    if isinstance(value, list):
        return kind in LISTS
    if not isinstance(value, dict):
        return kind is typing.Literal or is_plain(shape, value)
    if kind in MAPS:
        return True
    return is_object(shape) and all(is_constant(field, value[name]) for name, (field, _) in fields(shape).items() if name in CONSTANTS and name in value)


def is_constant(field: Any, value: Any) -> bool:
    field = bare(field)
    return typing.get_origin(field) is not typing.Literal or value in typing.get_args(field)


def in_object(shape: Any, value: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return [wrong(at, shape.__name__, value)]
    known = fields(shape)
    found = [f"{below(at, name)}: missing" for name, (_, is_required) in known.items() if is_required and name not in value]
    for name, one in value.items():
        if name in known:
            found += misfits(known[name][0], one, below(at, name))
        else:
            found.append(f"{below(at, name)}: unknown")
    return found


@functools.cache
def fields(shape: Any) -> dict[str, tuple[Any, bool]]:
    """The fields by the names that they have on the wire, with whether they must be there."""
    if typing_extensions.is_typeddict(shape):
        hints = typing_extensions.get_type_hints(shape, include_extras=True)
        return {alias(hint) or name: (hint, is_required(shape, name, hint)) for name, hint in hints.items()}
    shape.model_rebuild()
    named = {}
    for name, field in shape.model_fields.items():
        written = field.serialization_alias or field.alias or next((one.alias for one in field.metadata if getattr(one, "alias", None)), name)
        named[written] = (field.annotation, field.is_required())
    return named


def is_required(shape: Any, name: str, hint: Any) -> bool:
    """Annotations that are written as text hide their `Required` from the class itself."""
    marked = typing.get_origin(hint)
    return marked is typing_extensions.Required or (marked is not typing_extensions.NotRequired and name in shape.__required_keys__)


def alias(hint: Any) -> str | None:
    """The name that an annotation's metadata gives a field."""
    if typing.get_origin(hint) in (typing_extensions.Required, typing_extensions.NotRequired):
        return alias(typing.get_args(hint)[0])
    return next((one.alias for one in getattr(hint, "__metadata__", ()) if getattr(one, "alias", None)), None)


def bare(shape: Any) -> Any:
    if isinstance(shape, typing_extensions.TypeAliasType):
        return bare(shape.__value__)
    if typing.get_origin(shape) in (typing.Annotated, typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.ReadOnly):
        return bare(typing.get_args(shape)[0])
    return shape


def is_object(shape: Any) -> bool:
    return typing_extensions.is_typeddict(shape) or (isinstance(shape, type) and issubclass(shape, pydantic.BaseModel))


def is_plain(shape: Any, value: Any) -> bool:
    if shape in (None, type(None)):
        return value is None
    if shape is bool:
        return isinstance(value, bool)
    if shape is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if shape is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if shape is str or shape in (datetime.datetime, datetime.date):
        return isinstance(value, str)
    if shape is bytes:
        return isinstance(value, str) and is_base64(value)
    if isinstance(shape, type) and issubclass(shape, enum.Enum):
        return value in [one.value for one in shape]
    return False


def is_base64(text: str) -> bool:
    try:
        base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return False
    return True


def wrong(at: str, wanted: str, value: Any) -> str:
    shown = repr(value)
    return f"{at}: not {wanted}: {shown if len(shown) < 60 else shown[:57] + '...'}"


def below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def events(stream: str) -> Iterator[Any]:
    """The JSON of an event stream's events, without OpenAI's last word."""
    for event in stream.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line.removeprefix("data:").removeprefix(" ") for line in event.split("\n") if line.startswith("data:"))
        if data and data != "[DONE]":
            yield json.loads(data)
