"""A module for TRL's GRPO: a data set, a class for each set of tools, and rewards."""

import hashlib
from collections.abc import Iterator
from typing import Any

import orjson

from fuzzer.augment.callables import expressible
from fuzzer.augment.formats.base import About, Format, Summary
from fuzzer.augment.formats.chat import messages, text
from fuzzer.augment.formats.code import Code
from fuzzer.augment.formats.files import File
from fuzzer.augment.formats.packages import PLAYED, opener, seeds
from fuzzer.augment.rows import Row
from fuzzer.augment.serving import recipe

FOLDER = "trl"
_DATA = f"{FOLDER}/data"


def line(row: Row, _: dict[str, Any]) -> bytes | None:
    """A row of the data set; no place for tools that no Python method can stand for."""
    if not expressible(row.tools):
        return None
    tools = text(row.tools)
    name = f"tools_{hashlib.blake2b(tools.encode(), digest_size=8).hexdigest()}"
    return orjson.dumps(
        {
            "id": row.id,
            "prompt": messages(row.prompt),
            "environment": name if row.tools else "text",
            "tools": tools,
            "row": recipe(row).model_dump_json(),
            "canary": row.canary,
        }
    )


def _beside(about: About, _: tuple[File, ...], __: Summary) -> Iterator[tuple[str, str | bytes]]:
    code = Code(FOLDER)
    yield f"{FOLDER}/holdfast_grpo.py", code.render("holdfast_grpo.py.j2", canary=about.canary)
    yield from seeds(about, _DATA)


TRL = Format(
    "trl",
    FOLDER,
    "a module for TRL's GRPO: data set, environments, rewards",
    PLAYED,
    opener(lambda _: _DATA, line),
    _beside,
)
