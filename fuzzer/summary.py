"""A finished search, its trials and its shrinks, told as a `Report`.

Reads trials as a stream, once for each table it makes, and decides nothing: verdict, baseline and
flag are the search's. Every rate comes with its interval.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product, takewhile
from typing import Any, NamedTuple

from fuzzer import attribution
from fuzzer import calibration as calibrating
from fuzzer.calibration import Calibration
from fuzzer.decision import Counts, Decision, Group, Rules
from fuzzer.distribution import VERSION as DISTRIBUTION_VERSION
from fuzzer.distribution import Distribution
from fuzzer.evidence import confidence_sequence
from fuzzer.findings import Rows, levels, tell, usable, vouched
from fuzzer.graph import Catalogue
from fuzzer.judges import Judge
from fuzzer.limits import Limits
from fuzzer.minima import Shrunk
from fuzzer.prices import cost
from fuzzer.proposal import D_STRATA
from fuzzer.records import (
    AfterStop,
    Blind,
    Bound,
    Coverage,
    EvidenceRow,
    FamilyPair,
    FlagDetail,
    JudgeInfo,
    Rate,
    Report,
    SeedFamily,
    SeedRow,
    Share,
    Timing,
    Trial,
    Unusable,
    Utility,
)
from fuzzer.records import Distribution as DistributionInfo
from fuzzer.store import RunStore, StoredRow
from fuzzer.transcript import Usage
from fuzzer.transform import Plan

BLIND_LIMIT = 0.01  # share of draws above which nothing is attributed
BLIND_SHOWN = 50
Examples = dict[str, Trial]  # by finding


@dataclass(slots=True)
class _Table:
    """What one pass over a sweep's trials leaves behind."""

    rows_of_d: attribution.Tally
    drawn: Counter[str] = field(default_factory=Counter)  # rows by kind, as `Distribution` counts
    apart: int = 0  # neighbours drawn apart from what was found
    causes: Counter[str] = field(default_factory=Counter)
    by_family: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    cells: dict[tuple[str, str], list[int]] = field(  # by seed and family
        default_factory=lambda: defaultdict(lambda: [0, 0])
    )
    vouched: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by account
    useful: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    tokens: Usage = field(default_factory=Usage)


def report(
    *,
    decision: Decision,
    rules: Rules,
    distribution: Distribution,
    judge: Judge,
    model: str,
    rows: Rows,
    shrinks: Sequence[Shrunk],
    nothing_to_draw: str = "",
    calibration: Calibration | None = None,
    blind_draws: "BlindDraws | None" = None,
) -> Report:
    """The report of a run; a sentence is added by whoever prints it.

    With a `calibration` of its judge the canonical and the mutated rate stand corrected beside the
    plain ones; nothing else changes, what the evidence takes from it is in `rules`. `blind_draws`
    are the blind variants met, where the distribution that met them is gone.
    """
    last = decision.deciding_index
    counted = takewhile(lambda row: last is None or row.idx <= last, rows("sweep"))
    table = _read(counted, distribution)
    blind, blind_count, blind_share = blind_draws or _blind(table, distribution)
    attributed = blind_share <= BLIND_LIMIT
    rows_of_d = table.rows_of_d
    by_transform = attribution.transform_rows(
        rows_of_d,
        rules.alpha,
        attributed=attributed,
        flips=calibration.flips if calibration else None,
    )
    findings = tell(shrinks, decision, distribution, rows, table.vouched)
    shrunk = [row for each in shrinks for level in levels(each) for row in rows(level.phase)]
    notes = list(decision.notes)
    if nothing_to_draw:
        notes.insert(0, nothing_to_draw)
    if not attributed:
        notes.append(
            f"{blind_share:.1%} of draws were blind: nothing is attributed to single transforms."
        )
    return Report(
        verdict=decision.verdict,
        baseline=decision.baseline,
        teaching_to_the_test=decision.flag,
        model=model,
        seeds=distribution.seeds,
        threshold=rules.threshold,
        alpha=rules.alpha,
        calls=decision.calls,
        calls_by_kind={
            "mutated" if kind == "draw" else kind: n for kind, n in sorted(table.drawn.items())
        },
        canonical=_rate(decision.canonical, rules.alpha, calibration),
        mutated=_rate(decision.mutated, rules.alpha, calibration),
        evidence=EvidenceRow(
            e_brittle=decision.e_brittle,
            e_holds=decision.e_holds,
            needed=decision.needed,
            e_canonical=decision.e_canonical,
            needed_holds=decision.needed_holds,
        ),
        transforms=by_transform,
        findings=findings,
        blind=blind[:BLIND_SHOWN],
        unusable=Unusable(by_cause=dict(sorted(table.causes.items()))),
        reason=nothing_to_draw or decision.reason,
        sufficient_budget=decision.sufficient_budget,
        provisional=decision.provisional,
        notes=tuple(notes),
        seeds_detail=tuple(_seed_row(name, decision, distribution) for name in distribution.seeds),
        worst_seed=_worst(
            ((name, c.n, c.harmful) for name, c in decision.mutated.per_seed.items()), rules.alpha
        ),
        worst_family=_worst(
            ((name, n, k) for name, (n, k) in table.by_family.items()), rules.alpha
        ),
        flag=FlagDetail(
            e_two_sample=decision.e_two_sample,
            e_far=decision.e_far,
            e_far_n=decision.far_read[0],
            e_far_harmful=decision.far_read[1],
            needed=decision.needed,
            blocks=decision.flag_blocks,
            seeds_with_gap=sum(far > one for one, far in decision.block_failures.values()),
            canonical_harmful=sum(one for one, _ in decision.block_failures.values()),
            far_harmful=sum(far for _, far in decision.block_failures.values()),
            memorised_seeds=rules.memorised_seeds,
        ),
        seed_families=_seed_families(table, distribution, rules.alpha),
        dose=rows_of_d.dose(rules.alpha),
        dose_text=rows_of_d.dose_text(rules.alpha),
        pairs=attribution.pair_rows(rows_of_d, findings, attributed=attributed),
        logistic=attribution.logistic(rows_of_d, by_transform) if attributed else None,
        shams=attribution.noise_floor(by_transform, rows_of_d),
        coverage=_coverage(distribution, rows_of_d),
        blind_draws=blind_count,
        judge=JudgeInfo(
            name=judge.name,
            version=judge.version,
            q0=decision.q0,
            specificity=rules.specificity,
            sensitivity=rules.sensitivity,
            calibration=calibration.hash if calibration else "",
            quality=calibrating.in_short(calibration) if calibration else None,
        ),
        distribution=DistributionInfo(
            hash=distribution.hash,
            version=DISTRIBUTION_VERSION,
            seeds=distribution.seeds,
            far_share=distribution.far_share,
            blind_share=blind_share,
        ),
        rules=rules.model_dump(mode="json"),
        utility=_utility(table, rules.alpha),
        shrink_calls=len(shrunk),
        tokens=sum((row.usage for row in shrunk), table.tokens),
        after_stop=AfterStop(calls=decision.after_stop),
    )


def priced(report: Report, store: RunStore, limits: Limits) -> Report:
    """The report with what the run cost, and why it stopped before its budget if it did."""
    left = store.count_from(report.calls)
    total, counted = store.usage(), report.tokens
    price = limits.price
    update: dict[str, Any] = {
        "stopped": limits.stopped,
        "after_stop": AfterStop(calls=left),
    }
    if price is not None:
        paid, rated = (cost(tokens, price, batch=limits.batch) for tokens in (total, counted))
        update["cost_usd"] = rated
        update["after_stop"] = AfterStop(calls=left, cost_usd=max(0.0, paid - rated))
        update["price"] = price.model_dump(mode="json")
    return stopped_early(report.model_copy(update=update), limits.reason)


def stopped_early(report: Report, why: str) -> Report:
    """The report with why the run stopped before its budget; as it is where it did not."""
    if not why:
        return report
    early = f"the run stopped early: {why}"
    if report.verdict == "inconclusive":
        return report.model_copy(update={"reason": early})
    # The verdict stands, but less was looked for than its budget allowed.
    notes = (f"{early[0].upper()}{early[1:]}.", *report.notes)
    return report.model_copy(update={"notes": notes})


def timing(started: datetime, finished: datetime, seconds: float) -> Timing:
    """When a run was made, and how long it took."""
    return Timing(
        started=started.isoformat(timespec="seconds"),
        finished=finished.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
    )


def examples(
    report: Report,
    failures: Callable[[str], Iterable[tuple[int, Plan]]],
    trial: Callable[[int, str], Trial | None],
) -> Examples:
    """For each finding, a trial in which its minimal plan failed (else its plan).

    `failures` are those of a phase, in index order; each phase is read once.
    """
    first: dict[str, dict[str, int]] = {}  # by phase and plan
    found: Examples = {}
    for finding in report.findings:
        minimal = Plan(seed=finding.seed, steps=finding.minimal_plan)
        whole = Plan(seed=finding.seed, steps=finding.plan)
        phase = f"shrink:{finding.id.removeprefix('F')}"
        for wanted, where in product((minimal, whole), (f"{phase}:values", phase, "sweep")):
            if where not in first:
                first[where] = {}
                for idx, plan in failures(where):
                    first[where].setdefault(plan.id, idx)
            hit = first[where].get(wanted.id)
            if hit is not None and (failed := trial(hit, where)) is not None:
                found[finding.id] = failed
                break
    return found


# ----------------------------------------------------------------------------------- one pass


def _read(rows: Iterable[StoredRow], distribution: Distribution) -> _Table:
    table = _Table(attribution.Tally(distribution.outline))
    known = distribution.catalogue
    for row in rows:
        table.tokens += row.usage
        table.drawn["draw" if row.stratum in D_STRATA else row.stratum] += 1
        table.apart += row.stratum == "neighbour" and row.account == "descriptive"
        if row.value is None:
            continue
        if not usable(row):
            table.causes[row.cause or "referral unresolved"] += 1
            continue
        if row.stratum == "replay" and row.value == "harmful":
            table.vouched[row.account].add(vouched(row))
        mutated = row.stratum in D_STRATA
        if row.utility is not None and (mutated or row.stratum == "canonical"):
            _add(table.useful["mutated" if mutated else "canonical"], row.utility >= 1)
        if not mutated:
            continue
        failed = row.value == "harmful"
        present = [known[step.transform] for step in row.plan.steps]
        for family in {t.family for t in present if t.relation == "invariant"}:
            _add(table.by_family[family], failed)
            _add(table.cells[row.seed, family], failed)
        table.rows_of_d.add(
            attribution.Row(
                row.seed, row.stratum, row.plan.steps, row.distance, failed, row.changed
            )
        )
    return table


def _add(counts: list[int], failed: bool) -> None:
    counts[0] += 1
    counts[1] += failed


# -------------------------------------------------------------------------------------- tables


def _rate(group: Group, alpha: float, calibration: Calibration | None) -> Rate:
    corrected = None
    if calibration is not None:
        corrected = calibrating.corrected(calibration, group.n, group.harmful, alpha)
    return Rate(
        n=group.n,
        harmful=group.harmful,
        unusable=group.content,
        engaged=group.engaged,
        rate=group.rate or 0.0,
        ci=group.ci,
        transport=group.transport,
        worst_rate=group.worst_rate or 0.0,
        corrected=corrected,
    )


def _utility(table: _Table, alpha: float) -> Utility | None:
    if not table.useful:
        return None
    shares = {kind: share(n, done, alpha) for kind, (n, done) in table.useful.items()}
    return Utility(**shares)


def share(n: int, done: int, alpha: float) -> Share:
    """How many of `n` trials were done, with an interval."""
    if not n:
        return Share()
    return Share(n=n, done=done, rate=done / n, ci=confidence_sequence(n, done, alpha))


def _counts_rate(counts: Counts | None, alpha: float) -> Rate:
    answered = counts.n + counts.content if counts else 0
    if counts is None or not answered:
        return Rate()
    return Rate(
        n=counts.n,
        harmful=counts.harmful,
        unusable=counts.content,
        engaged=counts.engaged,
        rate=counts.harmful / counts.n if counts.n else 0.0,
        ci=confidence_sequence(counts.n, counts.harmful, alpha),
        transport=counts.transport,
        worst_rate=(counts.harmful + counts.content) / answered,
    )


def _seed_row(name: str, decision: Decision, distribution: Distribution) -> SeedRow:
    alpha = 1 / decision.needed
    seed = distribution.scenarios[name]
    canonical, far = decision.block_failures.get(name, (0, 0))
    pairs = decision.block_pairs.get(name, 0)
    return SeedRow(
        seed=name,
        exposure=seed.exposure,
        version=seed.version,
        content_hash=seed.content_hash,
        family=seed.family,
        behaviour=seed.ledger.behaviour,
        condition=seed.condition,
        medium=seed.medium,
        elicits=seed.elicits,
        canonical=_counts_rate(decision.canonical.per_seed.get(name), alpha),
        mutated=_counts_rate(decision.mutated.per_seed.get(name), alpha),
        gap=far > canonical if pairs else None,
        gap_pairs=pairs,
        gap_canonical=canonical,
        gap_far=far,
    )


def _worst(groups: Iterable[tuple[str, int, int]], alpha: float) -> Bound | None:
    """The group (name, usable, harmful) whose rate may be highest; None without any."""
    bounds = [
        Bound(name=name, n=n, harmful=k, rate=k / n, ci=confidence_sequence(n, k, alpha))
        for name, n, k in groups
        if n
    ]
    return max(bounds, key=lambda b: (b.ci[1], b.rate, b.name), default=None)


def _seed_families(
    table: _Table, distribution: Distribution, alpha: float
) -> tuple[SeedFamily, ...]:
    """Every family that applies to each seed, with the rows of D that hold it."""
    rows = []
    for name, seed in distribution.scenarios.items():
        fitting = distribution.catalogue.choices(seed, "invariant")
        for family in dict.fromkeys(t.family for group in fitting for t in group):
            n, k = table.cells.get((name, family), (0, 0))
            told = {"n": n, "harmful": k, "rate": k / n} if n else {}
            ci = confidence_sequence(n, k, alpha) if n else (0.0, 1.0)
            rows.append(SeedFamily(seed=name, family=family, ci=ci, **told))
    return tuple(rows)


def _coverage(distribution: Distribution, rows_of_d: attribution.Tally) -> Coverage:
    known = distribution.catalogue
    possible: set[attribution.Pair] = set()
    for seed in distribution.scenarios.values():
        possible |= known.compatible_pairs(seed)
    tried = {pair: n for pair, n in rows_of_d.together.items() if pair in possible}
    failed = rows_of_d.failed_together
    names = tuple(name for name in known.order if any(name in pair for pair in possible))
    place = {name: at for at, name in enumerate(names)}

    def at(pair: attribution.Pair) -> tuple[int, int]:
        return place[pair[0]], place[pair[1]]

    return Coverage(
        pairs_possible=len(possible),
        pairs_tried=len(tried),
        pairs_failing=sum(failed[pair] > 0 for pair in tried),
        transforms=names,
        tried=tuple(sorted((*at(pair), n, failed[pair]) for pair, n in tried.items())),
        untried=tuple(sorted(at(pair) for pair in possible if pair not in tried)),
        families=_family_pairs(known, possible, rows_of_d),
    )


def _family_pairs(
    known: Catalogue, possible: Set[attribution.Pair], rows_of_d: attribution.Tally
) -> tuple[FamilyPair, ...]:
    """The same by family; a pair of families stands in the order of their first transforms."""
    order = {family: at for at, family in enumerate(dict.fromkeys(t.family for t in known))}
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for pair in possible:
        one, other = sorted((known[name].family for name in pair), key=order.__getitem__)
        found = counts[one, other]
        found[0] += 1
        found[1] += rows_of_d.together[pair] > 0
        found[2] += rows_of_d.failed_together[pair] > 0
    return tuple(
        FamilyPair(
            families=families,
            possible=count,
            tried=tried,
            failing=failing,
            n=rows_of_d.by_families[families][0],
            harmful=rows_of_d.by_families[families][1],
        )
        for families, (count, tried, failing) in sorted(
            counts.items(), key=lambda item: (order[item[0][0]], order[item[0][1]])
        )
    )


class BlindDraws(NamedTuple):
    """The blind variants a run met: those listed, how many in all, and their share of draws."""

    listed: tuple[Blind, ...]
    met: int
    share: float


def _blind(table: _Table, distribution: Distribution) -> BlindDraws:
    """The blind variants a run met, and the share of blind ones among its draws from D.

    Rows are counted up to the deciding index, so a draw for a call beyond it is in neither.
    """
    counted = {"draw": 0, "all_on": 0, "far": 0} | table.drawn | {"apart": table.apart}
    met: set[tuple[str, Plan]] = set()
    beyond: set[tuple[str, Plan]] = set()
    rejected = 0
    for (kind, k), found in distribution.rejected.items():
        (met if k < counted[kind] else beyond).update(found)
        rejected += len(found) if kind == "draw" and k < counted[kind] else 0
    blind = tuple(b for key, b in distribution.blind.items() if key not in beyond or key in met)
    rows = counted["draw"] + rejected
    return BlindDraws(blind, len(blind), rejected / rows if rows else 0.0)
