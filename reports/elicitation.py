"""What a control run shows, in sentences and as the rows of a table: did these variants tempt."""

from collections import Counter
from typing import NamedTuple

from fuzzer.records import ControlRow, Difference, Elicitation, Report
from reports.text import interval, line, percent, plural, points, proportion

NAMED = 2
_WITHOUT = "elicitation unverified: no control run shows that these scenarios still tempt a model"


def elicitation_sentence(report: Report) -> str:
    """Whether a zero means anything: did these scenarios tempt anyone. Without its full stop."""
    found = report.elicitation_detail
    if found is None:
        if report.elicitation == "verified":
            return "elicitation verified by a control run"
        return _WITHOUT
    control = f"the control run of {line(found.model, 60)}"
    if report.elicitation == "verified":
        return f"elicitation verified by {control}, {_kept(found)}"
    return f"elicitation unverified: {control} {_lacking(found)}"


def control_sentences(report: Report) -> tuple[str, ...]:
    """The control's rates and the difference in differences; nothing where there was no control."""
    found = report.elicitation_detail
    if found is None or not found.strata:
        return ()
    whole, *parts = found.strata
    states = Counter(row.state for row in parts)
    rates = "; ".join(
        f"{name} {proportion(rate.n, rate.harmful, rate.ci, found.alpha)}"
        for name, rate in (("canonical", whole.canonical), ("mutated", whole.mutated))
    )
    said = (
        f"Control {line(found.model, 60)}: {rates}; ratio {ratio_text(whole)}. Seeds and families: "
        f"{states['kept']} kept, {states['lost']} lost, {states['undetermined']} undetermined."
    )
    if not found.differences or found.differences[0].seed:
        return (said,)
    return said, f"Difference in differences: {_difference(found.differences[0])}."


def ratio_text(row: ControlRow) -> str:
    """The share of its canonical rate that the control kept, with its limits, in percent."""
    high = "∞" if row.ratio_high is None else f"{100 * row.ratio_high:,.0f}"
    value = "none" if row.ratio is None else f"{100 * row.ratio:,.0f}%"
    return f"{value} [{100 * row.ratio_low:,.0f}, {high}]"


class ControlTable(NamedTuple):
    """What the page shows of a control; every text in it is still to be escaped."""

    sentences: tuple[str, ...]
    strata: tuple[tuple[str, ...], ...]  # name, canonical, mutated, without it, ratio, state
    differences: tuple[tuple[str, ...], ...]  # seed, model, control, difference


def control_table(report: Report) -> ControlTable | None:
    """The rows of a control's section; None where there was no control."""
    found = report.elicitation_detail
    if found is None:
        return None
    strata = tuple(
        (
            _name(row),
            *(
                "–"
                if rate is None or not rate.n
                else f"{rate.harmful:,} / {rate.n:,} {interval(rate.ci)}"
                for rate in (row.canonical, row.mutated, row.others)
            ),
            ratio_text(row),
            row.state,
        )
        for row in found.strata
    )
    differences = tuple(
        (
            line(row.seed, 60) or "all",
            points(row.model),
            points(row.control),
            f"{points(row.effect)} [{points(row.ci[0])}, {points(row.ci[1])}]",
        )
        for row in found.differences
    )
    return ControlTable(control_sentences(report), strata, differences)


def _kept(found: Elicitation) -> str:
    whole, *parts = found.strata
    unsure = sum(row.state == "undetermined" for row in parts)
    few = f"; in {unsure} of {len(parts)} seeds and families too few rows to be sure"
    return (
        f"which kept {ratio_text(whole)} of its canonical rate and lost its temptation on no seed "
        f"and no family{few if unsure else ''}"
    )


def _lacking(found: Elicitation) -> str:
    if not found.strata:
        return "has no rows"
    whole = found.strata[0].canonical
    if not found.susceptible:
        shown = proportion(whole.n, whole.harmful, whole.ci, found.alpha)
        return f"is not tempted by the seeds as they are ({shown}), so that it shows nothing"
    less = f"less than {_share(found.share)} of its canonical rate"
    if found.lost:
        return f"kept {less} on {_listed(found.lost)}"
    thin = [row for row in found.failing if row.mutated.n < found.least_rows]
    if thin:
        return (
            f"has fewer than {plural(found.least_rows, 'row')} of D on {_listed(thin)}; give it "
            "more (--stop budget)"
        )
    parts = [row for row in found.failing if row.kind != "all"]
    if below := sorted((row for row in parts if row.seen_below), key=lambda row: row.ratio or 0):
        return f"seems to have kept {less} on {_listed(below)}, which more rows would decide"
    if parts:
        return f"did no harm at all on {_listed(parts)}"
    return f"has too few rows to show that it kept {_share(found.share)} of its canonical rate"


def _share(share: float) -> str:
    return "half" if share == 0.5 else percent(share)


def _listed(rows: tuple[ControlRow, ...] | list[ControlRow]) -> str:
    shown = [_name(row) for row in rows[:NAMED]]
    more = len(rows) - len(shown)
    return ", ".join([*shown, f"{more} more"] if more else shown)


def _name(row: ControlRow) -> str:
    return "all of D" if row.kind == "all" else f"{row.kind} {line(row.name, 40)}"


def _difference(row: Difference) -> str:
    return (
        f"the changes move the model by {points(row.model)} points and the control by "
        f"{points(row.control)}: {points(row.effect)} [{points(row.ci[0])}, {points(row.ci[1])}]"
    )
