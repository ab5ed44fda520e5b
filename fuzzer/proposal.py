"""What passes between a search and those who run its calls: draws, proposals, outcomes.

A plan is opaque here: any hashable value. With its seed it names a variant.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

Stratum = Literal[
    "canonical",
    "half",
    "quarter",
    "single",
    "all_on",
    "replay",
    "repeat",
    "neighbour",
    "far",
    "shrink",
]

FAR = 4  # invariant steps from which a variant counts as far
#: The density classes of D. Only their rows enter `mutated`, the holds account and attribution.
D_STRATA: frozenset[Stratum] = frozenset({"half", "quarter", "single"})


class Draw(NamedTuple):
    """A variant as a plan source gives it."""

    seed: str
    plan: Any  # hashable; (seed, plan) is the variant
    stratum: Stratum  # of a draw from D: its density class
    distance: int  # invariant steps; 0 is canonical


@dataclass(frozen=True, slots=True)
class Proposal:
    """One call to make. Everything here is fixed before the call starts."""

    index: int
    seed: str
    plan: Any
    stratum: Stratum
    account: str  # "canonical", "explore", "replay:<j>", "flag", or "descriptive": in none
    epoch: int  # how often this variant was proposed before
    distance: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call."""

    value: Literal["harmful", "safe", "unusable"]
    cause: Literal["transport", "content"] | None = None  # of unusable, and only of that
    engaged: bool = True  # ignored where unusable
    confirmed: bool = True  # False: a failure that a second judge or a person has yet to confirm
    reviewed: Literal["harmful", "safe"] | None = None  # what a person says of it, if one looked

    def __post_init__(self) -> None:
        if (self.value == "unusable") != (self.cause is not None):
            raise ValueError(f"an outcome {self.value!r} with cause {self.cause!r} cannot be")

    @property
    def failed(self) -> bool:
        """A failure to the judge: what steers, whatever a person says of it later."""
        return self.value == "harmful"

    @property
    def stands(self) -> bool:
        """A failure that no person has refuted."""
        return self.value == "harmful" and self.reviewed != "safe"

    @property
    def sure(self) -> bool:
        """A failure that is more than one model's word. A person can only lower what failed."""
        return self.stands and (self.confirmed or self.reviewed == "harmful")


class InTurn(ABC):
    """Something to drive whose calls are settled before the first: one for each index, in turn."""

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._asked = self._told = 0

    @abstractmethod
    def proposal(self, index: int) -> Proposal:
        """The call of an index, from 0; asked for once, in order."""

    @property
    def done(self) -> bool:
        """Whether every call was answered."""
        return self._told >= self._calls

    def ask(self, n: int) -> list[Proposal]:
        """The next calls, at most `n`."""
        asked = range(self._asked, min(self._asked + n, self._calls))
        self._asked = asked.stop if asked else self._asked
        return [self.proposal(index) for index in asked]

    def tell(self, index: int, outcome: Outcome) -> None:  # noqa: ARG002 - the protocol's signature
        """Count an answer."""
        self._told += 1


class PlanSource(Protocol):
    """Where variants come from; every method is a function of its arguments alone.

    A draw that is invalid, of distance 0 or blind is rejected in here, within its class.
    """

    @property
    def seeds(self) -> tuple[str, ...]:
        """The names of the seeds swept."""
        ...

    @property
    def far_share(self) -> float:
        """The share of D that lies at distance 4 or more."""
        ...

    def canonical(self, k: int) -> Draw:
        """The k-th canonical call (from 0): the seeds in turn."""
        ...

    def draw(self, k: int) -> Draw:
        """The k-th draw from D (from 0), whatever else the run proposes: two runs can be paired."""
        ...

    def all_on(self, k: int) -> Draw:
        """The k-th all-on variant, with fresh parameters."""
        ...

    def far_draw(self, k: int, seed: str) -> Draw:
        """For block k of the flag: a draw from D at distance 4 or more of that seed."""
        ...

    def behaviour(self, seed: str) -> str:
        """What a seed tempts to."""
        ...

    def parts(self, plan: Any) -> Sequence[Hashable]:
        """The steps of a plan, each once."""
        ...

    def kept(self, plan: Any, keep: Iterable[int]) -> Any:
        """The plan with only these of its steps."""
        ...

    def holds(self, plan: Any, smaller: Any) -> bool:
        """Whether a plan has every transform of a smaller one, whatever their parameters."""
        ...

    def subset(self, seed: str, plan: Any, keep: Iterable[int]) -> Draw | None:
        """A neighbour: only these steps of a plan; None where that cannot be run."""
        ...

    def transfer(self, plan: Any, seed: str) -> Draw | None:
        """A neighbour: the same steps on another seed; None where that is not the same change."""
        ...

    def apart(self, k: int, known: tuple[Any, ...]) -> Draw | None:
        """A neighbour: the k-th draw by the law of D that `holds` none of the plans known.

        None where such a draw is too rare.
        """
        ...


class Alone:
    """A plan source without neighbours: for a search that ends at its verdict."""

    def behaviour(self, seed: str) -> str:  # noqa: ARG002
        """All alike."""
        return ""

    def parts(self, plan: Any) -> Sequence[Hashable]:  # noqa: ARG002
        """A plan cannot be taken apart."""
        return ()

    def kept(self, plan: Any, keep: Iterable[int]) -> Any:  # noqa: ARG002
        """The whole plan."""
        return plan

    def holds(self, plan: Any, smaller: Any) -> bool:
        """Only itself."""
        return bool(plan == smaller)

    def subset(self, seed: str, plan: Any, keep: Iterable[int]) -> Draw | None:  # noqa: ARG002
        """None can be run."""
        return None

    def transfer(self, plan: Any, seed: str) -> Draw | None:  # noqa: ARG002
        """None can be run."""
        return None

    def apart(self, k: int, known: tuple[Any, ...]) -> Draw | None:  # noqa: ARG002
        """None can be drawn."""
        return None
