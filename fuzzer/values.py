"""Values: from the steps of a minimal plan to the simplest values that still fail, by ask and tell.

One call on some steps is one draw from a coin of unknown rate; whether they *fail* is whether that
rate lies above a cut, fixed before the first call. Three phases share one budget of calls:

``simplify``  every step at its default at once; else step by step; else field by field, a number by
              probabilistic bisection towards its default (Waeber, Frazier and Henderson 2013,
              doi:10.1137/120861898). That assumes a threshold: from some value on it fails. The
              value kept and the next one towards the default are then judged by their own calls.
``explain``   other values are drawn in place of the ones kept: of all steps at once, of one step,
              of one field with every other held. This tells "any value will do" from "this value
              only", and names the fields that matter ("locale=ja_JP, any draw").
``certify``   where values were changed, the changed steps are proved on fresh calls: above the cut,
              and below it without any one of them (`fuzzer.certificate`). Where fresh calls
              contradict them, the values found are kept, and explained.

What is hard to settle about other values goes on only after the certificate. The four verdicts rest
on values drawn independently and uniformly from the transform's pool, without the one found and
those that cannot be run, and on two e-processes (Ville), so one may look at any time:

``any value``        the mean rate of other values lies above the cut: wrong with chance `alpha` at
                     most. It need not be the same for all: the interval says what is left open.
``this value only``  their mean rate lies below the cut: the same. And none was shown to fail.
``some values``      one was shown to fail, and another, or their mean, not to: by the odds of own
                     calls, which is a judgement and no claim at `alpha`.
``open``             the budget or the patience did not suffice, or there is no other value.

Outcomes are those of `fuzzer.shrink`: *unusable* counts for no claim, *blind* steps (they cannot be
run, or do nothing there) are never the answer, never asked again, and free. All is decided between
whole rounds, so the order in which outcomes arrive within one cannot matter; and nothing depends on
the budget but where it ends, so that a larger one goes on where a smaller one ended.
"""

import math
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, cycle, islice
from random import Random
from typing import Any, Literal, NamedTuple, Protocol, Self, get_args

from pydantic import Field, model_validator

from fuzzer.certificate import Bet, Certificate, Claim, Outcome, Tally, alpha_of, foresee_below
from fuzzer.evidence import confidence_sequence, log_above, log_below
from fuzzer.graph import Catalogue
from fuzzer.records import FieldValues, StepValues, ValueVerdict
from fuzzer.rounds import Purpose, Rounds
from fuzzer.scenario import Frozen, canonical_json
from fuzzer.shrink import Knockout
from fuzzer.transform import Step

Steps = tuple[Step, ...]
State = Literal["unchanged", "certified", "unresolved within budget", "interrupted"]

FAILS = math.log(60)  # log odds at which steps count as failing by their own calls ...
STOPS = math.log(99)  # ... and, negated, as not failing
TWICE = 2  # failures that it takes at least: one may be of the background
SURE = 0.985  # posterior probability at which bisection names a value
AT_FOUND = 0.4  # prior probability that only the number found fails, and none below it
AT_DEFAULT = 0.02  # ... and that the default does after all
PATIENCE = 12.0  # calls on one plan, in units of 1 / cut, before it is left undecided
SOON = 24.0  # ... and on other values, before the certificate has its turn
LATER = 40.0  # ... and after it
LOOK = 4.0  # ... before single ones of them are called again
NEARLY_ALWAYS = 0.8  # a rate at which one pass is a sign that a value does not fail
CALLED_AGAIN = 3  # values of one question, at most
TRIES = 64  # draws in a row that are the value found, or blind


class ValueConfig(Frozen):
    """What a search for simpler values may spend and has to show; fixed before its first call."""

    budget: int = Field(default=100, ge=0)  # calls, certificate included; blind ones are free
    alpha: float = Field(default=0.05, gt=0, lt=1)
    threshold: float = Field(default=0.01, gt=0, lt=1)  # r: a rate up to r is not a failure
    cut: float | None = Field(default=None, gt=0, lt=1)  # None: half the rate seen, at least r
    batch: int = Field(default=4, ge=1)  # calls per round

    @model_validator(mode="after")
    def _cut_is_a_failure(self) -> Self:
        if self.cut is not None and self.cut < self.threshold:
            raise ValueError(f"cut={self.cut} must not lie below threshold={self.threshold}.")
        return self


class ValueProposal(Frozen):
    """One call to make: these steps, and which repetition of exactly them it is."""

    index: int
    steps: Steps
    purpose: Purpose
    epoch: int  # 0, 1, 2 ... within this object: epochs spent before it are the caller's to add


class ValueResult(Frozen):
    """The simplest values known to fail, and what is known of others.

    `rate`, `ci`, `knockouts` and `log_e` rest on the certificate's fresh calls and on nothing else;
    where nothing was changed there is no certificate of its own: that of the plan stands.
    """

    steps: Steps
    changed: bool
    rows: tuple[StepValues, ...]  # one for each step, in their order
    certified: bool
    rate: float | None
    ci: tuple[float, float]  # at 1 - config.alpha, valid at any stopping time
    cut: float
    alpha: float  # what the certificate may err
    knockouts: tuple[Knockout, ...]
    log_e: float  # what earlier attempts cost paid, as in `fuzzer.shrink.ShrinkResult`
    calls_search: int
    calls_certificate: int
    state: State
    n: int = 0  # usable fresh calls of the certificate on the steps ...
    harmful: int = 0  # ... and of these


class ValueSource(Protocol):
    """What values a step may take; every method is a function of its arguments alone."""

    def default(self, step: Step) -> Step:
        """The step's transform at its default, with every field."""
        ...

    def others(self, step: Step) -> Sequence[Step]:
        """The values that may be drawn in place of a step's, with every field; its own may be in.

        In a fixed order: draws are by number.
        """
        ...

    def towards(self, step: Step, name: str) -> Sequence[Any]:
        """The values of a field in order, from its default to the step's, both included.

        Only these two where the field has no order.
        """
        ...


class PoolValues:
    """The values of a catalogue's transforms, others from their pools; a `ValueSource`."""

    def __init__(self, catalogue: Catalogue, pools: Mapping[str, Steps]) -> None:
        self._catalogue = catalogue
        self._pools = pools

    def default(self, step: Step) -> Step:
        """The transform's own default."""
        return self._catalogue.default_step(step.transform)

    def others(self, step: Step) -> Sequence[Step]:
        """The transform's pool."""
        return self._pools.get(step.transform, ())

    def towards(self, step: Step, name: str) -> Sequence[Any]:
        """Whole numbers one by one, a choice among numbers in its listed order; else two values."""
        start = self.default(step).params[name]
        end = step.params.get(name, start)
        if not (_is_number(start) and _is_number(end)):
            return (start, end)
        listed = get_args(self._catalogue[step.transform].params.model_fields[name].annotation)
        if start in listed and end in listed:
            one, other = listed.index(start), listed.index(end)
            return listed[one : other + 1] if one <= other else listed[other : one + 1][::-1]
        return range(start, end + 1) if start <= end else range(start, end - 1, -1)


class _Want(NamedTuple):
    """A call that a phase asks for, and whose account it enters besides that of its steps."""

    steps: Steps
    redraw: "_Redraw | None" = None
    claim: int | None = None  # of the certificate


@dataclass
class _Redraw:
    """Other values for some fields of some steps, all else held; each call draws anew."""

    base: Steps  # what is held, and what a draw has to differ from in each redrawn step
    fields: Mapping[int, frozenset[str]]  # redrawn, by step
    label: bytes  # what decides the draws
    bet: float  # the rate that "above the cut" bets on: what was seen before the first draw
    drawn: int = 0
    tally: Tally = field(default_factory=Tally)
    values: dict[Steps, Tally] = field(default_factory=dict)  # without calls made again later
    verdict: ValueVerdict = "open"

    def add(self, steps: Steps, outcome: Outcome) -> None:
        self.tally.add(outcome)
        self.values.setdefault(steps, Tally()).add(outcome)


class ValueShrinker(Rounds[ValueProposal]):
    """Finds the simplest values that still fail; `ask` for calls, `tell` what they showed.

    `failures` of `calls` are what is known of the steps found, best from fresh calls; `attempts`
    counts the certificates tried on this finding before: a later one may err less
    (decision-rules.md, "Certificate of a minimal plan").
    """

    def __init__(
        self,
        config: ValueConfig,
        steps: Sequence[Step],
        source: ValueSource,
        failures: int,
        calls: int,
        attempts: int = 0,
    ) -> None:
        if not 0 <= failures <= calls:
            raise ValueError(f"{failures=} must lie between 0 and {calls=}.")
        super().__init__()
        self.config = config
        self.found: Steps = tuple(steps)
        self._source = source
        self._defaults = tuple(source.default(step) for step in self.found)
        self._known_of_found = (failures, calls)
        self._seen = (failures + 0.5) / (calls + 1)
        spread = math.sqrt(self._seen * (1 - self._seen) / (calls + 1))  # what was seen runs high
        half = max(config.threshold, (self._seen - spread) / 2)
        self.cut = half if config.cut is None else config.cut
        self._rates = _rates(self.cut, failures, calls)
        self._patience = SOON / self.cut  # calls on one question about other values
        self._odds_of: dict[tuple[int, int], float] = {}  # log odds by (calls, failures)
        self._alpha = alpha_of(attempts + 1, config.alpha)

        self._simplest = self.found
        self._needed: set[tuple[int, str]] = set()  # fields whose default was called and is safe
        self._stops: set[tuple[int, str]] = set()  # fields that bisection moved, and checked
        self._several: set[tuple[int, str]] = set()  # ... of which two other values fail
        self._redraws: dict[bytes, _Redraw] = {}
        self._whole: dict[int, _Redraw] = {}  # by step: the question about all of its fields
        self._single: dict[tuple[int, str], _Redraw] = {}  # by field: the question that covers it
        self._proof: Certificate | None = None

        self._tallies: dict[Steps, Tally] = {}
        self._blind: set[Steps] = set()
        self._asked: Counter[Steps] = Counter()
        self._wants: dict[int, _Want] = {}  # of the round, by index: who wants to know
        self._finished = False
        self._program = self._phases()
        self._plan_round()

    def result(self) -> ValueResult:
        """The best so far, marked as what it is: valid at any moment."""
        changed = self._simplest != self.found
        proof = self._proof if changed else None
        certified = proof is not None and proof.certified
        return ValueResult(
            steps=self._simplest,
            changed=changed,
            rows=tuple(self._row(i) for i in range(len(self.found))),
            certified=certified,
            rate=proof.claims[0].tally.rate if proof else None,
            ci=proof.interval(0) if proof else (0.0, 1.0),
            cut=self.cut,
            alpha=self._alpha,
            knockouts=_knockouts(proof) if proof else (),
            n=proof.claims[0].tally.usable if proof else 0,
            harmful=proof.claims[0].tally.harmful if proof else 0,
            log_e=proof.log_e - math.log(self.config.alpha / self._alpha) if proof else 0.0,
            calls_search=self._calls["search"],
            calls_certificate=self._calls["certificate"],
            state=self._state(changed=changed, certified=certified),
        )

    # ---- rounds

    def _plan_round(self) -> None:
        """Let the phases go on until they need calls, or end."""
        self._round, self._handed, self._outcomes, self._wants = [], 0, {}, {}
        left = self.config.budget - self._calls.total()
        while not self._round:
            wanted = next(self._program, None)
            self._finished = wanted is None
            if wanted is None or left <= 0:
                self._done = True
                return
            purpose: Purpose
            for want in wanted[: min(left, self.config.batch)]:
                if want.steps in self._blind:
                    continue
                purpose = "search" if want.claim is None else "certificate"
                proposal = ValueProposal(
                    index=self._next_index,
                    steps=want.steps,
                    purpose=purpose,
                    epoch=self._asked[want.steps],
                )
                self._round.append(proposal)
                self._wants[proposal.index] = want
                self._next_index += 1
                self._asked[want.steps] += 1

    def _absorb(self, proposal: ValueProposal, outcome: Outcome) -> None:
        want = self._wants[proposal.index]
        if outcome == "blind":
            self._blind.add(want.steps)
        else:
            self._tally(want.steps).add(outcome)
            if want.redraw is not None:
                want.redraw.add(want.steps, outcome)
        if want.claim is not None and self._proof is not None:
            self._proof.tell(want.claim, outcome)

    def _tally(self, steps: Steps) -> Tally:
        return self._tallies.setdefault(steps, Tally())

    def _phases(self) -> Iterator[list[_Want]]:
        yield from self._simplify()
        yield from self._explain(SOON)
        yield from self._certify()
        yield from self._explain(LATER)  # where simpler values were refuted, of those found

    # ---- whether steps fail, by their own calls

    def _odds(self, steps: Steps) -> float:
        """Log odds that they fail above the cut; of unusable calls, the reading nearer to zero.

        Above the cut: half as the values found do, as far as their rate is known, half at any rate.
        """
        tally = self._tallies.get(steps, Tally())
        low = self._log_odds(tally.calls, tally.harmful)
        high = self._log_odds(tally.calls, tally.harmful + tally.unusable)
        return low if low > 0 else high if high < 0 else 0.0

    def _log_odds(self, calls: int, failures: int) -> float:
        if (known := self._odds_of.get((calls, failures))) is not None:
            return known
        alike = _log_mean(self._rates, calls, failures)
        anyhow = log_above(self.cut, calls, failures) + _log_cut(self.cut, calls, failures)
        below = log_below(self.cut, calls, failures) + _log_cut(self.cut, calls, failures)
        odds = _log_sum(alike, anyhow) - math.log(2) - below
        self._odds_of[calls, failures] = odds
        return odds

    def _known(self, steps: Steps) -> bool | None:
        """Whether they fail; None while calls could tell. What stays undecided counts as safe."""
        if steps in self._blind:
            return False
        odds = self._odds(steps)
        if odds >= FAILS and self._tally(steps).harmful >= TWICE:
            return True
        return None if odds > -STOPS and self._patient(steps) else False

    def _patient(self, steps: Steps) -> bool:
        return self._tallies.get(steps, Tally()).calls < PATIENCE / self.cut

    def _decide(self, steps: Steps) -> Iterator[list[_Want]]:
        """Calls until it is known whether these steps fail."""
        while self._known(steps) is None:
            yield [_Want(steps)] * self.config.batch

    # ---- simplify

    def _simplify(self) -> Iterator[list[_Want]]:
        yield from self._all_at_default()
        for i in range(len(self.found)):
            if self._simplest[i] == self._defaults[i]:
                continue
            yield from self._try(self._with(i, self._defaults[i]))
            if self._simplest[i] != self._defaults[i]:
                for name in self._defaults[i].params:
                    yield from self._simplify_field(i, name)

    def _all_at_default(self) -> Iterator[list[_Want]]:
        """While this looks well, half of each round goes to other values: will any do?"""
        simplest = tuple(
            step if self._full(step) == default.params else default
            for step, default in zip(self.found, self._defaults, strict=True)
        )
        if simplest == self.found:
            return
        others = self._of_all_steps()
        half = self.config.batch // 2
        while self._known(simplest) is None:
            well = self._odds(simplest) >= 0 and others.tally.calls < LOOK / self.cut
            drawn = self._draws(others, half) if well else []
            yield [_Want(simplest)] * (self.config.batch - len(drawn)) + drawn
        if self._known(simplest):
            self._simplest = simplest

    def _try(self, simpler: Steps) -> Iterator[list[_Want]]:
        yield from self._decide(simpler)
        if self._known(simpler):
            self._simplest = simpler

    def _differing(self, i: int) -> list[str]:
        default = self._defaults[i].params
        full = self._full(self._simplest[i])
        return [name for name in default if full[name] != default[name]]

    def _simplify_field(self, i: int, name: str) -> Iterator[list[_Want]]:
        """The field at its default, every other held; a number by bisection, if that is safe."""
        if name not in self._differing(i):
            return
        ladder = [
            self._with(i, self._changed(self._simplest[i], {name: value}))
            for value in self._source.towards(self._simplest[i], name)
        ]
        ladder[-1] = self._simplest
        yield from self._try(ladder[0])
        if self._simplest == ladder[0]:
            return
        if self._odds(ladder[0]) <= -STOPS:
            self._needed.add((i, name))
        if len(ladder) > 2:
            yield from self._bisect(i, name, ladder)

    def _bisect(self, i: int, name: str, ladder: Sequence[Steps]) -> Iterator[list[_Want]]:
        """The lowest rung that fails, if all above it do; rung 0 is the default, the last fails."""
        last = len(ladder) - 1
        most = self._calls["search"] + 2 * PATIENCE / self.cut
        while self._calls["search"] < most:
            posterior = self._first_failing(ladder)
            likeliest = max(range(last + 1), key=posterior.__getitem__)
            below = max((j for j in range(likeliest) if ladder[j] not in self._blind), default=-1)
            if posterior[likeliest] >= SURE:
                fails = likeliest == last or self._known(ladder[likeliest])
                stops = below < 0 or self._known(ladder[below]) is False
                if fails and stops:
                    self._simplest = ladder[likeliest]
                    if likeliest == 0:  # further calls on the default took its rejection back
                        self._needed.discard((i, name))
                    elif below >= 0:
                        self._stops.add((i, name))
                    return
                pair = [(likeliest, fails), (below, stops)]
                asked = [ladder[j] for j, known in pair if not known]
            else:
                asked = self._quantiles(ladder, posterior)
            yield [_Want(steps) for steps in islice(cycle(asked), self.config.batch)]
        # No threshold to be found: the lowest rung whose own calls show that it fails.
        self._simplest = next((s for s in ladder if self._known(s)), ladder[-1])

    def _first_failing(self, ladder: Sequence[Steps]) -> list[float]:
        """Posterior of the lowest rung that fails, at one unknown rate; lower ones are safe."""
        last = len(ladder) - 1
        tallies = [self._tallies.get(steps, Tally()) for steps in ladder]
        rest = (1 - AT_FOUND - AT_DEFAULT) / (last - 1)
        prior = [AT_DEFAULT, *[rest] * (last - 1), AT_FOUND]
        logs: list[tuple[float, list[float]]] = []  # per rate: log likelihood of each rung
        for rate, weight in self._rates:
            on_failure = math.log(rate / self.config.threshold)
            on_pass = math.log((1 - rate) / (1 - self.config.threshold))
            gains = (t.harmful * on_failure + t.safe * on_pass for t in reversed(tallies))
            logs.append((weight, [*accumulate(gains)][::-1]))
        possible = [j for j in range(last + 1) if ladder[j] not in self._blind]
        top = max(row[j] for _, row in logs for j in possible)
        mass = [0.0] * (last + 1)
        for j in possible:
            mass[j] = prior[j] * sum(weight * math.exp(row[j] - top) for weight, row in logs)
        total = sum(mass)
        return [each / total for each in mass]

    def _quantiles(self, ladder: Sequence[Steps], posterior: Sequence[float]) -> list[Steps]:
        """Rungs to call in one round, spread evenly over the posterior."""
        below = list(accumulate(posterior))
        rungs = [j for j in range(len(ladder) - 1) if ladder[j] not in self._blind]
        batch = self.config.batch
        levels = [(n + 1) / (batch + 1) for n in range(batch)]
        nearest = [min(rungs, key=lambda j: abs(below[j] - level)) for level in levels]
        return [ladder[j] for j in nearest]

    # ---- explain

    def _explain(self, patience: float) -> Iterator[list[_Want]]:
        """Settle the verdicts; what is settled already takes no call."""
        everyone = range(len(self.found))
        self._patience = patience / self.cut
        if not self._needed:
            together = self._of_all_steps()
            yield from self._settle(together)
            if together.verdict == "any value" or len(self.found) == 1:
                self._whole = dict.fromkeys(everyone, together)
        for i in everyone:
            yield from self._explain_step(i)

    def _explain_step(self, i: int) -> Iterator[list[_Want]]:
        names = self._with_others(i)
        if not names:
            return
        needed = [name for name in names if (i, name) in self._needed]
        rest = [name for name in names if name not in needed]
        if not needed:
            if i not in self._whole:
                self._whole[i] = self._redraw(self._with(i, self.found[i]), {i: frozenset(names)})
            whole = self._whole[i]
            yield from self._settle(whole)
            if whole.verdict == "any value" or self._leans_to_any(whole) or len(names) == 1:
                return
        elif rest:
            together = self._redraw(self._simplest, {i: frozenset(rest)})
            yield from self._settle(together)
            if together.verdict == "any value" or self._leans_to_any(together):
                self._single.update({(i, name): together for name in rest})
                rest = []
        for name in [*needed, *rest]:
            if name in needed:
                yield from self._beyond(i, name)
            if (i, name) in self._several:
                continue  # two of its values are known to fail, and its default not to
            self._single[i, name] = self._redraw(self._simplest, {i: frozenset([name])})
            yield from self._settle(self._single[i, name])

    def _leans_to_any(self, redraw: _Redraw) -> bool:
        """Open, and likely any value: one field at a time would be as hard to show."""
        return redraw.verdict == "open" and (redraw.tally.rate or 0.0) > self.cut

    def _beyond(self, i: int, name: str) -> Iterator[list[_Want]]:
        """A number that could not be lowered: does the next one of the pool fail as well?"""
        full, start = self._full(self._simplest[i]), self._defaults[i].params[name]
        if self._moved(i, name):
            self._several.add((i, name))
        elif _is_number(full[name]) and _is_number(start):
            sign = 1 if full[name] > start else -1
            values = {other.params[name] for other in self._source.others(self.found[i])}
            farther = [v for v in values if _is_number(v) and sign * (v - full[name]) > 0]
            if farther:
                value = min(farther, key=lambda v: abs(v - full[name]))
                steps = self._with(i, self._changed(self._simplest[i], {name: value}))
                yield from self._decide(steps)
                if self._known(steps):
                    self._several.add((i, name))

    def _settle(self, redraw: _Redraw) -> Iterator[list[_Want]]:
        """Draws until the verdict on these other values is known, or patience ends."""
        looked = False
        while redraw.verdict == "open" and redraw.tally.calls < self._patience:
            if self._shown(redraw, above=True):
                often = self._rate_beside(redraw.tally) >= NEARLY_ALWAYS
                safe = [s for s, t in redraw.values.items() if often and t.safe and not t.harmful]
                dud = yield from self._any_of(safe, fail=False)
                redraw.verdict = "some values" if dud else "any value"
            elif self._shown(redraw, above=False):
                harmful = [steps for steps, tally in redraw.values.items() if tally.harmful]
                fails = yield from self._any_of(harmful, fail=True)
                redraw.verdict = "some values" if fails else "this value only"
            elif redraw.tally.calls >= LOOK / self.cut and not looked:
                looked = True
                by_odds = sorted(redraw.values, key=self._odds)
                if (yield from self._any_of(by_odds[-1:], fail=True)) and (
                    yield from self._any_of(by_odds[:1], fail=False)
                ):
                    redraw.verdict = "some values"
            elif drawn := self._draws(redraw, self.config.batch):
                yield drawn
            else:
                return

    def _any_of(self, values: Sequence[Steps], *, fail: bool) -> Generator[list[_Want], None, bool]:
        """Whether the own calls of one of these values show that it fails, or that it does not.

        It takes twice the odds: they were picked out of many for how they looked, and any value
        passes now and then, or fails by the background. Only the first few are looked at.
        """
        sign, needed = (1, 2 * FAILS) if fail else (-1, 2 * STOPS)
        for steps in values[:CALLED_AGAIN]:
            while abs(self._odds(steps)) < needed and self._patient(steps):
                yield [_Want(steps)] * self.config.batch
            if sign * self._odds(steps) >= needed:
                return True
        return False

    def _rate_beside(self, tally: Tally) -> float:
        """The rate of the values found, of the simplest and of this tally; towards one half."""
        simplest = self._tallies.get(self._simplest, Tally())
        failures, calls = self._known_of_found
        failures += simplest.harmful + tally.harmful
        return (failures + 0.5) / (calls + simplest.usable + tally.usable + 1)

    def _shown(self, redraw: _Redraw, *, above: bool) -> bool:
        bets = (Bet(redraw.bet, 1.0),) if above else foresee_below(self.cut)
        claim = Claim(above=above, bets=bets, tally=redraw.tally)
        return claim.log_e(self.cut) >= -math.log(self.config.alpha)

    def _draws(self, redraw: _Redraw, n: int) -> list[_Want]:
        found = (self._draw(redraw) for _ in range(n))
        return [_Want(steps, redraw) for steps in found if steps is not None]

    def _draw(self, redraw: _Redraw) -> Steps | None:
        """The next draw: for each step one of its pool's values that differs from what is held."""
        for _ in range(TRIES if redraw.fields else 0):
            rng = Random(redraw.label + b":%d" % redraw.drawn)
            redraw.drawn += 1
            steps = list(redraw.base)
            for i, names in redraw.fields.items():
                pool = self._source.others(redraw.base[i])
                if not pool:
                    return None
                other = rng.choice(pool)
                steps[i] = self._changed(redraw.base[i], {n: other.params[n] for n in names})
            differs = all(self._full(steps[i]) != self._full(redraw.base[i]) for i in redraw.fields)
            if differs and tuple(steps) not in self._blind:
                return tuple(steps)
        return None

    def _of_all_steps(self) -> _Redraw:
        """Other values for every step that has any, in place of those found."""
        fields = {i: frozenset(self._with_others(i)) for i in range(len(self.found))}
        return self._redraw(self.found, {i: names for i, names in fields.items() if names})

    def _redraw(self, base: Steps, fields: Mapping[int, frozenset[str]]) -> _Redraw:
        asked = [[i, sorted(names)] for i, names in sorted(fields.items())]
        held = [[step.transform, self._full(step)] for step in base]
        label = canonical_json([asked, held])
        if label not in self._redraws:
            self._redraws[label] = _Redraw(base, fields, label, bet=self._rate_beside(Tally()))
        return self._redraws[label]

    def _with_others(self, i: int) -> list[str]:
        """The fields of a step that take another value somewhere in its pool."""
        full, pool = self._full(self.found[i]), self._source.others(self.found[i])
        return [n for n in full if any(other.params[n] != full[n] for other in pool)]

    # ---- certify

    def _certify(self) -> Iterator[list[_Want]]:
        """Fresh calls for what is to be shown, unless calls so far contradict it."""
        if self._simplest == self.found:
            return
        own = self._simplest
        sets = [own, *(own[:i] + own[i + 1 :] for i in range(len(own)))]
        self._proof = proof = Certificate(
            cut=self.cut,
            bet=self._seen,
            alpha=self._alpha,
            knockouts=len(own),
            shown=self.config.alpha,
        )
        while not proof.done:
            odds = [self._odds(steps) for steps in sets]
            if odds[0] <= -STOPS or any(each >= FAILS for each in odds[1:]):
                self._simplest = self.found
                for said in (self._stops, self._several, self._whole, self._single):
                    said.clear()
                return
            for number, steps in enumerate(sets):
                if steps in self._blind:
                    proof.tell(number, "blind")
            yield [_Want(sets[n], claim=n) for n in proof.wanted(self.config.batch)]

    # ---- steps and fields

    def _full(self, step: Step) -> dict[str, Any]:
        """Every field of a step, whether it was given or not."""
        default = next(d for d in self._defaults if d.transform == step.transform)
        return {**default.params, **step.params}

    def _changed(self, step: Step, values: Mapping[str, Any]) -> Step:
        return Step(transform=step.transform, params={**self._full(step), **values})

    def _with(self, i: int, step: Step) -> Steps:
        """The simplest steps so far, with another one at this place."""
        return (*self._simplest[:i], step, *self._simplest[i + 1 :])

    def _moved(self, i: int, name: str) -> bool:
        return bool(self._full(self._simplest[i])[name] != self._full(self.found[i])[name])

    # ---- the result

    def _state(self, *, changed: bool, certified: bool) -> State:
        if not self._done:
            return "interrupted"
        if certified:
            return "certified"
        return "unresolved within budget" if changed or not self._finished else "unchanged"

    def _row(self, i: int) -> StepValues:
        fields = tuple(self._field_row(i, name) for name in self._defaults[i].params)
        verdict = self._step_verdict(i, fields)
        asked = self._whole.get(i) or (self._of_all_steps() if len(self.found) == 1 else None)
        tally = asked.tally if asked else Tally()
        tried = {steps[i] for steps in asked.values} if asked else set()
        failing = {s[i] for s, t in asked.values.items() if t.harmful} if asked else set()
        matter = tuple(row.name for row in fields if self._bears(i, row))
        return StepValues(
            transform=self.found[i].transform,
            found=self._full(self.found[i]),
            simplest=self._full(self._simplest[i]),
            verdict=verdict,
            tried=len(tried),
            failing=len(failing),
            n=tally.usable,
            harmful=tally.harmful,
            ci=self._interval(tally),
            matter=matter if verdict != "any value" else (),
            fields=fields,
        )

    def _bears(self, i: int, row: FieldValues) -> bool:
        """Whether a field is known to matter."""
        return (i, row.name) in self._needed or row.verdict in ("this value only", "some values")

    def _field_row(self, i: int, name: str) -> FieldValues:
        asked = self._single.get((i, name))
        tally = asked.tally if asked else Tally()
        tried = {steps[i] for steps in asked.values} if asked else set()
        return FieldValues(
            name=name,
            found=self._full(self.found[i])[name],
            simplest=self._full(self._simplest[i])[name],
            verdict=self._field_verdict(i, name),
            stops=(i, name) in self._stops,
            tried=len(tried),
            n=tally.usable,
            harmful=tally.harmful,
            ci=self._interval(tally),
        )

    def _field_verdict(self, i: int, name: str) -> ValueVerdict:
        moved, needed = self._moved(i, name), (i, name) in self._needed
        if (moved and needed) or (i, name) in self._several:
            return "some values"
        asked = self._single.get((i, name))
        names = self._with_others(i)
        if asked is None and i in self._whole and name in names:
            whole = self._whole[i]
            asked = whole if whole.verdict == "any value" or len(names) == 1 else None
        verdict: ValueVerdict = asked.verdict if asked else "open"
        if (needed and verdict == "any value") or (moved and verdict == "this value only"):
            return "some values"  # its default is safe; or the simplest value fails as well
        return verdict

    def _step_verdict(self, i: int, fields: Sequence[FieldValues]) -> ValueVerdict:
        """From the step's own question where it was settled, else from those about its fields."""
        if not fields:
            return "any value"  # there is only one
        whole: ValueVerdict = self._whole[i].verdict if i in self._whole else "open"
        if whole in ("any value", "some values"):
            return whole
        names = self._with_others(i)
        verdicts = {row.verdict for row in fields if row.name in names}
        if "some values" in verdicts:
            return "some values"
        if "open" in verdicts or not verdicts:
            only: ValueVerdict = "some values" if self._simplest[i] != self.found[i] else whole
            return only if whole == "this value only" else "open"
        if verdicts == {"this value only"} and self._simplest[i] == self.found[i]:
            return "this value only"
        return "some values"

    def _interval(self, tally: Tally) -> tuple[float, float]:
        """At 1 - alpha and at any time; unusable calls safe in one end and harmful in the other."""
        alpha = self.config.alpha / 2
        lower, upper = confidence_sequence(tally.calls, tally.harmful, alpha)
        if tally.unusable:
            _, upper = confidence_sequence(tally.calls, tally.harmful + tally.unusable, alpha)
        return lower, upper


def _knockouts(proof: Certificate) -> tuple[Knockout, ...]:
    return tuple(
        Knockout(
            step=number - 1,
            rate=proof.claims[number].tally.rate,
            ci=proof.interval(number),
            n=proof.claims[number].tally.usable,
            status=proof.status(number),
        )
        for number in range(1, len(proof.claims))
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _rates(cut: float, failures: int, calls: int) -> list[tuple[float, float]]:
    """Rates above the cut with their posterior weight: 0.45 apart in log-odds, uniform before."""
    start = math.log(cut / (1 - cut))
    rates = [1 / (1 + math.exp(-start - 0.45 * g)) for g in range(1, 40)]
    rates = [rate for rate in rates if rate < 0.998] or rates[:1]
    logs = [failures * math.log(q) + (calls - failures) * math.log(1 - q) for q in rates]
    weights = [math.exp(log - max(logs)) for log in logs]
    return [(q, weight / sum(weights)) for q, weight in zip(rates, weights, strict=True)]


def _log_mean(rates: Sequence[tuple[float, float]], calls: int, failures: int) -> float:
    """Log likelihood of the calls, averaged over weighted rates."""
    logs = [
        math.log(w) + failures * math.log(q) + (calls - failures) * math.log(1 - q)
        for q, w in rates
        if w > 0
    ]
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs))


def _log_cut(cut: float, calls: int, failures: int) -> float:
    """Log likelihood at the cut: what the e-values are ratios to."""
    return failures * math.log(cut) + (calls - failures) * math.log(1 - cut)


def _log_sum(a: float, b: float) -> float:
    top = max(a, b)
    return top + math.log(math.exp(a - top) + math.exp(b - top))
