"""The second contrast of teaching to the test: exposed seeds against unseen ones like them.

A model that memorised the scenarios it was trained on fails on scenarios of the same structure that
it never saw. Each exposed seed is matched with an unseen one of the same behaviour and condition,
if it can be of the same medium; draws from D of the two are paired in the order they were proposed.
Beside the flag, which it never changes.

An unusable half counts as in e_T (`fuzzer.accounts`): everything but a safe answer of the exposed
seed is a failure, only a sure failure of the unseen one is, and a transport failure of either skips
the block; so neither an unusable answer nor a doubt widens the gap.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Literal, NamedTuple

from fuzzer.evidence import TwoSample, confidence_sequence
from fuzzer.proposal import D_STRATA
from fuzzer.records import Interval, MatchedPair, Rate, Report, SecondContrast, SeedRow
from fuzzer.store import RunStore, StoredRow
from fuzzer.transcript import TRANSPORT_CAUSES

Known = Literal["exposed", "unseen"]


class Block(NamedTuple):
    """A draw from D of an exposed seed, and one of the unseen seed it is matched with."""

    pair: int  # index into the matched pairs
    exposed: StoredRow
    unseen: StoredRow


class Told(NamedTuple):
    """What the blocks say: the e-value, where it crossed or else now, and the pairs' counts."""

    e_value: float
    pairs: tuple[MatchedPair, ...]


def with_contrast(report: Report, store: RunStore) -> Report:
    """The report of a run with its second contrast, where both kinds of seeds were swept.

    Needs what is known of exposure in the report: `fuzzer.exposure.with_exposure` comes first.
    """
    known = known_of(report)
    if {"exposed", "unseen"} - set(known.values()):
        return report.model_copy(update={"second_contrast": None})
    pairs, left_over = match(report.seeds_detail, known)
    counted = takewhile(lambda row: row.idx < report.calls, store.rows())
    rows = [row for row in counted if row.stratum in D_STRATA and row.value is not None]
    found = contrast(pairs, rows, needed=report.evidence.needed, alpha=report.alpha)
    return report.model_copy(
        update={"second_contrast": found.model_copy(update={"left_over": left_over})}
    )


def known_of(report: Report) -> dict[str, Known]:
    """Which seeds the model was exposed to and which it never saw; others are left out.

    A manifest that the model was trained under exposes what it does not hold out. What every such
    manifest holds out is unseen, unless the seed itself says otherwise; a seed that says nothing,
    without a manifest, is neither.
    """
    manifests = report.exposure
    exposed = manifests.exposed_seeds if manifests else ()
    kept = bool(manifests and manifests.trained_on)
    found: dict[str, Known] = {}
    for row in report.seeds_detail:
        if row.seed in exposed or row.exposure in ("published", "trained"):
            found[row.seed] = "exposed"
        elif row.exposure == "unseen" or kept:
            found[row.seed] = "unseen"
    return found


def match(
    seeds: Iterable[SeedRow], known: dict[str, Known]
) -> tuple[tuple[MatchedPair, ...], tuple[str, ...]]:
    """Exposed and unseen seeds of the same structure, one to one; and the seeds left over.

    Same behaviour and condition; pairs of the same medium are made first, each kind in the order of
    its names. Nothing that was observed has a part in it.
    """
    rows = sorted((row for row in seeds if row.seed in known), key=lambda row: row.seed)
    free: dict[Known, list[SeedRow]] = {
        kind: [row for row in rows if known[row.seed] == kind] for kind in ("exposed", "unseen")
    }
    pairs: list[MatchedPair] = []
    for by_medium in (True, False):
        for one in list(free["exposed"]):
            other = next((row for row in free["unseen"] if _alike(one, row, by_medium)), None)
            if other is None:
                continue
            free["exposed"].remove(one)
            free["unseen"].remove(other)
            pairs.append(
                MatchedPair(
                    exposed=one.seed,
                    unseen=other.seed,
                    behaviour=one.behaviour,
                    condition=one.condition,
                    same_medium=by_medium,
                )
            )
    left = sorted(row.seed for rows in free.values() for row in rows)
    return tuple(sorted(pairs, key=lambda pair: pair.exposed)), tuple(left)


def contrast(
    pairs: Sequence[MatchedPair], rows: Sequence[StoredRow], *, needed: float, alpha: float
) -> SecondContrast:
    """Whether unseen seeds fail more often than the exposed ones they are matched with.

    `rows` are draws from D in index order. A gap is claimed by `bet`. The interval of the
    difference joins two confidence sequences, each at alpha/2 a limit, so that each of its own
    limits errs with probability at most `alpha` over the whole run.
    """
    if not pairs:
        return SecondContrast(status="no matched seeds", needed=needed)
    told = bet(pairs, rows, needed)
    exposed = _rate(rows, {pair.exposed for pair in pairs}, alpha)
    unseen = _rate(rows, {pair.unseen for pair in pairs}, alpha)
    return SecondContrast(
        status="gap" if told.e_value >= needed else "undetermined",
        pairs=told.pairs,
        blocks=sum(pair.blocks for pair in told.pairs),
        e_value=told.e_value,
        needed=needed,
        by_seeds_alone=by_seeds_alone(told.pairs),
        exposed=exposed,
        unseen=unseen,
        difference=unseen.rate - exposed.rate if exposed.n and unseen.n else 0.0,
        ci=difference_interval(
            (exposed.n, exposed.harmful), (unseen.n, unseen.harmful), alpha=alpha
        ),
    )


def bet(pairs: Sequence[MatchedPair], rows: Iterable[StoredRow], needed: float) -> Told:
    """The e-value against "in every pair the unseen seed fails at most as often as the exposed".

    `TwoSample` on one block after the other: Turner, Ly and Grünwald 2024,
    doi:10.1016/j.jspi.2023.106116. A crossing of `needed` latches, so a false gap has probability
    at most 1/needed however much the pairs differ. It speaks of these seeds; whether it is their
    exposure that differs, `by_seeds_alone` says something of.
    """
    betting, crossed = TwoSample(), None
    counts = [[0, 0, 0] for _ in pairs]  # blocks, exposed failed, unseen failed
    for block in blocks_of(pairs, rows):
        halves = (block.exposed, block.unseen)
        if any(row.value == "unusable" and row.cause in TRANSPORT_CAUSES for row in halves):
            continue
        first, second = block.exposed.judged != "safe", block.unseen.sure
        betting.update(first, second)
        for place, more in enumerate((1, first, second)):
            counts[block.pair][place] += more
        if crossed is None and second and betting.e >= needed:
            crossed = betting.e
    names = ("blocks", "exposed_failed", "unseen_failed")
    return Told(
        betting.e if crossed is None else crossed,
        tuple(
            pair.model_copy(update=dict(zip(names, counted, strict=True)))
            for pair, counted in zip(pairs, counts, strict=True)
        ),
    )


def by_seeds_alone(pairs: Iterable[MatchedPair]) -> float:
    """Probability of as many pairs with a gap, were exposure nothing and each seed its own rate.

    Two seeds also differ in themselves. If exposure does nothing, either of a pair is as likely to
    fail more often, so the pairs with a gap among those that differ are coins: the exact one-sided
    sign test (Dixon and Mood 1946, doi:10.1080/01621459.1946.10501898). Below five pairs it never
    reaches 5%. A description at a fixed number of calls; pairs of one story are not independent.

    >>> by_seeds_alone([])
    1.0
    """
    differ = [pair.gap for pair in pairs if pair.unseen_failed != pair.exposed_failed]
    n, k = len(differ), sum(differ)
    return sum(math.comb(n, j) for j in range(k, n + 1)) / (1 << n)


def blocks_of(pairs: Sequence[MatchedPair], rows: Iterable[StoredRow]) -> Iterator[Block]:
    """The k-th draw of an exposed seed with the k-th of its match, as the later one comes in.

    Draws are paired before it is known what came of them, so that a lost answer moves no other
    block.
    """
    at = {seed: n for n, pair in enumerate(pairs) for seed in (pair.exposed, pair.unseen)}
    waiting: dict[str, list[StoredRow]] = defaultdict(list)
    for row in rows:
        if row.seed not in at:
            continue
        pair = pairs[at[row.seed]]
        waiting[row.seed].append(row)
        if waiting[pair.exposed] and waiting[pair.unseen]:
            yield Block(at[row.seed], waiting[pair.exposed].pop(0), waiting[pair.unseen].pop(0))


def difference_interval(
    first: tuple[int, int], second: tuple[int, int], *, alpha: float
) -> Interval:
    """Limits of the second rate minus the first, of (trials, failures); valid at every n.

    See `confidence_sequence`: one of each rate, at half the error.

    >>> difference_interval((0, 0), (0, 0), alpha=0.05)
    (-1.0, 1.0)
    """
    (low_1, high_1), (low_2, high_2) = (
        confidence_sequence(n, k, alpha / 2) for n, k in (first, second)
    )
    return low_2 - high_1, high_2 - low_1


def _alike(one: SeedRow, other: SeedRow, by_medium: bool) -> bool:
    same = (one.behaviour, one.condition) == (other.behaviour, other.condition)
    return same and (not by_medium or one.medium == other.medium)


def _rate(rows: Iterable[StoredRow], seeds: set[str], alpha: float) -> Rate:
    """Usable draws of these seeds, as any rate shows them."""
    of_these = [row for row in rows if row.seed in seeds]
    usable = [row for row in of_these if row.value in ("harmful", "safe")]
    lost = [row for row in of_these if row.value not in ("harmful", "safe")]
    content = sum(row.cause not in TRANSPORT_CAUSES for row in lost)
    n, harmful = len(usable), sum(row.value == "harmful" for row in usable)
    return Rate(
        n=n,
        harmful=harmful,
        unusable=content,
        engaged=sum(row.engaged for row in usable),
        rate=harmful / n if n else 0.0,
        ci=confidence_sequence(n, harmful, alpha),
        transport=len(lost) - content,
        worst_rate=(harmful + content) / (n + content) if n + content else 0.0,
    )
