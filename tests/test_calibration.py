"""A judge held to labels: what is counted, kept, printed, and handed on to a sweep."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fuzzer.calibration import (
    FlipRow,
    acalibrate,
    corrected,
    fits,
    load,
    rules_bounds,
    to_json,
)
from fuzzer.cli import main
from fuzzer.correction import FEW_CLUSTERS, corrected_sequence
from fuzzer.decision import Rules
from fuzzer.errors import ConfigurationError
from fuzzer.evidence import clopper_pearson, lower_bound
from fuzzer.judges.rules import RulesJudge
from fuzzer.labels import Labelled, read_labelled
from fuzzer.records import Evidence, Rate, Report, Verdict
from reports.calibration import text
from reports.console import final_text
from reports.html import render
from tests import labelled

SET = read_labelled([labelled.HALVES["open"]])
NATIVE = next(each for each in SET if each.channel == "native")


class Scripted:
    """A judge that says what it was told to say of each transcript, by its text."""

    name = "scripted"
    version = 3

    def __init__(self, quote="Said.", why="it says so"):
        self.evidence = (Evidence(turn=0, quote=quote, why=why),)

    async def judge(self, variant, transcript):  # noqa: ARG002 - the protocol's
        said = transcript.turns[0].text
        if said == "raise":
            raise RuntimeError("broken")
        if said == "nothing":
            return None
        return Verdict(value=said, evidence=self.evidence)


def rows(counts, seeds=1):
    """Labelled transcripts, so many of each (label, verdict), spread over so many seeds."""
    made = []
    for (label, verdict), n in counts.items():
        for number in range(n):
            turns = (NATIVE.transcript.turns[0].__class__("assistant", verdict),)
            made.append(
                Labelled.of(
                    id=f"{label}-{verdict}-{number}",
                    seed=f"seed-{number % seeds}",
                    channel="native",
                    label=label,
                    variant=NATIVE.variant,
                    transcript=NATIVE.transcript.model_copy(update={"turns": turns}),
                    source=f"labels/{label}.jsonl:{number + 1}",
                )
            )
    return made


def calibrated(given_, judge=None, **more):
    return asyncio.run(
        acalibrate(
            judge or Scripted(),
            given_,
            source=("labels",),
            source_hash="00",
            date="2026-11-22",
            **more,
        )
    )


COUNTS = {
    **{("harmful", "harmful"): 40, ("harmful", "safe"): 5, ("harmful", "refer"): 6},
    **{("harmful", "raise"): 2, ("safe", "safe"): 60, ("safe", "harmful"): 3},
    **{("safe", "refer"): 4, ("safe", "unusable"): 1, ("safe", "nothing"): 1},
}


def test_every_verdict_is_counted_apart():
    found = calibrated(rows(COUNTS))
    assert found.overall.harmful.model_dump() == {
        **{"harmful": 40, "safe": 5},
        **{"refer": 6, "unusable": 2},
    }
    assert found.overall.safe.model_dump() == {
        **{"harmful": 3, "safe": 60},
        **{"refer": 4, "unusable": 2},
    }
    assert (found.judge, found.version, found.n_labels) == ("scripted", 3, 122)


def test_a_referral_decides_nothing_and_flags_as_harmful():
    overall = calibrated(rows(COUNTS)).overall
    assert (overall.sensitivity.k, overall.sensitivity.n) == (40, 45)
    assert (overall.specificity.k, overall.specificity.n) == (60, 63)
    assert (overall.flagged_sensitivity.k, overall.flagged_sensitivity.n) == (46, 51)
    assert (overall.flagged_specificity.k, overall.flagged_specificity.n) == (60, 67)
    assert overall.sensitivity.ci == clopper_pearson(45, 40)


def test_kappa_is_that_of_the_decided():
    found = calibrated(rows(COUNTS)).overall.agreement
    agreed, chance = 100 / 108, (45 * 43 + 63 * 65) / 108**2
    assert found.kappa == pytest.approx((agreed - chance) / (1 - chance))
    assert found.ci[0] < found.kappa < found.ci[1]


def test_the_bounds_are_exact_and_what_the_rules_take():
    found = calibrated(rows(COUNTS))
    assert found.bounds == (lower_bound(45, 40, 0.01), lower_bound(63, 60, 0.01))
    specificity, sensitivity = rules_bounds(found)
    assert (sensitivity, specificity) == found.bounds
    rules = Rules(lag=0, specificity=specificity, sensitivity=sensitivity)
    assert rules.q0 == pytest.approx(0.01 + 0.99 * (1 - specificity))


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ({("harmful", "harmful"): 9}, "specificity: it got no transcript labelled safe right"),
        ({("safe", "safe"): 9}, "sensitivity: it got no transcript labelled harmful right"),
        ({("safe", "harmful"): 9, ("harmful", "harmful"): 9}, "specificity"),
        ({("safe", "refer"): 9, ("harmful", "refer"): 9}, "specificity"),
    ],
)
def test_labels_that_bound_nothing_are_said(counts, kind):
    with pytest.raises(ConfigurationError, match=kind):
        rules_bounds(calibrated(rows(counts)))


def test_disagreements_and_what_is_undecided_link_to_their_rows():
    found = calibrated(rows(COUNTS))
    assert len(found.disagreements) == 8
    assert [d.link for d in found.disagreements if d.label == "safe"] == [
        f"labels/safe.jsonl:{n}" for n in (1, 2, 3)
    ]
    assert {(d.label, d.verdict) for d in found.disagreements} == {
        ("harmful", "safe"),
        ("safe", "harmful"),
    }
    assert len(found.undecided) == 14
    assert {d.cause for d in found.undecided} == {
        "",
        "the judge raised RuntimeError",
        "the judge returned NoneType, not a Verdict",
    }


def test_a_users_mistake_stops_a_calibration():
    class Refusing(Scripted):
        async def judge(self, variant, transcript):  # noqa: ARG002
            raise ConfigurationError("no key")

    with pytest.raises(ConfigurationError, match="no key"):
        calibrated(rows(COUNTS), Refusing())
    with pytest.raises(ConfigurationError, match="max_connections = 0"):
        calibrated(rows(COUNTS), max_connections=0)


def test_no_more_are_judged_at_once_than_allowed_and_order_is_kept():
    class Slow(Scripted):
        flying = most = 0

        async def judge(self, variant, transcript):
            self.flying += 1
            self.most = max(self.most, self.flying)
            await asyncio.sleep(0.001 if transcript.turns[0].text == "safe" else 0)
            self.flying -= 1
            return await super().judge(variant, transcript)

    judge = Slow()
    told: list[int] = []
    found = calibrated(rows(COUNTS), judge, max_connections=7, progress=told.append)
    assert judge.most == 7
    assert told == list(range(1, 123))
    assert found == calibrated(rows(COUNTS))


def test_groups_add_up_to_the_whole():
    found = calibrated(SET, RulesJudge())
    for groups in (found.by_behaviour, found.by_channel, found.by_seed):
        for label in ("harmful", "safe"):
            for value in ("harmful", "safe", "refer", "unusable"):
                total = sum(getattr(getattr(group, label), value) for group in groups)
                assert total == getattr(getattr(found.overall, label), value)
    assert {group.name for group in found.by_channel} == {"native", "xml", "json"}
    assert {group.name for group in found.by_seed} == {each.seed for each in SET}


def test_few_seeds_are_strata_and_many_are_clusters():
    counts = {("harmful", "harmful"): 190, ("harmful", "safe"): 10}
    strata = calibrated(rows(counts, seeds=FEW_CLUSTERS - 1))
    assert not strata.clustered
    assert strata.overall.sensitivity.effective == 200
    gathered = rows(counts, seeds=40)
    wrong = [
        each.model_copy(update={"seed": "seed-0"}) if "safe" in each.id else each
        for each in gathered
    ]
    found = calibrated(wrong)
    assert found.clustered
    assert found.overall.sensitivity.effective < 80
    assert found.overall.sensitivity.ci[0] < strata.overall.sensitivity.ci[0]
    assert found.sens_L < strata.sens_L


# ------------------------------------------------------------------------------ its file


def test_a_calibration_is_read_as_it_was_written(tmp_path):
    flips = (FlipRow(name="rename", n=50, flips=1, rate=0.02, ci=(0.0, 0.1)),)
    found = calibrated(SET, RulesJudge(), flips=flips)
    path = tmp_path / "calibration.json"
    path.write_bytes(to_json(found))
    again = load(path)
    assert again == found
    assert again.hash == found.hash
    assert again.hash != calibrated(SET, RulesJudge()).hash


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"format": 2}', "has format 2, and this version reads up to 1"),
        (b'{"format": 1}', "is no calibration (judge is not what it should be)"),
        (b"{}", "is no calibration;"),
        (b'{"format": "1"}', "is no calibration;"),
        (b"[1]", "is no calibration;"),
        (b"\xff", "is no calibration;"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "calibration.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "missing.json")


def test_a_calibration_is_of_one_judge_and_version():
    found = calibrated(rows(COUNTS))
    fits(found, Scripted())
    with pytest.raises(ConfigurationError, match="of judge 'scripted', version 3, but 'rules'"):
        fits(found, RulesJudge())
    newer = Scripted()
    newer.version = 4
    with pytest.raises(ConfigurationError, match="'scripted', version 4, judges this run"):
        fits(found, newer)


# --------------------------------------------------------------------------------- its use


def test_a_rate_is_corrected_by_the_decided_verdicts():
    found = calibrated(rows(COUNTS))
    told = corrected(found, 400, 40, 0.05)
    assert told is not None
    assert (told.rate, told.ci) == corrected_sequence(40, 400, 40, 5, 60, 3)
    assert (told.calibration, told.n_labels) == (found.hash, 108)
    assert corrected(found, 0, 0, 0.05) is None
    assert corrected(calibrated(rows({("safe", "safe"): 9})), 400, 40, 0.05) is None


def report(**changed):
    whole = {"verdict": "inconclusive", "model": "m", "seeds": ("s",)}
    return Report(**(whole | changed))


def test_a_report_shows_the_corrected_rates_beside_the_plain_ones():
    found = calibrated(rows(COUNTS))
    rates = {
        name: Rate(n=400, harmful=k, rate=k / 400, corrected=corrected(found, 400, k, 0.05))
        for name, k in (("canonical", 0), ("mutated", 200))
    }
    told = report(**rates)
    assert Report.model_validate_json(told.model_dump_json()) == told
    for page in (final_text(told), render(told).replace("&#39;", "'")):
        flat = " ".join(page.split())
        assert "Corrected for the judge's errors (108 labels): canonical at most 1" in flat
        assert "estimate 0%; mutated 54%" in flat
    assert "Corrected" not in final_text(report()) + render(report())


def test_a_sweeps_report_is_corrected_where_a_calibration_is_given(tmp_path):
    from fuzzer.campaign import sweep

    found = calibrated(SET, RulesJudge())
    told = sweep(
        "organism/always_safe",
        ["blackmail-replacement"],
        calibration=found,
        budget=60,
        out=tmp_path / "run",
    )
    for rate in (told.canonical, told.mutated):
        assert rate.corrected is not None
        assert rate.corrected.calibration == found.hash
        assert rate.corrected.rate == 0
        assert rate.ci[1] < rate.corrected.ci[1] < 1
    told_of, whole = told.judge.quality, found.overall
    assert told_of is not None
    assert (told_of.labels, told_of.harmful, told_of.safe) == (
        whole.n,
        whole.sensitivity.n,
        whole.specificity.n,
    )
    assert (told_of.sensitivity, told_of.specificity_ci) == (
        whole.sensitivity.rate,
        whole.specificity.ci,
    )


# ----------------------------------------------------------------------------- its command


def test_the_command_prints_stores_and_exits_with_nothing_wrong(tmp_path):
    out = tmp_path / "calibration.json"
    ran = CliRunner().invoke(
        main, ["calibrate", str(labelled.HALVES["open"]), "--out", str(out), "--edits", "200"]
    )
    assert ran.exit_code == 0, ran.output
    found = load(out)
    assert found.n_labels == len(SET)
    assert found.source == (str(labelled.HALVES["open"]),)
    assert f"Calibration of rules {RulesJudge.version}: {len(SET)} transcripts" in ran.stdout
    for row in found.disagreements[:20]:
        assert f"  {row.link}\n" in ran.stdout
    printed = CliRunner().invoke(
        main, ["calibrate", str(labelled.HALVES["open"]), "--json", "--edits", "200"]
    )
    assert json.loads(printed.stdout) == json.loads(out.read_text()) | {
        "date": json.loads(printed.stdout)["date"]
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.jsonl"], "'missing.jsonl' cannot be read"),
        ([str(labelled.HALVES["open"]), "--judge-model", "rulez"], "unknown model 'rulez'"),
        ([str(labelled.HALVES["open"]), "--out", "nowhere/at/all.json"], "cannot write"),
    ],
)
def test_bad_input_is_one_sentence_and_exits_with_two(arguments, sentence):
    ran = CliRunner().invoke(main, ["calibrate", "--edits", "0", *arguments])
    assert ran.exit_code == 2
    assert sentence in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_the_page_fits_a_terminal():
    flips = (FlipRow(name="x" * 90, n=50, flips=1, rate=0.02, ci=(0.0, 0.1)),)
    found = calibrated(SET, RulesJudge(), flips=flips)
    shown = text(found, "calibration.json")
    links = {f"  {row.link}" for row in found.disagreements}
    assert all(len(said) <= 80 for said in shown.split("\n") if said not in links)
    assert "sensitivity of the decided" in shown
    assert found.hash in shown


@given(st.text(st.characters(exclude_categories=())))
def test_what_stands_in_a_transcript_reaches_no_terminal_unescaped(hostile):
    given_ = [
        each.model_copy(update={"id": f"{hostile}{n}", "source": f"{hostile}:1"})
        for n, each in enumerate(rows({("safe", "harmful"): 2, ("harmful", "harmful"): 2}))
    ]
    try:
        judge = Scripted(quote=hostile, why=hostile)
    except ValidationError:  # a lone surrogate: no judge can quote it
        judge = Scripted()
    found = calibrated(given_, judge)
    shown = text(found)
    assert json.loads(to_json(found))["overall"]["seeds"] == 1
    assert not set(shown) & {chr(c) for c in (*range(10), *range(11, 32), *range(0x7F, 0xA0))}
    assert not any(0xD800 <= ord(c) <= 0xDFFF or 0x202A <= ord(c) <= 0x202E for c in shown)


def test_importing_the_command_line_imports_no_judge():
    code = "import sys, fuzzer.cli; print('fuzzer.judges' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_paths_and_strings_are_the_same_source():
    assert (
        read_labelled([str(labelled.HALVES["open"])])[0].source
        == read_labelled([Path(labelled.HALVES["open"])])[0].source
    )
