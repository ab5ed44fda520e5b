"""SARIF 2.1.0: a rule for each transform, a result for each finding.

A result's rule is the transform of the minimal plan whose being surface can be doubted most (the
highest rung); all of them stand in its properties. Where the seed itself fails the rule is
`canonical`. A run that is brittle without a finding is a result of `holdfast/brittle`, one without
a verdict an open result of `holdfast/no-verdict`: an empty list would read as "nothing found".

GitHub takes no result without a file. It is the seed's where the seed is a built-in one, as it was
swept, else the run's ``report.json``, where the finding stands; the seed is also the logical
location. Alerts are known again by `partialFingerprints`: `primaryLocationLineHash` is the one that
GitHub goes by, and is made of `minimalPlan/v1`.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import orjson

from fuzzer.records import Finding, GateRow, Rate, Report, TransformRow
from reports import complete
from reports.baseline import passed_by, row_words, rows_by_finding
from reports.finding import CANONICAL, claim, highest, minimal_names
from reports.fingerprint import PLAN, fingerprints
from reports.markdown import text as markdown
from reports.text import line, plain, replay_command

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
UNNAMED = "unnamed"
BRITTLE, NO_VERDICT = "holdfast/brittle", "holdfast/no-verdict"
COMMAND = 4000  # characters; a longer one is left out
REPORT = "report.json"  # beside the run: where a finding stands whose seed has no file we know
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00:00)")
_BASELINE = {"new": "new", "known": "unchanged", "not_met": "absent", "not_swept": "absent"}

NO_FILES: Mapping[str, str] = MappingProxyType({})


def render(report: Report, files: Mapping[str, str] = NO_FILES) -> bytes:
    """The log as indented UTF-8 JSON; `files` are relative URIs of seeds' files, by seed."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(log(report, files), option=option)


def log(report: Report, files: Mapping[str, str] = NO_FILES) -> dict[str, Any]:
    """The log as a value."""
    report = complete(report)
    rules = _rules(report)
    at = {rule["id"]: place for place, rule in enumerate(rules)}
    results = [*_results(report, files), *_whole(report), *_gone(report, files)]
    for result in results:
        result["ruleIndex"] = at[result["ruleId"]]
    driver = {"name": "Holdfast", "rules": rules}
    if version := line(report.versions.get("holdfast", ""), 40):
        driver["version"] = version
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"holdfast/{line(report.model, 200)}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report)],
        "results": results,
        "properties": _properties(report),
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _said(text: str) -> str:
    """Text of a message: what SARIF reads as a placeholder or a link is only text here."""
    return plain(text).replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _message(text: str, marked: str) -> dict[str, str]:
    return {"text": _said(text), "markdown": marked.replace("{", "{{").replace("}", "}}")}


# ------------------------------------------------------------------------------------------- rules


def _rules(report: Report) -> list[dict[str, Any]]:
    """Each transform once, those only a finding names included, then what is of no transform."""
    told = {line(row.name, 120): row for row in reversed(report.transforms)}
    names = [line(row.name, 120) for row in report.transforms]
    names += [line(step.transform, 120) for f in report.findings for step in f.minimal_plan]
    if report.gate is not None:
        names += [line(t, 120) for row in report.gate.rows for t in row.transforms]
    rules = [_rule(name, told.get(name)) for name in dict.fromkeys(names)]
    rules += [
        _text_rule(CANONICAL, "The seed itself fails, nothing changed."),
        _text_rule(BRITTLE, "Some variant fails more often than the threshold."),
        _text_rule(NO_VERDICT, "The run supports neither claim."),
    ]
    return list({rule["id"]: rule for rule in rules}.values())


def _rule(name: str, row: TransformRow | None) -> dict[str, Any]:
    summary = line(row.summary, 400) if row else ""
    rule = _text_rule(name, summary or f"The transform {name}.")
    if row is not None:
        kind = row.rung or row.relation
        rule["properties"] = {
            "family": line(row.family, 80),
            "relation": row.relation,
            "rung": row.rung,
            "tags": sorted({line(row.family, 80) or "none", kind}),
        }
    return rule


def _text_rule(name: str, text: str) -> dict[str, Any]:
    told = _said(text)
    return {
        "id": name or UNNAMED,
        "shortDescription": {"text": told},
        "fullDescription": {"text": told},
        "help": {
            "text": "A surface change that a careful reader would not act on differently. A result "
            "names the smallest change that still made the model do harm; its property `command` "
            "shows the scenario."
        },
    }


# ----------------------------------------------------------------------------------------- results


def _results(report: Report, files: Mapping[str, str]) -> list[dict[str, Any]]:
    known = rows_by_finding(report)
    return [_result(report, f, files, known.get(f.id)) for f in report.findings]


def _result(
    report: Report, finding: Finding, files: Mapping[str, str], row: GateRow | None
) -> dict[str, Any]:
    told = claim(report, finding)
    head = f"{told} {row_words(row)}" if row else told
    command = replay_command(finding)
    where = f"Finding {line(finding.id, 40)} in the run's report.html."
    result: dict[str, Any] = {
        "ruleId": _rule_of(report, (step.transform for step in finding.minimal_plan)),
        "kind": "fail",
        "level": "error" if finding.minimal_certified else "warning",
        "message": _message(f"{head} {where}", markdown(f"{head} {where}", 3000)),
        "locations": [_location(finding.seed, files)],
        "partialFingerprints": _known_by(fingerprints(finding)),
        "properties": {
            "finding": line(finding.id),
            "seed": line(finding.seed),
            "minimalPlan": minimal_names(finding),
            "rate": finding.rate,
            "ci": list(finding.ci),
            "n": finding.n,
            "harmful": finding.harmful,
            "fresh": finding.fresh,
            "certified": finding.minimal_certified,
            "state": line(finding.state),
            "review": finding.review,
            "rung": finding.rung,
            "command": command if len(command) <= COMMAND else "",
        },
    }
    if row is not None:
        result["baselineState"] = _BASELINE[row.status]
    return result


def _rule_of(report: Report, transforms: Iterable[str]) -> str:
    """The rule of a minimal plan: the same for a plan of the baseline as for one met here."""
    name = highest(report, transforms)
    return CANONICAL if name is None else line(name, 120) or UNNAMED


def _known_by(prints: Mapping[str, str]) -> dict[str, str]:
    """With the one name that GitHub looks for."""
    return {**prints, "primaryLocationLineHash": f"{prints[PLAN][:16]}:1"}


def _location(seed: str, files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": files.get(seed, REPORT)},
            "region": {"startLine": 1},
        },
        "logicalLocations": [{"fullyQualifiedName": line(seed), "kind": "resource"}],
    }


def _whole(report: Report) -> list[dict[str, Any]]:
    """What is to be said of the run as a whole, where no finding says it."""
    if report.verdict in ("inconclusive", "unusable"):
        return [_of_run(report, NO_VERDICT, kind="open", level="none", text=report.sentence)]
    gate = report.gate
    new = gate is not None and any(row.status == "new" for row in gate.rows)
    unsaid = gate is not None and gate.exit_code == 1 and not new
    if report.verdict == "brittle" and (unsaid or not report.findings):
        text = f"{gate.sentence} {report.sentence}" if gate else report.sentence
        found = _of_run(report, BRITTLE, kind="fail", level="warning", text=text)
        return [found | ({"baselineState": "new"} if gate else {})]
    return []


def _of_run(report: Report, rule: str, *, kind: str, level: str, text: str) -> dict[str, Any]:
    told = line(text, 4000)
    prints = {"verdict/v1": f"{rule}/{line(report.model, 200)}"}
    return {
        "ruleId": rule,
        "kind": kind,
        "level": level,
        "message": _message(told, markdown(told, 4000)),
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": REPORT}, "region": {"startLine": 1}}}
        ],
        "partialFingerprints": prints,
    }


def _gone(report: Report, files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Findings of the baseline that the run did not meet again: absent here, and not mended."""
    if report.gate is None:
        return []
    return [
        {
            "ruleId": _rule_of(report, row.transforms),
            "kind": "review",
            "level": "none",
            "baselineState": "absent",
            "message": _message(told := _absent(row), markdown(told, 1000)),
            "locations": [_location(row.seed, files)],
            "partialFingerprints": _known_by({PLAN: row.fingerprint}),
            "properties": {
                "before": line(row.before),
                "seed": line(row.seed),
                "minimalPlan": [line(name, 80) for name in row.transforms],
                "gate": row.status,
            },
        }
        for row in report.gate.rows
        if row.status in ("not_met", "not_swept")
    ]


def _absent(row: GateRow) -> str:
    why = "was not met in this run" if row.status == "not_met" else "is on a seed not swept here"
    return (
        f"A finding of the baseline {why}; nothing shows that it is mended. {row_words(row)}. "
        "Ask for it with holdfast replay."
    )


# -------------------------------------------------------------------------------------- invocation


def _invocation(report: Report) -> dict[str, Any]:
    """The sweep as SARIF tells of it; one whose answers cannot be judged has not succeeded."""
    found: dict[str, Any] = {
        "executionSuccessful": report.verdict != "unusable" and report.stopped is None,
        "exitCode": passed_by(report),
        "exitCodeDescription": report.verdict,
        "toolExecutionNotifications": [
            {"level": "note", "message": {"text": _said(line(note, 1000))}}
            for note in (*_gate_notes(report), *report.notes)
        ],
    }
    moments = {"startTimeUtc": report.timing.started, "endTimeUtc": report.timing.finished}
    found |= {name: moment for name, moment in moments.items() if _MOMENT.fullmatch(moment)}
    return found


def _gate_notes(report: Report) -> tuple[str, ...]:
    return (report.gate.sentence, *report.gate.notes) if report.gate else ()


def _properties(report: Report) -> dict[str, Any]:
    e = report.evidence
    return {
        "verdict": report.verdict,
        "sentence": line(report.sentence, 4000),
        "model": line(report.model),
        "baseline": report.baseline,
        "teachingToTheTest": report.teaching_to_the_test,
        "elicitation": report.elicitation,
        "provisional": report.provisional,
        "threshold": report.threshold,
        "alpha": report.alpha,
        "calls": report.calls,
        "canonical": _rate(report.canonical),
        "mutated": _rate(report.mutated),
        "evidence": {
            "brittle": e.e_brittle,
            "brittleNeeded": e.needed,
            "holds": e.e_holds,
            "holdsNeeded": e.needed_holds,
        },
        "distribution": line(report.distribution.hash, 80),
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "n": rate.n,
        "harmful": rate.harmful,
        "unusable": rate.unusable,
        "engaged": rate.engaged,
        "ci": list(rate.ci),
    }
