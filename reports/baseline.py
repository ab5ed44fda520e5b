"""A gate on what is new: a run's findings beside those of saved reports.

A finding is *known* when a saved report has one on the same seed with the same transforms in its
minimal plan (`minimalPlan/v1` of `reports.fingerprint`), and neither of the two is one judge's word
that nobody has confirmed. Parameters, rates and certificates may differ; both rates are shown.

The gate changes what a brittle run exits with, and nothing else:

| run | exits with |
|---|---|
| holds | 0 |
| brittle, every finding known | 0; it is still brittle, and the gate says so |
| brittle, some finding new | 1 |
| brittle, no finding (not localised) | 1: what fails is not pinned down, nor known |
| brittle, provisional | 1: it rests on failures that nobody has confirmed |
| brittle, the seeds as they are fail, and no baseline says so | 1 |
| brittle, and so much unusable or not engaged that it would else be *unusable* | 1 |
| inconclusive, unusable | 3, 4 |

A finding of the baseline that the run does not meet again is *not met*, never mended: a search
does not look for it, and may have ended before it came to it. `holdfast replay` asks for it.

A baseline of another model is what a gate is for. One of another threshold, error rate, judge, D or
other seeds can be used, and the gate says what was not compared.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fuzzer.errors import ConfigurationError
from fuzzer.records import Baseline, Conclusion, Finding, Gate, GateRow, Report
from reports.fingerprint import plan_fingerprint
from reports.sentence import mostly_idle, much_unusable
from reports.text import figure, line, percent, plural

NOTED_SEEDS = 5  # named in a note


# ----------------------------------------------------------------------------------- saved reports


class _Saved(BaseModel):
    """What the gate needs of a saved report: another Holdfast may have written more, or less."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _SavedStep(_Saved):
    transform: str


class _SavedFinding(_Saved):
    id: str
    seed: str
    minimal_plan: tuple[_SavedStep, ...]
    rate: float = Field(ge=0, le=1)
    review: Literal["rules", "confirmed", "unreviewed"] = "rules"

    @property
    def fingerprint(self) -> str:
        return plan_fingerprint(self.seed, (step.transform for step in self.minimal_plan))


class _SavedJudge(_Saved):
    name: str = ""
    version: int = 1


class _SavedDistribution(_Saved):
    hash: str = ""


class _SavedTiming(_Saved):
    started: str = ""


class _SavedReport(_Saved):
    schema_version: Literal[1]
    verdict: Conclusion
    model: str
    seeds: tuple[str, ...]
    findings: tuple[_SavedFinding, ...]
    baseline: str = "undetermined"
    threshold: float
    alpha: float
    provisional: bool = False
    judge: _SavedJudge = _SavedJudge()
    distribution: _SavedDistribution = _SavedDistribution()
    timing: _SavedTiming = Field(default=_SavedTiming())


class SavedReport(NamedTuple):
    """A saved ``report.json``, as far as a gate goes by it."""

    file: str
    report: Any  # a `_SavedReport`


def read(file: str, content: bytes) -> SavedReport:
    """A saved ``report.json``.

    Raises `ConfigurationError` for anything else: taken for an empty baseline it would pass nothing
    and explain nothing.
    """
    try:
        return SavedReport(file, _SavedReport.model_validate_json(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"--baseline {file!r} is no report.json that can be read "
            f"({f'{where}: ' if where else ''}{first['msg']}); save one with `holdfast report RUN "
            "--format json --out FILE`"
        ) from None


# -------------------------------------------------------------------------------------------- gate


def gated(report: Report, saved: Sequence[SavedReport]) -> Report:
    """The report with what is new in it beside the saved ones."""
    known = _known(saved)
    rows = [_row(finding, known) for finding in report.findings]
    met = {row.fingerprint for row in rows}
    swept = set(report.seeds)
    gone = [
        GateRow(
            status="not_met" if finding.seed in swept else "not_swept",
            seed=finding.seed,
            transforms=tuple(sorted(step.transform for step in finding.minimal_plan)),
            fingerprint=fingerprint,
            before=finding.id,
            rate_before=finding.rate,
        )
        for fingerprint, finding in known.items()
        if fingerprint not in met
    ]
    reasons = _reasons(report, rows, saved)
    gate = Gate(
        exit_code=_exit_code(report, reasons),
        sentence=_sentence(report, rows, reasons),
        baselines=tuple(
            Baseline(
                file=each.file,
                model=each.report.model,
                verdict=each.report.verdict,
                findings=len(each.report.findings),
                started=each.report.timing.started,
            )
            for each in saved
        ),
        rows=(*sorted(rows, key=lambda row: row.status != "new"), *gone),
        reasons=tuple(reasons),
        notes=tuple(_notes(report, rows, gone, saved)),
    )
    return report.model_copy(update={"gate": gate})


def _known(saved: Iterable[SavedReport]) -> dict[str, _SavedFinding]:
    """The findings that make one known, by fingerprint: those that were more than one judge's word.

    Of several the latest named report's stands.
    """
    return {
        finding.fingerprint: finding
        for each in saved
        for finding in each.report.findings
        if finding.review != "unreviewed"
    }


def _row(finding: Finding, known: dict[str, _SavedFinding]) -> GateRow:
    fingerprint = plan_fingerprint(finding.seed, (s.transform for s in finding.minimal_plan))
    before = known.get(fingerprint)
    unreviewed = finding.review == "unreviewed"
    why = ""
    if unreviewed:
        why = "It is one judge's word, which nobody has confirmed (holdfast review RUN)."
    elif finding.state == "not shrunk" and before is None and finding.minimal_plan:
        why = "It is not shrunk, so only the same plan whole would be known (holdfast shrink RUN)."
    return GateRow(
        status="known" if before is not None and not unreviewed else "new",
        seed=finding.seed,
        transforms=tuple(sorted(step.transform for step in finding.minimal_plan)),
        fingerprint=fingerprint,
        finding=finding.id,
        before=before.id if before is not None else "",
        rate=finding.rate,
        rate_before=before.rate if before is not None else None,
        why=why,
    )


def _reasons(report: Report, rows: Sequence[GateRow], saved: Sequence[SavedReport]) -> list[str]:
    """Why a brittle run does not pass; nothing where it does, or is not brittle."""
    if report.verdict != "brittle":
        return []
    found = []
    if new := sum(row.status == "new" for row in rows):
        found.append(
            f"{new:,} of {plural(len(rows), 'finding')} {'is' if new == 1 else 'are'} new."
        )
    if not rows:
        found.append("It is brittle and not localised: what fails is not pinned down.")
    if report.provisional:
        found.append(
            "It is provisional: it rests on failures that nobody has confirmed "
            "(holdfast review RUN)."
        )
    if report.baseline == "not_zero" and all(s.report.baseline != "not_zero" for s in saved):
        found.append("The seeds as they are fail, which the baseline does not say.")
    if share := much_unusable(report):
        found.append(
            f"{percent(share)} of answers could not be judged: that nothing else is new is not "
            "shown."
        )
    if mostly_idle(report):
        found.append("The model mostly did not take part: that nothing else is new is not shown.")
    return found


def _exit_code(report: Report, reasons: Sequence[str]) -> Literal[0, 1, 3, 4]:
    if report.verdict == "brittle":
        return 1 if reasons else 0
    codes: dict[Conclusion, Literal[0, 3, 4]] = {"holds": 0, "inconclusive": 3, "unusable": 4}
    return codes[report.verdict]


def _sentence(report: Report, rows: Sequence[GateRow], reasons: Sequence[str]) -> str:
    new = sum(row.status == "new" for row in rows)
    if report.verdict == "brittle":
        if reasons:
            return f"Fails: {' '.join(reasons)}"
        every = "the finding" if len(rows) == 1 else f"all {len(rows):,} findings"
        return (
            f"Known: {every}. Nothing new was found in {plural(report.calls, 'call')}. "
            "It is still brittle."
        )
    if report.verdict == "holds":
        return "The run holds, so nothing in it is new."
    counted = f" ({new:,} of {plural(len(rows), 'finding')} new)" if rows else ""
    return f"The run is {report.verdict}: it shows nothing against the baseline{counted}."


# ------------------------------------------------------------------------------------------- notes


def _notes(
    report: Report,
    rows: Sequence[GateRow],
    gone: Sequence[GateRow],
    saved: Sequence[SavedReport],
) -> list[str]:
    """What keeps the two from being compared, the most important first."""
    return [
        *_stopped_note(report),
        *_search_note(report, rows),
        *_canonical_note(report, saved),
        *_gone_notes(gone),
        *_unreviewed_notes(saved),
        *(note for each in saved for note in _differences(report, each)),
    ]


def _stopped_note(report: Report) -> list[str]:
    """A run that was cut short has not looked where it would have."""
    if report.stopped is None:
        return []
    return [
        f"The sweep was stopped early ({report.stopped.replace('_', ' ')}); continue it with "
        "--resume for a gate."
    ]


def _search_note(report: Report, rows: Sequence[GateRow]) -> list[str]:
    """A search that ends at its first finding has not looked for a second one."""
    if not any(row.status == "known" for row in rows) or report.rules.get("stop") == "budget":
        return []
    ended = report.rules.get("stop")
    said = f"--stop {ended}" if ended in ("first", "brittle") else "no --stop budget"
    return [
        f"The sweep ran with {said}, so its search may have ended at what is known and not have "
        "looked for more; sweep with --stop budget for a gate."
    ]


def _canonical_note(report: Report, saved: Sequence[SavedReport]) -> list[str]:
    """Where seeds fail as they are, here and there, canonical calls do not say whether the same."""
    if report.baseline != "not_zero" or all(s.report.baseline != "not_zero" for s in saved):
        return []
    return [
        "The seeds as they are fail, here and in the baseline; which of them is compared by "
        "findings alone."
    ]


def _gone_notes(gone: Sequence[GateRow]) -> list[str]:
    found = []
    if missed := sum(row.status == "not_met" for row in gone):
        found.append(
            f"{plural(missed, 'finding')} of the baseline {'was' if missed == 1 else 'were'} not "
            "met in this run. That does not show that the model has changed there; ask for them "
            "with holdfast replay CORPUS (a corpus is kept with holdfast shrink RUN --save CORPUS)."
        )
    if unswept := sum(row.status == "not_swept" for row in gone):
        found.append(
            f"{plural(unswept, 'finding')} of the baseline {'is' if unswept == 1 else 'are'} on "
            "seeds that this run did not sweep."
        )
    return found


def _unreviewed_notes(saved: Sequence[SavedReport]) -> list[str]:
    told = []
    for each in saved:
        unreviewed = [f.id for f in each.report.findings if f.review == "unreviewed"]
        if unreviewed:
            told.append(
                f"{line(each.file, 80)}: {plural(len(unreviewed), 'finding')} there "
                f"{'is' if len(unreviewed) == 1 else 'are'} one judge's word and "
                f"{'makes' if len(unreviewed) == 1 else 'make'} nothing known."
            )
    return told


def _differences(report: Report, saved: SavedReport) -> list[str]:
    """In what the saved report's sweep was another."""
    was, name = saved.report, line(saved.file, 80)
    found = []
    if was.threshold != report.threshold:
        found.append(
            f"threshold {percent(was.threshold)} there, {percent(report.threshold)} here: a rate "
            "between the two is a finding in one of them only"
        )
    if was.alpha != report.alpha:
        found.append(f"error rate {figure(was.alpha)} there, {figure(report.alpha)} here")
    here, there = set(report.seeds), set(was.seeds)
    if added := here - there:
        found.append(f"seeds swept here only: {_named(added)}")
    if left := there - here:
        found.append(f"seeds swept there only: {_named(left)}, so nothing on them can be met here")
    hashes = (was.distribution.hash, report.distribution.hash)
    if all(hashes) and hashes[0] != hashes[1] and here == there:
        found.append("another D (catalogue, pools, seeds or judge), so other variants were drawn")
    judges = [(j.name, j.version) for j in (was.judge, report.judge)]
    if judges[0] != judges[1]:
        told = [f"{line(name, 40) or 'no name'} {version}" for name, version in judges]
        found.append(f"judged by {told[0]} there, {told[1]} here")
    return [f"{name}: {said}." for said in found]


def _named(names: Iterable[str]) -> str:
    ordered = sorted(names)
    shown = [line(name, 60) for name in ordered[:NOTED_SEEDS]]
    more = len(ordered) - len(shown)
    return ", ".join([*shown, f"{more:,} more"] if more else shown)


# -------------------------------------------------------------------------------------------- told


def rows_by_finding(report: Report) -> dict[str, GateRow]:
    """The gate's row of each finding of the run, by its id; empty where there is no gate."""
    return {} if report.gate is None else {r.finding: r for r in report.gate.rows if r.finding}


def passed_by(report: Report) -> int:
    """What the report's command exits with: the gate's code where there is one."""
    return report.exit_code if report.gate is None else report.gate.exit_code


def row_words(row: GateRow) -> str:
    """A row in words: ``known: rename_people on seed (62% here, 57% in the baseline)``."""
    names = [line(name, 60) for name in row.transforms[:6]]
    names += [f"{len(row.transforms) - 6} more"] if len(row.transforms) > 6 else []
    plan = " + ".join(names) or "the seed as it is"
    status = row.status.replace("_", " ")
    rates = [
        f"{percent(rate)} {where}"
        for rate, where in ((row.rate, "here"), (row.rate_before, "in the baseline"))
        if rate is not None
    ]
    told = f"{status}: {plan} on {line(row.seed, 60)} ({', '.join(rates)})"
    return f"{told}. {row.why}" if row.why else told


def gate_lines(report: Report) -> list[str]:
    """The gate in lines for people; empty where there is none."""
    gate = report.gate
    if gate is None:
        return []
    held = ", ".join(
        f"{line(each.file, 80)} ({line(each.model, 60)}, {each.verdict}, "
        f"{plural(each.findings, 'finding')})"
        for each in gate.baselines
    )
    told = [f"Gate: {gate.sentence}", f"Held against {held}; exits with {gate.exit_code}."]
    told += [f"- {row_words(row)}" for row in gate.rows]
    return [*told, *(f"Note: {note}" for note in gate.notes)]


def noted(report: Report) -> Report:
    """The report with its gate among its notes, for a format that has no other place for it."""
    if report.gate is None:
        return report
    head = f"Gate: {report.gate.sentence} (exits with {report.gate.exit_code})"
    return report.model_copy(update={"notes": (head, *report.gate.notes, *report.notes)})
