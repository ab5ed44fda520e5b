"""The canonical form: a row a line, as `fuzzer.augment.rows` has it, and its JSON Schema."""

import json
from collections.abc import Iterator
from typing import Any

import orjson

from fuzzer.augment.formats.base import About, Format, Lines, Place, Summary, Writer
from fuzzer.augment.formats.files import File
from fuzzer.augment.rows import Row

FOLDER = "canonical"


def line(_: Row, data: dict[str, Any]) -> tuple[str, bytes]:
    """The row as it is."""
    return FOLDER, orjson.dumps(data)


def _open(place: Place) -> Writer:
    return Lines(place, line, {FOLDER: place.part(FOLDER, "jsonl")})  # there even without a row


def schema() -> dict[str, Any]:
    """The JSON Schema of a row as it is written: every field is there."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Row.model_json_schema(mode="serialization"),
    }


def _beside(about: About, _: tuple[File, ...], __: Summary) -> Iterator[tuple[str, str]]:
    told = {"$comment": f"Of an export with the canary {about.canary}.", **schema()}
    yield f"{FOLDER}/row.schema.json", json.dumps(told, indent=2) + "\n"


JSONL = Format(
    "jsonl",
    FOLDER,
    "every row as it is, with its JSON Schema",
    frozenset(("rl", "sft", "preference", "text")),
    _open,
    _beside,
)
