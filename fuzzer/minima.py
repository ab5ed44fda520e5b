"""Findings with what their shrinks made of them: in which order they are shrunk, and told.

Values only; `fuzzer.minimising` makes the calls.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from fuzzer.condense import CondenseResult
from fuzzer.decision import Decision, Episode
from fuzzer.shrink import ShrinkResult
from fuzzer.transform import Plan
from fuzzer.values import ValueResult


class Shrunk(NamedTuple):
    """A finding, and what each level of its shrink came to; None: it was not begun."""

    episode: Episode
    plan: ShrinkResult | None = None
    values: ValueResult | None = None
    text: CondenseResult | None = None

    @property
    def reduced(self) -> Plan:
        """The steps that are needed, with the values found; the whole plan before any shrink."""
        whole: Plan = self.episode.plan
        return whole if self.plan is None else whole.keep(self.plan.keep)

    @property
    def simplified(self) -> bool:
        """Whether simpler values were proved to fail too: they are the minimal plan's then."""
        return self.values is not None and self.values.changed and self.values.certified

    @property
    def minimal(self) -> Plan:
        """The smallest plan known to fail, at the simplest values that were proved."""
        if self.values is None or not self.simplified:
            return self.reduced
        return Plan(seed=self.episode.seed, steps=self.values.steps)

    @property
    def scenario(self) -> Plan:
        """The minimal plan with what its text can do without left out."""
        drop = self.text.drop if self.text is not None else ()
        return Plan(seed=self.episode.seed, steps=self.minimal.steps, drop=drop)


class Minima:
    """The smallest plans found so far."""

    def __init__(self) -> None:
        self._found: list[tuple[str, frozenset[bytes]]] = []

    def add(self, shrunk: Shrunk) -> None:
        """Remember what a finding was shrunk to, if it was."""
        if shrunk.plan is not None:
            steps = frozenset(step.key for step in shrunk.reduced.steps)
            self._found.append((shrunk.episode.seed, steps))

    def explain(self, episode: Episode) -> bool:
        """Whether an episode's plan holds one of them."""
        keys = frozenset(step.key for step in episode.plan.steps)
        return any(seed == episode.seed and smaller <= keys for seed, smaller in self._found)


def by_turns(decision: Decision, begun: Callable[[int], bool]) -> list[Episode]:
    """The findings in the order they are shrunk: confirmed ones first, of these the begun ones."""
    found = (episode for episode in decision.episodes if episode.supported or episode.seen)
    return sorted(found, key=lambda e: (not e.supported, not begun(e.number), e.number))


def in_order(shrinks: Iterable[Shrunk]) -> list[Shrunk]:
    """Findings as a report lists them: what is confirmed first."""
    return sorted(shrinks, key=lambda each: (not each.episode.supported, each.episode.number))
