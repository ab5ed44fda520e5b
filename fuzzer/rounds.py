"""Asking in rounds: calls go out in any number and come back in any order; rounds decide.

What every level of a shrink does alike. All is decided between whole rounds, so the order in which
outcomes arrive within one cannot matter.
"""

from abc import ABC, abstractmethod
from collections import Counter
from typing import Generic, Literal, Protocol, TypeVar

from fuzzer.certificate import Outcome

Purpose = Literal["search", "certificate"]


class Asked(Protocol):
    """A call that is asked for."""

    @property
    def index(self) -> int:
        """Its number, in the order asked."""
        ...

    @property
    def purpose(self) -> Purpose:
        """What it is counted under."""
        ...


_Proposal = TypeVar("_Proposal", bound=Asked)


class Rounds(ABC, Generic[_Proposal]):
    """Hands out the calls of a round, and goes on once all of them are answered."""

    def __init__(self) -> None:
        self._calls: Counter[Purpose] = Counter()  # answered ones; blind ones are free
        self._round: list[_Proposal] = []
        self._handed = 0  # of the round, how many were asked for
        self._outcomes: dict[int, Outcome] = {}
        self._next_index = 0
        self._done = False

    @abstractmethod
    def _plan_round(self) -> None:
        """Begin the next round, or end."""

    @abstractmethod
    def _absorb(self, proposal: _Proposal, outcome: Outcome) -> None:
        """Take in one outcome; called for a whole round, in order."""

    @property
    def done(self) -> bool:
        """Whether nothing more will be asked."""
        return self._done

    def ask(self, n: int) -> list[_Proposal]:
        """At most `n` further calls; fewer, or none, while outcomes of the round are missing."""
        handed = self._round[self._handed : self._handed + n]
        self._handed += len(handed)
        return handed

    def tell(self, index: int, outcome: Outcome) -> None:
        """Report the outcome of a proposal, in any order; "blind" if it cannot be run."""
        handed = self._round[: self._handed]
        proposal = next((p for p in handed if p.index == index), None)
        if proposal is None or index in self._outcomes:
            raise ValueError(f"Proposal {index} is not waiting for an outcome.")
        self._outcomes[index] = outcome
        if outcome != "blind":
            self._calls[proposal.purpose] += 1
        if len(self._outcomes) == len(self._round):
            for each in self._round:
                self._absorb(each, self._outcomes[each.index])
            self._plan_round()
