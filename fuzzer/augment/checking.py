"""A whole export held against a manifest, row by row: lineage, near-duplicates, passages.

Memory stays flat: of the rows only counts are kept, and the likeness of a sample.
"""

import heapq
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from typing import Literal

from fuzzer.augment.contamination import (
    NEAR,
    SIMILAR,
    Guard,
    Leak,
    Overlap,
    Tally,
    row_text,
)
from fuzzer.augment.rows import Row
from fuzzer.augment.shingles import Hashes, Index, shingles
from fuzzer.evidence import clopper_pearson
from fuzzer.records import Interval, Record

SAMPLE = 300  # rows whose most like held-out text is looked for
SHOWN = 10  # leaks that are named
_ALPHA = 0.05


class Part(Record):
    """How much of a sample is so like some held-out text, with an exact 95% interval."""

    n: int = 0
    rows: int = 0
    share: float = 0.0  # says nothing at n = 0
    ci: Interval = (0.0, 1.0)


class Likeness(Record):
    """A sample's Jaccard similarity to the held-out text most like each row."""

    near: Part = Part()  # at least .8
    similar: Part = Part()  # .5 to .8
    highest: float = 0.0


class Checked(Record):
    """What `holdfast augment check` says."""

    schema_version: Literal[1] = 1
    manifest: str
    rows: int
    clean: bool
    overlap: Overlap
    near_duplicates: int  # of held-out stories; of all rows
    passages: int  # rows that hold a passage of one
    leaks: tuple[Leak, ...]  # the first of every kind
    held_out_stories: Likeness  # nothing near may be there
    held_out_transforms: Likeness  # on stories trained on: near by design, and reported

    @property
    def exit_code(self) -> int:
        """0 clean, 1 a leak was found."""
        return 0 if self.clean else 1


def check(rows: Iterable[Row], guard: Guard, sample: int = SAMPLE) -> Checked:
    """Hold every row against the manifest; `sample` of them against every held-out text."""
    tally, kinds = Tally(guard.lineages, SHOWN), Counter[str]()
    leaks: list[Leak] = []
    drawn = _Sample(sample, guard)
    for number, row in enumerate(rows):
        found = shingles(row_text(row))
        drawn.offer(number, row, found)
        for leak in (tally.add(row), guard.likeness(row, found)):
            if leak is not None:
                kinds[leak.kind] += 1
                if kinds[leak.kind] <= SHOWN:
                    leaks.append(leak)
    stories, transforms = drawn.likeness()
    result = tally.result()
    return Checked(
        manifest=guard.lineages.manifest,
        rows=result.rows,
        clean=not kinds,
        overlap=result,
        near_duplicates=kinds["near-duplicate"],
        passages=kinds["passage"],
        leaks=tuple(leaks),
        held_out_stories=stories,
        held_out_transforms=transforms,
    )


class _Sample:
    """The rows with the smallest hashes: the same ones whatever order they come in."""

    def __init__(self, size: int, guard: Guard) -> None:
        self._size = size
        self._against = (guard.references.guarded, guard.references.reported)
        self._kept: list[tuple[int, int, tuple[float, ...]]] = []

    def offer(self, number: int, row: Row, found: Hashes) -> None:
        name = f"{number}:{row.id}".encode("utf-8", "replace")
        rank = -int.from_bytes(blake2b(name, digest_size=8).digest())
        if len(self._kept) == self._size and rank <= self._kept[0][0]:
            return
        item = (rank, number, tuple(_likest(index, found) for index in self._against))
        (heapq.heappush if len(self._kept) < self._size else heapq.heapreplace)(self._kept, item)

    def likeness(self) -> tuple[Likeness, Likeness]:
        first, second = (
            _likeness([likes[i] for *_, likes in self._kept]) for i in range(len(self._against))
        )
        return first, second


def _likest(index: Index, found: Hashes) -> float:
    like = index.nearest(found)
    return like.jaccard if like else 0.0


def _likeness(values: list[float]) -> Likeness:
    near = sum(value >= NEAR for value in values)
    similar = sum(SIMILAR <= value < NEAR for value in values)
    return Likeness(
        near=_part(len(values), near),
        similar=_part(len(values), similar),
        highest=round(max(values, default=0.0), 4),
    )


def _part(n: int, rows: int) -> Part:
    if not n:
        return Part()
    return Part(n=n, rows=rows, share=rows / n, ci=clopper_pearson(n, rows, _ALPHA))
