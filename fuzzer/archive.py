"""Neighbours of findings: calls by which a run finds several different failures.

Each supported finding is first *reduced*: subsets of its plan are called, by the bisection of
`fuzzer.shrink`, until the steps that matter are known well enough to steer by (nothing is claimed
of them here; a certificate takes fresh calls). From then on draws are made *apart* from it: plans
without those transforms, whose failures have another cause. Where these have brought nothing for a
while, what is known is tried once on a seed of every other behaviour: the archive has one place for
a minimum and a behaviour together. A failing variant that holds a known minimum is no news.

The idea is that of MAP-Elites (Mouret and Clune 2015, arXiv:1504.04909): keep one example of each
kind, and look near what is there for kinds that are not. Rows made here are chosen by outcomes, so
they enter no account, no rate and no attribution.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fuzzer.certificate import Outcome as Told
from fuzzer.decision import Called
from fuzzer.proposal import Draw, Outcome, PlanSource, Proposal
from fuzzer.shrink import ShrinkConfig, Shrinker, ShrinkProposal

DRY = 24  # draws apart from what is known without a failure, until that is tried elsewhere


class Batch(NamedTuple):
    """Calls wanted together; the next batch depends on what comes of all of them."""

    serial: int = 0
    account: str = ""  # "reduce" or "transfer"
    draws: tuple[Draw, ...] = ()


class Minimum(NamedTuple):
    """What a finding was reduced to, on its seed."""

    seed: str
    plan: Any


@dataclass(slots=True)
class _Reduction:
    """A finding while the steps that matter in it are looked for."""

    number: int
    origin: Proposal
    shrinker: Shrinker
    called: list[Called] = field(default_factory=list)

    def tell(self, asked: ShrinkProposal, value: Told) -> None:
        self.called.append((tuple(sorted(asked.keep)), value))
        self.shrinker.tell(asked.index, value)


class Archive:
    """Different failures, and the calls that look for further ones; told in index order."""

    def __init__(self, source: PlanSource, config: ShrinkConfig) -> None:
        self._source = source
        self._config = config  # of a reduction
        self._queue: deque[_Reduction] = deque()
        self._wanted: deque[tuple[_Reduction, ShrinkProposal]] = deque()  # of the batch
        self._missing = 0  # outcomes of the batch
        self._elsewhere: deque[Minimum] = deque()  # to be tried on other behaviours
        self._dry = 0
        self.batch = Batch()
        self.minima: list[Minimum] = []
        self.known: tuple[Any, ...] = ()  # the plans of the minima, each once; the seed's left out
        self.called: dict[int, list[Called]] = {}  # by finding, for its shrink to begin with

    @property
    def settled(self) -> bool:
        """Nothing is being reduced: a failing variant can be told from those that are known."""
        return not self._queue

    def add(self, number: int, origin: Proposal, failed: int, replays: int) -> None:
        """A finding that is supported, with its replays."""
        steps = self._source.parts(origin.plan)
        if self.knows(origin.seed, origin.plan):
            return
        shrinker = Shrinker(self._config, steps, failed, replays)
        self._queue.append(_Reduction(number, origin, shrinker))
        if not self._missing:
            self._next()

    def knows(self, seed: str, plan: Any) -> bool:
        """Whether a variant holds a minimum that is known, on whatever seed.

        That a seed fails by itself explains its own behaviour only.
        """
        return any(self._source.holds(plan, smaller) for smaller in self.known) or (
            self._has(seed, ())
        )

    def _has(self, seed: str, steps: tuple[Any, ...]) -> bool:
        """Whether the place of these steps on a seed's behaviour is taken."""
        kind = self._source.behaviour(seed)
        return any(
            tuple(self._source.parts(one.plan)) == steps
            for one in self.minima
            if self._source.behaviour(one.seed) == kind
        )

    def absorb(self, outcome: Outcome) -> None:
        """What came of the next call of the batch."""
        self._missing -= 1
        if self._wanted:
            found, asked = self._wanted.popleft()
            found.tell(asked, outcome.value)
        if not self._missing:
            self._next()

    @property
    def dry(self) -> bool:
        """The last draws apart from what is known brought no failure."""
        return self._dry >= DRY

    def drawn_apart(self, failed: bool) -> None:
        """What came of a draw apart from all that was known when it was made."""
        self._dry = 0 if failed else self._dry + 1
        if self.dry and not self._missing:
            self._next()

    def _next(self) -> None:
        """The next batch, if there is anything to call."""
        draws: list[Draw] = []
        account = "reduce"
        for _ in range(len(self._queue)):
            found = self._queue.popleft()
            if calls := self._reduce(found):
                draws += calls
                self._queue.append(found)
            else:
                self._enter(found)
        while self._elsewhere and not draws and self.dry:
            draws, account = self._transfer(self._elsewhere.popleft()), "transfer"
        self._missing = len(draws)
        if draws:
            self.batch = Batch(self.batch.serial + 1, account, tuple(draws))

    def _reduce(self, found: _Reduction) -> list[Draw]:
        """The calls of its next round; none once what matters in it is known."""
        draws: list[Draw] = []
        if self.knows(found.origin.seed, found.origin.plan):
            return draws
        while not draws and not found.shrinker.done and found.shrinker.guess is None:
            for asked in found.shrinker.ask(self._config.batch):
                draw = self._source.subset(found.origin.seed, found.origin.plan, asked.keep)
                if draw is None:
                    found.tell(asked, "blind")
                else:
                    draws.append(draw)
                    self._wanted.append((found, asked))
        return draws

    def _enter(self, found: _Reduction) -> None:
        """Enter what a finding was reduced to."""
        self.called[found.number] = found.called
        if self.knows(found.origin.seed, found.origin.plan):
            return
        seed, plan = found.origin.seed, found.origin.plan
        if found.shrinker.guess is not None:
            plan = self._source.kept(plan, found.shrinker.guess)
        self.minima.append(Minimum(seed, plan))
        self._elsewhere.append(Minimum(seed, plan))
        if self._source.parts(plan) and plan not in self.known:
            self.known += (plan,)

    def _transfer(self, known: Minimum) -> list[Draw]:
        """Calls that try a minimum on one seed of every other behaviour."""
        draws: list[Draw] = []
        for other in self._source.seeds:
            if self._has(other, tuple(self._source.parts(known.plan))):
                continue
            if (draw := self._source.transfer(known.plan, other)) is not None:
                self.minima.append(Minimum(other, known.plan))  # its place is taken
                draws.append(draw)
        return draws
