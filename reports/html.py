"""The report as one self-contained page: no network, everything hostile escaped.

Charts are hand-written SVG beside the table that holds their numbers.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fuzzer.records import Blind, Interval, Report, TransformRow
from reports import complete, page
from reports.attribution import caution, fit_sentence, odds, pair_sentences, text_dose
from reports.contrast import contrast_sentences
from reports.deployment import deployment_sentences
from reports.elicitation import control_table, elicitation_sentence
from reports.excerpts import excerpt
from reports.jury import judge_sentences
from reports.minimal import shrink_rows, shrink_sentences
from reports.parcels import Parcels
from reports.sentence import (
    MUCH_UNUSABLE,
    corrected_sentences,
    flag_sentence,
    job_sentences,
    review_sentences,
    standing,
)
from reports.text import (
    line,
    percent,
    replay_command,
    summaries,
    unusable_share,
)
from reports.trials import Shelf, packed, placed

if TYPE_CHECKING:
    from fuzzer.material import Material

STYLES = ("style.css", "trials.css")
SECTIONS = (  # id and name, in reading order
    ("verdict", "Verdict"),
    ("rates", "Rates"),
    ("findings", "Findings"),
    ("dose", "Distance"),
    ("transforms", "Transforms"),
    ("blind", "Blind, unusable"),
    ("methods", "Methods"),
    ("transcripts", "Transcripts"),
)
BLIND_LIMIT = 30
DIGIT = 9.0  # width of a digit in the curve's units: 13 px, in whatever font the reader has


class Scale(NamedTuple):
    """A horizontal axis, 0 to 100 wide."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Where a value lies, in percent of the width."""
        inside = min(max(value, self.low), self.high)
        return round(100 * (inside - self.low) / (self.high - self.low), 2)


def render(report: Report, material: "Material | None" = None) -> str:
    """The page of a report as one string, with what its run can show and there is room for."""
    with Parcels() as parcels:
        return compose(report, material, parcels)


def compose(report: Report, material: "Material | None", parcels: Parcels) -> str:
    """The page of a report; what it has no room for goes where its parcels go.

    Raises `StoreError` where that cannot be written, or the trials cannot be read.
    """
    shelf = packed(material, parcels)
    return placed(_page(report, material, shelf), shelf, parcels)


def _page(report: Report, material: "Material | None", shelf: Shelf | None) -> str:
    report = complete(report)
    told = summaries(report)
    exhibits = material.exhibits if material else {}
    rates = [report.canonical, report.mutated]
    rates += [rate for row in report.seeds_detail for rate in (row.canonical, row.mutated)]
    intervals = [f.ci for f in report.findings]
    intervals += [k.ci for f in report.findings for k in f.knockouts]
    intervals += [row.ci for f in report.findings for row in shrink_rows(f)]
    return page.render(
        "report.html.j2",
        STYLES,
        standing=standing,
        caution=caution,
        sections=SECTIONS,
        shelf=shelf,
        report=report,
        word=report.verdict.capitalize(),
        lead=report.sentence.split(":", 1)[0] + (":" if ":" in report.sentence else ""),
        sign={"holds": "✓", "brittle": "✗", "inconclusive": "?", "unusable": "∅"}[report.verdict],
        flag=flag_sentence(report),
        elicitation=elicitation_sentence(report),
        control=control_table(report),
        jobs=(*corrected_sentences(report), *job_sentences(report)),
        judging=judge_sentences(report),
        reviews=review_sentences(report),
        contrast=contrast_sentences(report),
        deployment=deployment_sentences(report),
        told=told,
        rate_scale=_rate_scale([rate.ci for rate in rates if rate.n]),
        finding_scale=_rate_scale(intervals),
        findings=[
            (
                finding,
                replay_command(finding),
                excerpt(exhibits[finding.id].trial if finding.id in exhibits else None),
                shrink_sentences(finding, report.alpha),
                shrink_rows(finding),
            )
            for finding in report.findings
        ],
        dose=dose_curve(report),
        text_dose=text_dose(report),
        pair_told=pair_sentences(report),
        fit=fit_sentence(report),
        odds=odds(report),
        effect_scale=_effect_scale(report),
        invariant=_ranked(report, invariant=True),
        other=_ranked(report, invariant=False),
        shams=report.shams if report.shams and report.shams.n else None,
        blind=_blind(report.blind),
        blind_count=max(report.blind_draws, len(report.blind)),
        causes=sorted(report.unusable.by_cause.items(), key=lambda item: (-item[1], item[0])),
        much_unusable=max(map(unusable_share, rates)) > MUCH_UNUSABLE,
        rules=_flat(report.rules),
    )


# ------------------------------------------------------------------------------------------ charts


def _rate_scale(intervals: Sequence[Interval]) -> Scale:
    """An axis from 0 to the first round figure beyond every interval."""
    top = max((high for _, high in intervals), default=1.0)
    rounds = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    return Scale(0.0, next((edge for edge in rounds if top <= edge), 1.0))


def _effect_scale(report: Report) -> Scale:
    """A symmetric axis for differences of rates."""
    rows = [row.ci for row in report.transforms if row.n]
    rows += [report.shams.ci] if report.shams and report.shams.n else []
    top = max((abs(end) for ci in rows for end in ci), default=1.0)
    edge = next((edge for edge in (0.02, 0.05, 0.1, 0.2, 0.5) if top <= edge), 1.0)
    return Scale(-edge, edge)


def _ranked(report: Report, *, invariant: bool) -> list[TransformRow]:
    rows = [r for r in report.transforms if (r.relation == "invariant") is invariant]
    return sorted(rows, key=lambda row: (row.relation, -row.e_value, -row.effect, row.name))


class DosePoint(NamedTuple):
    """A row of the dose curve, placed on its drawing."""

    distance: int
    n: int
    harmful: int
    rate: float
    ci: Interval
    x: float
    y: float
    top: float
    bottom: float


class Label(NamedTuple):
    """What stands below a place of the axis."""

    x: float
    text: str


class Dose(NamedTuple):
    """Failure rate by distance, placed on a drawing of 640 by 240."""

    points: tuple[DosePoint, ...]
    path: str
    ticks: tuple[tuple[float, str], ...]  # y, label
    labels: tuple[Label, ...]  # of distances, as many as there is room for


def dose_curve(report: Report) -> Dose | None:
    """The dose curve of a report, placed; nothing where no draw from D has been answered."""
    rows = [row for row in report.dose if row.n]
    if not rows:
        return None
    scale = _rate_scale([row.ci for row in rows])
    first, last = min(r.distance for r in rows), max(r.distance for r in rows)
    spread = max(last - first, 1)

    def y(rate: float) -> float:
        return round(200 - 1.85 * scale.at(rate), 1)

    placed = tuple(
        DosePoint(
            *(row.distance, row.n, row.harmful, row.rate, row.ci),
            x=round(75 + 530 * (row.distance - first) / spread, 1),
            y=y(row.rate),
            top=y(row.ci[1]),
            bottom=y(row.ci[0]),
        )
        for row in sorted(rows, key=lambda row: row.distance)
    )
    ticks = tuple((y(scale.high * part), percent(scale.high * part)) for part in (0, 0.5, 1))
    labels = tuple(Label(p.x, f"{p.distance}") for p in placed)
    return Dose(placed, " ".join(f"{p.x},{p.y}" for p in placed), ticks, _with_room(labels))


def _with_room(labels: Sequence[Label]) -> tuple[Label, ...]:
    """Labels of an axis, left to right, without those that would touch; the last is kept."""
    *others, last = labels
    kept: list[Label] = []
    for label in others:
        if _apart(label, last) and (not kept or _apart(kept[-1], label)):
            kept.append(label)
    return (*kept, last)


def _apart(left: Label, right: Label) -> bool:
    """Whether two centred labels leave a gap of a digit between them."""
    return right.x - left.x >= DIGIT * ((len(left.text) + len(right.text)) / 2 + 1)


# ------------------------------------------------------------------------------------------- lists


class BlindReason(NamedTuple):
    """Blind variants that share a reason."""

    reason: str
    variants: int
    examples: tuple[str, ...]


def _blind(rows: Sequence[Blind]) -> list[BlindReason]:
    grouped: dict[str, list[str]] = {}
    for row in rows:
        plan = " + ".join(line(step.transform, 60) for step in row.plan) or "the seed as it is"
        grouped.setdefault(line(row.reason, 300), []).append(f"{line(row.seed, 60)}: {plan}")
    ranked = sorted(grouped.items(), key=lambda item: (-len(item[1]), item[0]))
    return [BlindReason(why, len(each), tuple(each[:3])) for why, each in ranked[:BLIND_LIMIT]]


def _flat(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """Settings by dotted key."""
    if isinstance(value, dict):
        return [
            row
            for key, inner in value.items()
            for row in _flat(inner, f"{prefix}.{key}" if prefix else str(key))
        ]
    return [(line(prefix, 80), line(value, 200))]
