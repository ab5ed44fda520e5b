"""What a model is asked to write: prompts from files, data as one line of JSON, answers as values.

A prompt's file begins with its version. Its hash stands in every row that it helped to make.
"""

import hashlib
import json
import typing
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict

from fuzzer.secrets import Secrets


class Answer(BaseModel):
    """What a stage answers; a subclass has its fields."""

    model_config = ConfigDict(extra="ignore", strict=True)


_A = TypeVar("_A", bound=Answer)


class Prompt(NamedTuple):
    """Instructions, from a file."""

    name: str
    version: int
    hash: str  # of the file (blake2b, hex, 16 bytes)
    text: str


@cache
def prompt(name: str) -> Prompt:
    """The prompt of that name."""
    raw = files("fuzzer.augment.writing").joinpath("prompts", f"{name}.md").read_bytes()
    head, _, body = raw.decode("utf-8").partition("\n---\n")
    version = int(head.removeprefix("version:"))
    return Prompt(name, version, hashlib.blake2b(raw, digest_size=16).hexdigest(), body.strip())


@cache
def form_of(answer: type[Answer]) -> dict[str, Any]:
    """The JSON Schema of an answer, in the few words that every provider understands."""
    fields = {name: _schema(field.annotation) for name, field in answer.model_fields.items()}
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


_SIMPLE = {str: "string", int: "integer", bool: "boolean"}


def _schema(kind: Any) -> dict[str, Any]:
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind]}
    if typing.get_origin(kind) is list:
        return {"type": "array", "items": _schema(typing.get_args(kind)[0])}
    return form_of(kind)


def read(text: str, answer: type[_A]) -> _A | None:
    """An answer from what a model wrote, bare, in a fence or among words; None if it is none.

    Keys are taken out once more: an escape of JSON may have hidden one.
    """
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return None
    try:
        plain = orjson.dumps(json.loads(text[start : end + 1], strict=False)).decode()
        return answer.model_validate_json(Secrets.of().scrub(plain))
    except (ValueError, TypeError, RecursionError):  # half a character, nested without end
        return None
