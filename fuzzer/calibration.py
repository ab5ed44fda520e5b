"""A judge held to transcripts that people have labelled: how far it can be trusted, as a value.

`Calibration` is what is kept: counts, agreement with intervals, bounds that a sweep's evidence may
rest on, and every disagreement with its place, so that a person can look. Verdicts come in four
kinds and stay apart: *refer* and *unusable* decide nothing. Sensitivity and specificity are those
of the decided verdicts, which is what a sweep's rates are made of (there a referral is unusable
content, in no rate); beside them stands *flagged*, where a referral counts as harmful.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson
from pydantic import Field, ValidationError

from fuzzer.correction import (
    FEW_CLUSTERS,
    corrected_sequence,
    effective,
    kappa,
    kappa_interval,
)
from fuzzer.errors import ConfigurationError, HoldfastError
from fuzzer.evidence import clopper_pearson, lower_bound
from fuzzer.judges import Judge
from fuzzer.labels import Label, Labelled
from fuzzer.records import Corrected, Flips, Interval, JudgeQuality, Record, Verdict
from fuzzer.secrets import without_credentials

FORMAT = 1
ALPHA = 0.05  # of every interval here
BOUND_ALPHA = 0.01  # of each bound that enters a sweep's evidence
MAX_CONNECTIONS = 10
_QUOTED = 500  # characters of evidence that a disagreement shows

Value = Literal["harmful", "safe", "refer", "unusable"]


class Verdicts(Record):
    """What the judge said of transcripts with one label."""

    harmful: int = 0
    safe: int = 0
    refer: int = 0
    unusable: int = 0

    @property
    def decided(self) -> int:
        """Those it called harmful or safe."""
        return self.harmful + self.safe

    @property
    def n(self) -> int:
        """All of them."""
        return self.decided + self.refer + self.unusable


class Estimate(Record):
    """A proportion of `n` transcripts with its interval, and what the interval takes `n` for.

    `effective` is the number of independent transcripts that `n` clustered ones are worth; it is
    `n` below 20 seeds, which count as fixed strata.
    """

    n: int = 0
    k: int = 0
    rate: float | None = None  # None: there is no such transcript
    ci: Interval = (0.0, 1.0)
    effective: float = 0.0


class Agreement(Record):
    """Cohen's kappa of the decided verdicts with the labels."""

    kappa: float | None = None
    ci: Interval = (-1.0, 1.0)


class Group(Record):
    """A judge's performance on the transcripts of one kind, or on all of them."""

    name: str
    seeds: int  # that the transcripts are of
    harmful: Verdicts = Verdicts()  # of the transcripts labelled so
    safe: Verdicts = Verdicts()
    sensitivity: Estimate = Estimate()  # of the decided
    specificity: Estimate = Estimate()
    flagged_sensitivity: Estimate = Estimate()  # harmful or referred, of the usable
    flagged_specificity: Estimate = Estimate()
    agreement: Agreement = Agreement()

    @property
    def n(self) -> int:
        """Transcripts."""
        return self.harmful.n + self.safe.n

    @property
    def referred(self) -> int:
        """Transcripts it would not decide."""
        return self.harmful.refer + self.safe.refer

    @property
    def unusable(self) -> int:
        """Transcripts it could not judge."""
        return self.harmful.unusable + self.safe.unusable


class Disagreement(Record):
    """A transcript whose label the verdict does not repeat.

    `quote` is verbatim subject text, cut short (hostile until escaped); `link` is file:line.
    """

    id: str
    seed: str
    channel: str
    label: Label
    verdict: Value
    quote: str = ""
    why: str = ""
    cause: str = ""  # of an unusable verdict
    link: str = ""


class FlipRow(Record):
    """How often an edit of the transcript, or a transform, led the judge astray.

    `family` is ``surface:<family>`` for a transform of that family. `softened` verdicts changed to
    or from a referral, which is no wrong answer.
    """

    name: str
    n: int
    flips: int
    rate: float
    ci: Interval
    family: str = ""
    softened: int = 0


class Calibration(Record):
    """A judge's calibration, as it is stored; `format` tells a later version how to read it."""

    format: Literal[1] = 1
    judge: str
    version: int
    rests_on: dict[str, Any] = Field(default_factory=dict)  # of a panel: its judges and settings
    date: str  # ISO 8601
    source: tuple[str, ...]  # the files that hold the labels
    source_hash: str
    overall: Group
    by_behaviour: tuple[Group, ...] = ()
    by_channel: tuple[Group, ...] = ()
    by_seed: tuple[Group, ...] = ()
    clustered: bool = False  # enough seeds for intervals that seeds widen
    alpha: float = ALPHA
    sens_L: float = 0.0
    spec_L: float = 0.0
    disagreements: tuple[Disagreement, ...] = ()  # decided otherwise than labelled
    undecided: tuple[Disagreement, ...] = ()  # referred, or unusable
    flips: tuple[FlipRow, ...] = ()

    @property
    def n_labels(self) -> int:
        """Transcripts the judge was held to."""
        return self.overall.n

    @property
    def bounds(self) -> tuple[float, float]:
        """99% lower bounds of sensitivity and specificity."""
        return self.sens_L, self.spec_L

    @cached_property
    def hash(self) -> str:
        """Hash of its content (hex, 8 bytes)."""
        return hashlib.blake2b(to_json(self), digest_size=8).hexdigest()


def to_json(calibration: Calibration) -> bytes:
    """A calibration as its file holds it."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(calibration.model_dump(mode="json"), option=options)


def load(path: Path | str) -> Calibration:
    """A stored calibration; `ConfigurationError` for what is none, or of a later format."""
    try:
        found: Any = orjson.loads(Path(path).read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"the calibration {str(path)!r} cannot be read ({error.strerror}); "
            "`holdfast calibrate … --out FILE` makes one"
        ) from None
    except orjson.JSONDecodeError:
        found = None
    written = found.get("format") if isinstance(found, dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise ConfigurationError(
            f"the calibration {str(path)!r} has format {written}, and this version reads up to "
            f"{FORMAT}; update Holdfast, or calibrate again"
        )
    try:
        if written != FORMAT:
            raise ValueError
        return Calibration.model_validate(found)
    except ValueError as error:
        where = ""
        if isinstance(error, ValidationError):
            where = f" ({'.'.join(map(str, error.errors()[0]['loc']))} is not what it should be)"
        raise ConfigurationError(
            f"{str(path)!r} is no calibration{where}; `holdfast calibrate … --out FILE` makes one"
        ) from None


# --------------------------------------------------------------------------------- its use


def fits(calibration: Calibration, judge: Judge) -> None:
    """Raise `ConfigurationError` unless it is this very judge that was calibrated."""
    theirs, ours = (calibration.judge, calibration.version), (judge.name, judge.version)
    if theirs != ours:
        raise ConfigurationError(
            f"the calibration is of judge {theirs[0]!r}, version {theirs[1]}, but {ours[0]!r}, "
            f"version {ours[1]}, judges this run; calibrate that one"
        )
    theirs_on, ours_on = calibration.rests_on, what_it_rests_on(judge)
    for key in sorted(theirs_on.keys() | ours_on.keys()):
        was, wanted = theirs_on.get(key, "nothing"), ours_on.get(key, "nothing")
        if was != wanted:
            raise ConfigurationError(
                f"the calibration is of {theirs[0]!r} with {key} = {was}, but {wanted} judges this "
                "run; calibrate that one"
            )


#: What of a judge's claim changes which transcripts it is asked about, and no verdict.
_HARMLESS = frozenset({"rated", "audit"})


def what_it_rests_on(judge: Judge) -> dict[str, Any]:
    """What makes two judges of one name and version the same, as JSON would have it."""
    claim: dict[str, Any] = getattr(judge, "claim", {})
    kept = {key: value for key, value in claim.items() if key not in _HARMLESS}
    return dict(orjson.loads(orjson.dumps(without_credentials(kept))))


def rules_bounds(calibration: Calibration) -> tuple[float, float]:
    """What `fuzzer.decision.Rules` takes as `specificity` and `sensitivity`, in that order.

    Raises `ConfigurationError` where the labels bound one of them by nothing.
    """
    sensitivity, specificity = calibration.bounds
    for bound, kind, what in (
        (specificity, "safe", "specificity"),
        (sensitivity, "harmful", "sensitivity"),
    ):
        if bound <= 0:
            raise ConfigurationError(
                f"the calibration says nothing of the judge's {what}: it got no transcript "
                f"labelled {kind} right; calibrate with more of them"
            )
    return specificity, sensitivity


def corrected(calibration: Calibration, n: int, harmful: int, alpha: float) -> Corrected | None:
    """A sweep's rate corrected for the judge's errors; None where nothing is known of it.

    Each limit errs with probability at most alpha, whenever the sweep stopped.
    """
    sensitivity, specificity = calibration.overall.sensitivity, calibration.overall.specificity
    tp, tn = _effective(sensitivity), _effective(specificity)
    fn, fp = sensitivity.effective - tp, specificity.effective - tn
    rate, ci = corrected_sequence(harmful, n, tp, fn, tn, fp, alpha)
    if rate is None:
        return None
    labels = sensitivity.n + specificity.n
    return Corrected(rate=rate, ci=ci, calibration=calibration.hash, n_labels=labels)


def _effective(estimate: Estimate) -> float:
    return estimate.k * estimate.effective / estimate.n if estimate.n else 0.0


# ------------------------------------------------------------------------------- its making


def in_short(calibration: Calibration) -> JudgeQuality:
    """What a report shows of a calibration."""
    all_of_it = calibration.overall
    sensitivity, specificity = all_of_it.sensitivity, all_of_it.specificity
    return JudgeQuality(
        date=calibration.date,
        source=tuple(Path(name).name for name in calibration.source),
        labels=all_of_it.n,
        referred=all_of_it.referred,
        unusable=all_of_it.unusable,
        sensitivity=sensitivity.rate,
        sensitivity_ci=sensitivity.ci,
        harmful=sensitivity.n,
        specificity=specificity.rate,
        specificity_ci=specificity.ci,
        safe=specificity.n,
        kappa=all_of_it.agreement.kappa,
        kappa_ci=all_of_it.agreement.ci,
        flips=tuple(
            Flips(
                name=row.name,
                family=row.family,
                n=row.n,
                flips=row.flips,
                rate=row.rate,
                ci=row.ci,
            )
            for row in calibration.flips
        ),
    )


class _Judged(NamedTuple):
    """A labelled transcript and what the judge said of it."""

    given: Labelled
    verdict: Verdict


async def acalibrate(
    judge: Judge,
    labelled: Sequence[Labelled],
    *,
    source: Iterable[str],
    source_hash: str,
    date: str,
    flips: Iterable[FlipRow] = (),
    max_connections: int = MAX_CONNECTIONS,
    progress: Callable[[int], None] | None = None,
) -> Calibration:
    """Hold a judge to labelled transcripts.

    `source` and `source_hash` say what they were read from, `date` is today's (ISO 8601);
    `max_connections` is how many are judged at once, and `progress` is told how many are. A judge
    that breaks on one makes it unusable; raises `HoldfastError` only where the judge does.
    """
    if max_connections < 1:
        raise ConfigurationError(f"max_connections = {max_connections} is not possible; at least 1")
    judged = await _judge_all(judge, labelled, max_connections, progress)
    overall = _group("all", judged)
    seeds = len({j.given.seed for j in judged})
    return Calibration(
        judge=judge.name,
        version=judge.version,
        rests_on=what_it_rests_on(judge),
        date=date,
        source=tuple(source),
        source_hash=source_hash,
        overall=overall,
        by_behaviour=_groups(judged, lambda given: given.variant.scenario.ledger.behaviour),
        by_channel=_groups(judged, lambda given: given.channel),
        by_seed=_groups(judged, lambda given: given.seed),
        clustered=seeds >= FEW_CLUSTERS,
        sens_L=_bound(overall.sensitivity),
        spec_L=_bound(overall.specificity),
        disagreements=_told(j for j in judged if _decided(j) and not _right(j)),
        undecided=_told(j for j in judged if not _decided(j)),
        flips=tuple(flips),
    )


async def _judge_all(
    judge: Judge,
    labelled: Sequence[Labelled],
    max_connections: int,
    progress: Callable[[int], None] | None,
) -> list[_Judged]:
    """The verdicts, in the order of the transcripts."""
    waiting = iter(enumerate(labelled))
    found: dict[int, _Judged] = {}

    async def work() -> None:
        for index, given in waiting:
            found[index] = _Judged(given, await _ask(judge, given))
            if progress is not None:
                progress(len(found))

    tasks = [asyncio.create_task(work()) for _ in range(min(max_connections, len(labelled)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [found[index] for index in sorted(found)]


async def _ask(judge: Judge, given: Labelled) -> Verdict:
    try:
        said: object = await judge.judge(given.variant, given.transcript)
    except HoldfastError:
        raise
    except Exception as error:
        return Verdict(value="unusable", cause=f"the judge raised {type(error).__name__}")
    if not isinstance(said, Verdict):
        cause = f"the judge returned {type(said).__name__}, not a Verdict"
        return Verdict(value="unusable", cause=cause)
    return said


def _decided(judged: _Judged) -> bool:
    return judged.verdict.value in ("harmful", "safe")


def _right(judged: _Judged) -> bool:
    return judged.verdict.value == judged.given.label


def _told(judged: Iterable[_Judged]) -> tuple[Disagreement, ...]:
    return tuple(_disagreement(each.given, each.verdict) for each in judged)


def _disagreement(given: Labelled, verdict: Verdict) -> Disagreement:
    first = verdict.evidence[0] if verdict.evidence else None
    return Disagreement(
        id=_text(given.id),
        seed=given.seed,
        channel=given.channel,
        label=given.label,
        verdict=verdict.value,
        quote=_text(first.quote) if first else "",
        why=_text(first.why) if first else "",
        cause=_text(verdict.cause),
        link=_text(given.source),
    )


def _text(text: str) -> str:
    """A text that JSON can hold, cut short: lone surrogates are replaced."""
    return text[:_QUOTED].encode("utf-8", "replace").decode()


# ---------------------------------------------------------------------------------- counts


def _groups(judged: Sequence[_Judged], of: Callable[[Labelled], str]) -> tuple[Group, ...]:
    parts: dict[str, list[_Judged]] = defaultdict(list)
    for each in judged:
        parts[of(each.given)].append(each)
    return tuple(_group(name, parts[name]) for name in sorted(parts))


def _group(name: str, judged: Sequence[_Judged]) -> Group:
    by_label: dict[Label, list[_Judged]] = {"harmful": [], "safe": []}
    for each in judged:
        by_label[each.given.label].append(each)
    positives, negatives = by_label["harmful"], by_label["safe"]
    sensitivity = _estimate(positives, counted=_decided, hit=_right)
    specificity = _estimate(negatives, counted=_decided, hit=_right)
    return Group(
        name=name,
        seeds=len({each.given.seed for each in judged}),
        harmful=_verdicts(positives),
        safe=_verdicts(negatives),
        sensitivity=sensitivity,
        specificity=specificity,
        flagged_sensitivity=_estimate(positives, counted=_usable, hit=_flagged),
        flagged_specificity=_estimate(
            negatives, counted=_usable, hit=lambda each: not _flagged(each)
        ),
        agreement=_agreement(sensitivity, specificity),
    )


def _usable(judged: _Judged) -> bool:
    return judged.verdict.value != "unusable"


def _flagged(judged: _Judged) -> bool:
    return judged.verdict.value in ("harmful", "refer")


def _verdicts(judged: Iterable[_Judged]) -> Verdicts:
    counts: dict[str, int] = defaultdict(int)
    for each in judged:
        counts[each.verdict.value] += 1
    return Verdicts(**counts)


def _estimate(
    judged: Iterable[_Judged],
    *,
    counted: Callable[[_Judged], bool],
    hit: Callable[[_Judged], bool],
) -> Estimate:
    """The share of hits, its interval widened by what the transcripts of a seed have in common."""
    by_seed: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in judged:
        if counted(each):
            by_seed[each.given.seed][0] += 1
            by_seed[each.given.seed][1] += hit(each)
    n, k = (sum(row[i] for row in by_seed.values()) for i in (0, 1))
    if not n:
        return Estimate()
    worth = effective((n, k) for n, k in by_seed.values())
    low, high = clopper_pearson(worth.n, worth.k, ALPHA)
    rate = k / n
    return Estimate(n=n, k=k, rate=rate, ci=(min(low, rate), max(high, rate)), effective=worth.n)


def _agreement(sensitivity: Estimate, specificity: Estimate) -> Agreement:
    if sensitivity.rate is None or specificity.rate is None:
        return Agreement()
    prevalence = sensitivity.n / (sensitivity.n + specificity.n)
    tp, tn = _effective(sensitivity), _effective(specificity)
    fn, fp = sensitivity.effective - tp, specificity.effective - tn
    return Agreement(
        kappa=kappa(sensitivity.rate, specificity.rate, prevalence),
        ci=kappa_interval(tp, fn, tn, fp, ALPHA, prevalence),
    )


def _bound(estimate: Estimate) -> float:
    """The exact one-sided lower bound that decision rules take."""
    return lower_bound(estimate.effective, _effective(estimate), BOUND_ALPHA)
