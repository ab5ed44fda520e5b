"""Rows that a model writes: each item flows through its stages, past a screen and a judge.

What an item is about is known before anything is asked, so that a run can be priced, repeated and
gone on with. Rows come out in the order of their index, whatever the order of the answers.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from fuzzer.augment.rows import Kind, Lineage, Row, Target
from fuzzer.augment.writing.asking import Asker, Halted
from fuzzer.augment.writing.instructing import Answer, Prompt, prompt
from fuzzer.augment.writing.screening import Bounds, Screen, Seen

LEAST_QUALITY = 6  # of 10, as the gate's judge has it
UNFINISHED = "unfinished"  # a limit was reached, or a call was lost: no reason against it
GATE = "gate"
_AHEAD = 4  # items begun for each that may be asked about, should the first of them be slow

Answers = Mapping[str, Answer]


@dataclass(frozen=True)
class Stage:
    """One question about each item. It is given those keys of the brief, and earlier answers."""

    name: str
    answer: type[Answer]
    shows: tuple[str, ...] = ()  # keys of the brief; none: all of it
    reads: tuple[str, ...] = ()  # earlier stages
    tokens: Callable[[Mapping[str, Any]], int] = lambda _: 300  # of its answer, about


@dataclass(frozen=True)
class Item:
    """What one row will be about. `brief` is JSON."""

    index: int
    brief: dict[str, Any]
    lineage: Lineage
    source: Any = None  # of the recipe's own


class Draft(NamedTuple):
    """What has been written, before the gate."""

    row: dict[str, Any]  # fields of the row: prompt, completion, text, tools
    new: str  # what a model wrote of it
    shown: list[dict[str, Any]]  # what the judge reads: parts, each with who speaks
    bounds: Bounds
    allowed: str = ""  # the text it was made from
    given: Any = None  # what it answers to, for the judge
    names: bool = True  # over-used names are refused
    english: bool = True


class Rejected(Exception):
    """An item that cannot become a row; the reason is a fixed phrase."""


class _Lost(Exception):
    """A call without an answer, which a resume may have."""


class Recipe(Protocol):
    """One intervention."""

    @property
    def kind(self) -> Kind:
        """Of its rows."""
        ...

    @property
    def target(self) -> Target:
        """Of its rows."""
        ...

    @property
    def wanted(self) -> str:
        """What a row should be, for the judge."""
        ...

    @property
    def stages(self) -> tuple[Stage, ...]:
        """In order."""
        ...

    @property
    def kept(self) -> tuple[str, ...]:
        """The stages whose answers stand in a row."""
        ...

    def check(self, stage: str, item: Item, answer: Answer) -> str:
        """What is wrong with an answer, in fixed words; "" if nothing is."""
        ...

    def draft(self, item: Item, answers: Answers) -> Draft:
        """What the answers come to; raises `Rejected`."""
        ...


class Written(NamedTuple):
    """What became of an item: a row, or the reason why there is none."""

    number: int  # of the item
    row: Row | None
    reason: str = ""


class Opinion(Answer):
    """What the judge says of a text."""

    harmful: bool
    behaves_well: bool
    fits: bool
    coherent: bool
    quality: int
    quotes: list[str]
    why: str


def prompts_of(recipe: Recipe) -> dict[str, Prompt]:
    """The prompt of every stage, the gate's last."""
    named = {stage.name: prompt(f"{recipe.kind}-{stage.name}") for stage in recipe.stages}
    return {**named, GATE: prompt(GATE)}


def data_of(stage: Stage, item: Item, answers: Answers) -> dict[str, Any]:
    """What a stage is given of an item."""
    shown = stage.shows or tuple(item.brief)
    data: dict[str, Any] = {"brief": {key: item.brief[key] for key in shown if key in item.brief}}
    if stage.reads:
        data["earlier"] = {name: answers[name].model_dump() for name in stage.reads}
    return data


def judged_data(recipe: Recipe, draft: Draft) -> dict[str, Any]:
    """What the judge is given."""
    data: dict[str, Any] = {"kind": recipe.kind, "wanted": recipe.wanted, "text": draft.shown}
    return data if draft.given is None else {**data, "given": draft.given}


@dataclass
class Writer:
    """Who writes and who judges, and what the rows of a run have in common."""

    recipe: Recipe
    writing: Asker
    judging: Asker
    screen: Screen
    canary: str
    connections: int = 10
    _seen: Seen = field(default_factory=Seen)

    async def write(self, items: Iterable[Item]) -> AsyncGenerator[Written]:
        """What becomes of each item, in order."""
        gate = asyncio.Semaphore(self.connections)
        running: deque[tuple[Item, asyncio.Task[tuple[Draft | None, str]]]] = deque()

        async def one(item: Item) -> tuple[Draft | None, str]:
            async with gate:
                return await self._one(item)

        try:
            for item in items:
                running.append((item, asyncio.create_task(one(item))))
                if len(running) >= _AHEAD * self.connections:
                    yield await self._next(running)
            while running:
                yield await self._next(running)
        finally:
            for _, task in running:
                task.cancel()
            await asyncio.gather(*(task for _, task in running), return_exceptions=True)

    async def _next(
        self, running: "deque[tuple[Item, asyncio.Task[tuple[Draft | None, str]]]]"
    ) -> Written:
        item, first = running[0]
        waiting = {task for _, task in running}
        while not first.done():  # an error of a later one ends the run at once
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error
        running.popleft()
        draft, reason = first.result()
        if draft is None:
            return Written(item.index, None, reason)
        if not self._seen.add(draft.new):
            return Written(item.index, None, "near-duplicate")
        return Written(item.index, self._row(item, draft))

    async def _one(self, item: Item) -> tuple[Draft | None, str]:
        try:
            draft = await self._written(item)
            await self._passed(item, draft)
        except (Halted, _Lost):
            return None, UNFINISHED
        except Rejected as rejected:
            return None, str(rejected)
        return draft, ""

    async def _written(self, item: Item) -> Draft:
        answers: dict[str, Answer] = {}
        prompts = prompts_of(self.recipe)
        for stage in self.recipe.stages:

            def check(answer: Answer, name: str = stage.name) -> str:
                return self.recipe.check(name, item, answer)

            got = await self.writing.ask(
                stage.name,
                prompts[stage.name],
                stage.answer,
                data_of(stage, item, answers),
                item.index,
                check,
            )
            if got.value is None:
                raise _Lost if got.lost else Rejected(f"{stage.name}: {got.cause}")
            answers[stage.name] = got.value
        return self.recipe.draft(item, answers)

    async def _passed(self, item: Item, draft: Draft) -> None:
        """Past the screen and the judge; a judge that fails has not let anything pass."""
        fault = self.screen.fault(
            draft.new,
            draft.bounds,
            allowed=draft.allowed,
            names=draft.names,
            english=draft.english,
        )
        if fault:
            raise Rejected(fault)
        data = judged_data(self.recipe, draft)
        shown = " ".join(_strings(draft.shown))
        got = await self.judging.ask(
            GATE, prompt(GATE), Opinion, data, item.index, lambda said: _unfounded(said, shown)
        )
        if got.value is None:
            raise _Lost if got.lost else Rejected(f"gate: {got.cause}")
        if reason := _against(got.value):
            raise Rejected(f"gate: {reason}")

    def _row(self, item: Item, draft: Draft) -> Row:
        recipe = self.recipe
        lineage = item.lineage.model_copy(
            update={
                "models": tuple(dict.fromkeys((self.writing.name, self.judging.name))),
                "prompts": {name: found.hash for name, found in prompts_of(recipe).items()},
            }
        )
        row = Row(
            id="",
            kind=recipe.kind,
            target=recipe.target,
            canary=self.canary,
            lineage=lineage,
            **draft.row,
        )
        told = row.model_dump_json(exclude={"id", "canary"}).encode()
        serial = hashlib.blake2b(told, digest_size=8).hexdigest()
        return row.model_copy(update={"id": f"{recipe.kind}-{item.index:07d}-{serial}"})


def _against(said: Opinion) -> str:
    if said.harmful:
        return "instructions for harm"
    if not said.behaves_well:
        return "it does not behave well"
    if not said.coherent:
        return "not coherent"
    if not said.fits:
        return "not what was asked for"
    return "" if LEAST_QUALITY <= said.quality <= 10 else "not good enough"


_LEAST_QUOTE = 8  # characters; fewer stand in every text


def _unfounded(said: Opinion, shown: str) -> str:
    """A verdict counts with quotes that stand in the text; white space and marks may differ."""
    text = _bare(shown)
    quotes = [_bare(quote) for quote in said.quotes]
    if not quotes:
        return "no quote"
    if any(len(quote) < min(_LEAST_QUOTE, len(text)) or quote not in text for quote in quotes):
        return "quote not found"
    return ""


#: Marks that models copy in another form than they stand in.
_MARKS = str.maketrans("‘’“”–—\u00a0", "''\"\"-- ")


def _bare(text: str) -> str:
    return " ".join(text.translate(_MARKS).split())


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _strings(inner)
