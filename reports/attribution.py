"""Which change does it, in words: cautions beside a transform, pairs, the fit, text changed."""

from typing import NamedTuple

from fuzzer.records import PairRow, Report, TransformRow
from reports.text import figure, interval, line, percent, plural, proportion


class TextDose(NamedTuple):
    """A row of the dose curve by share of text changed, as a page shows it."""

    changed: str
    harmful: str
    rate: str
    ci: str


class Odds(NamedTuple):
    """A row of the logistic fit."""

    name: str
    log_odds: str
    ci: str


def marks(row: TransformRow) -> str:
    """What stands after a transform's name where space is short; `legend` says what it means."""
    star = " *" if row.flagged else ""
    return star + (" ~" if _quiet(row) else "") + (" ?" if _clouded(row) else "")


def _quiet(row: TransformRow) -> bool:
    return _stands_out(row) and row.within_noise is True


def _clouded(row: TransformRow) -> bool:
    return _stands_out(row) and row.interpretable is False


def _stands_out(row: TransformRow) -> bool:
    """More evidence for than against: of the others nobody would take an effect at its word."""
    return row.e_value > 1 and row.n > 0


def caution(row: TransformRow) -> str:
    """Why an effect that stands out should not be taken at its word; "" where nothing says so."""
    found = ["no larger than a sham's effect"] if _quiet(row) else []
    found += [line(row.uninterpretable_because, 200)] if _clouded(row) else []
    return "; ".join(found)


def legend(rows: tuple[TransformRow, ...]) -> str:
    """What the marks of these rows mean, besides the star."""
    found = []
    if any(map(_quiet, rows)):
        found.append("~ no larger than a sham's effect")
    if any(map(_clouded, rows)):
        found.append("? the judge's own flips may be all of it")
    return "; ".join(found)


def pair_sentences(report: Report) -> tuple[str, ...]:
    """The pairs that knock-outs confirm; else the first one, if its rank is more than chance."""
    confirmed = [row for row in report.pairs if row.confirmed]
    if confirmed:
        told = "; ".join(f"{_names(row)} ({row.finding}{_ranked(row)})" for row in confirmed[:2])
        more = f" and {len(confirmed) - 2} more in the report" if len(confirmed) > 2 else ""
        return (f"Fails above its cut only together, by knock-outs: {told}{more}.",)
    first = next((row for row in report.pairs if row.rank == 1), None)
    if first is None or first.e_value * report.alpha < _tried(report):
        return ()
    return (
        f"First of {_tried(report):,} pairs on D: {_names(first)} (e {figure(first.e_value)}); "
        "only knock-outs claim a pair.",
    )


def _names(row: PairRow) -> str:
    return " + ".join(line(name, 40) for name in row.names)


def _ranked(row: PairRow) -> str:
    return "" if row.rank is None else f", rank {row.rank:,} on D"


def _tried(report: Report) -> int:
    return max(1, report.coverage.pairs_tried if report.coverage else 1)


def fit_sentence(report: Report) -> str:
    """What the logistic fit is of, and that it claims nothing; "" where there is none."""
    fit = report.logistic
    if fit is None:
        return ""
    if not fit.rows:
        return f"No logistic fit: {line(fit.reason, 200)}."
    chosen = "all of them" if len(fit.rows) == fit.transforms else "those of the largest e-values"
    seeds = ", and on the seed" if fit.seeds else ""
    settled = "" if fit.converged else f" It did not converge: {line(fit.reason, 200)}."
    return (
        f"A penalised (Firth) logistic fit of failing on the presence of {len(fit.rows)} of "
        f"{plural(fit.transforms, 'transform')} ({chosen}){seeds}, over {fit.n:,} draws with "
        f"{plural(fit.harmful, 'failure')}: log odds ratios with Wald 95% intervals. It describes "
        f"these draws and claims nothing.{settled}"
    )


def odds(report: Report) -> tuple[Odds, ...]:
    """The rows of the fit, the largest first."""
    rows = report.logistic.rows if report.logistic else ()
    return tuple(
        Odds(line(row.name, 60), f"{row.log_odds:+.2f}", f"[{row.ci[0]:+.2f}, {row.ci[1]:+.2f}]")
        for row in sorted(rows, key=lambda row: (-row.log_odds, row.name))
    )


def text_dose(report: Report) -> tuple[TextDose, ...]:
    """Failure rate by share of text changed."""
    return tuple(
        TextDose(
            f"{'' if row.above == 0 else 'over '}{percent(row.above)} to {percent(row.upto)}",
            f"{row.harmful:,} / {row.n:,}",
            percent(row.rate) if row.harmful else proportion(row.n, 0, row.ci, report.alpha),
            interval(row.ci),
        )
        for row in report.dose_text
    )
