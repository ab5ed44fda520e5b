"""Shrink: from a plan that fails to the smallest subset that still fails, by ask and tell.

A plan is a set of steps, every subset of it is a plan, and one call on a subset is one draw from a
coin of unknown rate. Phases share one budget of calls:

``group``    small plans: a posterior over all sets of up to three steps (`fuzzer.grouping`), and
             pools that tell most, a whole round at a time. One cause and one failure rate assumed.
``bisect``   larger plans, and where no small set explains the calls: probabilistic bisection over
             the prefixes of the plan finds one needed step after the other (Waeber, Frazier and
             Henderson 2013, doi:10.1137/120861898; as group testing: Scarlett 2019,
             arXiv:1803.05099). First with one failure rate for all; where rates differ, every
             prefix is judged by its own calls, above the cut or below. It assumes that adding steps
             never stops a failure: quick, but only a guess where that is wrong.
``certify``  the guess T is tested on fresh calls: T fails more often than a cut, and T without i
             fails less often, for every i (decision-rules.md, "Certificate of a minimal plan").
``check``    where fresh calls contradict the guess (suppressors, several causes, graded rates):
             leave one out, each subset judged by its own calls alone, until nothing can go.
``others``   after a certificate, where calls speak against one cause: is there a suppressor, and
             what fails without the set found? Nothing is claimed of those; they are noted.

A wrong model thus costs calls, not truth: only `certify` makes a claim. Outcomes are *harmful*,
*safe*, *unusable* (safe where the claim is "it fails", harmful where it is "it does not": no claim
profits) and *blind* (the subset cannot be tested: never the answer, never asked again, free). All
is decided between whole rounds, so the order in which outcomes arrive within one cannot matter.
"""

import math
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, cycle, islice
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from fuzzer.certificate import (
    Certificate,
    Outcome,
    Status,
    Tally,
    alpha_of,
    foresee_above,
    foresee_below,
)
from fuzzer.evidence import log_above
from fuzzer.grouping import MOST, Grouping, failure_rates
from fuzzer.rounds import Purpose, Rounds
from fuzzer.scenario import Frozen

Subset = frozenset[int]  # indices into the plan's steps: those that are kept
State = Literal["certified", "minimal, not certified", "unresolved within budget", "interrupted"]

# A small set by joint posterior
LIKELY = 0.95  # posterior probability at which a set is tried for a certificate ...
DOUBTED = 0.2  # ... and below which that is given up
MISFIT = 0.9  # probability of the vague model at which no small set is looked for any more
BLIND = 100  # subsets that could not be tested at which the same is done
# Bisection
STAGE = 0.93  # posterior probability at which it takes a step for needed
LOST = 0.02  # prior probability that the set being bisected does not fail at all
ENOUGH = 0.4  # prior probability that the steps found so far already suffice
# What calls on one subset say of it
CLEAR = 8  # 1 / (relative standard error)² at which a failure rate is known well enough
FAILS = math.log(99)  # log odds at which a subset counts as failing ...
STOPS = math.log(9)  # ... and, negated, as failing no more, before a certificate is tried
# The same where rates differ, so that every subset is judged by its own calls
PLAINLY = 24  # calls of the full plan before half its rate is the cut
SURELY = math.log(3000)  # as FAILS
APART = math.log(30)  # as STOPS
OFTEN = 40  # calls of what a search rests on
NEAR = 0.65  # of a set's rate: a knock-out that fails so often is no loss
# Misfits
KNOWN = 10  # calls at which a subset is compared with the full plan ...
SOON = 4  # ... if neither has ever passed ...
RARER = math.log(3)  # ... and the log evidence at which it fails less often
HINT = math.log(2)  # log evidence at which calls are spent on looking for a misfit ...
CHANCE = 0.1  # ... as for a larger set that never fails, if that was less likely than this ...
STRONG = math.log(20)  # ... and at which it is told
SILENT, HEARD = math.log(100), 0.0  # log odds at which a larger set is known not to fail, or to
SUPPRESSED = "Larger subsets fail less often: some step stops the failure (a suppressor)."
SEVERAL = "Subsets without this set fail too: there are several causes."
GRADED = (
    "Without one of its steps the set still fails at a lower rate: the rate falls step by step."
)


class ShrinkConfig(Frozen):
    """What a shrink may spend and what it has to show; fixed before its first call."""

    budget: int = Field(default=200, ge=0)  # calls, certificate included; blind subsets are free
    alpha: float = Field(default=0.05, gt=0, lt=1)
    threshold: float = Field(default=0.01, gt=0, lt=1)  # r: a rate up to r is not a failure
    cut: float | None = Field(default=None, gt=0, lt=1)  # None: half the rate seen, at least r
    batch: int = Field(default=4, ge=1)  # calls per round: larger rounds, more calls in all
    grouping: bool = True  # small plans by joint posterior; off where several causes are likely

    @model_validator(mode="after")
    def _cut_is_a_failure(self) -> Self:
        if self.cut is not None and self.cut < self.threshold:
            raise ValueError(f"cut={self.cut} must not lie below threshold={self.threshold}.")
        return self


class ShrinkProposal(Frozen):
    """One call to make: the plan's steps in `keep`, and which repetition of that subset it is."""

    index: int
    keep: Subset
    purpose: Purpose
    epoch: int  # 0, 1, 2 ... within this shrink: epochs spent before it are the caller's to add


class Knockout(Frozen):
    """The minimal set without one step, on the certificate's fresh calls."""

    step: int
    rate: float | None  # harmful among usable calls; None without any
    ci: tuple[float, float]
    n: int  # usable calls
    status: Status
    harmful: int = 0
    unusable: int = 0


class ShrinkResult(Frozen):
    """The smallest failing set known, and what fresh calls say of it.

    `rate`, `ci` and `knockouts` rest on the fresh calls of the last attempt and on nothing else;
    `seen` is the rate met while searching, which selection makes run high.
    """

    keep: Subset
    certified: bool
    rate: float | None
    ci: tuple[float, float]  # at 1 - config.alpha, valid at any stopping time
    cut: float | None  # None until an attempt fixed it
    alpha: float  # what the last attempt may err: config.alpha / (attempt (attempt + 1))
    attempt: int  # 0: no certificate was tried
    knockouts: tuple[Knockout, ...]
    seen: float
    calls_search: int
    calls_certificate: int
    state: State
    log_e: float = 0.0  # of the last attempt's claims together, what earlier attempts cost paid
    misfit: str = ""  # why one cause with one rate does not explain the calls
    n: int = 0  # usable fresh calls of the last attempt on the set ...
    harmful: int = 0  # ... and of these
    minima: tuple[Subset, ...] = ()  # other sets that fail, each without some step of `keep` ...
    minima_seen: tuple[tuple[int, int], ...] = ()  # ... and (harmful, calls) of each itself


@dataclass
class _Attempt:
    """One certificate: everything but what calls show is fixed before its first call."""

    keep: Subset
    steps: tuple[int, ...]  # that can be knocked out, in order
    proof: Certificate

    def subset(self, number: int) -> Subset:
        """What a claim speaks of: the set itself, or the set without one step."""
        return self.keep - {self.steps[number - 1]} if number else self.keep

    @property
    def own(self) -> Tally:
        """Fresh calls on the set itself."""
        return self.proof.claims[0].tally


class _Stage(NamedTuple):
    """One bisection: with `need` kept, which prefixes of `rest` fail?"""

    need: tuple[int, ...]
    rest: tuple[int, ...]
    hits: int  # failures, and calls, on sets judged to hold the cause in earlier stages
    tries: int

    def prefix(self, length: int) -> Subset:
        return frozenset(self.need + self.rest[:length])


class Shrinker(Rounds[ShrinkProposal]):
    """Finds and certifies a minimal failing subset; `ask` for calls, `tell` what they showed.

    >>> shrinker = Shrinker(ShrinkConfig(), ["a", "b", "c"], prior_failures=3, prior_calls=3)
    >>> while not shrinker.done:
    ...     for call in shrinker.ask(4):
    ...         shrinker.tell(call.index, "harmful" if 1 in call.keep else "safe")
    >>> shrinker.result().keep, shrinker.result().state
    (frozenset({1}), 'certified')
    """

    def __init__(
        self,
        config: ShrinkConfig,
        plan_steps: Sequence[Hashable],
        prior_failures: int,
        prior_calls: int,
        earlier: Iterable[tuple[Iterable[int], Outcome]] = (),
        always: Iterable[int] = (),
    ) -> None:
        """`earlier`: calls on subsets made before, which the search begins with.

        They are in no certificate and in none of the counts of calls. `always` are steps that every
        subset keeps: they are never questioned, and no certificate knocks them out.
        """
        if not 0 <= prior_failures <= prior_calls:
            raise ValueError(f"{prior_failures=} must lie between 0 and {prior_calls=}.")
        if len(set(plan_steps)) != len(plan_steps):
            raise ValueError("A plan is a set: give each of its steps once.")
        super().__init__()
        self.config = config
        self.steps = tuple(plan_steps)
        self._full = frozenset(range(len(self.steps)))
        self._always = frozenset(always)
        self._prior = (prior_failures, prior_calls)  # on the full plan
        free = sorted(self._full - self._always)
        self._grouping: Grouping | None = None
        if config.grouping and len(free) <= MOST:
            self._grouping = Grouping(free, config.threshold)
            self._grouping.tell(self._full, prior_failures, prior_calls)
        self._further: Grouping | None = None  # looks for a further minimum
        self._tallies: dict[Subset, Tally] = {}
        self._blind: set[Subset] = set()
        self._asked: Counter[Subset] = Counter()
        for kept, outcome in earlier:
            keep = frozenset(kept)
            self._asked[keep] += 1
            self._count(keep, outcome)

        self._phase: Literal["group", "bisect", "check", "certify", "others"] = "group"
        self._others: list[Subset] = []  # further minima
        self._silent: deque[Subset] = deque()  # hold the minimum, and never failed so far
        self._without: deque[int] = deque()  # steps of the minimum: what fails without them?
        self._rounds = 0
        self._sample: Subset | None = None  # a subset to be compared with the full plan
        self._gave_up = False  # no small set explained the calls
        self._graded = False  # prefixes are judged one by one, each by its own rate
        self._bisections = 0
        self._checked = self._full  # the set that `check` works on
        self._attempt: _Attempt | None = None
        self._attempts = 0
        self._cut = config.cut
        self._stage = _Stage(need=tuple(sorted(self._always)), rest=(), hits=0, tries=0)
        if self._grouping is None:
            self._start_bisection(sorted(self._full))
        self._plan_round()

    @property
    def guess(self) -> Subset | None:
        """The steps that a certificate is being tried for; None while they are looked for."""
        found = self._phase in ("certify", "others")
        return self._attempt.keep if found and self._attempt else None

    def result(self) -> ShrinkResult:
        """The best so far, marked as what it is: valid at any moment."""
        keep = self._best()
        attempt = self._attempt if self._attempt and self._attempt.keep == keep else None
        state = self._state(attempt)
        paid = math.log(self._attempts * (self._attempts + 1)) if attempt else 0.0
        return ShrinkResult(
            keep=keep,
            certified=state == "certified",
            rate=attempt.own.rate if attempt else None,
            ci=attempt.proof.interval(0) if attempt else (0.0, 1.0),
            cut=self._cut,
            alpha=alpha_of(self._attempts, self.config.alpha),
            attempt=self._attempts,
            knockouts=_knockouts(attempt) if attempt else (),
            seen=self._seen(keep),
            calls_search=self._calls["search"],
            calls_certificate=self._calls["certificate"],
            state=state,
            log_e=attempt.proof.log_e - paid if attempt else 0.0,
            misfit=self._misfit(keep),
            n=attempt.own.usable if attempt else 0,
            harmful=attempt.own.harmful if attempt else 0,
            minima=tuple(self._others),
            minima_seen=tuple((t.harmful, t.calls) for t in map(self._tally, self._others)),
        )

    # ---- rounds

    def _plan_round(self) -> None:
        """Let the phases decide until one of them needs calls, or the shrink ends."""
        self._round, self._handed, self._outcomes = [], 0, {}
        self._rounds += 1
        left = self.config.budget - self._calls.total()
        wanted: list[Subset] = []
        while not wanted and not self._done:
            if self._phase == "group":
                wanted = self._group()
            elif self._phase == "bisect":
                wanted = self._bisect()
            elif self._phase == "check":
                wanted = self._check()
            elif self._phase == "others":
                wanted = self._look_for_others()
            else:
                wanted = self._certify()
        purpose: Purpose = "certificate" if self._phase == "certify" else "search"
        testable = [keep for keep in wanted if keep not in self._blind]
        for keep in testable[: min(left, self.config.batch)]:
            self._round.append(
                ShrinkProposal(
                    index=self._next_index, keep=keep, purpose=purpose, epoch=self._asked[keep]
                )
            )
            self._next_index += 1
            self._asked[keep] += 1
        self._done = not self._round

    def _absorb(self, proposal: ShrinkProposal, outcome: Outcome) -> None:
        self._count(proposal.keep, outcome)
        if outcome != "blind" and proposal.purpose == "certificate" and self._attempt is not None:
            attempt = self._attempt
            number = next(
                n for n in range(len(attempt.proof.claims)) if attempt.subset(n) == proposal.keep
            )
            attempt.proof.tell(number, outcome)

    def _count(self, keep: Subset, outcome: Outcome) -> None:
        """Enter a call into what the search knows."""
        if outcome == "blind":
            self._blind.add(keep)
        else:
            self._tally(keep).add(outcome)
        if self._grouping is not None and outcome == "blind":
            self._grouping.exclude(keep)
        elif self._grouping is not None:
            self._grouping.tell(keep, int(outcome == "harmful"))
        if self._further is not None and keep <= self._full - {self._without[0]}:
            if outcome == "blind":
                self._further.exclude(keep)
            else:
                self._further.tell(keep, int(outcome == "harmful"))

    def _tally(self, keep: Subset) -> Tally:
        return self._tallies.setdefault(keep, Tally())

    # ---- group: a posterior over all small sets

    def _group(self) -> list[Subset]:
        """Pools for the joint posterior, or none once a set is likely enough, or none can be."""
        grouping = self._grouping
        assert grouping is not None
        keep, probability = grouping.likeliest
        keep |= self._always
        misfit = grouping.vague > MISFIT or self._attempts >= 3 or len(self._blind) > BLIND
        if probability < LIKELY and not misfit:
            if pools := grouping.pools(self.config.batch, self._rounds, self._blind):
                wanted = [pool | self._always for pool in pools]
                if self._always not in self._asked:
                    wanted[0] = self._always  # does the seed fail by itself? asked first, once
                return wanted
            misfit = True  # none is left that could be tested
        if misfit:
            self._leave_grouping()
            return []
        if not self._rate_is_clear(keep):
            return [keep] * self.config.batch
        self._start_attempt(keep)
        return []

    def _leave_grouping(self) -> None:
        """No small set explains the calls: look for steps one by one."""
        self._grouping = None
        self._cut = self.config.cut  # a guess that was wrong said what was seen
        self._gave_up = True
        failed = [keep for keep, tally in self._tallies.items() if tally.harmful]
        self._sample = min(failed, key=lambda s: (len(s), sorted(s)), default=self._full)
        self._start_bisection(sorted(self._full))

    # ---- bisect: one needed step after the other

    def _start_bisection(self, order: Sequence[int]) -> None:
        self._phase = "bisect"
        self._bisections += 1
        always = tuple(sorted(self._always))
        rest = tuple(step for step in order if step not in self._always)
        self._stage = _Stage(need=always, rest=rest, hits=0, tries=0)
        self._left: list[_Stage] = []  # the stages before, where each is judged by its own calls

    def _bisect(self) -> list[Subset]:
        """Queries for the next needed steps, or none once the phase has changed.

        With the steps of `need` kept, the prefixes of `rest` fail from some length on. Length 0:
        nothing more is needed. Otherwise the prefix's last step is needed, and those behind it go.
        """
        if self._graded and self._cut is None:
            full = self._tally(self._full)
            if full.calls < PLAINLY or not self._rate_is_clear(self._full):
                return [self._full] * self.config.batch
            self._cut = max(self.config.threshold, self._seen(self._full) / 2)
        if self._sample is not None:
            return self._compare(self._sample)
        while True:
            stage = self._stage
            held = self._tally(stage.prefix(len(stage.rest))).low_odds(self._at)
            if self._graded and self._left and held < 0:
                self._stage = self._left.pop()  # what this stage rests on does not fail after all
                continue
            posterior, length = self._first_failing(stage)
            if posterior[length] < STAGE:
                queries = self._quantile_queries(stage, posterior)
                base = self._tally(stage.prefix(len(stage.rest)))
                if self._graded and (held < self._fails or base.calls < OFTEN):
                    queries[0] = stage.prefix(len(stage.rest))
                if self._always not in self._asked:
                    queries[0] = self._always  # does the seed fail by itself? asked first, once
                return queries
            if length > len(stage.rest):
                self._fall_back()  # the set does not fail: an earlier decision was wrong
                return []
            if length > 0 and self._graded:
                shorter = stage.prefix(length)  # what the rest of the search rests on
                if self._tally(shorter).low_odds(self._at) < self._fails:
                    return [shorter] * self.config.batch
                self._left.append(stage)
            if length > 0:
                self._stage = self._next_stage(stage, length)
                continue
            found = frozenset(stage.need)
            if self._graded:
                self._phase = "check"  # by its own calls
                return []
            if not self._rate_is_clear(found):
                return [found] * self.config.batch
            self._start_attempt(found)
            return []

    def _compare(self, sample: Subset) -> list[Subset]:
        """Calls that compare a subset that failed once with the full plan, before a bisection.

        Where it fails as often, one rate will do and the bisection goes on within it. Where it
        fails less often, rates fall step by step: every prefix is judged by its own calls.
        """
        some, full = self._tally(sample), self._tally(self._full)
        always = some.harmful == some.calls and full.harmful == full.calls
        if min(some.calls, full.calls) < (SOON if always else KNOWN) and sample not in self._blind:
            pair = sorted((sample, self._full), key=lambda s: self._tally(s).calls)
            return list(islice(cycle(pair), self.config.batch))
        rarer = _rarer((some.harmful, some.calls), (full.harmful, full.calls))
        self._graded = rarer >= RARER and some.harmful > 1
        self._sample = None
        if some.harmful < 2:
            sample = self._full  # its one failure was chance
        self._start_bisection(sorted(self._full if self._graded else sample))
        return []

    def _first_failing(self, stage: _Stage) -> tuple[list[float], int]:
        """Posterior over the shortest failing prefix, and its likeliest length."""
        prefixes = [stage.prefix(j) for j in range(len(stage.rest) + 1)]
        if self._graded:
            posterior = self._first_above(prefixes, ENOUGH if stage.need else LOST)
            return posterior, _likeliest(posterior)
        tallies = [self._tallies.get(p, Tally()) for p in prefixes]
        counts = [(t.harmful, t.calls) for t in tallies]
        failing = (stage.hits, stage.tries)
        if prefixes[-1] == self._full:
            counts[-1] = _plus(counts[-1], self._prior)
        else:
            failing = _plus(failing, self._prior)
        posterior = _first_failing(
            counts,
            [p not in self._blind for p in prefixes],
            failing,
            background=self.config.threshold,
            enough=ENOUGH if stage.need else LOST,
        )
        return posterior, _likeliest(posterior)

    def _first_above(self, prefixes: Sequence[Subset], enough: float) -> list[float]:
        """Like `_first_failing`, each prefix with a rate of its own: above the cut or below."""
        cut = self._at
        odds = [
            -math.inf
            if p in self._blind
            else self._tally(p).low_odds(cut)
            if p in self._tallies
            else 0.0
            for p in prefixes
        ]
        m = len(prefixes) - 1
        rest = (1 - enough - LOST) / m if m else 0.0
        prior = [enough if m else 1 - LOST, *[rest] * m, LOST]
        finite = [0.0 if math.isinf(each) else each for each in odds]
        logs = [*accumulate(reversed(finite), initial=0.0)][::-1]
        top = max(logs)
        mass = [
            0.0 if j <= m and math.isinf(odds[j]) else p * math.exp(log - top)
            for j, (p, log) in enumerate(zip(prior, logs, strict=True))
        ]
        return [each / sum(mass) for each in mass]

    def _next_stage(self, stage: _Stage, length: int) -> _Stage:
        """The stage after `stage`, if prefixes fail from `length` on."""
        longer = [stage.prefix(j) for j in range(length + 1, len(stage.rest) + 1)]
        tallies = [self._tallies[p] for p in longer if p in self._tallies]
        return _Stage(
            need=(*stage.need, stage.rest[length - 1]),
            rest=stage.rest[: length - 1],
            hits=stage.hits + sum(t.harmful for t in tallies),
            tries=stage.tries + sum(t.calls for t in tallies),
        )

    def _quantile_queries(self, stage: _Stage, posterior: Sequence[float]) -> list[Subset]:
        """Prefixes to call in one round: lengths spread evenly over the posterior.

        For one call that is the median of probabilistic bisection, for eight the eight cuts that
        part the posterior into nine. How much a pass tells depends on the failure rate, so a
        prefix never has more calls than the sets held to fail: the longest one is called instead.
        """
        below = list(accumulate(posterior))[:-1]
        top = len(below) - 1
        lengths = [j for j in range(top) if stage.prefix(j) not in self._blind] or [top]
        levels = [(i + 1) / (self.config.batch + 1) for i in range(self.config.batch)]
        nearest = [min(lengths, key=lambda j: abs(below[j] - level)) for level in levels]
        calls = [self._tally(stage.prefix(j)).calls for j in range(top + 1)]
        failing = self._prior[1] + stage.tries + sum(calls[_likeliest(posterior) :])
        if self._graded:
            return [stage.prefix(j) for j in nearest]
        queries = []
        for j in nearest:
            if calls[j] > failing:
                queries.append(stage.prefix(top))
                failing += 1
            else:
                queries.append(stage.prefix(j))
                calls[j] += 1
        return queries

    # ---- check: leave one out, assuming nothing

    def _fall_back(self) -> None:
        """Start again from the smallest set whose own calls show that it fails."""
        refuted, self._attempt = self._attempt, None
        if self._grouping is not None:
            self._phase = "group"
            if refuted and self._grouping.likeliest[0] | self._always == refuted.keep:
                self._leave_grouping()
            return
        if self._cut is None:
            self._cut = self._half_of_seen(self._full)
        self._graded = True
        if self._gave_up and self._bisections < 3 and self._tally(self._full).calls < PLAINLY:
            self._cut = self.config.cut  # known when the plan has been called more often
            self._start_bisection(sorted(self._full, reverse=True))
            return
        if self.config.cut is None and self._tally(self._full).calls >= KNOWN:
            self._cut = max(self.config.threshold, self._seen(self._full) / 2)
        self._checked = self._smallest_failing()
        if refuted and self._checked < refuted.keep and self._attempts < 3:
            self._start_attempt(self._checked)  # one step too many: the rest was likely right
        elif self._bisections < 3 and len(self._checked - self._always) > 8:
            # The other order: what misled the first bisection seldom misleads this one too.
            self._start_bisection(sorted(self._checked, reverse=True))
        else:
            self._phase = "check"

    def _check(self) -> list[Subset]:
        """Subsets one step smaller whose failing is open; then smaller, or a certificate."""
        self._checked = self._smallest_failing()
        cut = self._separating(self._checked)
        smaller = [s for s in self._leave_one_out(self._checked) if s not in self._blind]
        if self._tally(self._checked).high_odds(cut) <= -STOPS:
            self._done = True  # only the full set gets here: it does not fail
            return []
        enough = APART if self._graded else STOPS
        undecided = [s for s in smaller if self._tally(s).high_odds(cut) > -enough]
        own = self._tally(self._checked)
        if own.low_odds(cut) < self._fails or (self._graded and own.calls < OFTEN):
            undecided.insert(0, self._checked)
        if not undecided:
            self._cut = cut
            self._start_attempt(self._checked)
            return []
        undecided.sort(key=lambda s: self._tally(s).calls)
        return list(islice(cycle(undecided), self.config.batch))

    def _leave_one_out(self, keep: Subset) -> list[Subset]:
        return [keep - {step} for step in sorted(keep - self._always)]

    def _smallest_failing(self) -> Subset:
        """The smallest set that fails by its own calls; the full plan if there is no other."""
        cut = self._at
        failing = [s for s, t in self._tallies.items() if t.low_odds(cut) >= self._fails]
        return min(failing, key=lambda s: (len(s), sorted(s)), default=self._full)

    # ---- certify: fresh calls only

    def _start_attempt(self, keep: Subset) -> None:
        self._phase = "certify"
        self._attempts += 1
        if self._cut is None:
            self._cut = self._half_of_seen(keep)
        self._attempt = _Attempt(
            keep=keep,
            steps=(steps := tuple(sorted(keep - self._always))),
            proof=Certificate(
                cut=self._cut,
                bet=foresee_above(self._cut, *self._calls_on(keep)),
                alpha=alpha_of(self._attempts, self.config.alpha),
                knockouts=len(steps),
                shown=self.config.alpha,
                foreseen=[
                    foresee_below(self._cut, each.harmful, each.calls)
                    for each in (self._tally(keep - {step}) for step in steps)
                ],
            ),
        )
        for number in range(len(steps) + 1):
            if self._attempt.subset(number) in self._blind:
                self._attempt.proof.tell(number, "blind")

    def _certify(self) -> list[Subset]:
        """Fresh calls for what is still to be shown, unless calls so far contradict it."""
        attempt = self._attempt
        assert attempt is not None
        for number, claim in enumerate(attempt.proof.claims):
            claim.blind = attempt.subset(number) in self._blind
        if attempt.proof.claims[0].blind:
            if self._grouping is None:
                self._done = True
            else:
                self._fall_back()
            return []
        odds = [
            self._tally(attempt.subset(number)).low_odds(attempt.proof.cut)
            for number, claim in enumerate(attempt.proof.claims)
            if not claim.blind
        ]
        # Where one rate is reckoned with, calls on other subsets speak for the set as well.
        too_rare = odds[0] <= -(STOPS if self._grouping is None else SURELY)
        if (too_rare or self._slow(attempt)) and self._recut(attempt.keep):
            return []
        if self._grouping is not None and self._grouping.probability(attempt.keep) < DOUBTED:
            self._attempt, self._phase = None, "group"  # another small set is likelier by now
            return []
        if too_rare or any(each >= FAILS for each in odds[1:]):
            self._fall_back()
            return []
        if attempt.proof.done:
            self._start_looking(attempt.keep)
            return []
        return [attempt.subset(number) for number in attempt.proof.wanted(self.config.batch)]

    def _slow(self, attempt: _Attempt) -> bool:
        """Whether a lower cut, with all calls made anew, would be reached much sooner."""
        own = self._tally(attempt.keep)
        if attempt.own.calls < KNOWN * 2 or attempt.proof.claims[0].proved:
            return False
        rate, cut = (own.harmful + 0.5) / (own.calls + 1), attempt.proof.cut
        lower = max(self.config.threshold, self._half_of_seen(attempt.keep))
        if lower >= 0.9 * cut:
            return False
        missing = -math.log(attempt.proof.alpha) - attempt.proof.claims[0].log_e(cut)
        again = -math.log(alpha_of(self._attempts + 1, self.config.alpha))
        anew = again / _telling(rate, lower) - len(attempt.steps) * again / math.log1p(-lower)
        return rate <= cut or missing / _telling(rate, cut) > 2 * anew

    def _recut(self, keep: Subset) -> bool:
        """Try again at a lower cut, if the set fails but the rate seen before ran high."""
        tally = self._tally(keep)
        lower = self._half_of_seen(keep)
        if self.config.cut is not None or self._graded or tally.low_odds(lower) < FAILS:
            return False
        self._cut = lower
        self._start_attempt(keep)
        return True

    def _calls_on(self, keep: Subset) -> tuple[int, int]:
        """(failures, calls) so far on `keep` and on the sets held to contain its cause.

        The replays that came before do not count: they stopped when they looked worst, and a rate
        at such a moment runs high 1.4 to 1.7 times (decision-rules.md). They serve until others do.
        """
        if self._grouping is not None:
            hits, tries = self._grouping.seen(keep)  # the replays that came before among them
            met = hits - self._prior[0], tries - self._prior[1]
            return met if met[1] else self._prior
        own = self._tallies.get(keep, Tally())
        if self._graded:  # other sets have other rates
            return (own.harmful, own.calls) if own.calls else self._prior
        met = self._stage.hits + own.harmful, self._stage.tries + own.calls
        return met if met[1] else self._prior

    @property
    def _fails(self) -> float:
        """Log odds at which a subset counts as failing."""
        return SURELY if self._graded else FAILS

    @property
    def _at(self) -> float:
        """The cut; while there is none, the lowest there could be."""
        return self._cut or self.config.threshold

    def _seen(self, keep: Subset) -> float:
        """The failure rate met so far, towards one half by one imagined call."""
        hits, tries = self._calls_on(keep)
        return (hits + 0.5) / (tries + 1)

    def _seen_at_least(self, keep: Subset, errors: float = 1.0) -> float:
        """The rate seen less its standard error or several: what a search has met runs high."""
        rate = self._seen(keep)
        return max(
            0.0, rate - errors * math.sqrt(rate * (1 - rate) / (self._calls_on(keep)[1] + 1))
        )

    def _rate_is_clear(self, keep: Subset) -> bool:
        """Whether the rate is known well enough for half of it to be a good cut.

        A cut near the true rate would cost the certificate far more calls than these.
        """
        rate = self._seen_at_least(keep)
        return self._cut is not None or self._calls_on(keep)[1] * rate >= CLEAR * (1 - rate)

    def _separating(self, keep: Subset) -> float:
        """The cut, moved to where a set and its knock-outs are best told apart.

        Only where a knock-out was seen to fail too often for half the rate seen: there the cut is
        the one at which a certificate would take the fewest calls, if rates are what they seem.
        """
        cut = self._at
        own = self._tally(keep)
        without = [self._tally(s) for s in self._leave_one_out(keep) if s in self._tallies]
        rates = [
            (t.harmful + t.unusable + 0.5) / (t.calls + 1) for t in without if t.calls >= KNOWN
        ]
        if self.config.cut is not None or own.calls < KNOWN or max(rates, default=0.0) < cut / 3:
            return cut
        rate = (own.harmful + 0.5) / (own.calls + 1)
        if max(rates) > NEAR * rate:
            return cut  # that step can go
        tries = [
            self.config.threshold * (rate / self.config.threshold) ** (i / 40) for i in range(40)
        ]

        def calls(at: float) -> float:
            return sum(1 / _telling(each, at) if each < at else math.inf for each in rates) + (
                1 / _telling(rate, at) if rate > at else math.inf
            )

        best = min(tries, key=calls, default=cut)
        return best if calls(best) < math.inf else cut

    def _half_of_seen(self, keep: Subset) -> float:
        # The fewer knock-outs there are to pay for a lower cut, the more a high one would cost.
        errors = 1 + 0.75 / max(1, len(keep - self._always))
        return max(self.config.threshold, self._seen_at_least(keep, errors) / 2)

    # ---- others: further minima, without a certificate

    def _look_for_others(self) -> list[Subset]:
        """Calls on what the plan does without one step of its minimum; a further minimum there."""
        cut = self._at
        while self._silent:
            tally = self._tally(self._silent[0])
            if tally.high_odds(cut) > -SILENT and tally.low_odds(cut) < HEARD:
                return [self._silent[0]] * self.config.batch
            self._silent.popleft()
        while self._without:
            base = self._full - {self._without[0]}
            known = any(other <= base for other in self._others)
            tally = self._tally(base)
            if known or base in self._blind or tally.high_odds(cut) <= -STOPS:
                self._next_without()
                continue
            if tally.low_odds(cut) < FAILS:
                return [base] * self.config.batch
            free = sorted(base - self._always)
            if self._further is None and len(free) <= MOST:
                self._further = Grouping(free, self.config.threshold)
                for keep, each in self._tallies.items():
                    if keep <= base and each.calls:
                        self._further.tell(keep, each.harmful, each.calls)
            if self._further is None or self._further.vague > MISFIT:
                self._next_without()
                continue
            keep, probability = self._further.likeliest
            keep |= self._always
            if probability < LIKELY:
                pools = self._further.pools(self.config.batch, self._rounds, self._blind)
                if pools:
                    return [pool | self._always for pool in pools]
                self._next_without()
            elif self._tally(keep).low_odds(cut) >= FAILS:
                self._others.append(keep)
                self._next_without()
            elif keep in self._blind or self._tally(keep).high_odds(cut) <= -STOPS:
                self._next_without()
            else:
                return [keep] * self.config.batch
        self._done = True
        return []

    def _start_looking(self, keep: Subset) -> None:
        """Look for misfits where anything in the calls speaks for one; else nothing is called."""
        self._phase = "others"
        outside, within = self._around(keep)
        wrong = self._gave_up or self._graded
        if wrong or log_above(self.config.threshold, outside[1], outside[0]) >= HINT:
            self._without.extend(sorted(keep - self._always))
        own, silent = self._tally(keep), self._silent_around(keep)
        passes = 1 - (own.harmful + 0.5) / (own.calls + 1)
        lower = _rarer(within, (own.harmful, own.calls)) >= HINT
        odd = any(passes ** self._tally(s).calls <= CHANCE for s in silent)
        if wrong or self._attempts > 1 or lower or odd:
            self._silent.extend(silent)

    def _silent_around(self, keep: Subset) -> list[Subset]:
        """A few subsets that hold `keep` and never failed, those with most calls first."""
        silent = [s for s, t in self._tallies.items() if keep < s and t.calls and not t.harmful]
        return sorted(silent, key=lambda s: (-self._tally(s).calls, len(s), sorted(s)))[:3]

    def _around(self, keep: Subset) -> tuple[tuple[int, int], tuple[int, int]]:
        """(failures, calls) of subsets that do not hold `keep`, and of those that hold more."""
        outside = within = (0, 0)
        for each, tally in self._tallies.items():
            if keep < each:
                within = _plus(within, (tally.harmful, tally.calls))
            elif not keep <= each:
                outside = _plus(outside, (tally.harmful, tally.calls))
        return outside, within

    def _next_without(self) -> None:
        self._without.popleft()
        self._further = None

    def _misfit(self, keep: Subset) -> str:
        """Why one cause with one rate does not explain the calls; "" where it does."""
        outside, within = self._around(keep)
        for smaller in self._leave_one_out(keep):
            t = self._tallies.get(smaller, Tally())
            if log_above(self.config.threshold, t.calls, t.harmful) >= STRONG + math.log(len(keep)):
                return GRADED
        if log_above(self.config.threshold, outside[1], outside[0]) >= STRONG:
            return SEVERAL
        own = self._tallies.get(keep, Tally())
        silent = any(t.high_odds(self._at) <= -SILENT for s, t in self._tallies.items() if keep < s)
        if silent or _rarer(within, (own.harmful, own.calls)) >= STRONG:
            return SUPPRESSED
        return ""

    # ---- the result

    def _best(self) -> Subset:
        if self._phase == "group" and self._grouping is not None:
            held = self._always | self._grouping.covering(0.9)
            return self._smallest_failing() if held in self._blind else held
        if self._phase == "bisect":
            return frozenset(self._stage.need + self._stage.rest)
        if self._attempt is None:
            return self._checked
        doubtful = self._tally(self._attempt.keep).low_odds(self._attempt.proof.cut) < 0
        return self._smallest_failing() if doubtful else self._attempt.keep

    def _state(self, attempt: _Attempt | None) -> State:
        if attempt is not None and attempt.proof.certified:
            return "certified"
        if not self._done:
            return "interrupted"
        if attempt is None or attempt.keep in self._blind:
            return "unresolved within budget"
        testable = (
            attempt.subset(n) for n, c in enumerate(attempt.proof.claims) if n and not c.blind
        )
        needed = all(self._tally(keep).high_odds(attempt.proof.cut) <= 0 for keep in testable)
        return "minimal, not certified" if needed else "unresolved within budget"


def _knockouts(attempt: _Attempt) -> tuple[Knockout, ...]:
    return tuple(
        Knockout(
            step=step,
            rate=(claim := attempt.proof.claims[number]).tally.rate,
            ci=attempt.proof.interval(number),
            n=claim.tally.usable,
            status=attempt.proof.status(number),
            harmful=claim.tally.harmful,
            unusable=claim.tally.unusable,
        )
        for number, step in enumerate(attempt.steps, start=1)
    )


def _telling(rate: float, cut: float) -> float:
    """What a call tells, on average, of a rate not being at the cut: Kullback and Leibler's."""
    on_failure, on_pass = math.log(rate / cut), math.log((1 - rate) / (1 - cut))
    return max(1e-9, rate * on_failure + (1 - rate) * on_pass)


def _log_beta(hits: int, calls: int) -> float:
    a, b = hits + 0.5, calls - hits + 0.5
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _rarer(a: tuple[int, int], b: tuple[int, int]) -> float:
    """Log Bayes factor of two rates against one, for (failures, calls); 0 if a's is not lower.

    Each rate Beta(1/2, 1/2): Jeffreys 1961, "Theory of probability", for contingency tables.
    """
    if a[0] * b[1] >= b[0] * a[1]:
        return 0.0
    return _log_beta(*a) + _log_beta(*b) - _log_beta(*_plus(a, b)) - _log_beta(0, 0)


def _likeliest(posterior: Sequence[float]) -> int:
    return max(range(len(posterior)), key=posterior.__getitem__)


def _plus(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return a[0] + b[0], a[1] + b[1]


def _first_failing(
    tallies: Sequence[tuple[int, int]],
    usable: Sequence[bool],
    failing: tuple[int, int],
    *,
    background: float,
    enough: float,
) -> list[float]:
    """Posterior of the shortest failing prefix among prefixes 0 .. m, each (failures, calls).

    Entry j: prefixes j .. m fail at one unknown rate, the shorter ones at `background`; entry
    m + 1: none fails. `failing` is (failures, calls) of sets known to fail; `enough` is the prior
    of j = 0. An unusable prefix is never the answer.

    >>> [round(p, 2) for p in _first_failing(
    ...     [(0, 4), (0, 3), (5, 5)], [True] * 3, (5, 5), background=0.01, enough=0.3)]
    [0.0, 0.0, 1.0, 0.0]
    """
    m = len(tallies) - 1
    rest = (1 - enough - LOST) / m if m else 0.0
    prior = [enough if m else 1 - LOST, *[rest] * m, LOST]
    logs: list[list[float]] = []  # per rate: log likelihood of each entry, up to a constant
    for rate in failure_rates(background):
        on_failure = math.log(rate / background)
        on_pass = math.log((1 - rate) / (1 - background))
        start = failing[0] * math.log(rate) + (failing[1] - failing[0]) * math.log(1 - rate)
        gains = (k * on_failure + (n - k) * on_pass for k, n in reversed(tallies))
        logs.append([*accumulate(gains, initial=start)][::-1])
    possible = [j for j in range(m + 2) if j > m or usable[j]]
    top = max(row[j] for row in logs for j in possible)
    mass = [0.0] * (m + 2)
    for j in possible:
        mass[j] = prior[j] * sum(math.exp(row[j] - top) for row in logs)
    total = sum(mass)
    return [each / total for each in mass]
