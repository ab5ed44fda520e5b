"""What the shrinker is measured against: other ways from a failing plan to a minimal one.

The same worlds, by kind, size and number. A rival has to know what the shrinker finds out: the
failure rate p, and the SPRTs the background rate too. It is told; it certifies nothing; and of the
error rates a test may have (`ERRORS`) it gets the largest at which 95% of its answers are exact in
the first 100 of these very replicates, else the one at which most are. Its calls stand beside those
of our search, one at a time. A verdict is remembered, one call an example is not without *memo*.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from benchmarks.reducing.hypothesis_shrinker import Encoding, shrink
from benchmarks.reducing.planning import AMPLE, RIGHT
from benchmarks.reducing.running import (
    Setting,
    middle,
    plant,
    played,
    ratio,
    replicates,
    share,
    spans,
    spread,
)
from benchmarks.reducing.worlds import (
    BACKGROUND,
    Kind,
    Subset,
    World,
    cause,
    limit,
    suppressors,
    two_causes,
)

ERRORS = (0.05, 0.01, 0.002)  # of one test
LONGEST = 10_000  # calls of one SPRT; at rates between p and the background it may go on and on
PILOT = 100  # replicates that choose the error rate
TRIES = 3  # of leave-one-out, while its own check finds it wrong

Fails = Callable[[Subset], bool]


class Coin:
    """One call on a subset of a world, and the number of calls made."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.calls = 0
        self._rng = rng

    def __call__(self, keep: Subset) -> bool:
        """Whether it failed."""
        self.calls += 1
        return self._rng.random() < self.world.rate(keep)


@dataclass(frozen=True)
class Known:
    """What a rival is told."""

    p: float  # the failure rate of the whole plan
    error: float  # that one of its tests may have


@dataclass(frozen=True)
class Answer:
    """What a rival came to."""

    keep: Subset | None  # None: it gave up, with FlakyFailure
    calls: int
    rounds: int
    right: bool


Found = tuple[Subset | None, int | None]  # and rounds; None: one a call
Method = Callable[[Coin, Known], Found]


def _anywhere(_kind: Kind, _n: int, _p: float) -> bool:
    return True


@dataclass(frozen=True)
class Rival:
    """A way to shrink; `tuned`: its tests have an error rate to choose.

    Hypothesis takes a fifth of a second a replicate: `where` says on which worlds it is worth it.
    """

    name: str
    method: Method
    tuned: bool = True
    where: Callable[[Kind, int, float], bool] = _anywhere


# ---------------------------------------------------------------------------- does a subset fail


def repeats(p: float, error: float) -> int:
    """Calls without a failure that a subset of rate p makes with this probability, or fewer.

    >>> repeats(1.0, 0.01), repeats(0.5, 0.01), repeats(0.1, 0.01)
    (1, 7, 44)
    """
    return 1 if p >= 1 else math.ceil(math.log(error) / math.log1p(-p))


def any_of(coin: Coin, known: Known, keep: Subset, *, early: bool) -> bool:
    """Whether any of so many calls fails; `early`: the first failure ends them."""
    count = repeats(known.p, known.error)
    if early:
        return any(coin(keep) for _ in range(count))
    return sum(coin(keep) for _ in range(count)) > 0


class Sprt:
    """Wald's sequential test of p against the background (doi:10.1214/aoms/1177731118)."""

    def __init__(self, known: Known) -> None:
        self._on_failure = math.log(known.p / BACKGROUND)
        passing = (1 - known.p) / (1 - BACKGROUND)
        self._on_pass = math.log(passing) if passing > 0 else -math.inf
        self._bound = math.log((1 - known.error) / known.error)
        self._odds = 0.0
        self._calls = 0

    def add(self, failed: bool) -> bool | None:
        """Count a call; whether the subset fails, None while that is open."""
        self._odds += self._on_failure if failed else self._on_pass
        self._calls += 1
        if abs(self._odds) >= self._bound or self._calls == LONGEST:
            return self._odds > 0
        return None


def sprt(coin: Coin, known: Known, keep: Subset) -> bool:
    """Whether an SPRT says that a subset fails."""
    test = Sprt(known)
    while (verdict := test.add(coin(keep))) is None:
        pass
    return verdict


def remembered(fails: Fails, full: Subset) -> Fails:
    """One verdict a subset; the whole plan is known to fail."""
    verdicts = {full: True}

    def asked(keep: Subset) -> bool:
        if keep not in verdicts:
            verdicts[keep] = fails(keep)
        return verdicts[keep]

    return asked


# ----------------------------------------------------------------------------- which one is next


def ddmin(fails: Fails, full: Subset) -> Subset:
    """Minimising delta debugging (Zeller and Hildebrandt 2002, doi:10.1109/32.988498).

    That nothing at all passes is known beforehand, as there: no call.
    """
    keep, parts = sorted(full), 2
    while len(keep) > 1:
        bounds = [len(keep) * part // parts for part in range(parts + 1)]
        chunks = [keep[a:b] for a, b in pairwise(bounds)]
        others = [[s for s in keep if s not in chunk] for chunk in chunks]
        for smaller, left in [(c, 2) for c in chunks] + [(o, max(parts - 1, 2)) for o in others]:
            if fails(frozenset(smaller)):
                keep, parts = smaller, left
                break
        else:
            if parts == len(keep):
                break
            parts = min(len(keep), 2 * parts)
    return frozenset(keep)


def one_by_one(fails: Fails, full: Subset) -> Subset:
    """Each step in turn goes if the rest fails without it."""
    keep = full
    for step in sorted(full):
        if fails(keep - {step}):
            keep = keep - {step}
    return keep


def leave_one_out(coin: Coin, known: Known) -> tuple[Subset, int]:
    """Every step left out of the whole plan, side by side; what was needed is then checked.

    The check: what is left fails, and fails no more without any one step. If not: begun anew. A
    round is one call on each subset whose SPRT is open.
    """
    full, rounds = coin.world.full, 0
    for _ in range(TRIES):
        outs = [full - {step} for step in sorted(full)]
        verdicts, more = _side_by_side(coin, known, outs)
        keep = frozenset(step for step in full if not verdicts[full - {step}])
        checks = [keep, *(keep - {step} for step in sorted(keep))]
        verdicts, last = _side_by_side(coin, known, checks)
        rounds += more + last
        if verdicts.pop(keep) and not any(verdicts.values()):
            break
    return keep, rounds


def _side_by_side(
    coin: Coin, known: Known, keeps: Sequence[Subset]
) -> tuple[dict[Subset, bool], int]:
    tests = {keep: Sprt(known) for keep in keeps}
    verdicts: dict[Subset, bool] = {}
    rounds = 0
    while tests:
        rounds += 1
        for keep in list(tests):
            verdict = tests[keep].add(coin(keep))
            if verdict is not None:
                verdicts[keep] = verdict
                del tests[keep]
    return verdicts, rounds


# ------------------------------------------------------------------------------------ the rivals


def ddmin_repeats(coin: Coin, known: Known, *, early: bool) -> tuple[Subset, None]:
    """Delta debugging; a subset fails if any of k calls does."""
    fails = remembered(partial(any_of, coin, known, early=early), coin.world.full)
    return ddmin(fails, coin.world.full), None


def ddmin_sprt(coin: Coin, known: Known) -> tuple[Subset, None]:
    """Delta debugging; an SPRT decides whether a subset fails."""
    return ddmin(remembered(partial(sprt, coin, known), coin.world.full), coin.world.full), None


def one_by_one_sprt(coin: Coin, known: Known) -> tuple[Subset, None]:
    """One step after the other; an SPRT decides."""
    fails = remembered(partial(sprt, coin, known), coin.world.full)
    return one_by_one(fails, coin.world.full), None


def hypothesis(
    coin: Coin, known: Known, *, encoding: Encoding, many: bool, memo: bool
) -> tuple[Subset | None, None]:
    """Hypothesis' shrinker, on one call an example or on `any_of`."""
    from hypothesis.errors import Flaky

    full = coin.world.full
    fails: Fails = partial(any_of, coin, known, early=True) if many else coin

    def unremembered(keep: Subset) -> bool:
        return keep == full or fails(keep)

    try:
        asked = remembered(fails, full) if memo else unremembered
        return shrink(coin.world.n, encoding, asked), None
    except Flaky:
        return None, None


def _noisy(_kind: Kind, n: int, p: float) -> bool:
    return n == SMALL and p < 1


def _small(_kind: Kind, n: int, _p: float) -> bool:
    return n == SMALL


def _pairs(kind: Kind, n: int, _p: float) -> bool:
    return n == SMALL and kind.name.startswith("k=2")


SMALL = 24
RIVALS = (
    Rival("ddmin, k calls", partial(ddmin_repeats, early=False)),
    Rival("ddmin, k calls, early stop", partial(ddmin_repeats, early=True)),
    Rival("SPRT + ddmin", ddmin_sprt),
    Rival("SPRT + one by one", one_by_one_sprt),
    Rival("SPRT + leave one out", leave_one_out),
    Rival(
        "Hypothesis, 1 call",
        partial(hypothesis, encoding="lists", many=False, memo=False),
        tuned=False,
        where=_noisy,
    ),
    Rival(
        "Hypothesis, 1 call, memo",
        partial(hypothesis, encoding="lists", many=False, memo=True),
        tuned=False,
        where=_noisy,
    ),
    Rival(
        "Hypothesis, k calls, memo",
        partial(hypothesis, encoding="lists", many=True, memo=True),
        where=_small,
    ),
    Rival(
        "... of frozensets",
        partial(hypothesis, encoding="frozensets", many=True, memo=True),
        tuned=False,
        where=_pairs,
    ),
)


def run(rival: Rival, kind: Kind, n: int, error: float, number: int) -> Answer:
    """One replicate."""
    world, _ = plant(kind, n, number)
    coin = Coin(world, random.Random(f"{kind.name} {n} {rival.name} {error} {number}"))
    p = world.rate(world.full)
    keep, rounds = rival.method(coin, Known(p, error))
    right = keep is not None and world.is_minimal(keep, p / 2)
    return Answer(keep, coin.calls, coin.calls if rounds is None else rounds, right)


def tuned(rival: Rival, kind: Kind, n: int, p: float, count: int) -> tuple[float, list[Answer]]:
    """The error rate of its tests that serves a rival best, and what it came to with that."""
    errors = ERRORS if rival.tuned and p < 1 else ERRORS[1:2]
    pilot = min(count, PILOT)
    tried: dict[float, list[Answer]] = {}
    for error in errors:
        tried[error] = spread(partial(run, rival, kind, n, error), pilot)
        if _right(tried[error]) >= RIGHT * pilot:
            break
    else:
        error = max(tried, key=lambda one: _right(tried[one]))
    rest = spread(partial(run, rival, kind, n, error), count - pilot, start=pilot)
    return error, tried[error] + rest


def _right(answers: Sequence[Answer]) -> int:
    return sum(a.right for a in answers)


# ------------------------------------------------------------------------------------- the table

HEADER = (
    f"  {'':<27}{'error':>6} {'exact':>16} {'flaky':>6} {'calls':>11}{'/limit':>8}{'/ours':>7}"
    f"{'rounds':>8}"
)


def rows(quick: bool) -> Iterator[str]:
    """Each rival on each kind of world, beside the shrinker at batches of 1 and 8."""
    yield f"{_count(quick)} replicates a row; rivals know p (and the background), ours does not"
    worlds = [(cause(k, p), 24, p, limit(24, k, p)) for p in (1.0, 0.5) for k in (1, 2, 3)]
    worlds += [(cause(3, p), 200, p, limit(200, 3, p)) for p in (1.0, 0.5)]
    worlds += [(two_causes(0.5), 24, 0.5, math.nan), (suppressors(0.5), 24, 0.5, math.nan)]
    worlds += [(cause(k, 0.1), 24, 0.1, limit(24, k, 0.1)) for k in (1, 2, 3)]
    for kind, n, p, bound in [worlds[4]] if quick else worlds:
        yield from world_rows(kind, n, p, bound, quick)


def _count(quick: bool) -> int:
    return replicates(quick) // (4 if quick else 1)


def world_rows(kind: Kind, n: int, p: float, bound: float, quick: bool) -> Iterator[str]:
    """The block of one kind of rate `p`; `bound`: its limit, nan where there is none."""
    known = "" if math.isnan(bound) else f", limit {bound:.1f}"
    yield f"\n{kind.name}, n={n}{known}\n{HEADER}"
    unit = math.nan
    for batch in (1, 8):
        runs = played(Setting(kind, n, AMPLE[p], batch), quick)
        unit = middle([r.search for r in runs]) if batch == 1 else unit
        ours = [Answer(r.keep, r.search, r.searching, r.minimal) for r in runs]
        yield line(f"ours, batch {batch} (search)", "", ours, bound, unit)
    for rival in RIVALS:
        if rival.where(kind, n, p) and not (quick and rival.where is _pairs):
            error, answers = tuned(rival, kind, n, p, _count(quick))
            yield line(rival.name, f"{error}" if rival.tuned else "", answers, bound, unit)


def line(name: str, error: str, answers: Sequence[Answer], bound: float, unit: float) -> str:
    """One row; `unit`: our median."""
    flaky = sum(a.keep is None for a in answers) / len(answers)
    calls = [a.calls for a in answers]
    over = "" if math.isnan(bound) else ratio(middle(calls), bound)
    return (
        f"  {name:<27}{error:>6} {share([a.right for a in answers]):>16}"
        f" {f'{flaky:.0%}' if flaky else '':>6} {spans(calls):>11}{over:>8}"
        f"{ratio(middle(calls), unit):>7}{middle([a.rounds for a in answers]):>8}"
    )
