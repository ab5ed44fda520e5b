"""Planted worlds: how often each subset of a plan fails, and which of its subsets are minimal.

A `Kind` plants worlds of one sort, a random one for each generator given. Its truth is the set of
*1-minimal* subsets at a cut: those that fail more often than the cut, and less often than it
without any one of their steps.
"""

import math
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations

from fuzzer.evidence import log_above

Subset = frozenset[int]
Rate = Callable[[Subset], float]
Plant = Callable[[int, random.Random], "World"]

BACKGROUND = 0.001
NOISY = 0.03
THRESHOLD = 0.01
ERROR = 0.05  # of the information limit


def _never(_keep: Subset) -> bool:
    return False


@dataclass(frozen=True)
class World:
    """What is planted: `rate` of each subset of `range(n)`, which depends on `matters` only."""

    n: int
    rate: Rate
    matters: Subset
    blind: Callable[[Subset], bool] = _never  # subsets that cannot be tested

    @cached_property
    def full(self) -> Subset:
        """All the steps."""
        return frozenset(range(self.n))

    def is_minimal(self, keep: Subset, cut: float) -> bool:
        """Whether `keep` fails above the cut, and below it without any step that can be tested."""
        return (
            not self.blind(keep)
            and self.rate(keep) > cut
            and all(self.blind(keep - {step}) or self.rate(keep - {step}) < cut for step in keep)
        )

    def minimal(self, cut: float) -> frozenset[Subset]:
        """Every 1-minimal subset. Steps that do not matter are in none: they could go."""
        return frozenset(s for s in subsets(self.matters) if self.is_minimal(s, cut))


@dataclass(frozen=True)
class Kind:
    """One sort of world, and what of it is planted at random."""

    name: str
    plant: Plant


def subsets(steps: Collection[int]) -> list[Subset]:
    """All subsets, the smaller ones first."""
    ordered = sorted(steps)
    return [frozenset(s) for size in range(len(ordered) + 1) for s in combinations(ordered, size)]


# ------------------------------------------------------------------------------- what is planted


def planted(n: int, rng: random.Random, *, k: int, p: float, b: float = BACKGROUND) -> World:
    """All of k steps together fail with rate p, anything else with the background rate."""
    cause = frozenset(rng.sample(range(n), k))
    return World(n, lambda keep: p if cause <= keep else b, cause)


def disjoint(n: int, rng: random.Random, *, p: float, weak: float | None = None) -> World:
    """Either of two disjoint pairs suffices; the second fails at rate `weak`, if that is given."""
    steps = rng.sample(range(n), 4)
    one, other = frozenset(steps[:2]), frozenset(steps[2:])

    def rate(keep: Subset) -> float:
        if one <= keep:
            return p
        return (p if weak is None else weak) if other <= keep else BACKGROUND

    return World(n, rate, one | other)


def overlapping(n: int, rng: random.Random, *, p: float) -> World:
    """{a, b} or {a, c}."""
    a, b, c = rng.sample(range(n), 3)
    return World(
        n,
        lambda keep: p if a in keep and (b in keep or c in keep) else BACKGROUND,
        frozenset({a, b, c}),
    )


def suppressed(n: int, rng: random.Random, *, p: float) -> World:
    """A pair fails unless a suppressor is present without the step that masks it; two of those."""
    a, b, c, c_mask, d, d_mask = steps = rng.sample(range(n), 6)

    def rate(keep: Subset) -> float:
        silent = (c in keep and c_mask not in keep) or (d in keep and d_mask not in keep)
        return p if {a, b} <= keep and not silent else BACKGROUND

    return World(n, rate, frozenset(steps))


def graded(n: int, rng: random.Random) -> World:
    """Six steps add 1.5 log-odds each: rates of .88, .62, .27, .08 ..."""
    six = frozenset(rng.sample(range(n), 6))
    return World(n, lambda keep: 1 / (1 + math.exp(7 - 1.5 * len(keep & six))), six)


def itself(n: int, _rng: random.Random, *, p: float) -> World:
    """The seed fails without any step."""
    return World(n, lambda _keep: p, frozenset())


def half_blind(n: int, rng: random.Random, *, k: int, p: float) -> World:
    """`planted`, but what keeps all of the cause except its first step cannot be tested."""
    steps = rng.sample(range(n), k)
    cause, others = frozenset(steps), frozenset(steps[1:])
    return World(
        n,
        lambda keep: p if cause <= keep else BACKGROUND,
        cause,
        lambda keep: others <= keep and steps[0] not in keep,
    )


def leaky(n: int, rng: random.Random, *, k: int) -> World:
    """A cause of any rate from .15 up, that still fails at up to a third of it without one step."""
    steps = frozenset(rng.sample(range(n), k))
    p = rng.uniform(0.15, 1.0)
    leaks = {step: p / 3 * rng.random() for step in sorted(steps)}

    def rate(keep: Subset) -> float:
        missing = steps - keep
        if len(missing) > 1:
            return BACKGROUND
        return max((leaks[step] for step in missing), default=p)

    return World(n, rate, steps)


def stepwise(n: int, rng: random.Random, *, rates: tuple[float, ...]) -> World:
    """How many of some steps are kept decides: none `rates[0]`, one `rates[1]` ... all the last."""
    some = frozenset(rng.sample(range(n), len(rates) - 1))
    return World(n, lambda keep: rates[len(keep & some)], some)


def cause(k: int, p: float, b: float = BACKGROUND) -> Kind:
    """The kind `planted`."""
    noise = "" if b == BACKGROUND else f" b={b}"
    return Kind(f"k={k} p={p}{noise}", partial(planted, k=k, p=p, b=b))


def seed_itself(p: float) -> Kind:
    """The kind `itself`."""
    return Kind(f"seed itself p={p}", partial(itself, p=p))


def blind_knockout(k: int, p: float) -> Kind:
    """The kind `half_blind`."""
    return Kind(f"blind knock-out k={k} p={p}", partial(half_blind, k=k, p=p))


def two_causes(p: float) -> Kind:
    """The kind `disjoint`."""
    return Kind(f"two causes p={p}", partial(disjoint, p=p))


def unequal(p: float, weak: float) -> Kind:
    """The kind `disjoint`, at two rates."""
    return Kind(f"two causes p={p}, {weak}", partial(disjoint, p=p, weak=weak))


def shared_step(p: float) -> Kind:
    """The kind `overlapping`."""
    return Kind(f"ab or ac p={p}", partial(overlapping, p=p))


def suppressors(p: float) -> Kind:
    """The kind `suppressed`."""
    return Kind(f"suppressors p={p}", partial(suppressed, p=p))


def leaks(k: int) -> Kind:
    """The kind `leaky`."""
    return Kind(f"leaks k={k}", partial(leaky, k=k))


def steps(*rates: float) -> Kind:
    """The kind `stepwise`."""
    return Kind(f"rates {' '.join(f'{rate:g}' for rate in rates)}", partial(stepwise, rates=rates))


GRADED = Kind("graded", graded)


# --------------------------------------------------------------------------------- what is known


def replays(p: float, rng: random.Random) -> tuple[int, int]:
    """(failures, calls) of an episode: replayed until supported, given up and begun anew at 30."""
    failures = calls = 0
    while log_above(THRESHOLD, calls, failures) < math.log(2 / 0.05):
        calls += 1
        failures += rng.random() < p
        if calls == 30:
            failures = calls = 0
    return failures, calls


def _entropy(p: float) -> float:
    return -sum(x * math.log2(x) for x in (p, 1 - p) if x > 0)


def capacity(p: float, b: float = BACKGROUND) -> float:
    """Bits that one call tells at most: p if the cause is among the steps kept, else b.

    >>> round(capacity(0.5, 0.0), 3), round(capacity(0.1), 4)
    (0.322, 0.0506)
    """

    def bits(q: float) -> float:
        return _entropy(q * p + (1 - q) * b) - q * _entropy(p) - (1 - q) * _entropy(b)

    return max(bits(q / 2000) for q in range(2001))


def limit(n: int, k: int, p: float) -> float:
    """Fano's bound on the calls that name k of n steps with an error of 5%.

    >>> round(limit(24, 2, 0.5), 1)
    23.4
    """
    return ((1 - ERROR) * math.log2(math.comb(n, k)) - _entropy(ERROR)) / capacity(p)
