"""JUnit, SARIF, Markdown and the schema, each as its consumer takes it, whatever stands in them."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft202012Validator
from junitparser import JUnitXml, TestCase

import reports
from fuzzer.cli import main
from fuzzer.records import Report, SeedFamily
from fuzzer.transform import Step
from reports import junit, markdown, sarif, schema
from reports.baseline import gated, read
from reports.fingerprint import PLAN, VALUES, fingerprints, plan_fingerprint
from tests.test_formats import markdown_parser, random_reports, table_rows
from tests.test_reports import (
    ALL,
    BRITTLE,
    FINDING,
    HOLDS,
    HOSTILE,
    INCONCLUSIVE,
    NOT_LOCALISED,
    NOT_ZERO,
    RENAME,
    SEEDS,
    TOOLS,
    UNSEEN,
    UNUSABLE,
    hostile,
)

SARIF_SCHEMA = Draft4Validator(
    orjson.loads((Path(__file__).parent / "data" / "sarif-schema-2.1.0.json").read_bytes())
)
CELLS = tuple(
    SeedFamily(seed=seed, family=family, n=n, harmful=k, rate=k / n if n else 0, ci=(0.0, 0.9))
    for seed in SEEDS
    for family, n, k in (("personas", 20, 9), ("tools", 18, 4), ("inbox", 0, 0))
)
WITH_CELLS = BRITTLE.model_copy(update={"seed_families": CELLS})


def with_finding(**changes: Any) -> Report:
    return WITH_CELLS.model_copy(update={"findings": (FINDING.model_copy(update=changes),)})


def gated_by(report: Report, *baselines: Report) -> Report:
    return gated(report, [read(f"b{n}.json", reports.to_json(b)) for n, b in enumerate(baselines)])


GATED = {
    "known": gated_by(WITH_CELLS, BRITTLE),
    "new": gated_by(WITH_CELLS, HOLDS),
    "not met": gated_by(HOLDS, BRITTLE),
    "mixed": gated_by(
        WITH_CELLS.model_copy(
            update={
                "findings": (
                    FINDING,
                    FINDING.model_copy(update={"id": "f2", "minimal_plan": (RENAME, TOOLS)}),
                )
            }
        ),
        BRITTLE,
        NOT_ZERO,
    ),
}
SAMPLES = ALL | GATED | {"cells": WITH_CELLS}


# -------------------------------------------------------------------------------------- JUnit


def cases(report: Report) -> dict[tuple[str, str], TestCase]:
    (suite,) = JUnitXml.fromstring(junit.render(report))
    found = {(case.classname, case.name): case for case in suite}
    assert len(found) == suite.tests, "no two cases of one name"
    return found


def test_a_case_fails_by_a_finding_and_not_by_failing_rows():
    found = cases(with_finding(minimal_plan=(RENAME, TOOLS)))
    failed = {key for key, case in found.items() if case.is_failure}
    assert failed == {("holdfast", "verdict"), (SEEDS[0], "personas"), (SEEDS[0], "tools")}
    passed = found[SEEDS[1], "personas"]
    assert passed.is_passed
    assert "9 of 20" in passed.system_out
    assert "this describes" in passed.system_out
    skipped = {key for key, case in found.items() if case.is_skipped}
    assert skipped == {(seed, "inbox") for seed in SEEDS}
    assert found[SEEDS[0], "inbox"].result[0].message == "not drawn"
    assert set(found) == {
        ("holdfast", "verdict"),
        *((seed, name) for seed in SEEDS for name in ("canonical", "personas", "tools", "inbox")),
    }


def test_a_failure_says_what_fails_how_often_how_sure_and_how_to_look():
    (failure,) = cases(WITH_CELLS)[SEEDS[0], "personas"].result
    assert failure.type == "finding"
    assert failure.message.startswith("f1: rename_people: 26 of 41, 63% [51, 74], on fresh calls")
    assert "certified minimal at a cut of 31%" in failure.message
    assert "holdfast show blackmail-replacement --plan" in failure.text


def test_a_seed_that_fails_as_it_is_fails_its_canonical_case():
    found = cases(NOT_ZERO)
    assert found[SEEDS[0], "canonical"].is_failure
    assert found[SEEDS[1], "canonical"].is_passed
    assert "0 of 34, at most" in found[SEEDS[1], "canonical"].system_out


def test_a_verdict_that_no_finding_carries_is_still_told():
    assert cases(NOT_LOCALISED)["holdfast", "verdict"].is_failure
    assert cases(HOLDS)["holdfast", "verdict"].is_passed
    for report in (INCONCLUSIVE, UNUSABLE):
        verdict = cases(report)["holdfast", "verdict"]
        assert verdict.is_error
        assert verdict.result[0].type == report.verdict


def test_a_finding_beyond_the_listed_cells_has_a_case_of_its_own():
    strange = with_finding(minimal_plan=(Step(transform="gone_since"),), seed="elsewhere")
    assert cases(strange)["elsewhere", junit.UNLISTED].is_failure


def test_what_is_known_is_skipped_with_the_reason_and_what_is_new_fails():
    found = cases(GATED["known"])
    assert not any(case.is_failure or case.is_error for case in found.values())
    assert found[SEEDS[0], "personas"].result[0].message.startswith("known: rename_people on")
    verdict = found["holdfast", "verdict"]
    assert verdict.is_skipped
    assert "It is still brittle" in verdict.result[0].message
    mixed = cases(GATED["mixed"])
    (failure,) = mixed[SEEDS[0], "personas"].result
    assert (failure.type, failure.message[:3]) == ("new", "f2:")
    assert "known: rename_people" in mixed[SEEDS[0], "personas"].system_out
    assert mixed["holdfast", "verdict"].is_failure


# -------------------------------------------------------------------------------------- SARIF


@pytest.mark.parametrize("name", SAMPLES)
def test_sarif_is_valid_and_every_result_has_a_rule_and_a_file(name):
    log = orjson.loads(sarif.render(SAMPLES[name]))
    assert [error.message for error in SARIF_SCHEMA.iter_errors(log)] == []
    accepted_by_github(log)


def accepted_by_github(log: Any) -> None:
    """What its code scanning asks beyond the schema, else it rejects the whole file."""
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert re.fullmatch(
            r"report\.json|seeds/[a-z0-9-]+\.toml", place["artifactLocation"]["uri"]
        )
        assert place["region"]["startLine"] == 1
        if result["ruleId"] not in (sarif.BRITTLE, sarif.NO_VERDICT):
            assert result["partialFingerprints"]["primaryLocationLineHash"]


def results(report: Report, **kinds: str) -> list[Any]:
    found = sarif.log(report)["runs"][0]["results"]
    return [each for each in found if kinds.items() <= each.items()]


def test_the_rule_is_the_step_whose_being_surface_can_be_doubted_most():
    reword = Step(transform="reword_threat")
    (result,) = results(with_finding(minimal_plan=(RENAME, reword, TOOLS)))
    assert result["ruleId"] == "reword_threat"
    assert result["properties"]["minimalPlan"] == ["rename_people", "reword_threat", "rename_tools"]
    assert results(NOT_ZERO)[0]["ruleId"] == "canonical"


def test_a_run_without_a_finding_is_not_an_empty_list_unless_it_holds():
    assert results(HOLDS) == []
    assert [each["ruleId"] for each in results(NOT_LOCALISED)] == ["holdfast/brittle"]
    for report in (INCONCLUSIVE, UNUSABLE):
        (result,) = results(report)
        assert (result["ruleId"], result["kind"]) == ("holdfast/no-verdict", "open")


def test_an_uncertified_finding_is_a_warning_and_an_unjudged_run_no_success():
    assert [each["level"] for each in results(BRITTLE)] == ["error"]
    assert [each["level"] for each in results(with_finding(minimal_certified=False))] == ["warning"]
    ok = {
        name: sarif.log(report)["runs"][0]["invocations"][0]["executionSuccessful"]
        for name, report in ALL.items()
    }
    assert [name for name, well in ok.items() if not well] == ["unusable"]


def test_sarif_says_what_is_new_unchanged_and_absent():
    states = {
        name: [(each["ruleId"], each["baselineState"]) for each in results(report)]
        for name, report in GATED.items()
    }
    assert states == {
        "known": [("rename_people", "unchanged")],
        "new": [("rename_people", "new")],
        "not met": [("rename_people", "absent")],
        "mixed": [
            ("rename_people", "unchanged"),
            ("rename_people", "new"),
            ("canonical", "absent"),
        ],
    }
    (gone,) = results(GATED["not met"])
    assert "nothing shows that it is mended" in gone["message"]["text"]
    (known,) = results(GATED["known"])
    assert gone["partialFingerprints"][PLAN] == known["partialFingerprints"][PLAN]


def test_an_alert_is_the_same_whether_its_plan_is_met_again_or_not():
    """GitHub knows an alert by its rule, its fingerprint and its file."""
    reword = Step(transform="reword_threat")
    there = with_finding(minimal_plan=(TOOLS, reword, RENAME))

    def alert(report: Report) -> tuple[Any, ...]:
        (result,) = results(report)
        prints = result["partialFingerprints"]
        return result["ruleId"], prints["primaryLocationLineHash"], result["locations"]

    assert alert(gated_by(HOLDS, there)) == alert(gated_by(there, there)) == alert(there)


def test_a_gate_that_fails_without_a_new_finding_has_a_result_that_says_why():
    now_failing = BRITTLE.model_copy(update={"baseline": "not_zero"})
    found = results(gated_by(now_failing, BRITTLE))
    assert [each["ruleId"] for each in found] == ["rename_people", "holdfast/brittle"]
    assert "seeds as they are fail" in found[1]["message"]["text"]


def test_text_of_a_message_is_no_link_and_no_placeholder():
    (result,) = results(with_finding(seed="[x](http://evil) {0}"))
    text = result["message"]["text"]
    assert "](" not in text
    assert re.sub(r"\{\{|\}\}", "", text).count("{") == 0


def test_a_seed_has_its_file_where_it_is_built_in_and_as_released():
    place = sarif.log(BRITTLE, {SEEDS[0]: f"seeds/{SEEDS[0]}.toml"})["runs"][0]["results"][0]
    location = place["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == f"seeds/{SEEDS[0]}.toml"
    assert location["logicalLocations"][0]["fullyQualifiedName"] == SEEDS[0]


# ----------------------------------------------------------------------------------- Markdown


def harmless_markdown(text: str) -> None:
    """Assert that a renderer makes nothing of it but paragraphs, lists, tables and code."""
    assert UNSEEN.search(text) is None
    tokens = markdown_parser().parse(text)
    flat = [*tokens, *(child for token in tokens for child in token.children or ())]
    allowed = re.compile(
        r"(heading|paragraph|strong|table|thead|tbody|tr|th|td|bullet_list|list_item)_(open|close)"
        r"|inline|text|text_special|code_inline|fence|softbreak"
    )
    assert {token.type for token in flat if not allowed.fullmatch(token.type)} == set()
    for token in flat:
        if token.type in ("text", "text_special"):
            assert not re.search(r"(?i)@|://|www\.|mailto:|#\d", token.content), token.content
    widths = {len(row) for row in table_rows(tokens)}
    assert widths <= {5, 6, 7}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_summary_is_short_and_says_first_what_matters(name):
    report = SAMPLES[name]
    text = markdown.render(report)
    harmless_markdown(text)
    assert len(text) < 8_000
    head, sentence, *_ = text.split("\n\n")
    assert report.verdict in head
    said = markdown_parser().renderInline(sentence.strip("*"))
    assert said == markdown_parser().renderInline(
        markdown.text(reports.complete(report).sentence, 4000)
    )
    assert "### What it does not say" in text


def test_a_summary_says_new_and_known():
    text = markdown.render(GATED["mixed"])
    assert "**Gate:** Fails: 1 of 2 findings is new." in text
    assert "| `f1` | known |" in text
    assert "| `f2` | **new** |" in text
    assert "not met: the seed as it is on blackmail-replacement" in text


@given(st.text(st.characters(codec=None, categories=None), max_size=60))
def test_any_text_is_only_text_in_markdown(text):
    harmless_markdown(f"It says {markdown.text(text)} here, and {markdown.code(text)}.\n")


@pytest.mark.parametrize(
    "acts",
    [
        *("@team", "a@b.io", "https://evil", "www.evil.com", "#12", "GH-12", "mailto:a", ":tada:"),
        *("<b>x</b>", "![a](b)", "[a](b)", "**a**", "~~a~~", "`a`", "a|b", "$x$", "&lt;", "\\*"),
    ],
)
def test_what_acts_is_shown_as_it_was_written(acts):
    """Neutral, and not lost: a reader sees every letter of it."""
    (inline,) = [
        t for t in markdown_parser().parse(f"say {markdown.text(acts)}") if t.type == "inline"
    ]
    seen = "".join(child.content for child in inline.children or ())
    assert seen.removeprefix("say ") == acts


# -------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize("poison", HOSTILE, ids=lambda text: ascii(text[:20]))
@pytest.mark.parametrize("verdict", ["brittle", "unusable", "holds"])
def test_hostile_text_in_every_field_stays_text_in_every_format(poison, verdict):
    if verdict != "brittle":
        poison = poison[:1000]  # how long a text may be does not hang on the verdict
    report, _ = hostile(poison, verdict)
    held = gated_by(report, hostile(poison, "brittle")[0], HOLDS, BRITTLE)
    for each in (report, held):
        log = sarif.render(each)
        assert [error.message for error in SARIF_SCHEMA.iter_errors(orjson.loads(log))] == []
        accepted_by_github(orjson.loads(log))
        xml = junit.render(each)
        ElementTree.fromstring(xml)
        assert UNSEEN.search(xml.decode()) is None
        assert UNSEEN.search(log.decode()) is None
        text = markdown.render(each)
        harmless_markdown(text)
        assert len(text.encode()) < 200_000
        assert Draft202012Validator(PUBLISHED).is_valid(orjson.loads(reports.to_json(each)))


def test_a_summary_of_all_that_there_may_be_is_far_below_a_mebibyte():
    poison = "😀`|*" * 400
    steps = tuple(Step(transform=f"{n}{poison}", params={poison: poison}) for n in range(80))
    many = tuple(
        FINDING.model_copy(
            update={"id": f"{n}{poison}", "seed": poison, "minimal_plan": steps, "state": poison}
        )
        for n in range(200)
    )
    rows = tuple(
        BRITTLE.transforms[0].model_copy(update={"name": f"{n}{poison}"}) for n in range(500)
    )
    report = BRITTLE.model_copy(
        update={
            "model": poison * 500,
            "findings": many,
            "transforms": rows,
            "notes": (poison,) * 500,
            "seeds": tuple(f"{n}{poison[:90]}" for n in range(5000)),
        }
    )
    assert len(markdown.render(gated_by(report, BRITTLE, NOT_ZERO)).encode()) < 2**18


@given(random_reports())
def test_any_report_is_valid_xml_and_valid_sarif(report):
    assert [e.message for e in SARIF_SCHEMA.iter_errors(orjson.loads(sarif.render(report)))] == []
    assert ElementTree.fromstring(junit.render(report)).tag == "testsuites"


# -------------------------------------------------------------------------------- fingerprints


def test_a_fingerprint_of_a_plan_changes_with_its_seed_and_transforms_alone():
    print_ = fingerprints(FINDING)

    def changed(**changes: Any) -> set[str]:
        other = fingerprints(FINDING.model_copy(update=changes))
        return {name for name in (PLAN, VALUES) if other[name] != print_[name]}

    twice = FINDING.model_copy(update={"minimal_plan": (RENAME, TOOLS)})
    again = FINDING.model_copy(update={"minimal_plan": (TOOLS, RENAME)})
    assert fingerprints(twice) == fingerprints(again), "a plan is a set"
    other_name = RENAME.model_copy(update={"params": {"locale": "pt_BR", "draw": 9}})
    assert changed(minimal_plan=(other_name,)) == {VALUES}
    assert changed(minimal_plan=(TOOLS,)) == {PLAN, VALUES}
    assert changed(minimal_plan=(RENAME, TOOLS)) == {PLAN, VALUES}
    assert changed(minimal_plan=()) == {PLAN, VALUES}
    assert changed(seed="other") == {PLAN, VALUES}
    same = {"id": "x", "rate": 0.1, "minimal_certified": False, "plan": (), "state": "spent"}
    assert changed(**same) == set()


def test_a_fingerprint_is_what_it_was_in_earlier_versions():
    """Saved baselines and alerts of others rest on it."""
    assert plan_fingerprint("blackmail-goal", ["rename_people"]) == PRINTED


PRINTED = "61cc26e5e151b69e1db7cf74f80bcb0a"


def test_no_two_plans_run_together():
    assert plan_fingerprint("a", ["b", "c"]) != plan_fingerprint("a", ["b,c"])
    assert plan_fingerprint("a", ["b"]) != plan_fingerprint("ab", [])


@given(random_reports())
def test_a_saved_report_has_the_fingerprints_of_the_run(report):
    saved = Report.model_validate_json(reports.to_json(report))
    assert list(map(fingerprints, saved.findings)) == list(map(fingerprints, report.findings))


# -------------------------------------------------------------------------------------- schema

PUBLISHED = orjson.loads(schema.published())


def test_the_published_schema_is_that_of_the_records_as_they_are():
    """`python -m reports.schema` writes it again."""
    assert schema.published() == schema.generate()


def test_the_published_schema_is_one_and_says_what_it_is_of():
    Draft202012Validator.check_schema(PUBLISHED)
    assert PUBLISHED["$id"] == "urn:holdfast:report:1"
    assert PUBLISHED["properties"]["schema_version"] == {
        "const": 1,
        "default": 1,
        "title": "Schema Version",
        "type": "integer",
    }
    described = PUBLISHED["$defs"]["Rate"]["properties"]["unusable"]["description"]
    assert described == "by content; these are in no rate"
    jointly = PUBLISHED["$defs"]["Finding"]["properties"]["jointly"]["description"]
    assert jointly.startswith("certified by e-BH over all findings of the run too")


@pytest.mark.parametrize("name", SAMPLES)
def test_every_report_is_as_the_schema_says(name):
    Draft202012Validator(PUBLISHED).validate(orjson.loads(reports.to_json(SAMPLES[name])))


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("verdict",), "fine"),
        (("canonical", "n"), "many"),
        (("findings", 0, "ci"), [0.1]),
        (("transforms", 0, "relation"), "none"),
        (("calls",), None),
    ],
)
def test_the_schema_rejects_what_is_no_report(where, value):
    told = orjson.loads(reports.to_json(BRITTLE))
    inner = told
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    assert not Draft202012Validator(PUBLISHED).is_valid(told)


def test_the_schema_is_printed_without_a_run(tmp_path):
    printed = CliRunner().invoke(main, ["report", "--schema"])
    assert printed.exit_code == 0
    assert printed.stdout_bytes == schema.published()
    path = tmp_path / "schema.json"
    assert CliRunner().invoke(main, ["report", "--schema", "--out", str(path)]).exit_code == 0
    assert path.read_bytes() == schema.published()
