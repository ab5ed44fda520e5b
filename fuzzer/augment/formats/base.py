"""What every format is made of: what is known of an export, its files, and the format's side."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field

from fuzzer.augment.formats.files import File, Part
from fuzzer.augment.rows import Row, Target
from fuzzer.scenario import Frozen, Scenario

_GUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class About(Frozen):
    """What an export says of itself; the same for all its shards.

    Nothing of it is read from a clock or from the machine, so that a shard is the same bytes
    wherever it is made.
    """

    canary: str = Field(pattern=f"^{_GUID}$")  # a fresh GUID, of this export alone
    title: str = "Holdfast training data"
    created: str = ""  # a date, ISO 8601
    version: str = ""  # of Holdfast
    command: str = ""  # the command line that made it
    options: dict[str, Any] = Field(default_factory=dict)
    manifest: str = ""  # hash of the split it was made under
    seeds: dict[str, str] = Field(default_factory=dict)  # name -> content hash
    transforms: dict[str, int] = Field(default_factory=dict)  # name -> version
    judge: str = ""  # name and version of what scores
    calibration: str = ""  # what is known of that judge's errors, in a sentence or two
    models: tuple[str, ...] = ()  # that wrote something of it
    prompts: dict[str, str] = Field(default_factory=dict)  # stage -> hash of the prompt's file
    licence: str = "other"  # as the Hugging Face hub names licences
    #: Seeds that are not built in: packages that rebuild environments bring them along.
    own_seeds: tuple[Scenario, ...] = ()


class Summary(Frozen):
    """What was counted over all the rows of an export."""

    rows: int = 0
    #: kind, target, channel, seed, family, distance -> value -> rows
    counts: dict[str, dict[str, int]] = Field(default_factory=dict)
    left_out: dict[str, int] = Field(default_factory=dict)  # by format: rows it has no place for
    repeated_prompts: int = 0  # rows whose prompt and tools occurred before
    repeated_rows: int = 0  # rows of which everything that is learned from occurred before
    sample: int = 0  # rows that the next two were measured on
    distinct_2: float = 0.0
    vendi: float = 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a shard's files go."""

    root: Path  # of the export
    about: About
    shard: int = 0
    shards: int = 1

    def name(self, suffix: str) -> str:
        """The name of this shard's file: ``part-00000-of-00004.jsonl``."""
        return f"part-{self.shard:05}-of-{self.shards:05}.{suffix}"

    def part(self, folder: str, suffix: str) -> Part:
        """A file of this shard."""
        return Part(self.root, f"{folder}/{self.name(suffix)}")


class Writer(Protocol):
    """One format's side of one shard."""

    def write(self, row: Row, data: dict[str, Any]) -> bool:
        """Take a row (`data`: printed as JSON); whether the format has a place for it."""
        ...

    def keep(self) -> list[File]:
        """Complete the files."""
        ...

    def drop(self) -> None:
        """Leave nothing."""
        ...


@dataclass
class Lines:
    """A writer of JSON lines, one file for each folder that gets a row."""

    place: Place
    line: Callable[[Row, dict[str, Any]], tuple[str, bytes] | None]  # folder and line, or no place
    parts: dict[str, Part] = field(default_factory=dict)

    def write(self, row: Row, data: dict[str, Any]) -> bool:
        """Append the row's line."""
        made = self.line(row, data)
        if made is None:
            return False
        folder, line = made
        if folder not in self.parts:
            self.parts[folder] = self.place.part(folder, "jsonl")
        part = self.parts[folder]
        part.write(line + b"\n")
        part.rows += 1
        return True

    def keep(self) -> list[File]:
        """Complete the files."""
        return [part.keep() for _, part in sorted(self.parts.items())]

    def drop(self) -> None:
        """Leave nothing."""
        for part in self.parts.values():
            part.drop()


@dataclass(frozen=True)
class Format:
    """A format: how its writer is opened, and what stands beside the rows once all are there."""

    name: str
    folder: str  # below the export's
    says: str  # in a few words, for a list of the formats
    targets: frozenset[Target]  # what it has a place for
    open: Callable[[Place], Writer]
    #: The files beside the rows, path and text; they are given the rows' files of this format.
    beside: Callable[[About, tuple[File, ...], Summary], Iterable[tuple[str, str | bytes]]] = (
        lambda *_: ()
    )
