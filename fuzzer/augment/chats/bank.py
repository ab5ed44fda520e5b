"""The bank: tools of narrow trades, parts of system prompts, and what makes each relevant.

The files under `banks/` are reviewed as data; their hash goes into every row made from them.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import Field

from fuzzer.scenario import Frozen

#: Where a rule or a format can stand: with customers, in any workplace, or anywhere.
Fits = Literal["house", "place", "anywhere"]
_WORD = re.compile(r"[^\W_]+")
_WORDS_KNOWN = 100_000  # of which the topics are kept
_FILES = ("tags.toml", "tools.toml", "prompts.toml", "contexts.toml")


class BankTool(Frozen):
    """A tool definition, with the topics to which it is relevant."""

    name: str
    tags: frozenset[str]
    description: str
    properties: dict[str, dict[str, Any]] = Field(default_factory=dict)
    required: tuple[str, ...] = ()

    @property
    def schema_of_input(self) -> dict[str, Any]:
        """The input schema, as the Messages API has it."""
        return {
            "type": "object",
            "properties": self.properties,
            "required": list(self.required),
        }


class Part(Frozen):
    """A piece of a prompt."""

    id: str
    text: str
    tags: frozenset[str] = frozenset()
    fits: Fits = "house"


class Organisation(Frozen):
    """Who runs the assistant."""

    id: str
    name: str
    about: str


class Sector(Frozen):
    """A trade: its organisations, the assistant's roles in them, and what there is to know."""

    id: str
    tags: frozenset[str]
    organisations: tuple[Organisation, ...]
    roles: tuple[Part, ...]
    facts: tuple[Part, ...]
    office: bool = True  # whether facts of any office building can be true of it


class Scene(Frozen):
    """A context in which a message may stand."""

    id: str
    line: str
    people: str
    background: str
    place: bool = True


class Bank(Frozen):
    """Everything that can be added to a chat."""

    tags: dict[str, tuple[str, ...]]
    tools: tuple[BankTool, ...]
    openings: tuple[str, ...]
    tones: tuple[Part, ...]
    rules: tuple[Part, ...]
    formats: tuple[Part, ...]
    facts: tuple[Part, ...]
    sectors: tuple[Sector, ...]
    scenes: tuple[Scene, ...]
    hash: str  # of the files (blake2b, hex, 16 bytes)


@cache
def load_bank() -> Bank:
    """The bank that comes with the package."""
    folder = files("fuzzer.augment.chats") / "banks"
    raw = {name: (folder / name).read_bytes() for name in _FILES}
    read = {name: tomllib.loads(data.decode()) for name, data in raw.items()}
    prompts = read["prompts.toml"]
    return Bank(
        tags=read["tags.toml"]["tags"],
        tools=read["tools.toml"]["tool"],
        openings=prompts["openings"],
        tones=prompts["tone"],
        rules=prompts["rule"],
        formats=prompts["format"],
        facts=prompts["fact"],
        sectors=prompts["sector"],
        scenes=read["contexts.toml"]["scene"],
        hash=hashlib.blake2b(b"\0".join(raw.values()), digest_size=16).hexdigest(),
    )


class Relevance:
    """Which topics a text touches, by the stems of the bank's tags."""

    def __init__(self, tags: dict[str, tuple[str, ...]]) -> None:
        self._whole: dict[str, set[str]] = {}
        self._stems: dict[str, set[str]] = {}
        for tag, stems in tags.items():
            for stem in stems:
                whole = stem.startswith("=")
                known = self._whole if whole else self._stems
                known.setdefault(stem.removeprefix("="), set()).add(tag)
        self._lengths = sorted({len(stem) for stem in self._stems})
        self._known: dict[str, frozenset[str]] = {}  # by word: people use the same ones

    def topics(self, texts: Iterable[str]) -> frozenset[str]:
        """The tags of which some stem begins a word of the texts, whatever the case.

        >>> tags = {"ships": ("boat", "=sea"), "sky": ("star",)}
        >>> sorted(Relevance(tags).topics(["Boats on many seas"]))
        ['ships']
        """
        found: set[str] = set()
        known = self._known
        for word in set(_WORD.findall("\n".join(texts).lower())):
            tags = known.get(word)
            found |= self._of(word) if tags is None else tags
        return frozenset(found)

    def _of(self, word: str) -> frozenset[str]:
        tags = set(self._whole.get(word, ()))
        for length in self._lengths:
            if length <= len(word):
                tags |= self._stems.get(word[:length], set())
        found = frozenset(tags)
        if len(self._known) < _WORDS_KNOWN:
            self._known[word] = found
        return found
