"""JSON lines for OpenAI's fine-tuning API, which others (Together, Fireworks) read as well.

What it has no place for stays out: the rows carry no canary and no lineage, since a key that the
API does not know makes it refuse the file. Both stand in the note beside them.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from fuzzer.augment.formats.base import About, Format, Lines, Place, Summary, Writer
from fuzzer.augment.formats.chat import function, messages
from fuzzer.augment.formats.files import File
from fuzzer.augment.rows import Row

FOLDER = "openai"


def line(row: Row, _: dict[str, Any]) -> tuple[str, bytes] | None:
    """A row of supervised or preference fine-tuning."""
    if row.target == "sft":
        # An assistant's turns in the prompt are given, not learned.
        given = [
            message | {"weight": 0} if message["role"] == "assistant" else message
            for message in messages(row.prompt, named=False)
        ]
        learned = messages(row.completion, named=False)
        return f"{FOLDER}/sft", orjson.dumps({"messages": given + learned, **_tools(row)})
    if row.target == "preference":
        return f"{FOLDER}/preference", orjson.dumps(
            {
                "input": {"messages": messages(row.prompt, named=False), **_tools(row)},
                "preferred_output": messages(row.completion, named=False),
                "non_preferred_output": messages(row.rejected, named=False),
            }
        )
    return None


def _tools(row: Row) -> dict[str, Any]:
    if not row.tools:
        return {}
    return {"tools": [function(tool) for tool in row.tools], "parallel_tool_calls": True}


def _open(place: Place) -> Writer:
    return Lines(place, line)


def _beside(about: About, files: tuple[File, ...], _: Summary) -> Iterator[tuple[str, str]]:
    if files:
        yield f"{FOLDER}/NOTE.txt", _NOTE.format(canary=about.canary)


_NOTE = """\
Canary: {canary}
The rows beside this note belong to an export of training data with this canary. The fine-tuning
API refuses keys it does not know, so they carry neither the canary nor their lineage; the canonical
rows of the same export do, in the same order.
"""

OPENAI = Format(
    "openai",
    FOLDER,
    "OpenAI's fine-tuning JSONL (SFT and DPO)",
    frozenset(("sft", "preference")),
    _open,
    _beside,
)
