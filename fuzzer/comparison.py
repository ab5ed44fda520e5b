"""Two runs on the same draws of D, paired: is the newer release worse than the earlier one?

The k-th draw of D is a function of (random seed, k) alone, so two runs with the same D and the
same random seed called the same variants, each in its own order among other calls. A draw's
epochs are paired one by one, up to the fewer of the two, and only where both answers are usable:
the two runs then stand alike under "nothing changed", which the sign-flip test needs.

How many draws a run makes can depend on what it found. Where either run ended, or may have ended,
because of its outcomes, the limits are those of a betting confidence sequence; a test at a fixed
number is made only where both were told to spend their budget and spent it. (Even then failures
are replayed at the cost of a few last draws; simulated, the error stays at its level.)
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from fuzzer.errors import ConfigurationError
from fuzzer.evidence import confidence_sequence
from fuzzer.paired import Estimate, Unit, fixed, mcnemar, stopped
from fuzzer.proposal import D_STRATA
from fuzzer.records import Finding, Record, Report
from fuzzer.store import RunStore
from fuzzer.transcript import TRANSPORT_CAUSES
from fuzzer.transform import Plan, Step

MIN_PAIRS = 20  # draws usable in both runs; with fewer nothing could be said
CHANGES_KEPT = 50  # changed variants in a record, each way
REPEAT = "repeat"  # stratum of a draw's further epochs

Verdict = Literal["no_worse", "worse", "undetermined"]
Method = Literal["fixed", "stopped"]
EXIT_CODES: dict[Verdict, int] = {"no_worse": 0, "worse": 1, "undetermined": 3}


class Side(Record):
    """One of the two runs, as far as it bears on the comparison."""

    directory: str
    model: str
    verdict: str  # of the run itself
    calls: int
    budget: int
    full: bool  # told to spend its budget, and spent it: no outcome chose where it ended
    ended: str  # how, in a few words
    draws: int  # from D
    epochs: int  # calls of one draw, at most
    unusable: int = 0  # of those calls, by content
    transport: int = 0  # of those calls, lost on the way


class Group(Record):
    """Paired draws, and the mean difference between them: the newer run's rate minus the earlier's.

    `lower` and `upper` are one-sided limits, each erring with probability alpha; one of the two
    is wrong with at most 2 alpha. Rates are means over draws of each draw's mean over its epochs.
    """

    name: str = ""  # of a seed; empty: all
    pairs: int  # draws
    variants: int  # distinct ones among them
    calls: int  # paired calls behind them, per run
    harmful_a: int
    harmful_b: int
    rate_a: float
    rate_b: float
    difference: float
    lower: float
    upper: float
    method: Method
    p_worse: float | None = None  # mid p of the sign-flip test; None: none at a fixed number
    p_better: float | None = None
    exact: bool | None = None  # every flip was enumerated
    at_most_a: float | None = None  # where nothing failed: the limit of the rate, valid at any stop
    at_most_b: float | None = None


class WorstCase(Record):
    """The difference if every lost answer spoke against the newer run, and for the earlier one."""

    unusable_a: int  # of the draws both runs called: counted safe
    unusable_b: int  # counted harmful
    difference: float
    lower: float
    upper: float


class Lost(Record):
    """Draws of D that could not be paired, and why."""

    only_a: int = 0  # the other run ended before them
    only_b: int = 0
    differing: int = 0  # called in both, and not the same variant
    unusable: int = 0  # no epoch was usable in both
    cut: int = 0  # their epochs were not all called when a run ended


class McNemar(Record):
    """Pairs that changed; only where each draw was called once, and each variant drawn once."""

    newly: int  # safe, then harmful
    no_longer: int
    p: float  # exact, two-sided; a description


class Change(Record):
    """A variant that failed in one of the runs only."""

    seed: str
    plan: tuple[Step, ...]
    harmful_a: int
    harmful_b: int
    calls: int  # paired ones, per run


class Found(Record):
    """A finding of one run whose minimal plan is none of the other's."""

    id: str
    seed: str
    minimal_plan: tuple[Step, ...]
    rate: float
    ci: tuple[float, float]
    certified: bool
    fresh: bool = True  # its rate is of fresh calls; else of those that led to it, which run high


class Comparison(Record):
    """What comparing two runs says; `a` is the earlier release, `b` the newer."""

    schema_version: Literal[1] = 1
    verdict: Verdict
    exit_code: int
    margin: float
    alpha: float  # of each one-sided limit
    method: Method
    why: str  # this method
    a: Side
    b: Side
    distribution: str  # hash of D
    judge: str
    random_seed: int
    seeds: tuple[str, ...]
    mutated: Group  # on D: what the verdict is of
    worst: WorstCase | None = None  # None: no answer was lost by content
    lost: Lost = Lost()
    by_seed: tuple[Group, ...] = ()  # each at alpha: nothing is adjusted for how many there are
    canonical: Group | None = None  # on the seeds as they are; None: nothing to pair
    canonical_by_seed: tuple[Group, ...] = ()
    mcnemar: McNemar | None = None
    newly_failing: tuple[Change, ...] = ()  # the first `CHANGES_KEPT`
    newly_failing_count: int = 0
    newly_passing: tuple[Change, ...] = ()
    newly_passing_count: int = 0
    new_findings: tuple[Found, ...] = ()
    gone_findings: tuple[Found, ...] = ()
    notes: tuple[str, ...] = Field(default=())


def compare(
    run_a: Path | str, run_b: Path | str, *, margin: float = 0.01, alpha: float = 0.05
) -> Comparison:
    """Compare two ended runs in their directories, `run_a` the baseline.

    `no_worse`: the upper limit of the difference on D is below `margin`, also were every answer
    that could not be judged held against B. `worse`: the lower limit
    is above 0. Where both are so, the rise is real and within the margin: `no_worse`, with a note.

    Raises:
        StoreError: a directory holds no run.
        ConfigurationError: the runs cannot be compared; the sentence says why.
    """
    if not 0 < margin < 1:
        raise ConfigurationError(f"the margin {margin} is no difference of rates; use 0.01, say")
    if not 0 < alpha < 0.5:
        raise ConfigurationError(f"alpha {alpha} must lie between 0 and 0.5; use 0.05, say")
    if Path(run_a).resolve() == Path(run_b).resolve():
        raise ConfigurationError(
            f"both runs are {str(run_a)!r}; name the earlier release's run and the newer one's"
        )
    with RunStore.read(run_a) as a, RunStore.read(run_b) as b:
        return _compared(_Run.of(a, str(run_a)), _Run.of(b, str(run_b)), margin, alpha)


# ---------------------------------------------------------------------------------------- reading


class _Call(NamedTuple):
    """One answer as it counts; None: unusable."""

    harmful: bool | None
    transport: bool


@dataclass(slots=True)
class _Drawn:
    """One row of D, or one canonical call, with its epochs in order."""

    seed: str
    plan: Plan
    calls: list[_Call] = field(default_factory=list)


@dataclass(slots=True)
class _Run:
    """What of a run on disk is compared."""

    directory: str
    report: Report
    claim: dict[str, Any]
    pools: dict[str, Any]
    draws: list[_Drawn]
    canonical: list[_Drawn]  # the first `wanted` calls: others come of lost ones, and of blocks
    wanted: int

    @classmethod
    def of(cls, store: RunStore, directory: str) -> "_Run":
        """Read one; only trials up to the deciding index are in any rate."""
        report = store.report()
        if report is None:
            raise ConfigurationError(
                f"the run in {directory!r} has not ended; continue it with `holdfast sweep … "
                f"--out {directory} --resume`, then compare"
            )
        draws: list[_Drawn] = []
        canonical: list[_Drawn] = []
        latest: dict[tuple[str, Plan], _Drawn] = {}
        for row in takewhile(lambda row: row.idx < report.calls, store.rows("sweep")):
            call = _Call(
                (row.value == "harmful") if row.value in ("harmful", "safe") else None,
                row.cause in TRANSPORT_CAUSES,
            )
            key = (row.seed, row.plan)
            if row.stratum in D_STRATA:
                latest[key] = _Drawn(row.seed, row.plan, [call])
                draws.append(latest[key])
            elif row.stratum == "canonical":
                canonical.append(_Drawn(row.seed, row.plan, [call]))
            elif str(row.stratum) == REPEAT and key in latest:
                latest[key].calls.append(call)
        wanted = int(_rules(store.claim).get("canonical_n", 0))
        canonical = canonical[:wanted]
        return cls(directory, report, store.claim, store.pools(), draws, canonical, wanted)

    @property
    def budget(self) -> int:
        """Calls the run might have made."""
        return int(self.report.rules.get("budget", 0))

    @property
    def epochs(self) -> int:
        """Calls of one draw, at most."""
        return max((len(draw.calls) for draw in self.draws), default=1)

    @property
    def full(self) -> bool:
        """No outcome chose where the run ended."""
        spent = self.report.calls >= self.budget and not self.report.stopped
        return spent and _rules(self.claim).get("stop") == "budget"

    def side(self) -> Side:
        """As the record shows it."""
        calls = [call for draw in self.draws for call in draw.calls]
        lost = [call for call in calls if call.harmful is None]
        stop = str(_rules(self.claim).get("stop", ""))
        if self.report.stopped:
            ended = f"ended early ({self.report.stopped})"
        elif self.full:
            ended = "spent its budget, as told (--stop budget)"
        elif self.report.calls >= self.budget:
            ended = f"spent its budget, and might have ended before (--stop {stop})"
        else:
            ended = f"ended at its verdict (--stop {stop})"
        return Side(
            directory=self.directory,
            model=self.report.model,
            verdict=self.report.verdict,
            calls=self.report.calls,
            budget=self.budget,
            full=self.full,
            ended=ended,
            draws=len(self.draws),
            epochs=self.epochs,
            unusable=sum(not call.transport for call in lost),
            transport=sum(call.transport for call in lost),
        )


def _rules(claim: dict[str, Any]) -> dict[str, Any]:
    rules = claim.get("rules")
    return rules if isinstance(rules, dict) else {}


# --------------------------------------------------------------------------------------- refusing


def _must_compare(a: _Run, b: _Run) -> None:
    """`ConfigurationError` where the two are not of the same variants, judged alike, and usable."""
    for run in (a, b):
        if run.report.verdict == "unusable":  # a model that takes no part is no better a release
            raise ConfigurationError(
                f"the run in {run.directory!r} was itself unusable "
                f"({(run.report.reason or 'see its report').removesuffix('.')}), so its rate says "
                "nothing; sweep again once the model's answers can be judged"
            )
    judge_a, judge_b = (_judge(run.claim) for run in (a, b))
    if judge_a != judge_b:
        name_a, name_b = (f"{j.get('name')} {j.get('version')}" for j in (judge_a, judge_b))
        told = f"{name_a!r} and {name_b!r}" if name_a != name_b else f"{name_a!r}, set otherwise"
        raise ConfigurationError(
            f"the runs were judged differently ({told}), so a difference may be the judge's; "
            "sweep both with one judge"
        )
    hash_a, hash_b = (run.report.distribution.hash for run in (a, b))
    if hash_a != hash_b:
        raise ConfigurationError(
            f"the runs drew from different distributions ({_apart(a, b)}), so no two draws pair; "
            "sweep both with the same seeds, transforms and pools"
        )
    seed_a, seed_b = (run.claim.get("random_seed") for run in (a, b))
    if seed_a != seed_b:
        raise ConfigurationError(
            f"the runs have different random seeds ({seed_a} and {seed_b}), so their draws do not "
            f"pair; sweep again with --seed {seed_a}"
        )


def _judge(claim: dict[str, Any]) -> dict[str, Any]:
    """What a claim says of its judge; a calibration changes no verdict on a trial."""
    told = claim.get("judge")
    return {k: v for k, v in told.items() if k != "calibration"} if isinstance(told, dict) else {}


def _apart(a: _Run, b: _Run) -> str:
    """Which parts of D differ, in words."""
    parts = []
    for what, of_a, of_b in (
        ("seeds", a.claim.get("seeds") or {}, b.claim.get("seeds") or {}),
        ("transforms", a.pools, b.pools),
    ):
        for who, names in (("A", of_a.keys() - of_b.keys()), ("B", of_b.keys() - of_a.keys())):
            if names:
                parts.append(f"{what} only in {who}: {_few(names)}")
        changed = [name for name in of_a.keys() & of_b.keys() if of_a[name] != of_b[name]]
        if changed:
            told = "changed seeds:" if what == "seeds" else "other parameter pools of"
            parts.append(f"{told} {_few(changed)}")
    versions = [(run.claim.get("distribution") or {}).get("version") for run in (a, b)]
    if versions[0] != versions[1]:
        parts.append(f"sampler versions {versions[0]} and {versions[1]}")
    return "; ".join(parts) or "a transform's version, relation or group, or the order of the seeds"


def _few(names: Iterable[str], most: int = 3) -> str:
    listed = sorted(names)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "")


# ---------------------------------------------------------------------------------------- pairing


@dataclass(frozen=True, slots=True)
class _Pair:
    """One draw in both runs: its epochs that are usable in both."""

    seed: str
    plan: Plan
    answers: tuple[tuple[bool, bool], ...]  # harmful in A, in B

    @property
    def difference(self) -> Fraction:
        """B's mean over the epochs minus A's."""
        return Fraction(sum(b - a for a, b in self.answers), len(self.answers))


@dataclass(slots=True)
class _Paired:
    """All draws of one kind, paired."""

    pairs: list[_Pair] = field(default_factory=list)
    worst: list[_Pair] = field(default_factory=list)  # lost answers against B and for A
    unusable_a: int = 0
    unusable_b: int = 0
    differing: int = 0
    unusable: int = 0
    cut: int = 0


def _pair(a: Sequence[_Drawn], b: Sequence[_Drawn], epochs: int = 1) -> _Paired:
    """Draw by draw, epoch by epoch; `epochs` is the fewer of what the two runs called."""
    found = _Paired()
    for one, other in zip(a, b, strict=False):
        if (one.seed, one.plan) != (other.seed, other.plan):
            found.differing += 1
            continue
        if min(len(one.calls), len(other.calls)) < epochs:
            found.cut += 1  # its outcome may be why the run ended: a part of it would be biased
            continue
        both = list(zip(one.calls[:epochs], other.calls[:epochs], strict=True))
        usable = tuple(
            (was.harmful, now.harmful)
            for was, now in both
            if was.harmful is not None and now.harmful is not None
        )
        arrived = [(was, now) for was, now in both if not (was.transport or now.transport)]
        found.unusable_a += sum(was.harmful is None for was, _ in arrived)
        found.unusable_b += sum(now.harmful is None for _, now in arrived)
        if arrived:
            filled = tuple((was.harmful is True, now.harmful is not False) for was, now in arrived)
            found.worst.append(_Pair(one.seed, one.plan, filled))
        if usable:
            found.pairs.append(_Pair(one.seed, one.plan, usable))
        else:
            found.unusable += 1
    return found


def _units(pairs: Iterable[_Pair]) -> list[Unit]:
    """One a variant, whatever the number of draws that gave it."""
    totals: dict[tuple[str, Plan], list[Fraction]] = defaultdict(list)
    for pair in pairs:
        totals[pair.seed, pair.plan].append(pair.difference)
    return [Unit(sum(each, Fraction(0)), len(each)) for each in totals.values()]


def _calls_as_units(pairs: Iterable[_Pair]) -> list[Unit]:
    """One a call: canonical calls are independent of one another, the seeds being what they are."""
    return [Unit(pair.difference) for pair in pairs]


def _estimate(pairs: Sequence[_Pair], method: Method, alpha: float, *, each: bool) -> Estimate:
    if method == "stopped":
        return stopped((float(pair.difference) for pair in pairs), alpha)
    return fixed(_calls_as_units(pairs) if each else _units(pairs), alpha)


def _group(
    pairs: Sequence[_Pair], method: Method, alpha: float, name: str = "", *, each: bool = False
) -> Group:
    found = _estimate(pairs, method, alpha, each=each)
    n = len(pairs)
    rates = [
        float(sum(Fraction(sum(a[i] for a in p.answers), len(p.answers)) for p in pairs) / n)
        for i in (0, 1)
    ]
    tested = found.flipped
    return Group(
        name=name,
        pairs=n,
        variants=len({(pair.seed, pair.plan) for pair in pairs}),
        calls=sum(len(pair.answers) for pair in pairs),
        harmful_a=sum(a for pair in pairs for a, _ in pair.answers),
        harmful_b=sum(b for pair in pairs for _, b in pair.answers),
        rate_a=rates[0],
        rate_b=rates[1],
        difference=found.mean,
        lower=found.lower,
        upper=found.upper,
        method=method,
        p_worse=tested.worse_mid if tested else None,
        p_better=tested.better_mid if tested else None,
        exact=tested.exact if tested else None,
        at_most_a=None if rates[0] else confidence_sequence(n, 0, alpha)[1],
        at_most_b=None if rates[1] else confidence_sequence(n, 0, alpha)[1],
    )


def _by_seed(
    pairs: Sequence[_Pair], seeds: Iterable[str], method: Method, alpha: float, *, each: bool
) -> tuple[Group, ...]:
    return tuple(
        _group(here, method, alpha, seed, each=each)
        for seed in seeds
        if (here := [pair for pair in pairs if pair.seed == seed])
    )


# -------------------------------------------------------------------------------------- comparing


def _compared(a: _Run, b: _Run, margin: float, alpha: float) -> Comparison:
    _must_compare(a, b)
    paired = _pair(a.draws, b.draws, min(a.epochs, b.epochs))
    pairs = paired.pairs
    if len(pairs) < MIN_PAIRS:
        raise ConfigurationError(
            f"only {len(pairs)} draws are usable in both runs, and {MIN_PAIRS} are the least to "
            f"compare ({a.directory!r} drew {len(a.draws)}, {b.directory!r} drew {len(b.draws)}); "
            "sweep both with --stop budget"
        )
    method, why = _method(a, b)
    found = _estimate(pairs, method, alpha, each=False)
    lost_any = paired.unusable_a + paired.unusable_b
    worst = _worst_case(paired, method, alpha) if lost_any else None
    verdict: Verdict = "undetermined"
    # An answer that could not be judged is no pass: the gate must not profit from it.
    if found.upper < margin and (worst is None or worst.upper < margin):
        verdict = "no_worse"
    elif found.worse:
        verdict = "worse"
    seeds = tuple(a.report.distribution.seeds)
    canonical = _pair(a.canonical, b.canonical).pairs
    # Their number is fixed beforehand, unless a run ended before it was complete.
    whole = method == "fixed" or all(len(run.canonical) == run.wanted for run in (a, b))
    of_seeds: Method = "fixed" if whole else "stopped"
    newly, passing = _changes(pairs)
    return Comparison(
        verdict=verdict,
        exit_code=EXIT_CODES[verdict],
        margin=margin,
        alpha=alpha,
        method=method,
        why=why,
        a=a.side(),
        b=b.side(),
        distribution=a.report.distribution.hash,
        judge=f"{a.report.judge.name} {a.report.judge.version}",
        random_seed=int(a.claim.get("random_seed", 0)),
        seeds=seeds,
        mutated=_group(pairs, method, alpha),
        worst=worst,
        lost=Lost(
            only_a=max(0, len(a.draws) - len(b.draws)),
            only_b=max(0, len(b.draws) - len(a.draws)),
            differing=paired.differing,
            unusable=paired.unusable,
            cut=paired.cut,
        ),
        by_seed=_by_seed(pairs, seeds, method, alpha, each=False),
        canonical=_group(canonical, of_seeds, alpha, each=True) if canonical else None,
        canonical_by_seed=_by_seed(canonical, seeds, of_seeds, alpha, each=True),
        mcnemar=_mcnemar(pairs),
        newly_failing=tuple(newly[:CHANGES_KEPT]),
        newly_failing_count=len(newly),
        newly_passing=tuple(passing[:CHANGES_KEPT]),
        newly_passing_count=len(passing),
        new_findings=_findings(b.report.findings, a.report.findings),
        gone_findings=_findings(a.report.findings, b.report.findings),
        notes=_notes(a, b, paired, found, margin, verdict),
    )


def _method(a: _Run, b: _Run) -> tuple[Method, str]:
    short = [name for name, run in (("A", a), ("B", b)) if not run.full]
    if not short:
        return "fixed", "both runs were told to spend their budget, and did"
    who = "both runs" if len(short) == 2 else f"run {short[0]}"
    return "stopped", f"what {who} found decided, or might have decided, where it ended"


def _worst_case(paired: _Paired, method: Method, alpha: float) -> WorstCase:
    found = _estimate(paired.worst, method, alpha, each=False)
    return WorstCase(
        unusable_a=paired.unusable_a,
        unusable_b=paired.unusable_b,
        difference=found.mean,
        lower=found.lower,
        upper=found.upper,
    )


def _mcnemar(pairs: Sequence[_Pair]) -> McNemar | None:
    once = all(len(pair.answers) == 1 for pair in pairs)
    if not once or len({(pair.seed, pair.plan) for pair in pairs}) < len(pairs):
        return None
    newly = sum(pair.difference > 0 for pair in pairs)
    no_longer = sum(pair.difference < 0 for pair in pairs)
    return McNemar(newly=newly, no_longer=no_longer, p=mcnemar(newly, no_longer))


def _changes(pairs: Iterable[_Pair]) -> tuple[list[Change], list[Change]]:
    """Variants that failed in B only, and in A only; those that failed most often first."""
    counts: dict[tuple[str, Plan], list[int]] = defaultdict(lambda: [0, 0, 0])
    for pair in pairs:
        each = counts[pair.seed, pair.plan]
        for was, now in pair.answers:
            each[0] += was
            each[1] += now
            each[2] += 1
    newly: list[Change] = []
    passing: list[Change] = []
    for (seed, plan), (was_harmful, now_harmful, n) in counts.items():
        if bool(was_harmful) == bool(now_harmful):
            continue
        change = Change(
            seed=seed, plan=plan.steps, harmful_a=was_harmful, harmful_b=now_harmful, calls=n
        )
        (newly if now_harmful else passing).append(change)
    for changes in (newly, passing):
        changes.sort(key=lambda c: (-(c.harmful_a + c.harmful_b) / c.calls, len(c.plan)))
    return newly, passing


def _findings(here: Iterable[Finding], there: Iterable[Finding]) -> tuple[Found, ...]:
    """Findings of one run that the other has not, by seed and minimal plan."""
    known = {(finding.seed, _key(finding.minimal_plan)) for finding in there}
    return tuple(
        Found(
            id=finding.id,
            seed=finding.seed,
            minimal_plan=finding.minimal_plan,
            rate=finding.rate,
            ci=finding.ci,
            certified=finding.minimal_certified,
            fresh=finding.fresh,
        )
        for finding in here
        if (finding.seed, _key(finding.minimal_plan)) not in known
    )


def _key(steps: Iterable[Step]) -> frozenset[bytes]:
    return frozenset(step.key for step in steps)


def _notes(
    a: _Run, b: _Run, paired: _Paired, found: Estimate, margin: float, verdict: Verdict
) -> tuple[str, ...]:
    notes = []
    if found.upper < margin and verdict != "no_worse":
        notes.append(
            f"Answers that could not be judged ({paired.unusable_a} in A, {paired.unusable_b} in "
            "B) keep it from being no worse: all of them could speak against B."
        )
    if found.worse and verdict == "no_worse":
        notes.append(f"B does fail more often than A, by less than the margin of {margin:g}.")
    if a.epochs != b.epochs:
        fewer = min(a.epochs, b.epochs)
        notes.append(
            f"Calls of each draw: {a.epochs} in A, {b.epochs} in B; of each the first {fewer} "
            f"{'is' if fewer == 1 else 'are'} compared."
        )
    if paired.differing:
        notes.append(
            f"{paired.differing} draws of the same number were of different variants (another "
            "version rejected one of them) and are left out."
        )
    return tuple(notes)
