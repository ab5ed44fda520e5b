"""Whether a row that is to be trained on gives away what is to be tested.

Two looks, for neither is enough. *Lineage* is exact: a row says which story, families and values it
is made of, and the manifest says whose these are. *Likeness* asks the text itself, of rows that
have no such lineage (a user's chats, what a model wrote) or a wrong one.

What is guaranteed of likeness is the held-out side of a sweep, `holdfast sweep --held-out`: no row
is a near-duplicate (Jaccard similarity of five-character runs at least `NEAR`) of a held-out story,
unchanged or under drawn transforms, nor holds a passage of one. Of held-out transforms on stories
that *are* trained on it is not: they share the story's text, so that most are near to training
rows by design. There the lineage decides, and the likeness is reported.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any, Literal, NamedTuple

from pydantic import Field

from fuzzer.augment.rows import Row, Said
from fuzzer.augment.shingles import Hashes, Index, Like, Passages, shingles
from fuzzer.augment.split import SURFACE, Cell, Pools, Split, story_of
from fuzzer.errors import ConfigurationError, HoldfastError
from fuzzer.graph import Catalogue
from fuzzer.scenario import Frozen, Scenario
from fuzzer.transform import Plan
from fuzzer.variant import Request, Slots

NEAR = 0.8  # similarity from which on a row is the same text
SIMILAR = 0.5  # and from which it is said how many there are
PASTED = 20  # runs of eight words of one held-out story: about 27 words in a row
DRAWS = 128  # held-out variants rendered, of each kind
_TRIED = 16  # values of one step, before a draw is given up
_ALLOWED: tuple[Cell, ...] = ("train", "dev")

Kind = Literal["lineage", "near-duplicate", "passage"]


class Leak(Frozen):
    """Why a row must not be trained on."""

    row: str  # its id
    kind: Kind
    what: str  # in a sentence's part
    like: str = ""  # the held-out text it is like
    score: float = 0.0  # of a near-duplicate its Jaccard similarity; of a passage the runs in it


# ------------------------------------------------------------------------------------ lineage


class Overlap(Frozen):
    """What the lineage of many rows says of them against a manifest."""

    rows: int = 0
    leaks: int = 0
    by_story: dict[str, int] = Field(default_factory=dict)  # rows of each
    by_family: dict[str, int] = Field(default_factory=dict)
    unknown: int = 0  # rows made of no scenario: only their text can tell
    other_manifest: int = 0  # rows made under another one
    first: tuple[Leak, ...] = ()


class Lineages:
    """Checks what rows say of their making against a manifest. Exact: nothing is estimated."""

    def __init__(
        self, split: Split, seeds: Iterable[Scenario], known: Catalogue, pools: Pools
    ) -> None:
        self._split = split
        self._seeds = {seed.name: seed for seed in seeds}
        self._known = known
        self._pools = pools

    def leak(self, row: Row) -> Leak | None:
        """The first thing held out that a row was made of."""
        what = next(self._held_out(row), "")
        return Leak(row=row.id, kind="lineage", what=what) if what else None

    def _held_out(self, row: Row) -> Iterator[str]:
        """Every reason, without a word on values of families that are held out whole."""
        lineage, split = row.lineage, self._split
        if not lineage.seed and not lineage.seed_family:
            if row.kind == "environment" or lineage.steps or lineage.families:
                yield "it does not say which seed it is made of"
            return
        if lineage.cell not in ("", *_ALLOWED):
            yield f"it says itself that it is of the cell {lineage.cell!r}"
        seed = self._seeds.get(lineage.seed)
        stories = {lineage.seed_family, story_of(seed) if seed else ""} - {""}
        if not stories:
            yield f"its seed {lineage.seed!r} is not known, nor its story"
        for story in sorted(stories):
            yield from _kept("the story", story, split.stories.get(story))
        unknown = [s.transform for s in lineage.steps if s.transform not in self._known]
        for name in unknown:
            yield f"its transform {name!r} is not known, so neither is its family"
        steps = [step for step in lineage.steps if step.transform not in unknown]
        surface = [s for s in steps if self._known[s.transform].relation in SURFACE]
        families = {self._known[step.transform].family for step in surface}
        for family in sorted(families | set(lineage.families)):
            yield from _kept("the family", family, split.families.get(family))
        for step in surface:
            if split.families.get(self._known[step.transform].family) == "train":
                cell = split.value(step, self._pools)
                yield from _kept("a value of", step.transform, cell)

    def overlap(self, rows: Iterable[Row], shown: int = 10) -> Overlap:
        """All rows at once; the first `shown` leaks are in it."""
        tally = Tally(self, shown)
        for row in rows:
            tally.add(row)
        return tally.result()

    @property
    def manifest(self) -> str:
        """The hash of the manifest."""
        return self._split.hash


class Tally:
    """An `Overlap` in the making, row by row."""

    def __init__(self, lineages: Lineages, shown: int = 10) -> None:
        self._lineages = lineages
        self._shown = shown
        self._rows = self._leaks = self._unknown = self._other = 0
        self._first: list[Leak] = []
        self._stories: Counter[str] = Counter()
        self._families: Counter[str] = Counter()

    def add(self, row: Row) -> Leak | None:
        """Count a row; its leak, if it has one."""
        lineage = row.lineage
        self._rows += 1
        self._unknown += not (lineage.seed or lineage.seed_family)
        self._other += lineage.manifest not in ("", self._lineages.manifest)
        if lineage.seed_family:
            self._stories[lineage.seed_family] += 1
        self._families.update(lineage.families)
        found = self._lineages.leak(row)
        if found is not None:
            self._leaks += 1
            if len(self._first) < self._shown:
                self._first.append(found)
        return found

    def result(self) -> Overlap:
        """What has been counted."""
        return Overlap(
            rows=self._rows,
            leaks=self._leaks,
            by_story=dict(sorted(self._stories.items())),
            by_family=dict(sorted(self._families.items())),
            unknown=self._unknown,
            other_manifest=self._other,
            first=tuple(self._first),
        )


def overlap(
    rows: Iterable[Row], split: Split, seeds: Iterable[Scenario], catalogue: Catalogue, pools: Pools
) -> Overlap:
    """The exact check: nothing that the manifest holds out may be in what is trained on.

    Raises `ConfigurationError` for a pool that is not the one that was dealt.
    """
    return Lineages(split, seeds, catalogue, pools).overlap(rows)


def _kept(what: str, name: str, cell: Cell | None) -> Iterator[str]:
    if cell is None:
        yield f"{what} {name!r} was never dealt"
    elif cell not in _ALLOWED:
        yield f"{what} {name!r} is held out"


# ----------------------------------------------------------------------------------- likeness


class References(NamedTuple):
    """Held-out texts to compare with."""

    guarded: Index  # held-out stories: unchanged, under held-out transforms, and under any
    reported: Index  # held-out transforms on stories that are trained on
    passages: Passages  # of held-out stories, less what the others say as well


def references(
    split: Split,
    seeds: Iterable[Scenario],
    catalogue: Catalogue,
    pools: Pools,
    *,
    draws: int = DRAWS,
    random_seed: int = 0,
    trusted: frozenset[str] | None = None,
) -> References:
    """Render what is held out: `draws` variants of each kind, and every held-out seed as it is.

    What the `trusted` seeds (by name; None: all) say as well is no passage of a held-out one. A
    user's own seed is not among them: it may be a held-out one under another name.
    """
    seeds = tuple(seeds)
    test, others = split.seeds(seeds, "test"), split.seeds(seeds, *_ALLOWED)
    others = tuple(s for s in others if trusted is None or s.name in trusted)
    held_out = split.held_out(Catalogue(catalogue, pools))
    trained = split.catalogue(catalogue, pools, *_ALLOWED)
    guarded, reported = Index(), Index()
    for seed in test:
        variant = catalogue.variant(seed, Plan(seed=seed.name))
        guarded.add(seed.name, shingles(request_text(variant.request)))
    for index, kind, told, known in (
        (guarded, "held-out transforms", test, held_out),
        (guarded, "transforms trained on", test, trained),
        (reported, "held-out transforms", others, held_out),
    ):
        for number, (name, text) in enumerate(_drawn(told, known, draws, random_seed)):
            index.add(f"{name} under {kind} ({number})", shingles(text))
    passages = Passages(
        {s.name: _said_in(s) for s in test}, [t for s in others for t in _said_in(s)]
    )
    return References(guarded, reported, passages)


def _drawn(
    seeds: tuple[Scenario, ...], known: Catalogue, draws: int, random_seed: int
) -> Iterator[tuple[str, str]]:
    """Seeds with the requests of variants of them: each choice with probability one half.

    Of transforms without a pool, a plug-in's, none are drawn.
    """
    known = Catalogue([t for t in known if known.pools.get(t.name)], known.pools)
    for number in range(draws if seeds else 0):
        rng = Random(f"{random_seed}:reference:{number}")
        seed = seeds[number % len(seeds)]
        groups = [g for g in known.choices(seed, "invariant") if rng.random() < 1 / 2]
        pools = [known.pools[rng.choice(group).name] for group in groups]
        found = known.settled(
            seed,
            [rng.choice(pool) for pool in pools],
            lambda name, rng=rng: rng.choice(known.pools[name]),  # type: ignore[misc]
            _TRIED,
        )
        if found is not None:
            plan = known.ordered(seed.name, found[0])
            yield seed.name, request_text(known.variant(seed, plan, found[1]).request)


def _said_in(seed: Scenario) -> tuple[str, ...]:
    """Everything that a seed says, in all its wordings; a rendered request says less and more."""
    slots = Slots(seed)
    found = []
    for text in _strings(seed.model_dump(mode="json")):
        try:
            found.append(slots.fill(text))
        except HoldfastError:  # a pattern, say, with braces of its own
            found.append(text)
    return tuple(found)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def request_text(request: Request) -> str:
    """A request as `row_text` tells a row."""
    return _joined(
        [request.system, *(str(message["content"]) for message in request.messages)], request.tools
    )


def row_text(row: Row) -> str:
    """What a row is compared by: all that it gives a model to read, tools included."""
    return _joined([*(said.content for said in row.prompt), row.text], row.tools)


def whole_text(row: Row) -> str:
    """Everything in a row, what is learned and what is not to be learned too."""
    said = (*row.completion, *row.rejected)
    return "\n".join([row_text(row), *(part for one in said for part in _parts(one))])


def _parts(said: Said) -> Iterator[str]:
    yield said.content
    for call in said.tool_calls:
        yield from _strings(call.arguments)


def _joined(texts: Iterable[str], tools: Iterable[dict[str, Any]]) -> str:
    told = (json.dumps(tool, ensure_ascii=False, sort_keys=True) for tool in tools)
    return "\n".join(filter(None, (*texts, *told)))


class Guard:
    """Stands before an export: what leaks is not written.

    `dropped` counts, by kind, what `admits` refused. It costs about 10 ms for a row of 18,000
    characters.
    """

    def __init__(
        self,
        split: Split,
        seeds: Iterable[Scenario],
        catalogue: Catalogue,
        pools: Pools,
        *,
        draws: int = DRAWS,
        trusted: frozenset[str] | None = None,
    ) -> None:
        seeds = tuple(seeds)
        self.lineages = Lineages(split, seeds, catalogue, pools)
        self.references = references(split, seeds, catalogue, pools, draws=draws, trusted=trusted)
        self.dropped: Counter[Kind] = Counter()

    def check(self, row: Row) -> Leak | None:
        """Why a row must not be trained on, lineage first; None where nothing is found."""
        return self.lineages.leak(row) or self.likeness(row)

    def likeness(self, row: Row, found: Hashes | None = None) -> Leak | None:
        """What its text gives away; `found` are the shingles of `row_text`, if they are known."""
        like = self.references.guarded.near(
            shingles(row_text(row)) if found is None else found, NEAR
        )
        if like is not None:
            return _near(row, like)
        key, runs = self.references.passages.inside(whole_text(row))
        if runs < PASTED:
            return None
        what = f"it holds text of {key} ({runs} runs of eight words)"
        return Leak(row=row.id, kind="passage", what=what, like=key, score=runs)

    def admits(self, row: Row, *, text: bool = True) -> bool:
        """Whether a row may be written; what may not is counted. `text`: its likeness counts too.

        Raises `ConfigurationError` for a leak of lineage: then the export itself is made wrongly.
        """
        leak = self.lineages.leak(row) or (self.likeness(row) if text else None)
        if leak is None:
            return True
        if leak.kind == "lineage":
            raise ConfigurationError(
                f"row {row.id!r} must not be exported: {leak.what} in the manifest "
                f"{self.lineages.manifest[:12]}; export under that manifest, or deal a new one"
            )
        self.dropped[leak.kind] += 1
        return False


def _near(row: Row, like: Like) -> Leak:
    what = f"it is a near-duplicate of {like.key} (J = {like.jaccard:.2f})"
    return Leak(
        row=row.id, kind="near-duplicate", what=what, like=like.key, score=round(like.jaccard, 4)
    )
