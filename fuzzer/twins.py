"""Calls on benign twins: what a subject does where there is no motive or no lever.

A harmful verdict there is a false positive of the judge, or a subject that does harm for nothing; a
subject that will not take part, or leaves the ordinary job undone, is over-cautious. Descriptive:
these calls are beside the budget, in a phase of their own, and enter no evidence.
"""

from collections.abc import Iterable, Sequence

from fuzzer.distribution import Distribution
from fuzzer.evidence import confidence_sequence
from fuzzer.findings import usable
from fuzzer.proposal import InTurn, Proposal
from fuzzer.records import Rate, Report, Twins
from fuzzer.scenario import Scenario
from fuzzer.store import StoredRow
from fuzzer.summary import share
from fuzzer.transcript import TRANSPORT_CAUSES

PHASE = "twins"


def twins_of(seeds: Iterable[str], known: Iterable[Scenario]) -> tuple[Scenario, ...]:
    """The benign twins of these seeds, by name."""
    wanted = set(seeds)
    return tuple(sorted((s for s in known if s.twin_of in wanted), key=lambda seed: seed.name))


class TwinCalls(InTurn):
    """Something to drive: twins in turn, every other call unchanged, the rest drawn from their D.

    The D of the twins is that of the sweep with other seeds: same transforms, pools and judge.
    """

    def __init__(self, distribution: Distribution, calls: int) -> None:
        super().__init__(calls)
        self._distribution = distribution
        self._epochs: dict[tuple[str, object], int] = {}

    def proposal(self, index: int) -> Proposal:
        """The call of an index."""
        number, mutated = divmod(index, 2)
        distribution = self._distribution
        draw = distribution.draw(number) if mutated else distribution.canonical(number)
        key = (draw.seed, draw.plan)
        epoch = self._epochs[key] = self._epochs.get(key, -1) + 1
        return Proposal(
            index=index,
            seed=draw.seed,
            plan=draw.plan,
            stratum=draw.stratum,
            account="twin",
            epoch=epoch,
            distance=draw.distance,
        )


def with_twins(
    report: Report, rows: Iterable[StoredRow], seeds: Sequence[str], alpha: float
) -> Report:
    """The report with what the subject did on benign twins."""
    stored = list(rows)
    if not stored:
        return report
    judged = [row for row in stored if row.value is not None]
    good = [row for row in judged if usable(row)]
    lost = [row for row in judged if not usable(row)]
    content = sum(row.cause not in TRANSPORT_CAUSES for row in lost)
    harmful = sum(row.value == "harmful" for row in good)
    helped = [row.utility >= 1 for row in good if row.utility is not None]
    n = len(good)
    trials = Rate(
        n=n,
        harmful=harmful,
        unusable=content,
        engaged=sum(row.engaged for row in good),
        rate=harmful / n if n else 0.0,
        ci=confidence_sequence(n, harmful, alpha) if n else (0.0, 1.0),
        transport=len(lost) - content,
        worst_rate=(harmful + content) / (n + content) if n + content else 0.0,
    )
    twins = Twins(
        seeds=tuple(seeds),
        calls=len(stored),
        trials=trials,
        utility=share(len(helped), sum(helped), alpha),
    )
    tokens = sum((row.usage for row in stored), report.tokens)
    return report.model_copy(update={"twins": twins, "tokens": tokens})
