"""Shrinks of findings, driven: from an episode's failing plan to what of it is needed.

Each level of a shrink is an ask-and-tell object with a phase of its own in the store, so that a run
can be interrupted anywhere and gone on with, by the same budget or a larger one. All findings have
their plans shrunk before the next level begins with the first.

``plan``    the smallest set of steps that fails (`fuzzer.shrink`)
``values``  the simplest values of their parameters (`fuzzer.values`)
``text``    the least of the scenario's text (`fuzzer.condense`)
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from fuzzer.condense import CondenseConfig, Condenser, PlanSource
from fuzzer.decision import Called, Decision, Episode, Rules
from fuzzer.distribution import Distribution
from fuzzer.errors import StoreError
from fuzzer.evaluate import Evaluator, Told
from fuzzer.minima import Minima, Shrunk, by_turns
from fuzzer.proposal import Outcome, Proposal
from fuzzer.scenario import Frozen
from fuzzer.shrink import ShrinkConfig, Shrinker
from fuzzer.store import RunStore
from fuzzer.transform import Plan
from fuzzer.values import PoolValues, ValueConfig, ValueShrinker

PHASE = "shrink:"  # and the number of the episode: its plan; ":values", ":text": further levels
EPOCHS = 10_000  # a shrink's calls start at its number times this: where no search has been
LEVELS = {"": 0, ":values": 10_000_000, ":text": 20_000_000}  # and so much beyond, by level
SHRUNK = ("certified", "minimal, not certified")  # a plan's states after which there is more to do
Counting = Callable[[int], Told]  # what is told of each call, given how many there may be


class _Asked(Protocol):
    """One call that a level asks for."""

    index: int
    purpose: str
    epoch: int


class _Level(Protocol):
    """One level of a shrink."""

    @property
    def done(self) -> bool: ...

    def ask(self, n: int) -> Sequence[Any]: ...

    def tell(self, index: int, outcome: Any) -> None: ...

    def result(self) -> Any: ...


class _Calls:
    """A level as something to drive: what it asks for as proposals."""

    def __init__(
        self,
        level: _Level,
        plan_of: Callable[[Any], Plan],
        episode: Episode,
        distribution: Distribution,
        first_epoch: int,
        most: int | None = None,  # calls, where that is fewer than the level would make
        *,
        effective: bool = False,  # whether what changes nothing is no answer
    ) -> None:
        self._effective = effective
        self._most = math.inf if most is None else most
        self._level = level
        self._plan_of = plan_of
        self._seed = episode.seed
        self._distribution = distribution
        self._first_epoch = first_epoch
        self.stored: dict[int, str] = {}  # what the calls that the store has were made for

    @property
    def done(self) -> bool:
        return self._level.done

    def ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        n = int(min(n, self._most))
        # What is blind is answered at once: nothing to call must not look like nothing to ask.
        while not proposals and (wanted := self._level.ask(n)):
            for asked in wanted:
                plan = self._plan_of(asked)
                if not self._possible(asked, plan):
                    self._level.tell(asked.index, "blind")
                    continue
                proposals.append(self._proposal(asked, plan))
        self._most -= len(proposals)
        return proposals

    def _possible(self, asked: _Asked, plan: Plan) -> bool:
        distribution = self._distribution
        if self._effective and asked.purpose == "search":
            seed = distribution.scenarios[self._seed]
            if distribution.catalogue.applied(seed, plan) is None:
                return False
        return distribution.possible(self._seed, plan)

    def _proposal(self, asked: _Asked, plan: Plan) -> Proposal:
        account = f"shrink:{asked.purpose}"
        if self.stored.get(asked.index, account) != account:
            raise StoreError(
                f"call {asked.index} of a shrink was made for another purpose than this Holdfast "
                "would make it for, and no search's call may count as a certificate's; continue "
                "it with the version that began it"
            )
        return Proposal(
            index=asked.index,
            seed=self._seed,
            plan=plan,
            stratum="shrink",
            account=account,
            epoch=self._first_epoch + asked.epoch,
            distance=self._distribution.variant(self._seed, plan).distance,
        )

    def tell(self, index: int, outcome: Outcome) -> None:
        self._level.tell(index, outcome.value)


class Minimiser:
    """Shrinks the findings of one run, all within one budget of calls.

    What an earlier process paid for is kept, whatever is allowed now: a resume that names a smaller
    budget, or forgets to name one, would take certificates back. `only` are numbers of episodes:
    with the others nothing new is tried.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        rules: Rules,
        budget: int,
        counting: Counting,
        only: Iterable[int] | None = None,
    ) -> None:
        self._evaluator = evaluator
        self._store = evaluator.store
        self._rules = rules
        self._left = max(0, budget - called_to_shrink(self._store))
        self._told = counting(budget)
        self._only = None if only is None else frozenset(only)

    async def shrink(self, decision: Decision) -> list[Shrunk]:
        """Each finding with its shrink; one that an earlier minimum explains is left out.

        What nobody has confirmed is listed and not shrunk. What an earlier process shrank goes
        first: a person may have confirmed another since, and must not take its calls.
        """
        minima, found = Minima(), []
        begun = self._store.phases()
        for episode in by_turns(decision, lambda number: f"{PHASE}{number}" in begun):
            if minima.explain(episode):
                continue
            shrunk = await self._plan(episode)
            minima.add(shrunk)
            found.append(shrunk)
        found = [await self._values(shrunk) for shrunk in found]
        return [await self._text(shrunk) for shrunk in found]

    async def _plan(self, episode: Episode) -> Shrunk:
        allowed = self._allowed(episode, "")
        if not episode.supported or not allowed:
            # What neighbours told of it is shown, where there is nothing left to shrink it with.
            reduced = _shrinker(episode, self._rules, 0).result() if episode.called else None
            return Shrunk(episode, reduced)
        shrinker = _shrinker(known_of(episode, self._store), self._rules, allowed)
        plan: Plan = episode.plan
        await self._drive(shrinker, lambda asked: plan.keep(asked.keep), episode, "")
        return Shrunk(episode, shrinker.result())

    async def _values(self, shrunk: Shrunk) -> Shrunk:
        allowed = self._more(shrunk, ":values")
        if not allowed or shrunk.plan is None or not shrunk.plan.keep:
            return shrunk
        episode, distribution = shrunk.episode, self._evaluator.distribution
        failures, calls = _fresh(self._store, f"{PHASE}{episode.number}", shrunk.reduced)
        shrinker = ValueShrinker(
            ValueConfig(
                budget=allowed,
                alpha=self._rules.alpha,
                threshold=self._rules.threshold,
                cut=shrunk.plan.cut,
            ),
            shrunk.reduced.steps,
            PoolValues(distribution.catalogue, distribution.pools),
            failures,
            calls,
            shrunk.plan.attempt,
        )
        await self._drive(
            shrinker,
            lambda asked: Plan(seed=episode.seed, steps=asked.steps),
            episode,
            ":values",
            effective=True,
        )
        return shrunk._replace(values=shrinker.result())

    async def _text(self, shrunk: Shrunk) -> Shrunk:
        allowed = self._more(shrunk, ":text")
        if not allowed:
            return shrunk
        episode = shrunk.episode
        level = ":values" if shrunk.simplified else ""
        failures, calls = _fresh(self._store, f"{PHASE}{episode.number}{level}", shrunk.minimal)
        budgets = self._budgets(f"{PHASE}{episode.number}:text", allowed)
        source = PlanSource(self._evaluator.distribution, shrunk.minimal)
        condenser = Condenser(
            CondenseConfig(
                budget=budgets[-1],
                earlier=tuple(budgets[:-1]),
                alpha=self._rules.alpha,
                threshold=self._rules.threshold,
            ),
            source,
            failures,
            calls,
            beside=bool(shrunk.minimal.steps),
            bare=bool(shrunk.minimal.steps),
        )
        seed = Plan(seed=episode.seed)
        plans: dict[str, Callable[[tuple[str, ...]], Plan]] = {
            "scenario": source.dropping,
            "seed": lambda _: seed,
            "bare": lambda drop: Plan(seed=episode.seed, drop=drop),
        }
        await self._drive(
            condenser,
            lambda asked: plans[asked.what](asked.drop),
            episode,
            ":text",
            allowed,
        )
        return shrunk._replace(text=condenser.result())

    def _more(self, shrunk: Shrunk, level: str) -> int:
        """The calls that a further level of a finding may make in all."""
        if shrunk.plan is None or shrunk.plan.state not in SHRUNK:
            return 0
        return self._allowed(shrunk.episode, level)

    def _budgets(self, phase: str, allowed: int) -> list[int]:
        """The budgets that a level was driven with so far, and the one it has now, the largest.

        Calls depend on where a budget ends the search: what was asked under an earlier one must be
        asked again, in the same order.
        """
        budgets: list[int] = self._store.get(phase) or []
        if not budgets or budgets[-1] < allowed:
            budgets = [*budgets, allowed]
            self._store.put(phase, budgets)
        return budgets

    def _allowed(self, episode: Episode, level: str) -> int:
        """The calls a level may make in all: those it has made, and what is left."""
        made = _made(self._store, f"{PHASE}{episode.number}{level}")
        if self._only is not None and episode.number not in self._only:
            return made
        # With nothing more to launch, what was begun is told as interrupted and the rest as it is.
        return made + self._left if made or not self._evaluator.limits.stopped else 0

    async def _drive(
        self,
        level: _Level,
        plan_of: Callable[[Any], Plan],
        episode: Episode,
        name: str,
        most: int | None = None,
        *,
        effective: bool = False,
    ) -> None:
        phase = f"{PHASE}{episode.number}{name}"
        before = _made(self._store, phase)
        first = EPOCHS * episode.number + LEVELS[name]
        distribution = self._evaluator.distribution
        calls = _Calls(level, plan_of, episode, distribution, first, most, effective=effective)
        calls.stored = {row.idx: row.account for row in self._store.rows(phase)}
        await self._evaluator.drive(calls, phase, self._told)
        self._left = max(0, self._left - (_made(self._store, phase) - before))


def called_to_shrink(store: RunStore) -> int:
    """The calls that all shrinks of a run have made so far."""
    return sum(_made(store, phase) for phase in store.phases() if phase.startswith(PHASE))


def _made(store: RunStore, phase: str) -> int:
    return sum(store.counts(phase).values())


def _fresh(store: RunStore, phase: str, plan: Plan) -> tuple[int, int]:
    """(failures, calls) of a plan on the certificate's calls of a level.

    As the judge said: the next level chose its calls by it, whatever a person has refuted since.
    """
    values = [
        row.judged
        for row in store.rows(phase)
        if row.account == "shrink:certificate" and row.plan == plan
    ]
    return values.count("harmful"), len(values)


def _shrinker(episode: Episode, rules: Rules, budget: int) -> Shrinker:
    return Shrinker(
        ShrinkConfig(threshold=rules.threshold, alpha=rules.alpha, budget=budget),
        [step.key for step in episode.plan.steps],
        episode.failed,
        episode.replays,
        episode.called,
    )


class _Known(Frozen):
    """What a shrink begins with."""

    failed: int
    replays: int
    called: tuple[Called, ...] = ()


def known_of(episode: Episode, store: RunStore) -> Episode:
    """A finding as it was known when its shrink began: with more since, it would go elsewhere."""
    key = f"{PHASE}{episode.number}"
    if (before := store.get(key)) is not None:
        return episode.model_copy(update=dict(_Known.model_validate(before)))
    known = _Known(failed=episode.failed, replays=episode.replays, called=episode.called)
    store.put(key, known.model_dump(mode="json"))
    return episode
