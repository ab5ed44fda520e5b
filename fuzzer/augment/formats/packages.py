"""What the packages have in common: environments' rows as data, and seeds that are not built in."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from fuzzer.augment.formats.base import About, Lines, Place, Writer
from fuzzer.augment.rows import Row, Target
from fuzzer.augment.serving import SEEDS

PLAYED: frozenset[Target] = frozenset(("rl",))
Line = Callable[[Row, dict[str, Any]], bytes | None]  # None: no place for it


def as_it_is(_: Row, data: dict[str, Any]) -> bytes:
    """The canonical row."""
    return orjson.dumps(data)


def opener(folder: Callable[[About], str], line: Line = as_it_is) -> Callable[[Place], Writer]:
    """Opens a writer of environments' lines into a folder."""

    def open_(place: Place) -> Writer:
        where = folder(place.about)

        def made(row: Row, data: dict[str, Any]) -> tuple[str, bytes] | None:
            if row.target not in PLAYED or row.play is None:
                return None
            told = line(row, data)
            return None if told is None else (where, told)

        return Lines(place, made, {where: place.part(where, "jsonl")})

    return open_


def seeds(about: About, folder: str) -> Iterator[tuple[str, bytes]]:
    """The file of the seeds that are not built in, if there are any."""
    if about.own_seeds:
        told = [seed.model_dump(mode="json") for seed in about.own_seeds]
        yield f"{folder}/{SEEDS}", orjson.dumps(told)
