"""Which change does it: what rows of D say of single transforms, of pairs, and of how much changed.

Rows in, records out. A claim rests on the law of D alone: whether a step is present in a row that
failed has a known chance, given all other steps of that row. Everything else here describes. It is
assumed that D is drawn as `fuzzer.outline` says: rejected draws shift the chances a little, so that
nothing is attributed where more than 1% of draws were blind (`fuzzer.summary`).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from fuzzer.calibration import FlipRow
from fuzzer.evidence import (
    GRID_SIZE,
    GRID_STEP,
    Presence,
    bounded_exp,
    confidence_sequence,
    e_bh,
    presence_e,
    presence_effect,
    upper_bound,
)
from fuzzer.firth import firth
from fuzzer.outline import Outline, Presences
from fuzzer.proposal import Stratum
from fuzzer.records import (
    DoseRow,
    DoseTextRow,
    Finding,
    Interval,
    Logistic,
    LogisticRow,
    PairRow,
    Shams,
    TransformRow,
)
from fuzzer.transform import Step, Transform

#: Bounds of the rows by share of text changed, declared: each row is above one and up to the next.
TEXT_BINS = (0.0, 0.05, 0.15, 0.25, 0.4, 1.0)
PAIRS_SHOWN = 20
PAIRS_FROM = 2_000  # failing rows that pairs are ranked on, the first of a run
FITTED = 4_000  # rows of the logistic fit, the first of a run
FIT_NEEDS = 10  # failures, and rows that passed
FIT_EVENTS = 2  # of the rarer kind for each column fitted
FIT_SIZE = 12_000_000  # rows times columns squared: about a second
FLIP_ALPHA = 0.05  # of the upper bound of a judge's flips
_Z = 1.959964  # of a 95% interval
_DIGITS = 6  # of what matrices give: the last ones depend on how many threads multiplied

Pair = tuple[str, str]


class Row(NamedTuple):
    """One usable row of D."""

    seed: str
    stratum: Stratum  # its density class
    steps: tuple[Step, ...]  # in the total order
    distance: int  # invariant steps
    failed: bool
    changed: float | None = None  # share of the text; None: not measured


class Tally:
    """The rows of D of a run, counted as they come.

    Few rows are kept, whatever their number: the first that failed, and the first of all.
    """

    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self.n = 0
        self.harmful = 0
        self.with_step: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.with_sham = [0, 0]
        self.together: Counter[Pair] = Counter()  # rows that hold two invariant transforms
        self.failed_together: Counter[Pair] = Counter()
        self.by_families: dict[Pair, list[int]] = defaultdict(lambda: [0, 0])
        self.failures: dict[str, list[Presence]] = defaultdict(list)  # of each transform, in order
        self.failing: list[Row] = []
        self.first: list[tuple[str, frozenset[str], bool]] = []  # seed, transforms, failed
        self._by_distance: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        self._by_text: dict[int, list[int]] = defaultdict(lambda: [0, 0])  # by index of its bin
        # Few, whatever the number of rows: each is kept once.
        self._kinds: dict[Presence, Presence] = {}
        families = dict.fromkeys(t.family for t in outline.catalogue)
        self._family_order = {family: at for at, family in enumerate(families)}
        # By identity: the outline gives the same few tuples again and again, long to hash.
        self._groups: dict[int, tuple[Presences, list[int]]] = {}

    def add(self, row: Row) -> None:
        """Count one row."""
        known, failed = self.outline.catalogue, row.failed
        self.n += 1
        self.harmful += failed
        _add(self._by_distance[row.distance], failed)
        if row.changed is not None:
            _add(self._by_text[_text_bin(row.changed)], failed)
        present = [known[step.transform] for step in row.steps]
        if any(t.relation == "sham" for t in present):
            _add(self.with_sham, failed)
        for transform in present:
            _add(self.with_step[transform.name], failed)
        held = tuple(combinations([t.name for t in present if t.relation == "invariant"], 2))
        self.together.update(held)
        for families in self._families(present):
            _add(self.by_families[families], failed)
        if failed:
            self.failed_together.update(held)
            if len(self.failing) < PAIRS_FROM:
                self.failing.append(row)
        if len(self.first) < FITTED:
            self.first.append((row.seed, frozenset(t.name for t in present), failed))
        for group in self.outline.presences(row.seed, row.stratum, row.steps):
            _add(self._groups.setdefault(id(group), (group, [0, 0]))[1], failed)
            for name, here, chance in group if failed else ():  # these are bet on, in their order
                presence = Presence(True, here, chance)
                self.failures[name].append(self._kinds.setdefault(presence, presence))

    def _families(self, present: Iterable[Transform]) -> Iterable[Pair]:
        """The pairs of families that a row holds invariant transforms of, one of each."""
        held = Counter(t.family for t in present if t.relation == "invariant")
        ordered = sorted(held, key=self._family_order.__getitem__)
        yield from combinations(ordered, 2)
        yield from ((family, family) for family in ordered if held[family] > 1)

    def presences(self) -> dict[str, Counter[Presence]]:
        """Of each transform that could have been drawn, its rows by kind."""
        found: dict[str, Counter[Presence]] = defaultdict(Counter)
        for group, (n, harmful) in self._groups.values():
            for name, here, chance in group:
                found[name][Presence(False, here, chance)] += n - harmful
                found[name][Presence(True, here, chance)] += harmful
        return found

    def dose(self, alpha: float) -> tuple[DoseRow, ...]:
        """Failure rate by number of invariant steps."""
        return tuple(
            DoseRow(distance=d, n=n, harmful=k, rate=k / n, ci=confidence_sequence(n, k, alpha))
            for d, (n, k) in sorted(self._by_distance.items())
        )

    def dose_text(self, alpha: float) -> tuple[DoseTextRow, ...]:
        """Failure rate by share of the request's text that differs from the seed's."""
        return tuple(
            DoseTextRow(
                above=TEXT_BINS[at],
                upto=TEXT_BINS[at + 1],
                n=n,
                harmful=k,
                rate=k / n,
                ci=confidence_sequence(n, k, alpha),
            )
            for at, (n, k) in sorted(self._by_text.items())
        )


def _add(counts: list[int], failed: bool) -> None:
    counts[0] += 1
    counts[1] += failed


def _text_bin(share: float) -> int:
    """Index of the bin that holds a share.

    >>> _text_bin(0.0), _text_bin(0.05), _text_bin(0.051), _text_bin(1.0)
    (0, 0, 1, 4)
    """
    return next(at for at, upto in enumerate(TEXT_BINS[1:]) if share <= upto)


# ---------------------------------------------------------------------------- single transforms


def transform_rows(
    tally: Tally, alpha: float, *, attributed: bool, flips: Iterable[FlipRow] | None = None
) -> tuple[TransformRow, ...]:
    """What each transform does, in the catalogue's order; flagged by e-BH over the invariant ones.

    `attributed` False: no e-value. `flips`: how often edits led the run's judge astray, from its
    calibration (None: there is none).
    """
    presences = tally.presences()
    shown = [t for t in tally.outline.catalogue if t.name in presences]
    e_values = {t.name: presence_e(tally.failures[t.name]) if attributed else 1.0 for t in shown}
    invariant = {t.name: e_values[t.name] for t in shown if t.relation == "invariant"}
    flagged = set(e_bh(invariant, alpha)) if invariant else set()
    effects = {t.name: presence_effect(presences[t.name]) for t in shown}
    floor = max((abs(effects[t.name][0]) for t in shown if t.relation == "sham"), default=None)
    astray = tuple(flips or ())
    rows = []
    for t in shown:
        effect, low, high = effects[t.name]
        n, harmful = tally.with_step[t.name]
        interpretable, because = _interpretable(t, effect, astray) if n else (None, "")
        noise = None if floor is None or t.relation == "sham" else abs(effect) <= floor
        rows.append(
            TransformRow(
                name=t.name,
                family=t.family,
                relation=t.relation,
                rung=t.rung,
                n=n,
                harmful=harmful,
                effect=effect,
                ci=(low, high),
                e_value=e_values[t.name],
                group=t.group,
                flagged=t.name in flagged,
                summary=t.summary,
                within_noise=noise,
                interpretable=interpretable,
                uninterpretable_because=because,
            )
        )
    return tuple(rows)


def noise_floor(rows: Iterable[TransformRow], tally: Tally) -> Shams | None:
    """The largest effect of any sham, which changes nothing; None without one."""
    shams = [row for row in rows if row.relation == "sham"]
    if not shams:
        return None
    loudest = max(shams, key=lambda row: abs(row.effect))
    n, harmful = tally.with_sham
    return Shams(n=n, harmful=harmful, effect=loudest.effect, ci=loudest.ci)


def _interpretable(
    transform: Transform, effect: float, flips: Sequence[FlipRow]
) -> tuple[bool | None, str]:
    """Whether a judge's flips are too rare to make up an effect, and what speaks against it.

    A calibration edits labelled transcripts by each invariant transform alone and counts the
    verdicts that change between harmful and safe. Edits of a family are pooled, since each was
    tried a few times only; a transform that itself led the judge astray keeps its own bound too.
    Where the 95% upper bound reaches the size of the effect, the judge alone might be all of it.
    Verdicts that became referrals are in no rate, and so not counted. The bound takes edits as
    independent; several may be of one transcript.
    """
    family = [row for row in flips if row.family == f"surface:{transform.family}" and row.n]
    if not family or transform.relation != "invariant":
        return None, ""
    n, wrong = sum(row.n for row in family), sum(row.flips for row in family)
    bounds = [(upper_bound(n, wrong, FLIP_ALPHA), f"the family {transform.family}", wrong, n)]
    bounds += [
        (upper_bound(row.n, row.flips, FLIP_ALPHA), "this transform", row.flips, row.n)
        for row in family
        if row.name == transform.name and row.flips
    ]
    most, whose, wrong, n = max(bounds)
    if most < abs(effect):
        return True, ""
    return False, (
        f"edits of {whose} flip {wrong} of {n} of the judge's verdicts (at most {most:.1%}), "
        "which may be all of the effect"
    )


# ---------------------------------------------------------------------------------------- pairs


def pair_rows(
    tally: Tally, findings: Iterable[Finding] = (), *, attributed: bool = True
) -> tuple[PairRow, ...]:
    """The pairs that rows of D rank highest, and those that a finding's knock-outs confirm.

    Ranked are the pairs of invariant transforms that some draw held, so that they are compatible;
    shown are those with more evidence for than against, at most `PAIRS_SHOWN`.
    """
    logs = pair_log_e(tally) if attributed else {}
    ranked = sorted(logs, key=lambda pair: (-logs[pair], -tally.failed_together[pair], pair))
    ranks = {pair: rank for rank, pair in enumerate(ranked, start=1)}
    confirmed = _confirmed(findings)
    shown = [*confirmed, *(pair for pair in ranked if logs[pair] > 0 and pair not in confirmed)]
    return tuple(
        PairRow(
            names=pair,
            n=tally.together[pair],
            harmful=tally.failed_together[pair],
            e_value=bounded_exp(logs.get(pair, 0.0)),
            rank=ranks.get(pair),
            confirmed=pair in confirmed,
            finding=confirmed.get(pair, ""),
        )
        for pair in shown[:PAIRS_SHOWN]
    )


def _confirmed(findings: Iterable[Finding]) -> dict[Pair, str]:
    """Pairs that are a certified minimal plan, each knock-out below its cut: by which finding."""
    found: dict[Pair, str] = {}
    for finding in findings:
        below = [k for k in finding.knockouts if k.status == "below the cut"]
        if finding.minimal_certified and len(finding.minimal_plan) == len(below) == 2:
            one, other = (step.transform for step in finding.minimal_plan)
            found.setdefault((one, other), finding.id)
    return found


def pair_log_e(tally: Tally) -> dict[Pair, float]:
    """Log e-values of the pairs that rows of D held, against "one of them alone would do".

    The null of a pair: one of the two does not raise the failure rate where the other is present,
    given all other steps. For i where j is present that is `fuzzer.evidence.presence_e` of i over
    the failing rows that hold j; the same for j; and the smaller of two e-values is one against
    the union of their nulls. So a single cause, whose failures carry it and any other step in its
    known share, ranks none of its pairs; joint presence alone would rank them all. Tests under a
    known conditional law: Grünwald, Henzi and Lardy 2024, doi:10.1080/01621459.2023.2205607.
    """
    import numpy as np

    names = sorted({name for pair in tally.failed_together for name in pair})
    place = {name: at for at, name in enumerate(names)}
    shifts = GRID_STEP * np.arange(1, GRID_SIZE + 1)
    logs = np.zeros((GRID_SIZE, len(names), len(names)))  # of i (last) where j (middle) is present
    for start in range(0, len(tally.failing), 256):
        block = tally.failing[start : start + 256]
        present, chance = np.zeros((2, len(block), len(names)))
        for number, row in enumerate(block):
            for group in tally.outline.presences(row.seed, row.stratum, row.steps):
                for name, here, p in group:
                    if (at := place.get(name)) is not None:
                        present[number, at], chance[number, at] = here, p
        for g, shift in enumerate(shifts):
            logs[g] += present.T @ (shift * present - np.log1p(chance * np.expm1(shift)))
    top = logs.max(axis=0)
    mixed = top + np.log(np.exp(logs - top).mean(axis=0))
    least = np.minimum(mixed, mixed.T)
    return {
        pair: round(float(least[place[pair[0]], place[pair[1]]]), _DIGITS)
        if pair in tally.failed_together
        else 0.0
        for pair in tally.together
    }


# ----------------------------------------------------------------------------------- logistic fit


def logistic(tally: Tally, rows: Iterable[TransformRow]) -> Logistic:
    """A Firth fit of failing on the presence of invariant transforms, the first rows of D.

    One column a transform, and one a seed where failures are many enough for that. With few
    failures, or where a fit of all would take long, only the transforms with the largest e-values
    are columns. See `fuzzer.firth`; the intervals are Wald's, at 95%.
    """
    import numpy as np

    n, harmful = len(tally.first), sum(failed for _, _, failed in tally.first)
    rarer = min(harmful, n - harmful)
    usable = [row for row in rows if row.relation == "invariant"]
    counts = Counter(name for _, held, _ in tally.first for name in held)
    usable = [row for row in usable if 0 < counts[row.name] < n]
    base = {"n": n, "harmful": harmful, "transforms": len(usable)}
    if rarer < FIT_NEEDS:
        kind = "failures" if harmful <= n - harmful else "rows that passed"
        return Logistic(**base, reason=f"{rarer} {kind} on D, and a fit needs {FIT_NEEDS}")
    if not usable:
        return Logistic(**base, reason="no transform was in some rows and not in others")
    seeds = [seed for seed in tally.outline.seeds if any(seed == s for s, _, _ in tally.first)]
    levels = seeds[1:] if FIT_EVENTS * 2 * len(seeds) <= rarer else []
    most = max(1, min(rarer // FIT_EVENTS, math.isqrt(FIT_SIZE // n)) - len(levels) - 1)
    chosen = sorted(usable, key=lambda row: (-row.e_value, -row.effect, row.name))[:most]
    columns = [[1.0] * n]
    columns += [[float(seed == level) for seed, _, _ in tally.first] for level in levels]
    columns += [[float(row.name in held) for _, held, _ in tally.first] for row in chosen]
    fit = firth(np.array(columns).T, np.array([float(failed) for _, _, failed in tally.first]))
    found = zip(chosen, fit.coefficients[-len(chosen) :], fit.errors[-len(chosen) :], strict=True)
    return Logistic(
        **base,
        seeds=bool(levels),
        converged=fit.converged,
        iterations=fit.iterations,
        reason=fit.reason,
        rows=tuple(
            LogisticRow(name=row.name, log_odds=_rounded(at), ci=_wald(at, error))
            for row, at, error in found
            if math.isfinite(error)
        ),
    )


def _wald(at: float, error: float) -> Interval:
    return _rounded(at - _Z * error), _rounded(at + _Z * error)


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS)
