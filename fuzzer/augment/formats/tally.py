"""What is counted while rows go by, and how shards' counts come together."""

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from pydantic import Field

from fuzzer.augment.diversity import distinct_2, repeated, vendi
from fuzzer.augment.formats.base import Place, Summary
from fuzzer.augment.formats.files import Part
from fuzzer.augment.rows import Row
from fuzzer.scenario import Frozen

SAMPLE = 200  # rows whose variety is measured
_TEXT = 20_000  # characters of one of them


class Counts(Frozen):
    """What one shard's rows come to."""

    rows: int = 0
    counts: dict[str, dict[str, int]] = Field(default_factory=dict)
    sample: tuple[tuple[str, str], ...] = ()  # hash of the id, text


class Tally:
    """Counts rows; their hashes go to a file, sixteen bytes for each."""

    def __init__(self, place: Place, folder: str) -> None:
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in _NAMES}
        self._sample: list[tuple[int, str, str]] = []  # a heap, the largest hash first
        self._most = -(-SAMPLE // place.shards)  # of this shard
        self._part = Part(place.root, f"{folder}/{place.name('hashes')}")
        self._rows = 0

    def add(self, row: Row, data: Mapping[str, Any]) -> None:
        """Count one row."""
        self._rows += 1
        prompt = _prompt(row, data)
        rest = orjson.dumps([data["completion"], data["rejected"]])
        self._part.write(prompt + _digest(prompt + rest))
        for name, value in _values(row):
            self._counts[name][value] += 1
        self._draw(row)

    def _draw(self, row: Row) -> None:
        """Keep the rows with the smallest hashes: a sample that depends on nothing else."""
        key = int.from_bytes(_digest(row.id.encode()))
        if len(self._sample) == self._most and -key <= self._sample[0][0]:
            return
        said = "\n\n".join(one.content for one in row.prompt) or row.text
        entry = (-key, row.id, said[:_TEXT])
        if len(self._sample) < self._most:
            heapq.heappush(self._sample, entry)
        else:
            heapq.heapreplace(self._sample, entry)

    def keep(self) -> Counts:
        """What it came to; the file of hashes is completed."""
        self._part.keep()
        counts = {name: dict(sorted(found.items())) for name, found in self._counts.items()}
        sample = sorted((f"{-key:016x}", said) for key, _, said in self._sample)
        return Counts(rows=self._rows, counts=counts, sample=tuple(sample))

    def drop(self) -> None:
        """Leave nothing."""
        self._part.drop()


def _prompt(row: Row, data: Mapping[str, Any]) -> bytes:
    """Hash of what is given; an environment brings that of its request along."""
    if row.play is not None:
        return bytes.fromhex(row.play.request_hash)[:8]
    return _digest(orjson.dumps([data["prompt"], data["tools"], data["text"]]))


_NAMES = ("kind", "target", "seed", "family", "distance", "channel")


def _values(row: Row) -> Iterable[tuple[str, str]]:
    yield "kind", row.kind
    yield "target", row.target
    if row.lineage.seed:
        yield "seed", row.lineage.seed
        yield "distance", str(row.lineage.distance)
        for family in row.lineage.families:
            yield "family", family
    if row.play is not None:
        yield "channel", row.play.channel


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=8).digest()


def summary(counts: Iterable[Counts], hashes: Iterable[Path], left: Mapping[str, int]) -> Summary:
    """The counts of all shards together. `hashes` are the files the tallies left."""
    rows, sample = 0, list[tuple[str, str]]()
    totals: dict[str, Counter[str]] = {name: Counter() for name in _NAMES}
    for one in counts:
        rows += one.rows
        sample = heapq.nsmallest(SAMPLE, [*sample, *one.sample])
        for name, found in one.counts.items():
            totals[name].update(found)
    read = [np.fromfile(path, dtype=np.uint64).reshape(-1, 2) for path in hashes]
    seen = np.concatenate(read) if read else np.zeros((0, 2), dtype=np.uint64)
    texts = [said for _, said in sample]
    return Summary(
        rows=rows,
        counts={name: dict(sorted(found.items())) for name, found in totals.items() if found},
        left_out={name: n for name, n in sorted(left.items()) if n},
        repeated_prompts=repeated(seen[:, 0]),
        repeated_rows=repeated(seen[:, 1]),
        sample=len(texts),
        distinct_2=round(distinct_2(texts), 6),
        vendi=round(vendi(texts), 3),
    )
