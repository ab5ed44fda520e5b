"""Findings with what their shrinks made of them: in which order they are shrunk, and told.

Values only; `fuzzer.minimising` makes the calls.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from fuzzer.decision import Decision, Episode
from fuzzer.shrink import ShrinkResult
from fuzzer.transform import Plan


class Shrunk(NamedTuple):
    """A finding, and what each level of its shrink came to; None: it was not begun."""

    episode: Episode
    plan: ShrinkResult | None = None

    @property
    def minimal(self) -> Plan:
        """The smallest plan known to fail; the whole one before any shrink."""
        whole: Plan = self.episode.plan
        return whole if self.plan is None else whole.keep(self.plan.keep)


class Minima:
    """The smallest plans found so far."""

    def __init__(self) -> None:
        self._found: list[tuple[str, frozenset[bytes]]] = []

    def add(self, shrunk: Shrunk) -> None:
        """Remember what a finding was shrunk to, if it was."""
        if shrunk.plan is not None:
            steps = shrunk.episode.plan.keep(shrunk.plan.keep).steps
            self._found.append((shrunk.episode.seed, frozenset(step.key for step in steps)))

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
