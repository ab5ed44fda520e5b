"""A run concluded again from its store, after a person has looked: no call to subject or judge.

The search is played back as it was steered, by every failure; what a person said since changes only
what is concluded from it. Plans are those of the stored trials, so nothing is drawn and no judge is
needed; seeds and transforms must be the run's own, for the report tells of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from fuzzer import registry, summary
from fuzzer.calibration import Calibration
from fuzzer.campaign import CALIBRATION, ENDING, Ending, publish
from fuzzer.decision import Decision, Rules
from fuzzer.distribution import Distribution
from fuzzer.errors import ConfigurationError, StoreError
from fuzzer.evaluate import outcome_of, verdict_of
from fuzzer.exhibits import keep_scenarios
from fuzzer.exposure import swept_of
from fuzzer.graph import Catalogue
from fuzzer.holding import TRUST, Trust, without
from fuzzer.jury import noted
from fuzzer.minima import Minima, Shrunk, by_turns, in_order
from fuzzer.outline import OfPlans
from fuzzer.people import with_review
from fuzzer.proposal import D_STRATA, Draw, Proposal
from fuzzer.records import Report, Verdict
from fuzzer.rejudge import CHANGED, Variants
from fuzzer.scenario import Scenario
from fuzzer.search import Search
from fuzzer.store import RunStore, StoredOutcome, StoredRow
from fuzzer.transcript import Transcript
from fuzzer.transform import Plan, Step, Transform
from fuzzer.twins import PHASE as TWINS
from fuzzer.twins import with_twins
from fuzzer.variant import Judging, Variant

#: What no review can change, and nothing stored but the report itself still tells.
KEPT = (
    *("blind", "blind_draws", "stopped", "price", "cost_usd", "after_stop"),
    *("versions", "timing", "shrink_calls", "tokens", "judge", "distribution"),
)


def conclude_again(
    run: Path | str,
    *,
    catalogue: Catalogue | Iterable[Transform] | None = None,
    seeds: Iterable[Scenario | str] = (),
) -> Report:
    """Make a run's report again by what a person has said since, and write it into the run.

    `catalogue` and `seeds` are as `rejudge` takes them. Raises `HoldfastError` where the run has
    not ended, or its seeds or transforms are no longer what they were.
    """
    known = registry.find_catalogue() if catalogue is None else Catalogue.of(catalogue)
    own = [registry.find_seed(s) if isinstance(s, str) else s for s in seeds]
    with RunStore.resume(run) as store:
        return conclude(store, known, own)


def conclude(store: RunStore, catalogue: Catalogue, seeds: Iterable[Scenario] = ()) -> Report:
    """`conclude_again`, of a run that is open."""
    over = play_back(store, catalogue, seeds)
    report = tell(over, _shrunk(over.decision, over.end))
    before = over.before
    report = noted(report.model_copy(update={name: getattr(before, name) for name in KEPT}))
    report = with_review(summary.stopped_early(report, over.end.early), store)
    keep_scenarios(report, over.distribution, store)
    return publish(report, store)


@dataclass(frozen=True)
class Over:
    """A run that is over, played back: what it was told, and what it says now."""

    store: RunStore
    before: Report
    end: Ending
    trust: Trust
    rules: Rules
    distribution: Distribution
    decision: Decision


def play_back(
    store: RunStore,
    catalogue: Catalogue,
    seeds: Iterable[Scenario] = (),
    judging: Judging | None = None,
    *,
    referring: bool = False,
) -> Over:
    """A run's D and decision again, from its trials; see `conclude_again` for what it raises.

    `judging` and `referring` are for calls still to be made (`Distribution`).
    """
    before = ended(store)
    ending = store.get(ENDING)
    if ending is None:
        raise StoreError(
            f"the run in {str(store.directory)!r} was ended by an earlier Holdfast; sweep it once "
            "more with --resume, which makes no call, and its report can be made again"
        )
    trust = Trust.model_validate(store.get(TRUST) or {})
    swept = swept_of(without(catalogue, trust.left_out), store)
    distribution = _distribution(
        store, before, swept, seeds, judging or _never_judged, referring=referring
    )
    return Over(
        store=store,
        before=before,
        end=Ending.model_validate(ending),
        trust=trust,
        rules=_rules(before, store),
        distribution=distribution,
        decision=_decision(store, before),
    )


def tell(over: Over, shrinks: Sequence[Shrunk]) -> Report:
    """The report of a run as it is decided now, with these shrinks of its findings."""
    before, known = over.before, over.store.get(CALIBRATION)
    report = summary.report(
        decision=over.decision,
        rules=over.rules,
        distribution=over.distribution,
        judge=_Gone(before.judge.name, before.judge.version),
        model=before.model,
        rows=over.store.rows,
        shrinks=shrinks,
        nothing_to_draw=over.end.nothing_to_draw,
        calibration=None if known is None else Calibration.model_validate(known),
        blind_draws=summary.BlindDraws(
            before.blind, before.blind_draws, before.distribution.blind_share
        ),
    )
    twins = before.twins.seeds if before.twins else ()
    return with_twins(report, over.store.rows(TWINS), twins, before.alpha)


def ended(store: RunStore) -> Report:
    """The report of a run that has ended; `ConfigurationError` where it has not."""
    found = store.report()
    if found is None:
        shown = str(store.directory)
        if store.claim.get("kind") == "replay":
            raise ConfigurationError(
                f"{shown!r} holds a replay of a corpus, not a sweep; name a sweep's directory"
            )
        raise ConfigurationError(
            f"the run in {shown!r} has not ended; continue it with `holdfast sweep … --out {shown} "
            "--resume`"
        )
    if found.rules.get("policy") != Rules.model_fields["policy"].default:
        raise StoreError(
            f"the run in {str(store.directory)!r} was steered by another version, which chose its "
            "calls otherwise; conclude it with the version that made it"
        )
    return found


# ------------------------------------------------------------------------------ what it was made of


def _rules(before: Report, store: RunStore) -> Rules:
    try:
        return Rules.model_validate(before.rules)
    except ValidationError:
        raise StoreError(
            f"the run in {str(store.directory)!r} was decided by rules that this Holdfast does not "
            "have; use the version that made it"
        ) from None


def _distribution(
    store: RunStore,
    before: Report,
    catalogue: Catalogue,
    seeds: Iterable[Scenario],
    judging: Judging,
    *,
    referring: bool,
) -> Distribution:
    """D as it was declared; `ConfigurationError` where a part of it is not what it was."""
    claim, found = store.claim, Variants(store, catalogue, seeds)
    scenarios = []
    for name in before.seeds:
        seed = found.seed(name)
        if isinstance(seed, str):
            _cannot(store, seed)
        scenarios.append(seed)
    pools = {
        name: tuple(Step(transform=name, params=params) for params in pool)
        for name, pool in store.pools().items()
    }
    if gone := found.missing(pools):
        _cannot(store, gone)
    judge = claim.get("judge") or {}
    distribution = Distribution(
        catalogue,
        scenarios,
        pools,
        judging,
        random_seed=int(claim.get("random_seed", 0)),
        judged_by=f"{judge.get('name', '')} {judge.get('version', 1)}",
        referring=referring,
    )
    if distribution.hash != (claim.get("distribution") or {}).get("hash"):
        extra = sorted(t.name for t in catalogue if t.name not in pools and t.relation in _DRAWN)
        _cannot(
            store,
            f"the transform {extra[0]!r} was not there when it was swept; leave it out"
            if extra
            else CHANGED,
        )
    return distribution


_DRAWN = ("invariant", "sham")


def _cannot(store: RunStore, why: str) -> NoReturn:
    raise ConfigurationError(
        f"the report of the run in {str(store.directory)!r} cannot be made again: {why}"
    )


def _never_judged(variant: Variant, transcript: Transcript) -> Verdict:  # noqa: ARG001
    raise AssertionError("nothing is drawn, so nothing is admitted")


class _Gone:
    """The judge of the run, by name: everything it had to say is stored."""

    def __init__(self, name: str, version: int) -> None:
        self.name, self.version = name, version

    async def judge(self, variant: Variant, transcript: Transcript) -> Verdict:
        return _never_judged(variant, transcript)


# ---------------------------------------------------------------------------------- played back


class _Recorded(OfPlans):
    """Plans as they were drawn, read from the trials: a `PlanSource` for a run that is over."""

    def __init__(self, rows: Iterable[StoredRow], before: Report) -> None:
        self.seeds = before.seeds
        self.far_share = before.distribution.far_share
        self.next: Draw | None = None  # what the run called at the index to be asked about
        self._behaviours = {row.seed: row.behaviour for row in before.seeds_detail}
        self._drawn: dict[str, list[Draw]] = defaultdict(list)
        self._neighbours: dict[tuple[str, Plan], Draw] = {}
        for row in rows:
            kind = "draw" if row.stratum in D_STRATA else row.stratum
            self._drawn[kind].append(draw_of(row))
            if kind == "neighbour":
                self._neighbours[row.seed, row.plan] = draw_of(row)

    def canonical(self, k: int) -> Draw:
        return self._drawn["canonical"][k]

    def draw(self, k: int) -> Draw:
        return self._drawn["draw"][k]

    def all_on(self, k: int) -> Draw:
        return self._drawn["all_on"][k]

    def far_draw(self, k: int, seed: str) -> Draw:  # noqa: ARG002 - the block's seed is its draw's
        return self._drawn["far"][k]

    def behaviour(self, seed: str) -> str:
        return self._behaviours.get(seed, "")

    def subset(self, seed: str, plan: Plan, keep: Iterable[int]) -> Draw | None:
        return self._neighbours.get((seed, plan.keep(keep)))  # what was blind was not called

    def transfer(self, plan: Plan, seed: str) -> Draw | None:
        return self._neighbours.get((seed, Plan(seed=seed, steps=plan.steps)))

    def apart(self, k: int, known: tuple[Plan, ...]) -> Draw | None:  # noqa: ARG002 - as it was made
        return self.next if self.next is not None and self.next.stratum == "neighbour" else None


def draw_of(row: StoredRow) -> Draw:
    """The draw that a trial was made of."""
    return Draw(row.seed, row.plan, row.stratum, row.distance)


def _decision(store: RunStore, before: Report) -> Decision:
    """What the run says now: its search told again all it was told, and what a person said."""
    source = _Recorded(store.rows(), before)
    search = Search(_rules(before, store), source)
    for row, stored in zip(store.rows(), store.outcomes(), strict=True):
        if search.done or stored.idx != search.accounts.absorbed:
            break
        source.next = draw_of(row)
        (proposal,) = search.ask(1)
        if stored.value is None or not _same(proposal, row, stored):
            raise StoreError(
                f"trial {stored.idx} in {str(store.directory)!r} is not what this Holdfast would "
                "run there; conclude it with the version that began it"
            )
        search.tell(stored.idx, outcome_of(verdict_of(stored)))
    search.end()
    return search.result()


def _same(proposal: Proposal, row: StoredRow, stored: StoredOutcome) -> bool:
    asked = (proposal.seed, proposal.plan, proposal.stratum, proposal.account, proposal.epoch)
    return asked == (row.seed, row.plan, row.stratum, row.account, stored.epoch)


def _shrunk(decision: Decision, end: Ending) -> list[Shrunk]:
    """The findings with the shrinks that were made; one that a minimum explains is left out."""
    minima, found = Minima(), []
    for episode in by_turns(decision, end.shrinks.__contains__):
        if minima.explain(episode):
            continue
        shrunk = end.shrunk(episode) if episode.supported else Shrunk(episode)
        minima.add(shrunk)
        found.append(shrunk)
    return in_order(found)
