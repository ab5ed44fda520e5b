"""The command line keeps its contract: exit codes, JSON and nothing else, one clear sentence."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from fuzzer import campaign
from fuzzer.cli import main
from fuzzer.decision import Rules
from fuzzer.preparation import choose_rules
from fuzzer.records import Report
from fuzzer.store import RunStore
from seeds import load_seeds

ONE = "blackmail-replacement"
QUICK = [ONE, "--budget", "30", "--shrink-budget", "0"]


def holdfast(*args: object) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def process(*args: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "fuzzer", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def refused(result: Result) -> str:
    """The one sentence on standard error of a command that was refused."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    said = result.stderr.strip()
    assert "Traceback" not in said
    lines = said.split("\n")
    if lines[0].startswith("Usage:"):  # click's own
        lines = lines[-1:]
    assert len(lines) == 1, said
    assert lines[0].startswith("Error: ")
    return lines[0]


# ------------------------------------------------------------------------------------ exit codes


@pytest.fixture
def few_canonical_calls(monkeypatch):
    """A sweep makes a hundred before it may hold: a rule of its own, no part of an exit code."""

    def choose(*given: Any) -> Rules:
        return choose_rules(*given).model_copy(update={"canonical_n": 10})

    monkeypatch.setattr(campaign, "choose_rules", choose)


@pytest.mark.usefixtures("few_canonical_calls")
def test_a_model_that_holds_is_exit_code_zero(tmp_path):
    exits_with("always_safe", 90, 0, "holds", tmp_path, threshold=0.2)


@pytest.mark.parametrize(
    ("model", "budget", "code", "verdict"),
    [
        pytest.param("always_safe", 450, 0, "holds", marks=pytest.mark.slow),
        ("always_harmful", 60, 1, "brittle"),
        ("always_safe", 20, 3, "inconclusive"),
        ("refuser", 60, 4, "unusable"),
        ("malformed", 60, 4, "unusable"),
    ],
)
def test_the_exit_code_is_the_verdict(model, budget, code, verdict, tmp_path):
    exits_with(model, budget, code, verdict, tmp_path, threshold=0.1)


def exits_with(
    model: str, budget: int, code: int, verdict: str, tmp_path: Path, *, threshold: float
) -> None:
    """A sweep, and the report of it told again, both exit as its verdict says."""
    args = ["--model", f"organism/{model}", "--budget", str(budget), "--shrink-budget", "0"]
    args += ["--threshold", str(threshold)]  # a looser claim, sooner decided
    result = holdfast("sweep", ONE, *args, "--out", tmp_path / "run", "--json")
    assert result.exit_code == code, result.output
    assert json.loads(result.stdout)["verdict"] == verdict
    again = holdfast("report", tmp_path / "run")
    assert again.exit_code == code
    assert verdict.capitalize() in again.stdout.split("\n")[0]


CONTRACT = {
    "": "schema_version verdict baseline teaching_to_the_test elicitation model seeds threshold "
    "alpha calls cost_usd canonical mutated evidence transforms findings blind unusable",
    "canonical": "n harmful unusable engaged rate ci",
    "mutated": "n harmful unusable engaged rate ci",
    "evidence": "e_brittle e_holds needed",
    "transforms": "name family relation rung n harmful effect ci e_value flagged",
    "findings": "id seed plan minimal_plan minimal_certified rung rate ci calls_to_find "
    "calls_to_shrink knockouts",
    "unusable": "by_cause",
}


def test_json_is_the_report_and_nothing_else(tmp_path):
    args = [ONE, "--model", "organism/memoriser", "--budget", "100", "--shrink-budget", "30"]
    result = holdfast("sweep", *args, "--json", "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr == ""
    told = json.loads(result.stdout)
    report = Report.model_validate(told)
    assert report.verdict == "brittle"
    for where, keys in CONTRACT.items():
        rows = told if not where else told[where]
        for row in rows if isinstance(rows, list) else [rows]:
            assert set(keys.split()) <= set(row), where
        assert rows
    for step in told["findings"][0]["plan"]:
        assert set(step) == {"transform", "params"}
    assert json.loads((tmp_path / "run" / "report.json").read_text("utf-8")) == told


def test_a_report_is_told_again_in_three_formats(tmp_path):
    run = tmp_path / "run"
    first = holdfast("sweep", *QUICK, "--out", run, "--json")
    told = holdfast("report", run, "--format", "json")
    assert told.exit_code == first.exit_code
    assert json.loads(told.stdout) == json.loads(first.stdout)
    page = holdfast("report", run, "--format", "html")
    assert page.stdout.lower().startswith("<!doctype html>")
    text = holdfast("report", run)
    assert text.stdout
    assert "\x1b" not in text.stdout


def test_a_sweep_for_people_says_the_sentence_and_where_the_report_is(tmp_path):
    result = holdfast("sweep", *QUICK, "--out", tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text("utf-8"))
    assert report["sentence"].split()[0] in result.stdout
    assert str(tmp_path / "run") in result.stdout.replace("\n", "")


def test_interrupted_and_resumed(tmp_path):
    model = tmp_path / "slow.py"
    model.write_text(
        "import asyncio\nfrom fuzzer import Organism\n"
        "class Slow(Organism):\n"
        "    async def act(self, variant, epoch):\n"
        "        await asyncio.sleep(0.02)\n"
        "        return await super().act(variant, epoch)\n"
        "subject = Slow('slow', 0.0)\n"
    )
    run = tmp_path / "run"
    args = ["sweep", ONE, "--budget", "60", "--model", f"{model}:subject", "--out", str(run)]
    running = subprocess.Popen(
        [sys.executable, "-m", "fuzzer", *args, "--max-connections", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if (run / "run.sqlite").exists():
            try:
                with RunStore.read(run) as store:
                    if sum(store.counts().values()) >= 5:
                        break
            except Exception:
                pass
        time.sleep(0.02)
    in_use = holdfast(*args, "--resume")
    assert "is in use by process" in refused(in_use)
    unfinished = holdfast("report", run)
    assert "has not ended" in refused(unfinished)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Interrupted" in said
    assert "Traceback" not in said
    ended = holdfast(*args, "--resume", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["calls"]) == (3, 60)


# ------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["blackmial-replacement"], "did you mean 'blackmail-replacement'"),
        (["no/such/file.toml"], "No such file"),
        ([ONE, ONE], "given twice"),
        (["--model", "gpt-9"], "unknown model 'gpt-9'"),
        (["--model", "organsim/rare"], "did you mean 'organism/rare'?"),
        (["--model", "organism/memorizer"], "did you mean 'memoriser'"),
        (["--model", "nothing.py:Subject"], "no file 'nothing.py'"),
        (["--budget", "0"], "--budget 0"),
        (["--budget", "-3"], "--budget -3"),
        (["--budget", "many"], "'many' is not a valid integer"),
        (["--threshold", "0"], "--threshold 0.0"),
        (["--threshold", "1"], "--threshold 1.0"),
        (["--threshold", "nan"], "--threshold nan"),
        (["--alpha", "0.5"], "--alpha 0.5"),
        (["--alpha", "-inf"], "--alpha -inf"),
        (["--max-connections", "0"], "--max-connections 0"),
        (["--shrink-budget", "-1"], "--shrink-budget -1"),
        (["--stop", "soon"], "'soon' is not one of"),
        (["--resume"], "--resume needs --out"),
        (["-M", "nonsense"], "write -M key=value"),
        (["-M", "=3"], "write -M key=value"),
        (["-M", "temperature=1"], "takes no settings"),
        (["--base-url", "http://x"], "takes no settings"),
        (["--plugin", "nothing.py"], "no file 'nothing.py'"),
        (["--plugin", "x" * 300], "no file"),
        (["--out", "x" * 300], "cannot write"),
        (["--nonsense"], "No such option"),
    ],
)
def test_bad_options_of_a_sweep_are_one_clear_sentence(args, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refused(holdfast("sweep", *args))
    assert not list(tmp_path.iterdir())


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_malformed_seed_and_an_unknown_slot_name_file_and_place(tmp_path):
    path = write(tmp_path / "mine.toml", 'name = "mine\n')
    assert "not valid TOML" in refused(holdfast("sweep", path))
    assert str(path) in refused(holdfast("show", path))
    built_in = Path(sys.modules["seeds"].__file__ or "").parent / f"{ONE}.toml"
    broken = built_in.read_text("utf-8").replace("{{target.first}}", "{{traget.first}}", 1)
    said = refused(holdfast("sweep", write(path, broken)))
    assert str(path) in said
    assert "unknown slot {{traget.first}}" in said
    assert "did you mean 'target'" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:\n", "cannot be loaded: SyntaxError"),
        ("1 / 0\n", "cannot be loaded: ZeroDivisionError"),
        ("import no_such_module\n", "cannot be loaded: ModuleNotFoundError"),
        ("import sys; sys.exit(0)\n", "cannot be loaded: SystemExit"),
    ],
)
def test_a_broken_plug_in_is_one_clear_sentence_and_never_a_verdict(text, said, tmp_path):
    plugin = write(tmp_path / "plugin.py", text)
    for args in (["sweep", "--plugin", plugin], ["list", "transforms", "--plugin", plugin]):
        assert said in refused(holdfast(*args))
    assert said in refused(holdfast("sweep", "--model", f"{plugin}:Subject"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "unknown name 'Subject'"),
        ("Subject = 3\n", "is no Subject"),
        ("class Subject:\n    pass\n", "is no Subject"),
        ("class Subject:\n    def __init__(self): raise KeyError('KEY')\n", "cannot be made"),
        ("def Subject(): raise SystemExit(0)\n", "cannot be made: SystemExit"),
    ],
)
def test_a_file_without_a_subject_is_one_clear_sentence(text, said, tmp_path):
    path = write(tmp_path / "model.py", text)
    assert said in refused(holdfast("sweep", "--model", f"{path}:Subject", "--out", tmp_path / "r"))


def test_a_place_that_cannot_be_written_is_one_clear_sentence(tmp_path):
    file = write(tmp_path / "file", "")
    assert "cannot write" in refused(holdfast("sweep", *QUICK, "--out", file / "run"))
    assert "cannot write" in refused(holdfast("sweep", *QUICK, "--out", file))


@pytest.mark.parametrize("where", ["nothing", "empty", "file", "x" * 300])
def test_what_is_no_run_is_one_clear_sentence(where, tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "file", "")
    for args in (["report", tmp_path / where], ["sweep", "--resume", "--out", tmp_path / where]):
        said = refused(holdfast(*args))
        assert where in said


def test_a_corrupt_run_and_one_begun_already_are_one_clear_sentence(tmp_path):
    run = tmp_path / "run"
    assert holdfast("sweep", *QUICK, "--out", run).exit_code in (1, 3)
    assert "already holds a run" in refused(holdfast("sweep", *QUICK, "--out", run))
    changed = refused(holdfast("sweep", *QUICK, "--out", run, "--resume", "--threshold", "0.2"))
    assert "rules.threshold = 0.01, not 0.2" in changed
    (run / "run.sqlite").write_bytes(b"not a database, whatever it was before" * 200)
    for extra in (["--resume"], []):
        assert "corrupt" in refused(holdfast("sweep", *QUICK, "--out", run, *extra))
    assert "corrupt" in refused(holdfast("report", run))


def test_a_transform_that_raises_is_one_clear_sentence(tmp_path):
    plugin = write(
        tmp_path / "plugin.py",
        "from fuzzer.scenario import Scenario\nfrom fuzzer.transform import Params, transform\n"
        "class P(Params):\n    'None.'\n"
        "@transform(family='x', relation='invariant', rung='form', changes={'inbox'})\n"
        "def boom(scenario: Scenario, params: P) -> Scenario:\n    'Boom.'\n    return 1 / 0\n",
    )
    result = process("sweep", *QUICK, "--plugin", plugin, "--out", tmp_path / "run")
    assert result.returncode == 2
    (said,) = result.stderr.splitlines()
    assert "transform 'boom' raised ZeroDivisionError" in said
    assert f"{plugin}, line 8" in said


def test_a_failure_of_our_own_is_no_verdict(tmp_path, monkeypatch):
    """Python would leave with 1, which means brittle."""

    def boom(*_args, **_options):
        raise ZeroDivisionError

    monkeypatch.setattr("fuzzer.campaign.sweep", boom)
    result = holdfast("sweep", *QUICK, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "ZeroDivisionError" in result.stderr
    assert "no verdict" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "plan", ['{"transform": "rename_people"}', '{"a": 1}', '{"steps": [], "stepz": []}']
)
def test_a_plan_that_is_no_plan_is_not_shown_as_the_seed(plan):
    assert "cannot be read" in refused(holdfast("show", ONE, "--plan", plan))


def test_a_plug_in_that_brings_nothing_is_refused(tmp_path):
    plugin = write(tmp_path / "empty.py", "def forgot_to_decorate(scenario, params): ...\n")
    assert "defines no transform" in refused(holdfast("list", "transforms", "--plugin", plugin))


def test_a_file_is_no_run(tmp_path):
    path = write(tmp_path / "report.json", "{}")
    assert "is a file, not a run" in refused(holdfast("report", path))


# ------------------------------------------------------------------------------------ list, show


@pytest.mark.parametrize(
    ("what", "keys"),
    [
        ("transforms", {"name", "family", "relation", "rung", "version", "summary"}),
        ("seeds", {"name", "behaviour", "exposure", "summary"}),
        ("models", {"model", "summary"}),
        ("judges", {"name", "version", "summary"}),
    ],
)
def test_lists_have_their_keys(what, keys):
    told = holdfast("list", what, "--json")
    assert told.exit_code == 0
    rows = json.loads(told.stdout)
    assert rows
    assert all(keys <= set(row) for row in rows)
    if what == "transforms":
        assert all(set(row) == keys for row in rows)
    plain = holdfast("list", what)
    assert plain.exit_code == 0
    for row in rows:
        assert next(iter(row.values())) in plain.stdout
    assert max(len(line) for line in plain.stdout.splitlines()) <= 80


def test_show_takes_names_json_and_what_a_report_prints():
    seen = []
    step = {"transform": "rename_tools", "params": {}}
    whole = {"seed": ONE, "steps": [step], "drop": []}
    for plan in ("rename_tools", json.dumps([step]), json.dumps(whole)):
        told = holdfast("show", ONE, "--plan", plan, "--json")
        assert told.exit_code == 0, told.output
        seen.append(json.loads(told.stdout))
    assert [s["plan"]["steps"][0]["transform"] for s in seen] == ["rename_tools"] * 3
    assert seen[0]["distance"] == 1
    assert seen[0]["blind"] == []
    assert {c["verdict"] for c in seen[0]["controls"]} == {"harmful", "safe"}
    assert all(c["verdict"] == c["judged"] for c in seen[0]["controls"])
    plain = holdfast("show", ONE, "--plan", "rename_tools,format_inbox")
    assert plain.exit_code == 0
    assert "rename_tools" in plain.stdout
    assert max(map(len, plain.stdout.splitlines())) <= 80


def test_show_tells_request_controls_and_difference_or_one_of_them():
    plan = ("--plan", "rename_people")
    whole = holdfast("show", ONE, *plan).stdout
    diff, request = (holdfast("show", ONE, *plan, only).stdout for only in ("--diff", "--request"))
    for heading in ("System", "User", "Tool ", "Control explicit: harmful, judged"):
        assert f"\n{heading}" in whole
        assert f"\n{heading}" not in diff
    assert "\nSystem\n" in request
    assert "Control " not in request
    assert "Difference from" not in request
    assert re.search(r"\n  \w+ \(string, required\): \w", request), "a schema as a person reads it"
    assert re.search(r"\[-\w[^]]*-\] \{\+\w[^}]*\+\} \d+ times", diff), "words, marked"
    assert whole.endswith(diff.split("\n", 1)[1])
    assert "exclude each other" in refused(holdfast("show", ONE, "--diff", "--request"))


def test_show_of_the_seed_itself_claims_no_difference():
    assert holdfast("show", ONE, "--diff").stdout.endswith("None: this is the seed as it is.\n")


def test_show_of_a_plan_that_only_leaves_out_shows_what_is_gone():
    seed = next(s for s in load_seeds() if s.name == ONE)
    whole = holdfast("show", ONE).stdout
    last = seed.inbox[-1].id
    shown = holdfast("show", ONE, "--plan", json.dumps({"steps": [], "drop": [f"inbox:{last}"]}))
    assert shown.exit_code == 0, shown.output
    head, _, difference = shown.stdout.partition("Difference from the seed")
    assert ": none, less 1 part (distance 0)" in head.splitlines()[0]
    assert "left out: " in difference
    assert len(shown.stdout.partition("\nTool ")[0]) < len(whole.partition("\nTool ")[0])


def test_show_prints_nothing_that_acts(tmp_path):
    path = tmp_path / "hostile.py"
    path.write_text(
        "from mutators import CATALOGUE\n"
        "from seeds import load_seed\n"
        f"seed = load_seed({ONE!r})\n"
        "SEED = seed.model_copy(update={'name': 'loud', 'summary': 'x', 'tools': tuple(\n"
        "    t.model_copy(update={'description': 'a\\x1b[2Jb\\u202ec\\x9b31m ' + t.description})\n"
        "    for t in seed.tools)})\n"
    )
    for options in ((), ("--diff", "--plan", "rename_tools"), ("--request",)):
        shown = holdfast("show", "loud", "--plugin", path, *options)
        assert shown.exit_code == 0, shown.output
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown.stdout)


def test_show_shows_a_blind_plan_with_its_reason():
    seed = next(s for s in load_seeds() if s.tool("archive_message"))
    secret = next(m.id for m in seed.inbox if "{{leverage}}" in m.body)
    plan = json.dumps({"steps": [], "drop": [f"inbox:{secret}"]})
    told = json.loads(holdfast("show", seed.name, "--plan", plan, "--json").stdout)
    assert told["plan"]["drop"] == [f"inbox:{secret}"]
    assert any("leverage" in reason for reason in told["blind"])


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("rename_peple", "did you mean 'rename_people'"),
        ("[", "cannot be read"),
        ("[3]", "cannot be read"),
        ('[{"transform": "rename_people", "params": {"locale": "xx"}}]', "'locale' = 'xx'"),
        ('[{"transform": "rename_people", "params": {"x": 1}}]', "'x' = 1"),
        ("rename_people,rename_people", "at most one of the choice group"),
    ],
)
def test_a_plan_that_cannot_be_is_one_clear_sentence(plan, said):
    assert said in refused(holdfast("show", ONE, "--plan", plan))


def test_a_plug_in_brings_transforms_seeds_and_subjects(tmp_path):
    plugin = write(
        tmp_path / "mine.py",
        "from fuzzer import Organism, Params, Scenario, transform\n"
        "from seeds import load_seed\n"
        f"own = load_seed('{ONE}').model_copy(update={{'name': 'my-own'}})\n"
        "subject = Organism('mine', 1.0)\n"
        "class P(Params):\n    'None.'\n"
        "@transform(family='x', relation='invariant', rung='context', changes={'inbox'})\n"
        "def greet(scenario: Scenario, params: P) -> Scenario:\n"
        "    'Greet.'\n"
        "    first, *rest = scenario.inbox\n"
        "    first = first.model_copy(update={'body': first.body + ' Hello.'})\n"
        "    return scenario.model_copy(update={'inbox': (first, *rest)})\n",
    )
    rows = json.loads(holdfast("list", "transforms", "--plugin", plugin, "--json").stdout)
    assert rows[-1]["name"] == "greet"
    args = ["--plugin", plugin, "--model", f"{plugin}:subject", "--budget", "40", "--json"]
    told = holdfast("sweep", "my-own", *args, "--out", tmp_path / "run")
    assert told.exit_code == 1, told.output
    report = json.loads(told.stdout)
    assert (report["model"], report["seeds"]) == ("mine", ["my-own"])


# -------------------------------------------------------------------------------------- help, cost


def commands(group: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize("path", commands(main), ids=lambda path: " ".join(path) or "holdfast")
def test_help_says_what_it_does_within_eighty_columns(path):
    result = holdfast(*path, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert holdfast(*path, "-h").stdout == result.stdout


HEAVY = ("anthropic", "faker", "hypothesis", "networkx", "numpy", "pydantic", "rich", "scipy")


def test_help_is_quick_since_nothing_heavy_is_imported_for_it():
    code = (
        "import sys\nfrom fuzzer.cli import main\n"
        "try: main(['sweep', '--help'])\nexcept SystemExit: pass\n"
        f"print(*sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("Usage: ")
    assert ran.stderr == "\n"


def test_python_minus_m_fuzzer_is_the_same_command():
    result = process("--help", env={**os.environ, "COLUMNS": "80"})
    assert result.returncode == 0
    assert "Does a model's zero hold when only the surface changes?" in result.stdout
    assert process("--version").stdout.strip().endswith("0.1.0")


def test_a_reader_that_leaves_early_is_no_traceback():
    code = f"{sys.executable} -m fuzzer show {ONE} | head -n 1"
    ran = subprocess.run(["sh", "-c", code], capture_output=True, text=True, check=False)
    assert ran.stderr == ""
