"""The report as one self-contained page: no network, everything hostile escaped.

What is drawn is placed by `reports.charts` and `reports.graph`, beside the tables that hold its
numbers; the templates under ``templates/`` are the page's sections, in `SECTIONS` in reading order.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from fuzzer.records import Blind, Report, TransformRow
from reports import charts, complete, graph, page
from reports.attribution import caution, fit_sentence, odds, pair_sentences, text_dose
from reports.caveats import certificate_sentence, limits_sentence, not_excluded
from reports.contrast import contrast_sentences
from reports.deployment import deployment_sentences
from reports.elicitation import control_table, elicitation_sentence
from reports.finding import rests_on
from reports.finding_views import Files, finding_views
from reports.jury import judge_sentences
from reports.parcels import Parcels
from reports.sentence import (
    MUCH_UNUSABLE,
    corrected_sentences,
    flag_sentence,
    job_sentences,
    review_sentences,
    standing,
)
from reports.text import line, proportion, summaries, unusable_share
from reports.trials import Shelf, packed, placed

if TYPE_CHECKING:
    from fuzzer.material import Material

STYLES = ("style.css", "trials.css")
SECTIONS = (  # id and name, in reading order
    ("verdict", "Verdict"),
    ("rates", "Canonical, mutated"),
    ("findings", "Findings"),
    ("dose", "Distance"),
    ("transforms", "Transforms"),
    ("graph", "Transform graph"),
    ("seeds", "Seeds × families"),
    ("job", "Utility"),
    ("judge", "Judge"),
    ("blind", "Blind variants"),
    ("contrast", "Exposed, unseen"),
    ("deployment", "Deployment"),
    ("control", "Elicitation"),
    ("transcripts", "Transcripts"),
    ("methods", "Methods"),
)
SIGNS = {"holds": "✓", "brittle": "✗", "inconclusive": "?", "unusable": "∅"}
FIRST_ROWS = 20  # transforms of a forest that stand open; flagged ones always do
BLIND_LIMIT = 30


def render(report: Report, material: "Material | None" = None) -> str:
    """The page of a report as one string, with what its run can show and there is room for."""
    with Parcels() as parcels:
        return compose(report, material, parcels)


def compose(
    report: Report,
    material: "Material | None",
    parcels: Parcels,
    files: Files = MappingProxyType({}),
) -> str:
    """The page of a report; what it has no room for goes where its parcels go.

    `files`: names of the files of each finding that lie beside the page, in its folder. Raises
    `StoreError` where a parcel cannot be written, or the trials cannot be read.
    """
    shelf = packed(material, parcels)
    return placed(_page(report, material, shelf, files), shelf, parcels)


def _page(report: Report, material: "Material | None", shelf: Shelf | None, files: Files) -> str:
    report = complete(report)
    exhibits = material.exhibits if material else {}
    findings = finding_views(report, exhibits, files)
    rates = [report.canonical, report.mutated]
    rates += [rate for row in report.seeds_detail for rate in (row.canonical, row.mutated)]
    intervals = [f.ci for f in report.findings]
    intervals += [k.ci for f in report.findings for k in f.knockouts]
    intervals += [row.ci for view in findings for row in view.beside]
    context: dict[str, Any] = {
        "report": report,
        "shelf": shelf,
        "told": summaries(report),
        "limits": limits_sentence(report),
        "rate_scale": charts.rate_scale([rate.ci for rate in rates if rate.n]),
        "finding_scale": charts.rate_scale(intervals),
        "findings": findings,
        "certificates": certificate_sentence(report),
        "much_unusable": max(map(unusable_share, rates)) > MUCH_UNUSABLE,
        "causes": sorted(report.unusable.by_cause.items(), key=lambda item: (-item[1], item[0])),
        "contrast": contrast_sentences(report),
        "deployment": deployment_sentences(report),
        "control": control_table(report),
        "standing": standing,
        "rests_on": rests_on,
        "flag": flag_sentence(report),
        "flag_in_short": flag_sentence(report, figures=False),
        "elicitation": elicitation_sentence(report),
        **_verdict(report),
        **_causes(report),
        **_coverage(report),
        **_judging(report),
        "blind": _blind(report.blind),
        "blind_count": max(report.blind_draws, len(report.blind)),
        "rules": _flat(report.rules),
        "price": _flat(report.price or {}),
    }
    context["sections"] = [each for each in SECTIONS if _present(each[0], context)]
    return page.render("report.html.j2", STYLES, **context)


def _present(section: str, context: dict[str, Any]) -> bool:
    """Whether the page has a section: three are of runs that were given more."""
    if section in ("contrast", "deployment", "control"):
        return bool(context[section])
    return True


class KeyFigure(NamedTuple):
    """One of the few numbers that carry the verdict."""

    name: str
    value: str
    detail: str


def _verdict(report: Report) -> dict[str, Any]:
    told = report.sentence
    return {
        "word": report.verdict.capitalize(),
        "sign": SIGNS[report.verdict],
        "lead": told.split(":", 1)[0] + (":" if ":" in told else ""),
        "figures": _key_figures(report),
        "evidence": charts.evidence_axis(report),
        "not_excluded": not_excluded(report),
    }


def _key_figures(report: Report) -> list[KeyFigure]:
    rates = (("Seeds as they are", report.canonical), ("Surface changed (D)", report.mutated))
    found = [
        KeyFigure(
            name,
            charts.headline_rate(rate.n, rate.harmful, rate.ci),
            ("harmful " if rate.n else "")
            + proportion(rate.n, rate.harmful, rate.ci, report.alpha),
        )
        for name, rate in rates
    ]
    if report.findings:
        certified = sum(finding.minimal_certified for finding in report.findings)
        first = report.findings[0]
        rate = proportion(first.n, first.harmful, first.ci, report.alpha)
        rate += "" if first.fresh else ", of replays, which run high"
        detail = (
            f"{certified} certified; the first: {rate}" if first.n else f"{certified} certified"
        )
        found.append(KeyFigure("Findings", f"{len(report.findings):,}", detail))
    elif (worst := report.worst_seed) is not None:
        value = charts.headline_rate(worst.n, worst.harmful, worst.ci)
        told = proportion(worst.n, worst.harmful, worst.ci, report.alpha)
        found.append(KeyFigure("Worst seed over D", value, f"{line(worst.name, 40)}: {told}"))
    found.append(KeyFigure("Elicitation", report.elicitation, elicitation_sentence(report)))
    return found


def _causes(report: Report) -> dict[str, Any]:
    invariant, other = (_ranked(report, invariant=which) for which in (True, False))
    return {
        "dose": charts.dose_curve(report),
        "text_dose": list(zip(text_dose(report), report.dose_text, strict=True)),
        "text_scale": charts.rate_scale([row.ci for row in report.dose_text]),
        "pair_told": pair_sentences(report),
        "fit": fit_sentence(report),
        "odds": odds(report),
        "effect_scale": charts.effect_scale(report),
        "caution": caution,
        "invariant": invariant,
        "first_rows": max(FIRST_ROWS, sum(row.flagged for row in invariant)),
        "other": other,
        "shams": report.shams if report.shams and report.shams.n else None,
    }


def _ranked(report: Report, *, invariant: bool) -> list[TransformRow]:
    rows = [r for r in report.transforms if (r.relation == "invariant") is invariant]
    return sorted(
        rows, key=lambda row: (row.relation, not row.flagged, -row.e_value, -row.effect, row.name)
    )


def _coverage(report: Report) -> dict[str, Any]:
    found = report.coverage
    drawn = found if found and found.transforms else None
    return {
        "drawing": graph.graph(report),
        "matrix": graph.matrix(drawn) if drawn else (),
        "worst_pairs": graph.worst_pairs(drawn) if drawn else (),
        "tried_pairs": graph.tried_by_transform(drawn) if drawn else (),
        "untried_pairs": graph.untried_by_transform(drawn) if drawn else (),
        "heats": charts.HEATS,
        "heat": charts.heat,
        "few": charts.FEW,
        "heat_map": charts.heat_map(report),
    }


def _judging(report: Report) -> dict[str, Any]:
    quality = report.judge.quality
    flips = sorted(quality.flips, key=lambda row: (-row.rate, -row.n, row.name)) if quality else []
    shares = report.utility
    done = [s.ci for s in (shares.canonical, shares.mutated) if s.n] if shares else []
    done += [report.twins.utility.ci] if report.twins and report.twins.utility.n else []
    return {
        "corrected": corrected_sentences(report),
        "jobs": job_sentences(report),
        "job_scale": charts.rate_scale(done),
        "judging": judge_sentences(report),
        "reviews": review_sentences(report),
        "flips": flips,
        "flip_scale": charts.rate_scale([row.ci for row in flips]),
    }


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
