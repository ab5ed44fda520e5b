"""JUnit XML: one test case for each seed × family, one for each seed as it is, and the verdict.

A case *fails* where a finding on its seed has a step of its family in the minimal plan. A case that
passes says that no finding involves it, and no more: rows of D hold steps of many families, so what
failed on D beside them is told as text and fails nothing. Never drawn, a case is *skipped*. The
case `verdict` fails where the run is brittle, and is an *error* where there is no verdict; where a
gate knows every finding, known cases and the verdict are skipped, with the reason.

The figures stand as properties of the suite, numbers as JSON writes them, to be read back.
"""

import io
import json
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from fuzzer.records import Finding, GateRow, Rate, Report, SeedFamily, SeedRow
from reports import complete
from reports.baseline import gate_lines, passed_by, row_words, rows_by_finding
from reports.finding import CANONICAL, certificate, claim, families, minimal_names, rate_words
from reports.fingerprint import fingerprints
from reports.text import line, percent, plain, proportion, replay_command

_Result = TypeVar("_Result", Error, Failure)

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
SUITE = "holdfast"
VERDICT = "verdict"
UNLISTED = "unlisted"  # the family of a transform that the report does not tell of
MEANING = (
    "A passed case says that no finding involves it, not that it cannot fail; rarer failing "
    "variants are not excluded."
)


def render(report: Report) -> bytes:
    """The suite as UTF-8 XML."""
    report = complete(report)
    suite = TestSuite(SUITE)
    suite.timestamp = _stamp(report.timing.started)
    for name, value in properties(report):
        suite.add_property(name, value)
    suite.add_testcases([_verdict(report), *_seeds(report), *_families(report)])
    suite.time = report.timing.seconds
    xml = JUnitXml(SUITE)
    xml.add_testsuite(suite)
    xml.time = report.timing.seconds
    written = io.BytesIO()
    xml.write(written)
    return written.getvalue() + b"\n"


def _stamp(started: str) -> str:
    """As JUnit wants it: seconds, no zone."""
    return started[:19] if _MOMENT.match(started) else ""


# -------------------------------------------------------------------------------------- properties


def properties(report: Report) -> list[tuple[str, str]]:
    """Name and value of each property of the suite."""
    facts: dict[str, Any] = {
        "meaning": MEANING,
        "schema_version": report.schema_version,
        "verdict": report.verdict,
        "exit_code": passed_by(report),
        "sentence": line(report.sentence, 4000),
        "baseline": report.baseline,
        "teaching_to_the_test": report.teaching_to_the_test,
        "elicitation": report.elicitation,
        "provisional": report.provisional,
        "model": line(report.model),
        "threshold": report.threshold,
        "alpha": report.alpha,
        "calls": report.calls,
        "e_brittle": report.evidence.e_brittle,
        "e_brittle_needed": report.evidence.needed,
        "e_holds": report.evidence.e_holds,
        "e_holds_needed": report.evidence.needed_holds,
        "distribution": line(report.distribution.hash, 80),
        **_rate("canonical", report.canonical),
        **_rate("mutated", report.mutated),
        "findings": len(report.findings),
    }
    known = rows_by_finding(report)
    for number, finding in enumerate(report.findings, start=1):
        facts |= _finding(f"finding.{number}", finding, known.get(finding.id))
    if report.gate is not None:
        facts["gate"] = line(report.gate.sentence, 1000)
    facts |= {f"note.{n}": line(note, 1000) for n, note in enumerate(report.notes, start=1)}
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in facts.items()
    ]


def _rate(name: str, rate: Rate) -> dict[str, Any]:
    return {
        f"{name}.n": rate.n,
        f"{name}.harmful": rate.harmful,
        f"{name}.unusable": rate.unusable,
        f"{name}.engaged": rate.engaged,
        f"{name}.ci": list(rate.ci),
    }


def _finding(name: str, finding: Finding, row: GateRow | None) -> dict[str, Any]:
    return {
        f"{name}.id": line(finding.id),
        f"{name}.seed": line(finding.seed),
        f"{name}.minimal_plan": minimal_names(finding),
        f"{name}.rate": finding.rate,
        f"{name}.ci": list(finding.ci),
        f"{name}.n": finding.n,
        f"{name}.harmful": finding.harmful,
        f"{name}.fresh": finding.fresh,
        f"{name}.certified": finding.minimal_certified,
        f"{name}.review": finding.review,
        **{f"{name}.{kind}": value for kind, value in fingerprints(finding).items()},
        **({f"{name}.gate": row.status} if row else {}),
    }


# ------------------------------------------------------------------------------------------- cases


def _verdict(report: Report) -> TestCase:
    case = TestCase(VERDICT, SUITE)
    told = line(report.sentence, 2000)
    code, gate = passed_by(report), gate_lines(report)
    if report.verdict in ("inconclusive", "unusable"):
        case.result = [_told(Error(told, report.verdict), told)]
    elif code:
        why = f"{line(report.gate.sentence, 1000)} {told}" if report.gate else told
        case.result = [_told(Failure(why, report.verdict), "\n".join([told, *gate]))]
    elif report.verdict == "brittle" and report.gate is not None:
        case.result = [Skipped(f"{line(report.gate.sentence, 1000)} {told}", "known")]
    case.system_out = plain("\n".join([told, *report.notes]), 20_000)
    return case


def _seeds(report: Report) -> list[TestCase]:
    """Each seed as it is: what its canonical calls said."""
    detail = {row.seed: row for row in report.seeds_detail}
    return [
        _case(
            report,
            seed,
            CANONICAL,
            _as_it_is(report, detail.get(seed)),
            [f for f in report.findings if f.seed == seed and not f.minimal_plan],
        )
        for seed in dict.fromkeys((*report.seeds, *(f.seed for f in report.findings)))
    ]


def _as_it_is(report: Report, row: SeedRow | None) -> str:
    """What is known of a seed as it is; "" where nothing was called."""
    if row is None or not (row.canonical.n + row.canonical.unusable):
        return ""
    rate = row.canonical
    shown = proportion(rate.n, rate.harmful, rate.ci, report.alpha)
    return f"The seed as it is: {shown}; {rate.unusable:,} unusable."


def _families(report: Report) -> list[TestCase]:
    """A case for each seed × family of the report, and for any that only a finding has."""
    of, cells = families(report), {(row.seed, row.family): row for row in report.seed_families}
    involved: dict[tuple[str, str], list[Finding]] = {key: [] for key in cells}
    for finding in report.findings:
        for family in dict.fromkeys(of.get(s.transform, UNLISTED) for s in finding.minimal_plan):
            involved.setdefault((finding.seed, family), []).append(finding)
    return [
        _case(report, seed, family, _drawn(report, cells.get((seed, family))), found)
        for (seed, family), found in involved.items()
    ]


def _drawn(report: Report, row: SeedFamily | None) -> str:
    """What the rows of D of a cell say; "" where none was drawn."""
    if row is None or not row.n:
        return ""
    return (
        f"Rows of D with a step of this family: "
        f"{proportion(row.n, row.harmful, row.ci, report.alpha)} (each mostly holds steps of other "
        "families too; this describes)."
    )


def _case(report: Report, seed: str, name: str, seen: str, found: Sequence[Finding]) -> TestCase:
    case = TestCase(line(name, 80), line(seed, 120))
    known = rows_by_finding(report)
    rows = [(finding, known.get(finding.id)) for finding in found]
    failing = [(f, row) for f, row in rows if row is None or row.status != "known"]
    if failing:
        case.result = [_failure(report, finding, row) for finding, row in failing]
    elif rows:
        told = "; ".join(row_words(row) for _, row in rows if row is not None)
        case.result = [Skipped(line(told, 1000), "known")]
    elif not seen:
        case.result = [Skipped("not drawn" if name != CANONICAL else "not called", "not drawn")]
    lines = [seen] if seen else []
    lines += [row_words(row) for _, row in rows if failing and row and row.status == "known"]
    if lines:
        case.system_out = plain("\n".join(lines), 20_000)
    return case


def _failure(report: Report, finding: Finding, row: GateRow | None) -> Failure:
    """A finding in words; its first line is what a list of failures shows."""
    kind = "finding" if row is None else row.status
    plan = line(" + ".join(minimal_names(finding)) or "nothing changed", 200)
    rate = rate_words(finding, report.alpha)
    head = f"{line(finding.id, 40)}: {plan}: {rate}; {certificate(finding)}"
    lines = [claim(report, finding), f"Look: {replay_command(finding)}"]
    lines += [f"Gate: {row_words(row)}"] if row else []
    lines.append(
        f"Whole plan: {len(finding.plan)} steps; run exits with {passed_by(report)}; "
        f"threshold {percent(report.threshold)}."
    )
    return _told(Failure(line(head, 1000), kind), "\n".join(lines))


def _told(result: _Result, text: str) -> _Result:
    result.text = plain(text, 20_000)
    return result
