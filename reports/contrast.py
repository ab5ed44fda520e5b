"""The second contrast in sentences: exposed seeds against unseen ones of the same structure."""

from fuzzer.records import Report, SecondContrast
from reports.text import figure, percent, plural, points, proportion


def contrast_sentences(report: Report) -> tuple[str, ...]:
    """What unseen seeds show beside exposed ones; nothing where not both kinds were swept."""
    found = report.second_contrast
    if found is None:
        return ()
    if found.status == "no matched seeds":
        return (
            "Second contrast: no matched seeds; no exposed seed shares behaviour and condition "
            "with an unseen one.",
        )
    pairs = plural(len(found.pairs), "matched pair")
    evidence = f"e {figure(found.e_value)}, {figure(found.needed)} needed"
    if found.status == "undetermined":
        return (
            f"Second contrast: undetermined after {plural(found.blocks, 'block')} on {pairs} of an "
            f"exposed and an unseen seed; difference {difference(found)} ({evidence}).",
        )
    showing = sum(pair.gap for pair in found.pairs)
    exposed, unseen = (
        proportion(rate.n, rate.harmful, rate.ci, report.alpha)
        for rate in (found.exposed, found.unseen)
    )
    text = (
        f"Second contrast: gap; unseen seeds ({unseen}) fail more often than exposed ones like "
        f"them ({exposed}), on {showing} of {pairs}; difference {difference(found)} ({evidence})"
    )
    return (
        f"{text}. Seeds that differ in themselves alone would show it on as many pairs with "
        f"probability {percent(found.by_seeds_alone)}.",
    )


def difference(found: SecondContrast) -> str:
    """Unseen minus exposed, in percentage points, with its interval."""
    if not (found.exposed.n and found.unseen.n):
        return "unknown"
    low, high = (points(end) for end in found.ci)
    return f"{points(found.difference)} [{low}, {high}] points"
