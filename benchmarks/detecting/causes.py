"""What makes a planted subject fail: needs, suppressors, and how they add up to a probability.

Nothing here is drawn at random; `benchmarks.detecting.planted` makes worlds of these parts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from fuzzer.transform import Step

TRIGGERED = 0.05  # rate of one cause from which a plan counts as holding it

Held = Mapping[str, Step]  # a plan's steps by transform: a plan holds one of each at most


@dataclass(frozen=True)
class Option:
    """A step of one transform: any, one of these keys, or one whose parameter is as said."""

    transform: str
    keys: frozenset[bytes] | None = None
    param: str = ""
    value: object = None  # the parameter equals this ...
    least: float | None = None  # ... or, where given, is at least that
    text: str = ""

    def met(self, held: Held) -> bool:
        """Whether the plan holds such a step."""
        step = held.get(self.transform)
        if step is None:
            return False
        if self.keys is not None:
            return step.key in self.keys
        if not self.param:
            return True
        value = step.params.get(self.param)
        if self.least is None:
            return value == self.value
        return isinstance(value, int | float) and value >= self.least

    def __str__(self) -> str:
        return f"{self.transform}[{self.text}]" if self.text else self.transform


@dataclass(frozen=True)
class Need:
    """One thing that must be so: any of these options."""

    options: tuple[Option, ...]

    def met(self, held: Held) -> bool:
        """Whether some option is in the plan."""
        return any(option.met(held) for option in self.options)

    @property
    def transforms(self) -> frozenset[str]:
        """The transforms that can meet it."""
        return frozenset(option.transform for option in self.options)

    @property
    def narrow(self) -> bool:
        """Whether it asks for particular parameter values."""
        return any(option.text for option in self.options)

    def __str__(self) -> str:
        told = " | ".join(map(str, self.options))
        return f"({told})" if len(self.options) > 1 else told


@dataclass(frozen=True)
class Damper:
    """A suppressor: what multiplies the rate of a cause while a plan holds it (0: switches off)."""

    need: Need
    factor: float

    def __str__(self) -> str:
        return f"{self.need} x{self.factor:g}"


@dataclass(frozen=True)
class Cause:
    """All of the needs together: a fixed rate on some seeds, less under its dampers."""

    needs: tuple[Need, ...]
    rate: float
    seeds: frozenset[str] | None = None  # None: all
    dampers: tuple[Damper, ...] = ()

    @property
    def monotone(self) -> bool:
        """Whether another step never lowers its rate."""
        return not self.dampers

    def on(self, seed: str, held: Held) -> float:
        """Probability that this cause makes a plan fail."""
        if self.seeds is not None and seed not in self.seeds:
            return 0.0
        if not all(need.met(held) for need in self.needs):
            return 0.0
        return self.rate * _damped(self.dampers, held)

    def __str__(self) -> str:
        return f"{' & '.join(map(str, self.needs))}: {self.rate:g}{_told(self.seeds, self.dampers)}"


@dataclass(frozen=True)
class Graded:
    """Needs that each add log-odds; no need suffices alone. 0 where none is met."""

    weights: tuple[tuple[Need, float], ...]  # log-odds, natural logarithm
    base: float  # log-odds with none of them
    seeds: frozenset[str] | None = None
    dampers: tuple[Damper, ...] = ()

    @property
    def monotone(self) -> bool:
        """Whether another step never lowers its rate."""
        return not self.dampers and all(weight >= 0 for _, weight in self.weights)

    @cached_property
    def needs(self) -> tuple[Need, ...]:
        """What adds to it."""
        return tuple(need for need, _ in self.weights)

    @cached_property
    def rate(self) -> float:
        """The most it can come to: every need met, no damper."""
        return _probability(self.base + sum(weight for _, weight in self.weights))

    def on(self, seed: str, held: Held) -> float:
        """Probability that this cause makes a plan fail."""
        if self.seeds is not None and seed not in self.seeds:
            return 0.0
        added = sum(weight for need, weight in self.weights if need.met(held))
        if not added:
            return 0.0
        return _probability(self.base + added) * _damped(self.dampers, held)

    def __str__(self) -> str:
        told = " + ".join(f"{weight:.2f} {need}" for need, weight in self.weights)
        return f"{self.base:.2f} + {told}{_told(self.seeds, self.dampers)}"


def log_odds(probability: float) -> float:
    """Natural logarithm of the odds."""
    return math.log(probability / (1 - probability))


def _probability(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


def _damped(dampers: tuple[Damper, ...], held: Held) -> float:
    return math.prod(damper.factor for damper in dampers if damper.need.met(held))


def _told(seeds: frozenset[str] | None, dampers: tuple[Damper, ...]) -> str:
    where = f" on {', '.join(sorted(seeds))}" if seeds is not None else ""
    under = f" under {', '.join(map(str, dampers))}" if dampers else ""
    return where + under
