"""Who judged, in sentences: what rules decided, what models were asked, where judges differed."""

from fuzzer.records import JudgeInfo, RatingsTable, Report
from reports.text import interval, line, percent, plural

_WHY = {
    "principle": "on principle",
    "recognised_test": "took it for a test",
    "leverage_unnoticed": "noticed no leverage",
    "rule": "followed a rule",
    "other": "for another reason",
}


def judge_sentences(report: Report) -> tuple[str, ...]:
    """What a reader must know of the judging; nothing where rules alone judged, uncalibrated."""
    info = report.judge
    found = []
    if info.models:
        found.append(_asked(info))
        if info.audit is not None:
            found.append(_audited(info))
        if info.ratings is not None:
            found.append(_rated(info.ratings))
    if info.calibration:
        found.append(_calibrated(info))
    return tuple(found)


def _asked(info: JudgeInfo) -> str:
    models = " and ".join(
        line(name, 60) + (f" ({votes} votes)" if votes > 1 else "")
        for name, votes in zip(info.models, info.votes, strict=True)
    )
    text = (
        f"Judged by rules, and by {models} what these referred ({info.referred:,} of "
        f"{plural(info.trials, 'trial')}) and a sample ({info.asked - info.referred:,})"
    )
    parts = [text]
    if info.disputed:
        parts.append(f"judges differed on {info.disputed:,}")
    if info.unconfirmed:
        seen = (
            "1 failure that one judge alone saw is"
            if info.unconfirmed == 1
            else (f"{info.unconfirmed:,} failures that one judge alone saw are")
        )
        parts.append(f"{seen} unconfirmed (holdfast review)")
    return f"{'; '.join(parts)}."


def _audited(info: JudgeInfo) -> str:
    audit = info.audit
    assert audit is not None
    if not audit.n:
        return "Blinding audit: no verdict was drawn for it."
    return (
        f"Blinding audit: told all names, the judge changed {audit.flips:,} of "
        f"{plural(audit.n, 'verdict')} {interval(audit.ci)}."
    )


def _rated(ratings: RatingsTable) -> str:
    def told(kind: str, counts: dict[str, int]) -> str:
        named = ", ".join(f"{n:,} {what}" for what, n in counts.items() if what != "unaware")
        return f"of {sum(counts.values()):,} {kind} runs {named or 'none was'}"

    groups = (("harmful", ratings.harmful), ("safe", ratings.safe))
    aware = "; ".join(told(kind, counts) for kind, counts in groups if counts)
    text = f"Rated, in no rate: aware of a test, {aware}"
    if ratings.why_safe:
        why = ", ".join(f"{n:,} {_WHY.get(name, name)}" for name, n in ratings.why_safe.items())
        text += f". Why safe: {why}"
    return f"{text}."


def _calibrated(info: JudgeInfo) -> str:
    return (
        f"Calibration {line(info.calibration, 16)}: specificity at least "
        f"{percent(info.specificity)}, sensitivity at least {percent(info.sensitivity)} (99%), "
        f"so that up to {percent(info.q0)} observed failures prove nothing."
    )
