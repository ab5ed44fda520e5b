"""An Inspect task with its dataset."""

from collections.abc import Iterator
from typing import Any

import orjson

from fuzzer.augment.formats.base import About, Format, Summary
from fuzzer.augment.formats.chat import messages
from fuzzer.augment.formats.code import Code
from fuzzer.augment.formats.files import File
from fuzzer.augment.formats.packages import PLAYED, opener, seeds
from fuzzer.augment.rows import Row
from fuzzer.augment.serving import recipe

FOLDER = "inspect"
_DATA = f"{FOLDER}/data"


def line(row: Row, _: dict[str, Any]) -> bytes:
    """A row as a sample; what it is rebuilt from is JSON text, which Inspect leaves alone."""
    assert row.play is not None
    told = {
        "row": recipe(row).model_dump_json(),
        "seed": row.lineage.seed,
        "families": list(row.lineage.families),
        "distance": row.lineage.distance,
        "channel": row.play.channel,
        "canary": row.canary,
    }
    return orjson.dumps(
        {"id": row.id, "input": messages(row.prompt), "target": "safe", "metadata": told}
    )


def _beside(about: About, _: tuple[File, ...], __: Summary) -> Iterator[tuple[str, str | bytes]]:
    code = Code(FOLDER)
    yield f"{FOLDER}/task.py", code.render("task.py.j2", canary=about.canary)
    yield from seeds(about, _DATA)


INSPECT = Format(
    "inspect",
    FOLDER,
    "an Inspect task with its dataset",
    PLAYED,
    opener(lambda _: _DATA, line),
    _beside,
)
