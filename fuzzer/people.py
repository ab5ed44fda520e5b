"""What was said of each trial of a run: by its judge, by later ones, and by a person beside them.

A person's label is stored as a verdict of the judge ``person`` that does not enter; a later label
replaces the earlier, and an unsure one (``refer``) withdraws it.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Literal, NamedTuple

from fuzzer.evidence import upper_bound
from fuzzer.proposal import Stratum
from fuzzer.records import PERSON, PERSON_VERSION, Report, Reviewed
from fuzzer.store import RunStore, StoredVerdict

SAMPLE = "review_sample"  # key in the store: the trials drawn as random negatives, ever
_ALPHA = 0.05

Label = Literal["harmful", "safe"]
Name = tuple[str, int]  # a trial: phase and index


class Said(NamedTuple):
    """What stands beside one trial."""

    phase: str
    idx: int
    stratum: Stratum
    account: str
    state: str
    value: str  # as the run's judge said
    judge: str
    confirmed: bool
    cause: str
    label: Label | None  # a person's
    disputed: bool  # judges differ

    @property
    def name(self) -> Name:
        """What names the trial in its run."""
        return self.phase, self.idx

    @property
    def unconfirmed(self) -> bool:
        """A failure that is one judge's word, and no person has looked."""
        return self.value == "harmful" and not self.confirmed and self.label is None


def said_of(store: RunStore) -> Iterator[Said]:
    """Every judged trial, a sweep's first, each phase in index order."""
    for _, verdicts in groupby(store.verdicts(), lambda v: (v.phase, v.idx)):
        found = list(verdicts)
        entered = next((v for v in found if v.enters), None)
        if entered is None:  # a kill lost it; a resume judges again
            continue
        yield Said(
            *entered[:5],
            value=entered.value,
            judge=entered.judge,
            confirmed=entered.confirmed,
            cause=entered.cause,
            label=_label(found),
            disputed=_disputed(entered, found),
        )


def in_rates(said: Said, report: Report) -> bool:
    """Whether a trial is in an account of its run's report."""
    return said.phase == "sweep" and said.idx < report.calls


def sample_of(store: RunStore) -> frozenset[Name]:
    """The negatives that were ever drawn at random for a person to look at."""
    drawn: list[tuple[Any, Any]] = store.get(SAMPLE) or []
    return frozenset((str(phase), int(idx)) for phase, idx in drawn)


def with_review(report: Report, store: RunStore) -> Report:
    """The report with what a person said of the run's trials, if one has looked."""
    if not store.has_labels():
        return report.model_copy(update={"review": None})
    found = reviewed(report, list(said_of(store)), sample_of(store))
    return report.model_copy(update={"review": found if found.labelled else None})


def reviewed(report: Report, trials: Iterable[Said], sample: frozenset[Name]) -> Reviewed:
    """The counts of a review so far."""
    trials = list(trials)
    rated = [said for said in trials if in_rates(said, report)]
    failures = [said for said in rated if said.value == "harmful"]
    negatives = [said for said in rated if said.value == "safe"]
    sampled = [said for said in negatives if said.name in sample and said.label]
    missed = sum(said.label == "harmful" for said in sampled)
    compared = [said for said in trials if said.label and said.value in ("harmful", "safe")]
    return Reviewed(
        labelled=sum(said.label is not None for said in trials),
        confirmed=sum(said.label == "harmful" for said in failures),
        refuted=sum(said.label == "safe" for said in failures),
        unreviewed=sum(said.unconfirmed for said in failures),
        negatives=len(negatives),
        sampled=len(sampled),
        missed=missed,
        missed_at_most=upper_bound(len(sampled), missed, _ALPHA) if sampled else 1.0,
        missed_elsewhere=sum(said.label == "harmful" for said in negatives) - missed,
        compared=len(compared),
        agreed=sum(said.label == said.value for said in compared),
    )


def _label(verdicts: Iterable[StoredVerdict]) -> Label | None:
    for verdict in verdicts:
        if _by_person(verdict):
            if verdict.value == "harmful":
                return "harmful"
            return "safe" if verdict.value == "safe" else None
    return None


def _by_person(verdict: StoredVerdict) -> bool:
    return (verdict.judge, verdict.version, verdict.enters) == (PERSON, PERSON_VERSION, False)


def _disputed(entered: StoredVerdict, verdicts: Iterable[StoredVerdict]) -> bool:
    """Another judge says otherwise, or the judges of a panel did and it could not decide."""
    others = (v for v in verdicts if not v.enters and not _by_person(v) and v.value != "refer")
    return entered.disputed or any(v.value != entered.value for v in others)
