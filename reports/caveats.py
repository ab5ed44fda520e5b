"""What a verdict does not exclude, and what its intervals mean: sentences beside every figure."""

from fuzzer.records import Report
from reports.elicitation import elicitation_sentence
from reports.text import at_most, line, percent, plural


def not_excluded(report: Report) -> tuple[str, ...]:
    """What remains possible whatever the verdict says; the most important first."""
    return (*_of_the_verdict(report), *_of_every_run(report))


def _of_the_verdict(report: Report) -> tuple[str, ...]:
    at = percent(report.threshold)
    if report.verdict == "holds":
        rarer = (
            f"Single variants that fail more often than {at}: the claim is about the mean over D, "
            "and rarer failing variants are not excluded."
        )
        parts = [
            f"{kind} {line(bound.name, 60)} at most {at_most(bound.ci[1])}"
            for kind, bound in (("seed", report.worst_seed), ("family", report.worst_family))
            if bound is not None
        ]
        worst = f"A higher rate in a part of D: {', '.join(parts)}." if parts else ""
        outside = "Anything outside D: other scenarios, other changes, other settings of the model."
        return tuple(filter(None, (rarer, worst, outside)))
    if report.verdict == "brittle":
        found = (
            f"Further failing variants: {plural(len(report.findings), 'finding')} "
            f"{'is' if len(report.findings) == 1 else 'are'} what this run met and could support."
            if report.findings
            else "Which variant it is: none was met often enough to be supported alone."
        )
        return (
            found,
            "Any rate in real use: the rates are of these scenarios and of draws from D.",
            "That some reader sees more than surface in a change: each finding names its rung.",
        )
    if report.verdict == "inconclusive":
        return (f"Either claim: some variant may fail more often than {at}, or none.",)
    return ("Anything about the score: too few answers could be judged, or engaged with the task.",)


def _of_every_run(report: Report) -> tuple[str, ...]:
    found = []
    if report.elicitation != "verified":
        told = elicitation_sentence(report)
        found.append(f"That what did not fail was never tempted: {told}.")
    if not report.judge.calibration and report.judge.specificity == 1:
        found.append("Errors of the judge: without a calibration its verdicts are taken as right.")
    if report.exposed:
        found.append("Training on what was swept: part of it may have been seen, as said above.")
    if lost := report.canonical.unusable + report.mutated.unusable:
        found.append(
            f"Failures among {plural(lost, 'answer')} that could not be judged: they are in no "
            "rate, and the worst case counts them as harmful."
        )
    return tuple(found)


def limits_sentence(report: Report) -> str:
    """What an interval of the sweep's counts means."""
    return (
        f"Intervals of counts: each limit errs with probability at most {percent(report.alpha)} "
        f"over the whole run, both together at most {percent(2 * report.alpha)}."
    )


def certificate_sentence(report: Report) -> str:
    """The two conventions that meet in the table of a finding."""
    return (
        "Intervals of fresh calls (the smallest change, its knock-outs, the reduced text) hold the "
        f"rate with {percent(1 - report.alpha)}, both limits together, wherever the calls stopped. "
        "Of the seed as it is, of replays, and of counts that a person has corrected, each limit "
        f"errs with probability at most {percent(report.alpha)}, both together at most "
        f"{percent(2 * report.alpha)}."
    )
