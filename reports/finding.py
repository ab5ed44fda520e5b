"""A finding in words, as every format for machines tells it: what fails, how often, how sure."""

from collections.abc import Iterable, Mapping

from fuzzer.records import Finding, Report
from fuzzer.transform import RUNGS
from reports.sentence import standing
from reports.text import interval, line, percent, plan_phrase, plural, proportion, summaries

#: What the CI formats call the seed as it is, where they name a transform or a family.
CANONICAL = "canonical"


def minimal_names(finding: Finding) -> list[str]:
    """The transforms of the minimal plan, by name; empty where the seed itself fails."""
    return [line(step.transform, 80) for step in finding.minimal_plan]


def highest(report: Report, transforms: Iterable[str]) -> str | None:
    """The one whose being surface can be doubted most, by its rung; None where there is none.

    Of several by name, so that it is the same one whatever order a plan is told in.
    """
    rungs = {row.name: row.rung for row in report.transforms}

    def debatable(name: str) -> int:
        rung = rungs.get(name)
        return -1 if rung is None else RUNGS.index(rung)

    return min(transforms, key=lambda name: (-debatable(name), name), default=None)


def families(report: Report) -> Mapping[str, str]:
    """The family of each transform the report tells of, by name."""
    return {row.name: row.family for row in report.transforms}


def rate_words(finding: Finding, alpha: float) -> str:
    """How often it failed, and on which calls: ``26 of 41, 63% [51, 74], on fresh calls``."""
    if finding.n:
        shown = proportion(finding.n, finding.harmful, finding.ci, alpha)
    else:  # an older report does not say of how many
        shown = f"{percent(finding.rate)} {interval(finding.ci)}"
    return f"{shown}, {rests_on(finding)}"


def rests_on(finding: Finding) -> str:
    """The calls its rate is of; without fresh ones those were made before anything was left out."""
    if finding.fresh:
        return "on fresh calls"
    if finding.minimal_plan == finding.plan:
        return "on the calls that led to it, which run high"
    whole = plural(len(finding.plan), "step")
    return f"on the calls that led to it, which run high, with all {whole} as it was found"


def certificate(finding: Finding) -> str:
    """How sure the minimal plan is."""
    if not finding.minimal_certified:
        state = line(finding.state, 120)
        return state if "not certified" in state else f"not certified: {state}"
    at = "" if finding.cut is None else f" at a cut of {percent(finding.cut)}"
    untested = any(each.status == "not testable" for each in finding.knockouts)
    minimal = " minimal" if finding.minimal_plan and not untested else ""
    alpha = finding.certificate_alpha
    wrong = "" if alpha is None else f", wrong with probability at most {percent(alpha)}"
    some = "; some step could not be left out in a test" if untested else ""
    return f"certified{minimal}{at}{wrong}{some}"


def claim(report: Report, finding: Finding) -> str:
    """The finding in a sentence or two: where, what change, how often, how sure."""
    plan = line(plan_phrase(finding.minimal_plan, summaries(report)), 600)
    shrunk = finding.minimal_certified or finding.state != "not shrunk"
    what = "smallest change that still fails" if shrunk else "failing plan, not shrunk"
    rests = standing(finding)
    told = (
        f"{line(finding.seed, 80)} fails ({rate_words(finding, report.alpha)}). "
        f"{what[0].upper()}{what[1:]}: {plan}. {_capital(certificate(finding))}."
    )
    return f"{told} {_capital(rests)}." if rests else told


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
