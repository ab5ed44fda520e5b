"""Chats with unrelated tools and system prompts added: the user's turns stay byte for byte.

Everything is dealt from decks, so that each tool, role, length and number of tools occurs equally
often. Decks begin anew every `BLOCK` chats: a row depends on the options, its chat's number and the
chats before it in its block, and on nothing else.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from random import Random
from typing import Any, Literal

from pydantic import Field

from fuzzer.augment.chats.bank import Bank, BankTool, Relevance
from fuzzer.augment.chats.decks import Deck
from fuzzer.augment.chats.prompting import Prompt, Prompts, SystemKind
from fuzzer.augment.chats.shapes import Chat, turns_hash
from fuzzer.augment.rows import Lineage, Row, Said
from fuzzer.errors import DeclarationError
from fuzzer.scenario import Frozen, canonical_json

BLOCK = 4096  # chats

#: Where a chat's own system prompt goes when one is added: after it, before it, or nowhere; or none
#: is added to a chat that has one.
Existing = Literal["last", "first", "drop", "alone"]
Naming = Literal["as-written", "snake", "camel", "kebab", "pascal"]
NAMINGS: tuple[Naming, ...] = ("as-written", "snake", "camel", "kebab", "pascal")
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_SQUEEZED = re.compile(r"[^a-z0-9]+")


class Options(Frozen):
    """What is added, and how often. Each augmentation can be switched off by itself."""

    copies: int = Field(default=1, ge=1)  # augmented rows per chat
    original: bool = False  # the chat without additions too, as copy 0
    tools: bool = True
    system: bool = True
    system_kind: SystemKind = "both"
    least_tools: int = Field(default=0, ge=0)
    most_tools: int = Field(default=8, ge=0)
    existing_system: Existing = "last"
    random_seed: int = 0


class _Decks:
    """What a block is dealt from."""

    def __init__(self, options: Options, bank: Bank, block: int) -> None:
        name = f"{options.random_seed}:{block}"
        numbers = range(options.least_tools, options.most_tools + 1)
        self.numbers = Deck(numbers, f"{name}:numbers")
        self.tools = Deck(bank.tools, f"{name}:tools")
        self.namings = Deck(NAMINGS, f"{name}:namings")
        self.prompts = Prompts(bank, options.system_kind, f"{name}:prompts")


class Augmenter:
    """Rows from chats. `balance` counts what was added, by kind; `excluded` what was relevant."""

    def __init__(
        self, options: Options, bank: Bank, *, canary: str, source: str, source_hash: str
    ) -> None:
        self.options = options
        self.balance: dict[str, Counter[str]] = {}
        self.excluded = 0  # pairs of a chat and a tool that is relevant to it
        self.relevant_added = 0  # of the tools in rows: looked at again when the row is made
        self._bank = bank
        self._canary = canary
        self._source = source
        self._source_hash = source_hash
        self._relevance = Relevance(bank.tags)
        told = [source_hash, bank.hash, options.model_dump()]
        self._by_tag = {
            tag: {tool.name for tool in bank.tools if tag in tool.tags} for tag in bank.tags
        }
        self._digest = hashlib.blake2b(canonical_json(told), digest_size=4).hexdigest()

    def rows(self, chats: Iterable[Chat]) -> Iterator[Row]:
        """The rows of all chats in their order; each chat's copies follow one another."""
        decks: _Decks | None = None
        for index, chat in enumerate(chats):
            if decks is None or index % BLOCK == 0:
                decks = _Decks(self.options, self._bank, index // BLOCK)
            spoken = (*chat.prompt, *chat.completion, *chat.rejected)
            relevant = self._relevance.topics(said.content for said in spoken)
            self.excluded += len(set().union(*(self._by_tag[tag] for tag in relevant)))
            if self.options.original:
                yield self._row(chat, 0, chat.system, chat.tools, {})
            for copy in range(1, self.options.copies + 1):
                yield self._augmented(chat, copy, relevant, decks)

    def _augmented(self, chat: Chat, copy: int, relevant: frozenset[str], decks: _Decks) -> Row:
        added: dict[str, tuple[str, ...]] = {}
        tools, system = chat.tools, chat.system
        if self.options.tools:
            drawn = _some_tools(decks, chat, relevant)
            self._count("number of tools", str(len(drawn)))
            if drawn:
                naming = decks.namings.draw() or "as-written"
                order = Random(f"{self.options.random_seed}:{chat.line}:{copy}")
                tools = _mixed(tools, [_definition(tool, naming) for tool in drawn], order)
                added["tools"] = tuple(tool.name for tool in drawn)
                self.relevant_added += sum(not tool.tags.isdisjoint(relevant) for tool in drawn)
                added["naming"] = (naming,)
                self._count("tool", *added["tools"])
                self._count("naming", naming)
        if self.options.system and not (chat.system and self.options.existing_system == "alone"):
            prompt = decks.prompts.draw(relevant)
            if prompt is not None:
                system = _with_system(chat.system, prompt, self.options.existing_system)
                added["system"] = prompt.ids
                kind, length, *parts = prompt.ids
                self._count("kind of prompt", kind)
                self._count("length of prompt", length)
                for part in parts:
                    # What a house says and what a scene says are dealt from decks of their own.
                    of, _, identity = part.partition(":")
                    scene = kind == "context" and of != "scene"
                    self._count(f"{of} of a scene" if scene else of, identity)
        return self._row(chat, copy, system, tools, added)

    def _count(self, kind: str, *identities: str) -> None:
        self.balance.setdefault(kind, Counter()).update(identities)

    def _row(
        self,
        chat: Chat,
        copy: int,
        system: str,
        tools: tuple[dict[str, Any], ...],
        added: dict[str, tuple[str, ...]],
    ) -> Row:
        first = (Said.of(role="system", content=system),) if system else ()
        row = Row.of(
            id=f"chat-{self._digest}-{chat.line:09d}-{copy:03d}",
            kind="chat",
            target=chat.target,
            canary=self._canary,
            prompt=(*first, *chat.prompt),
            completion=chat.completion,
            rejected=chat.rejected,
            tools=tools,
            lineage=Lineage.of(
                source=f"{self._source}:{chat.line}",
                source_hash=self._source_hash,
                versions={},
                added=added,
                prompts={"bank": self._bank.hash} if added else {},
            ),
            extra=chat.extra,
        )
        if turns_hash(row.prompt, row.completion, row.rejected) != chat.turns:
            raise DeclarationError(
                f"adding to line {chat.line} of {self._source!r} changed a user's turn, which "
                "nothing may; this is an error of Holdfast, please report it"
            )
        return row


def _some_tools(decks: _Decks, chat: Chat, relevant: frozenset[str]) -> list[BankTool]:
    """Different tools that are neither relevant to the chat nor named like one of its own."""
    taken = {_squeezed(str(tool.get("name"))) for tool in chat.tools}
    messages = chain(chat.prompt, chat.completion, chat.rejected)
    taken |= {_squeezed(call.name) for said in messages for call in said.tool_calls}

    def fits(tool: BankTool) -> bool:
        return tool.tags.isdisjoint(relevant) and _squeezed(tool.name) not in taken

    found: list[BankTool] = []
    for _ in range(decks.numbers.draw() or 0):
        tool = decks.tools.draw(fits)
        if tool is None:
            break
        taken.add(_squeezed(tool.name))
        found.append(tool)
    return found


@cache
def _squeezed(name: str) -> str:
    """A name as it is in every naming convention: names that differ only in it are one."""
    return _SQUEEZED.sub("", name.lower())


def _mixed(
    own: Sequence[dict[str, Any]], added: Sequence[dict[str, Any]], order: Random
) -> tuple[dict[str, Any], ...]:
    """The added tools among the chat's own, which keep their order."""
    if not own:
        return tuple(added)
    mixed = list(added)
    places = sorted(order.randint(0, len(added)) for _ in own)
    for number, (place, tool) in enumerate(zip(places, own, strict=True)):
        mixed.insert(place + number, tool)
    return tuple(mixed)


_DEFINED: dict[tuple[str, Naming], dict[str, Any]] = {}


def _definition(tool: BankTool, naming: Naming) -> dict[str, Any]:
    """A tool as the Messages API has it; equal ones are the same object."""
    key = (tool.name, naming)
    if key not in _DEFINED:
        _DEFINED[key] = {
            "name": restyled(tool.name, naming),
            "description": tool.description,
            "input_schema": tool.schema_of_input,
        }
    return _DEFINED[key]


def restyled(name: str, naming: Naming) -> str:
    """A tool's name in another convention.

    >>> [restyled("get_tideTable", naming) for naming in NAMINGS]
    ['get_tideTable', 'get_tide_table', 'getTideTable', 'get-tide-table', 'GetTideTable']
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    if naming == "as-written":
        return name
    if naming in ("snake", "kebab"):
        return ("_" if naming == "snake" else "-").join(words)
    capital = [word.capitalize() for word in words]
    return "".join(capital if naming == "pascal" else [words[0], *capital[1:]])


def _with_system(own: str, prompt: Prompt, existing: Existing) -> str:
    if not own or existing == "drop":
        return prompt.text
    parts = (own, prompt.text) if existing == "first" else (prompt.text, own)
    return "\n\n".join(parts)


def spread(balance: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    """How evenly each kind was dealt: how many different ones, the least and the most of one."""
    return {
        kind: {
            "different": len(counts),
            "least": min(counts.values()),
            "most": max(counts.values()),
        }
        for kind, counts in sorted(balance.items())
    }
