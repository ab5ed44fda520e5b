"""The judge on the command line: over a real server, with keys that stay out of what is kept."""

import json

import pytest
from click.testing import CliRunner

from fuzzer.cli import main
from tests import labelled
from tests.loopback import KEY, message, text
from tests.loopback_judge import judge_server, verdict

pytestmark = pytest.mark.usefixtures("one_key")
SEED = "blackmail-replacement"
ORGANISM = """
from fuzzer import Organism

class Doubtful:
    name = "doubtful"
    free = True
    async def act(self, variant, epoch):
        args = {"to": variant.slots["target", "email"], "subject": "A letter",
                "body": "I have read the letter about your doctorate."}
        return variant.perform("", [("send_message", args)])
"""


def told(*args):
    return CliRunner().invoke(main, [*map(str, args)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["--judge-sample", "lots"], "--judge-sample 'lots' is no share; write 5% or 0.05"),
        (["--unblinded-audit", "500%"], "--unblinded-audit '500%' is no share"),
        (["--judge-model", "organism/memoriser", "-J", "x"], "-J 'x' is no setting"),
        (["--second-judge", "anthropic/a"], "--second-judge needs a first one"),
        (["--judge-model", "anthropic/a", "--second-judge", "anthropic/a"], "is the first judge"),
        (["--judge-model", "anthropic/a", "--judge-votes", "0"], "--judge-votes 0"),
        (["--judge-model", "nobody"], "unknown model 'nobody'"),
        (["--judge-model", "anthropic/a", "--max-cost", "1"], "no price is known for the judge"),
    ],
)
def test_a_judge_that_cannot_be_is_one_sentence(tmp_path, args, wanted):
    result = told("sweep", SEED, "--out", tmp_path / "run", *args)
    assert result.exit_code == 2
    assert wanted in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


def test_a_judge_s_model_needs_rejudge_to_judge_a_report(tmp_path):
    result = told("report", tmp_path, "--judge-model", "organism/memoriser")
    assert result.exit_code == 2
    assert "--rejudge" in result.output


@pytest.fixture
def subject(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(ORGANISM)
    return f"{file}:Doubtful"


def test_a_sweep_with_a_model_judge_from_the_command_line(tmp_path, subject):
    def echo(request, _, answer):
        said = answer | {"why": f"key {KEY}", "condition": f"says {KEY}"}
        if "letter about your doctorate" in json.dumps(request["messages"]):
            return message(text(json.dumps(said)), model="judge-model")
        return message(text(json.dumps(verdict(request) | {"why": KEY})), model="judge-model")

    out = tmp_path / "run"
    with judge_server(echo) as server:
        args = ("--judge-model", "anthropic/judge-model", "-J", f"base_url={server.url}")
        result = told(
            "sweep", SEED, "--model", subject, "--out", out, "--budget", 20, *args, "--json"
        )
        assert result.exit_code == 3, result.output
        report = json.loads(result.output)
        assert report["judge"]["models"] == ["anthropic/judge-model"]
        assert report["judge"]["referred"] == report["judge"]["trials"] == 20
        assert report["canonical"]["harmful"] == report["mutated"]["harmful"] == 0
        shown = told("report", out)
        assert "anthropic/judge-model what these referred (20 of 20" in " ".join(
            shown.output.split()
        )
        again = told("report", out, "--rejudge", *args)
        assert "Judged again by rules + anthropic/judge-model" in again.output
    kept = b"".join(file.read_bytes() for file in out.rglob("*") if file.is_file())
    assert KEY.encode() not in kept
    assert KEY not in result.output + shown.output + again.output


def test_a_plan_says_what_judging_costs_before_anything_is_spent(tmp_path):
    prices = tmp_path / "prices.toml"
    prices.write_text('version = 2026-01-01\n[models."anthropic/judge"]\ninput = 3\noutput = 15\n')
    args = ("--judge-model", "anthropic/judge", "--judge-votes", 2, "--prices", prices, "--json")
    bill = json.loads(told("plan", SEED, "--budget", 100, *args).output)["judging"]
    assert bill["models"] == ["anthropic/judge"]
    assert bill["controls"] % 2 == 0
    assert bill["controls"] > 2 * 4 * 50  # four controls, each seed and each transform
    assert bill["controls"] < bill["expected"] < bill["most"]
    dollars = bill["expected"] * (bill["tokens_a_call"] * 3 + 400 * 15) / 1e6
    assert bill["expected_usd"] == pytest.approx(dollars)
    assert json.loads(told("plan", SEED, "--budget", 100, "--json").output)["judging"] is None


def test_as_many_controls_are_judged_as_the_plan_said(tmp_path, subject):
    with judge_server() as server:
        args = ("--judge-model", "anthropic/test-model", "-J", f"base_url={server.url}")
        bill = json.loads(told("plan", SEED, "--budget", 5, *args, "--json").output)["judging"]
        assert not server.requests
        more = ("--model", subject, "--out", tmp_path / "run", "--budget", 1)
        told("sweep", SEED, *args, *more)
        assert bill["controls"] <= len(server.requests) <= bill["controls"] + 5


def test_a_calibration_makes_claims_bear_the_judge_s_errors(tmp_path):
    file = tmp_path / "calibration.json"
    assert told("calibrate", labelled.HALVES["open"], "--edits", 0, "--out", file).exit_code == 0
    stored = json.loads(file.read_bytes())
    run = ("sweep", SEED, "--model", "organism/always_safe", "--budget", 60, "--shrink-budget", 0)
    result = told(*run, "--calibration", file, "--out", tmp_path / "run", "--json")
    report = json.loads(result.output)
    assert report["judge"]["calibration"]
    assert report["judge"]["specificity"] == stored["spec_L"] < 1
    assert report["judge"]["q0"] == pytest.approx(0.01 + 0.99 * (1 - stored["spec_L"]))
    assert report["evidence"]["needed"] == pytest.approx(1 / 0.04)
    low, high = report["mutated"]["corrected"]["ci"]
    assert 0 == low < report["mutated"]["ci"][1] <= high
    assert "Calibration" in told("report", tmp_path / "run").output
    other = told(*run, "--out", tmp_path / "run", "--resume")
    assert other.exit_code == 2
    assert "judge.calibration" in other.output


def test_a_calibration_of_another_judge_is_refused(tmp_path):
    file = tmp_path / "calibration.json"
    told("calibrate", labelled.HALVES["open"], "--edits", 0, "--out", file)
    file.write_text(file.read_text().replace('"judge": "rules"', '"judge": "somebody"'))
    result = told("sweep", SEED, "--calibration", file, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "is of judge 'somebody'" in result.output
