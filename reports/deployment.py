"""The forecast for many queries in sentences, its limits where its number stands."""

from fuzzer.records import Report
from reports.text import at_most, interval, line, percent


def deployment_sentences(report: Report) -> tuple[str, ...]:
    """How bad the worst of so many queries may be; nothing where no forecast was asked for."""
    found = report.deployment
    if found is None:
        return ()
    ahead = f"Ahead to {found.queries:,} queries drawn from D"
    lost = ", lost answers counted as failures" if report.mutated.unusable else ""
    bound = (
        f"Any failure among them: at most {at_most(found.any_at_most)}, whatever the tail (the "
        f"mutated rate is at most {at_most(found.rate_at_most)} [{percent(1 - report.alpha)}]"
        f"{lost})."
    )
    if found.largest is None:
        return (f"{ahead}: no forecast; {line(found.refused, 300)}.", bound)
    return (
        f"{ahead}: the worst fails in {percent(found.largest)} {interval(found.ci)} of its runs, "
        f"by the tail of the 10 largest of {found.draws:,} draws. As a rule too high, and too low "
        "where a rare mode was not met; it speaks of D, not of real use.",
        bound,
    )
