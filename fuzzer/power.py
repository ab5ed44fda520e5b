"""What a budget can find: planted causes, the real search and evidence, and no model.

A *cause* is a set of one, two or three transforms. A call fails with probability p where its plan
holds them all, and never elsewhere. D is drawn as the planned sweep draws it (`Outline`: nothing is
rendered, so draws that are blind or do nothing are not rejected), the cause and the outcomes
anew in each simulated run; `Search` is asked and told until it says brittle. The calls that takes
are one number a run, and their distribution answers for every budget at once.

Monte Carlo at a fixed number of independent runs given the draws, so each probability has an exact
interval: Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404. That of a budget is the exact
interval of a quantile, by the same bounds. What was simulated is kept in the user's cache
directory, under a hash of all it depends on.
"""

import hashlib
import inspect
import math
import os
import pickle
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, cached_property, partial
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple, get_args
from weakref import WeakValueDictionary

from fuzzer import accounts, decision, evidence, outline, search
from fuzzer.decision import Rules, index_lag
from fuzzer.errors import ConfigurationError
from fuzzer.evidence import clopper_pearson, log_above
from fuzzer.outline import CLASSES, Outline, pick
from fuzzer.proposal import Alone, Draw, Outcome
from fuzzer.records import Interval, Record
from fuzzer.scenario import canonical_json
from fuzzer.search import Search

Kind = Literal["single", "pair", "triple"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SIZES: dict[Kind, int] = {kind: size for size, kind in enumerate(KINDS, start=1)}
RATES = (1.0, 0.5, 0.1)

VERSION = 1  # of this method; the code it runs has a hash of its own
REPLICATES = 100  # simulated runs behind one probability
WISH_REPLICATES = 200  # and behind a budget: it is a quantile, so that its ends need more
MOST_CALLS = 10_000  # no wish is looked for beyond
LEVEL = 0.05  # of the intervals: 95%

_SAFE, _HARMFUL = Outcome("safe"), Outcome("harmful")
_MANY = 1e7  # trials, after which an e-value has gone where it goes


class Detection(Record):
    """How often a sweep with the planned budget calls the model brittle for such a cause."""

    kind: Kind
    at: float  # p: how often a call fails whose plan holds the cause
    chance: float  # h: that one draw of D holds the cause; the mean over the causes planted
    spread: Interval  # of h: nine causes in ten have more than the first, one in ten the second
    replicates: int  # simulated sweeps
    found: int  # of them, those that said brittle within the budget
    held: int  # of them, those that ended in holds before
    probability: float  # found / replicates
    ci: Interval  # exact, 95%
    median_calls: int | None  # by which half of all were found; None: fewer were


class Wish(Record):
    """The smallest budget with which a sweep finds such a cause as often as wished."""

    kind: Kind
    at: float
    power: float
    budget: int | None  # None: no budget up to `most` does
    ci: tuple[int, int | None] | None  # exact, 95%, of that budget; None as an end: beyond `most`
    most: int
    reason: str | None  # in a sentence, where no budget does


class Cell(Record):
    """The simulated runs of one kind and rate."""

    calls: tuple[int | None, ...]  # to the brittle verdict; None: it never came
    held: int  # of those, the ones that ended in holds

    def found(self, budget: int) -> int:
        """The runs that said brittle within so many calls."""
        return sum(calls is not None and calls <= budget for calls in self.calls)


# ------------------------------------------------------------------------------------- the causes


def causes(law: Outline, kind: Kind, count: int) -> list[tuple[str, ...]]:
    """So many causes, drawn from what a plan may hold: names of transforms, in the order drawn.

    A seed uniformly; then one transform after the other, each as likely, of choice groups not yet
    taken. The i-th pair is the i-th single and one more (where the same seeds can hold both).
    Empty where no seed has enough choice groups.
    """
    size = SIZES[kind]
    fit = tuple(name for name in law.seeds if len(law.choices[name]["invariant"]) >= size)
    if not fit:
        return []
    return [_cause(law, fit, size, Random(f"{law.random_seed}:cause:{i}")) for i in range(count)]


def _cause(law: Outline, seeds: tuple[str, ...], size: int, rng: Random) -> tuple[str, ...]:
    left = list(law.choices[pick(rng, seeds)]["invariant"])
    names: list[str] = []
    for _ in range(size):
        group, transform = pick(rng, tuple((group, t) for group in left for t in group))
        left.remove(group)
        names.append(transform.name)
    return tuple(names)


class Chances:
    """h of any cause under one law: the probability that one draw of D holds all of it. Exact.

    A rejected draw (of distance 0) is drawn again with its seed, within its density class.
    """

    def __init__(self, law: Outline) -> None:
        groups = [law.choices[seed]["invariant"] for seed in law.seeds]
        self._sizes = [
            (len(choices), {t.name: len(group) for group in choices for t in group})
            for choices in groups
        ]
        self._kept = {  # draws that are not rejected, per draw and seed, by density class
            stratum: sum(1 - (1 - density) ** n if density else n > 0 for n, _ in self._sizes)
            for stratum, _, density in CLASSES
        }

    def of(self, cause: tuple[str, ...]) -> float:
        """The chance of these transforms, each of another choice group."""
        within = [
            (n, math.prod(1 / sizes[name] for name in cause))
            for n, sizes in self._sizes
            if all(name in sizes for name in cause)
        ]
        total = 0.0
        for stratum, share, density in CLASSES:
            if density:
                hit = sum(members for _, members in within) * density ** len(cause)
            else:  # exactly one choice
                hit = sum(members / n for n, members in within) if len(cause) == 1 else 0.0
            total += share * (hit / self._kept[stratum])
        return total / sum(share for _, share, _ in CLASSES)  # 1 to the last bit, where it is


# --------------------------------------------------------------------------------- simulated runs


class _Field(Alone):
    """D's outline as a plan source whose plans are numbers; each draw is made once for all runs."""

    def __init__(self, law: Outline) -> None:
        self.law = law
        self.seeds = law.seeds
        self.transforms: list[int] = [0]  # of each plan, its transforms as bits; plan 0 is the seed
        self._bits = {t.name: 1 << i for i, t in enumerate(law.catalogue)}
        self._numbers: dict[tuple[str, Any], int] = {}  # by variant
        self._draws: list[Draw] = []
        self._all_on: list[Draw] = []
        _FIELDS[id(self)] = self

    def __reduce__(self) -> tuple[Callable[[int], "_Field"], tuple[int]]:
        return _field, (id(self),)  # a search is kept without it: it is shared, and large

    @property
    def far_share(self) -> float:
        return self.law.far_share

    def bits(self, names: tuple[str, ...]) -> int:
        return sum(self._bits[name] for name in names)

    def canonical(self, k: int) -> Draw:
        return self.law.canonical(k)._replace(plan=0)

    def draw(self, k: int) -> Draw:
        return self._kth(self._draws, self.law.draw, k)

    def all_on(self, k: int) -> Draw:
        return self._kth(self._all_on, self.law.all_on, k)

    def far_draw(self, k: int, seed: str) -> Draw:
        return self._numbered(self.law.far_draw(k, seed))

    def _kth(self, made: list[Draw], make: Callable[[int], Draw], k: int) -> Draw:
        while len(made) <= k:
            made.append(self._numbered(make(len(made))))
        return made[k]

    def _numbered(self, draw: Draw) -> Draw:
        number = self._numbers.setdefault((draw.seed, draw.plan), len(self.transforms))
        if number == len(self.transforms):
            self.transforms.append(self.bits(tuple(step.transform for step in draw.plan)))
        return draw._replace(plan=number)


_FIELDS: "WeakValueDictionary[int, _Field]" = WeakValueDictionary()


def _field(number: int) -> _Field:
    return _FIELDS[number]


class _Trail:
    """The run in which nothing fails: every other is the same until its own first failure.

    So it is made once, and kept here and there as it stood, for others to go on from.
    """

    def __init__(self, rules: Rules, field: _Field) -> None:
        self.field = field
        self.plans: list[int] = []  # of its calls
        self._search = Search(rules, field)
        self._marks: list[tuple[int, bytes]] = []

    def extend(self) -> bool:
        """Make its next call; False where it has ended."""
        if not self._marks or len(self.plans) >= 32 + 1.1 * self._marks[-1][0]:
            kept = pickle.dumps(self._search, pickle.HIGHEST_PROTOCOL)
            self._marks.append((len(self.plans), kept))
        for proposal in self._search.ask(1):
            self.plans.append(proposal.plan)
            self._search.tell(proposal.index, _SAFE)
            return True
        return False

    def before(self, index: int) -> Search:
        """A search of one's own, which has made at most so many of these calls."""
        at = bisect_right(self._marks, index, key=lambda mark: mark[0]) - 1
        found: Search = pickle.loads(self._marks[at][1])
        return found

    @property
    def ended_early(self) -> bool:
        """It ended before its budget, which without a failure is in holds."""
        return self._search.done and len(self.plans) < self._search.rules.budget


class _Luck:
    """A number from 0 to 1 for every call of a run, the same at every rate of failing."""

    def __init__(self, key: str) -> None:
        self._rng = Random(key)
        self._numbers: list[float] = []

    def __getitem__(self, index: int) -> float:
        while len(self._numbers) <= index:
            self._numbers.append(self._rng.random())
        return self._numbers[index]


class _Run(NamedTuple):
    """One simulated sweep."""

    trail: _Trail
    cause: int  # as bits
    rate: float
    luck: _Luck

    def end(self) -> tuple[int | None, bool]:
        """(calls to the brittle verdict, whether it ended before its budget without one)."""
        first = self._first_failure()
        if first is None:
            return None, self.trail.ended_early
        found = self.trail.before(first)
        crossed = found.accounts.seen.crossed
        while not found.done:
            for proposal in found.ask(1):
                failed = self._fails(proposal.index, proposal.plan)
                found.tell(proposal.index, _HARMFUL if failed else _SAFE)
                if failed and "brittle" in crossed:
                    return proposal.index + 1, False
        return None, found.accounts.absorbed < found.rules.budget

    def _fails(self, index: int, plan: int) -> bool:
        holds = self.trail.field.transforms[plan] & self.cause == self.cause
        return holds and self.luck[index] < self.rate

    def _first_failure(self) -> int | None:
        plans, index = self.trail.plans, 0
        while index < len(plans) or self.trail.extend():
            if self._fails(index, plans[index]):
                return index
            index += 1
        return None


class Study:
    """Simulated sweeps over one D, so many of each kind; what was simulated before is read.

    `cache` is a directory, made when something is kept; None keeps nothing.
    """

    def __init__(
        self, law: Outline, replicates: int = REPLICATES, cache: Path | None = None
    ) -> None:
        self.law = law
        self.replicates = replicates
        self._cache = cache
        self._field = _Field(law)
        self._trails: dict[Rules, _Trail] = {}
        self._cells: dict[str, Cell] = {}
        self._causes: dict[Kind, list[tuple[str, ...]]] = {}
        self._chances: dict[Kind, list[float]] = {}

    def causes(self, kind: Kind) -> list[tuple[str, ...]]:
        """The causes planted, one a simulated run."""
        if kind not in self._causes:
            self._causes[kind] = causes(self.law, kind, self.replicates)
        return self._causes[kind]

    def chances(self, kind: Kind) -> list[float]:
        """The chance h of each of them."""
        if kind not in self._chances:
            law = Chances(self.law)
            self._chances[kind] = [law.of(cause) for cause in self.causes(kind)]
        return self._chances[kind]

    def cell(self, rules: Rules, kind: Kind, at: float, misses: int | None = None) -> Cell:
        """The runs of one kind and rate, under these rules. Deterministic by D's random seed.

        With `misses`, it stops once more runs than that never said brittle.
        """
        if rules.stop == "budget":  # the same until the verdict
            rules = rules.model_copy(update={"stop": "brittle"})
        key = self._key(rules, kind, at, misses)
        known = self._cells.get(key) or _read(self._cache, key)
        if known is None:
            known = self._simulated(rules, kind, at, misses)
            _write(self._cache, key, known)
        self._cells[key] = known
        return known

    def _simulated(self, rules: Rules, kind: Kind, at: float, misses: int | None) -> Cell:
        calls: list[int | None] = []
        held = 0
        for found, early in self._runs(rules, kind, at):
            calls.append(found)
            held += early
            if misses is not None and calls.count(None) > misses:
                break
        return Cell(calls=tuple(calls), held=held)

    def _runs(self, rules: Rules, kind: Kind, at: float) -> Iterator[tuple[int | None, bool]]:
        trail = self._trails.get(rules)
        if trail is None:
            trail = self._trails[rules] = _Trail(rules, self._field)
        for i, cause in enumerate(self.causes(kind)):
            luck = _Luck(f"{self.law.random_seed}:luck:{i}")
            yield _Run(trail, self._field.bits(cause), at, luck).end()

    def _key(self, rules: Rules, kind: Kind, at: float, misses: int | None) -> str:
        told = {
            "D": self._outlined,
            "rules": rules.model_dump(mode="json"),
            "cell": (kind, at, self.replicates, misses),
            "random_seed": self.law.random_seed,
            "method": (VERSION, _method()),
        }
        return hashlib.sha256(canonical_json(told)).hexdigest()

    @cached_property
    def _outlined(self) -> dict[str, object]:
        """All of D that a simulated run depends on: choices and the sizes of their pools."""
        return {
            seed: [
                [[(t.name, len(self.law.pools[t.name])) for t in group] for group in groups]
                for groups in both.values()
            ]
            for seed, both in self.law.choices.items()
        }


# ------------------------------------------------------------------------------------ what is said


def detections(study: Study, rules: Rules) -> tuple[Detection, ...]:
    """The probability of *brittle* within the budget of these rules, by kind of cause and rate.

    Without the rates that are not above the threshold, and the kinds that no seed can hold.
    """
    return tuple(
        _detection(study, rules, kind, at)
        for kind in KINDS
        for at in RATES
        if at > rules.q0 and study.causes(kind)
    )


def _detection(study: Study, rules: Rules, kind: Kind, at: float) -> Detection:
    cell = study.cell(rules, kind, at)
    chances = sorted(study.chances(kind))
    n, found = len(cell.calls), cell.found(rules.budget)
    made = sorted(calls for calls in cell.calls if calls is not None)
    half = (n + 1) // 2
    return Detection(
        kind=kind,
        at=at,
        chance=math.fsum(chances) / n,
        spread=(chances[n // 10], chances[n - 1 - n // 10]),
        replicates=n,
        found=found,
        held=cell.held,
        probability=found / n,
        ci=clopper_pearson(n, found, LEVEL),
        median_calls=made[half - 1] if len(made) >= half else None,
    )


def assumed_of_causes(random_seed: int) -> Iterator[str]:
    """What `detections` and `smallest_budget` rest on, in sentences."""
    yield (
        "Found: planted causes, no model. A cause is one to three transforms that a plan can hold "
        "together, each as likely, at any of their values; a call fails with the probability given "
        "where its plan holds them all. Nothing else fails, nothing else in a plan prevents it, "
        "the judge never errs, and every call is answered."
    )
    yield (
        "What is found are sweeps that say brittle, by the real search and evidence on the draws "
        f"of --seed {random_seed} (draws that do nothing or are blind included); cause and "
        "outcomes anew in each, intervals exact at 95%. In a draw: the chance that one draw of D "
        "holds the cause, on average; half within: the calls by which half were found. A model "
        "that needs one value of many, or one seed, to fail is found less often."
    )


def not_planted(law: Outline, rules: Rules) -> Iterator[str]:
    """What `detections` leaves out, and why, in sentences."""
    for at in RATES:
        if not at > rules.q0:
            yield (
                f"A cause that fails at {at:g} is not above the threshold of {rules.q0:g}: nothing "
                "calls that brittle, so it is not planted."
            )
    for kind in KINDS:
        if not causes(law, kind, 1):
            yield f"No seed has the {SIZES[kind]} choice groups that a {kind} takes."


def check_wish(rules: Rules, at: float, power: float) -> None:
    """`ConfigurationError` where no budget could do what is wished."""
    if not at <= 1:
        raise ConfigurationError(f"at = {at:g} is not possible; give a probability of at most 1")
    if not at > rules.q0:
        raise ConfigurationError(
            f"at = {at:g} is not above {rules.q0:g}, the rate up to which nothing is brittle; no "
            "budget finds a cause that fails so rarely: look for a higher rate, or lower the "
            "threshold"
        )
    if not 0 < power < 1:
        raise ConfigurationError(
            f"power = {power:g} is not possible; give a probability above 0 and below 1"
        )


def smallest_budget(
    study: Study,
    rules: Rules,
    kind: Kind,
    at: float,
    power: float,
    *,
    connections: int,
    most: int = MOST_CALLS,
) -> Wish:
    """The smallest budget with which such a cause is found with probability `power`.

    Each budget is held to the lag W that it gives a run with so many connections
    (`fuzzer.decision.index_lag`).

    Raises:
        ConfigurationError: the rate is not above the threshold, the probability is none, or no
            seed has so many choice groups.
    """
    check_wish(rules, at, power)
    if not study.causes(kind):
        raise ConfigurationError(
            f"no seed has the {SIZES[kind]} choice groups that a {kind} takes; look for fewer "
            "transforms at once, or add some to the catalogue"
        )
    n = study.replicates
    needed = math.ceil(power * n - 1e-9)
    budgets = _Budgets(study, rules, kind, at, connections, most, n - needed)
    budget = budgets.least(needed)
    wish = Wish(kind=kind, at=at, power=power, budget=budget, ci=None, most=most, reason=None)
    if budget is None:
        return wish.model_copy(update={"reason": budgets.why_none(power)})
    # The order statistics that the exact bounds of a share name: the interval of a quantile.
    counts = range(n + 1)
    low, high = (
        bisect_left(counts, power, key=lambda k: clopper_pearson(n, k, LEVEL)[side])
        for side in (1, 0)
    )
    ends = budgets.least(max(low, 1)) or budget, budgets.least(high) if high <= n else None
    return wish.model_copy(update={"ci": ends})


class _Budgets(NamedTuple):
    """The budgets with one kind of cause, each with its own lag."""

    study: Study
    rules: Rules
    kind: Kind
    at: float
    connections: int
    most: int
    misses: int  # with more, no budget does

    def least(self, count: int) -> int | None:
        """The smallest budget with which so many of the runs say brittle."""
        widest = index_lag(self.connections, self.most)
        if self._at(widest, count) is None:
            return None
        if not widest or self._at(widest - 1, count) is None:
            return self._at(widest, count)
        lags = range(widest)  # a smaller budget has a shorter lag, and must do with fewer calls
        lag = bisect_left(lags, True, key=lambda lag: self._at(lag, count) is not None)
        return self._at(lag, count)

    def _at(self, lag: int, count: int) -> int | None:
        """The smallest budget of those with this lag; None where none of them does."""
        allowed = range(self.most + 1)
        lagging = partial(index_lag, self.connections)
        first = max(1, bisect_left(allowed, lag, key=lagging))
        last = bisect_right(allowed, lag, key=lagging) - 1
        calls = sorted(c for c in self.cell(lag, last).calls if c is not None)
        return max(first, calls[count - 1]) if len(calls) >= count else None

    def cell(self, lag: int, budget: int) -> Cell:
        """The runs of the largest budget that has this lag."""
        rules = self.rules.model_copy(update={"budget": budget, "lag": lag})
        misses = self.misses if budget == self.most else None
        return self.study.cell(rules, self.kind, self.at, misses)

    def why_none(self, power: float) -> str:
        """Why no budget does, in a sentence."""
        cell = self.cell(index_lag(self.connections, self.most), self.most)
        wished = (
            f"No budget up to {self.most:,} calls finds a {self.kind} that fails at {self.at:g} "
            f"with probability {power:g}"
        )
        if log_above(self.rules.q0, _MANY, self.at * _MANY) < 0:
            return (
                f"{wished}: a variant that fails at {self.at:g} is too near {self.rules.q0:g}; "
                "evidence falls on average even when it is called again."
            )
        if 2 * cell.held > cell.calls.count(None):
            return (
                f"{wished}: with --stop first, runs that miss it end in holds before (it fails too "
                "rarely on average over D); --stop brittle goes on."
            )
        return f"{wished}."


# --------------------------------------------------------------------------------- what is kept


@cache
def _method() -> str:
    """A hash of the code that is run: another search is another method."""
    modules = (accounts, decision, evidence, outline, search, sys.modules[__name__])
    try:
        text = "".join(map(inspect.getsource, modules))
    except OSError:  # installed without its source
        text = version("holdfast")
    return hashlib.sha256(text.encode()).hexdigest()


def default_cache() -> Path | None:
    """The user's cache directory for this, not made yet: XDG_CACHE_HOME, else ~/.cache."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    except RuntimeError:  # no home: nothing is kept
        return None
    return base / "holdfast" / "power"


def _read(directory: Path | None, key: str) -> Cell | None:
    """What was kept under a key; None where nothing is, or nothing that can be read."""
    if directory is None:
        return None
    try:
        return Cell.model_validate_json((directory / f"{key}.json").read_bytes())
    except (OSError, ValueError):
        return None


def _write(directory: Path | None, key: str, cell: Cell) -> None:
    """Keep a cell, whole or not at all; where nothing can be written it is simulated again."""
    if directory is None:
        return
    part = directory / f"{key}.{os.getpid()}.part"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        part.write_text(cell.model_dump_json())
        part.replace(directory / f"{key}.json")
    except OSError:
        with suppress(OSError):
            part.unlink()
