"""The gate of `examples/ci` does what its README says, offline, in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import orjson
import pytest

import fuzzer
from fuzzer.cli import main

ROOT = Path(fuzzer.__file__).parents[1]
EXAMPLE = ROOT / "examples" / "ci"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
WORKFLOW = (EXAMPLE / "holdfast.yml").read_text(encoding="utf-8")
SMALL = ("blackmail-goal", "--budget", "80", "--shrink-budget", "40")
WRITTEN = ("summary.md", "junit.xml", "holdfast.sarif", "gate.json", "report.html", "report.json")


def environment(**more: str) -> dict[str, str]:
    command = f"{shlex.quote(sys.executable)} -m fuzzer"
    return {**os.environ, "HOLDFAST": command, "PYTHONPATH": str(ROOT), **more}


def gate(folder: Path, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(EXAMPLE / "gate.sh"), *args],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_first_run_fails_and_an_accepted_one_passes(tmp_path):
    first = gate(tmp_path, "organism/tool_keyed", *SMALL, OUT="first")
    assert first.returncode == 1, first.stderr
    assert "every finding is new" in first.stderr
    for name in WRITTEN:
        assert (tmp_path / "first" / name).stat().st_size

    (command,) = re.findall(r"^   holdfast (report .* --out .*\.json)$", README, re.MULTILINE)
    accept = shlex.split(command.replace("holdfast-run", "first"))
    (tmp_path / "holdfast-baselines").mkdir()
    subprocess.run(
        [sys.executable, "-m", "fuzzer", *accept], cwd=tmp_path, env=environment(), check=False
    )
    assert (tmp_path / accept[-1]).read_bytes() == (tmp_path / "first/report.json").read_bytes()

    second = gate(tmp_path, "organism/tool_keyed", *SMALL, OUT="second")
    assert second.returncode == 0, second.stderr + second.stdout
    said = "Nothing new was found in 80 calls. It is still brittle."
    assert said in second.stdout
    assert said in (tmp_path / "second/summary.md").read_text("utf-8")
    assert orjson.loads((tmp_path / "second/gate.json").read_bytes())["gate"]["exit_code"] == 0
    suite = ElementTree.parse(tmp_path / "second/junit.xml").getroot()[0]
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    (run,) = orjson.loads((tmp_path / "second/holdfast.sarif").read_bytes())["runs"]
    assert {result["baselineState"] for result in run["results"]} == {"unchanged"}
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert place == "seeds/blackmail-goal.toml"
    assert (ROOT / place).is_file()


@pytest.mark.slow
def test_another_model_fails_on_what_is_new(tmp_path):
    assert gate(tmp_path, "organism/tool_keyed", *SMALL, OUT="first").returncode == 1
    (tmp_path / "holdfast-baselines").mkdir()
    (tmp_path / "first/report.json").rename(tmp_path / "holdfast-baselines/tool_keyed.json")
    other = gate(tmp_path, "organism/memoriser", *SMALL, OUT="other")
    assert other.returncode == 1
    assert "new: " in other.stdout
    assert "Gate: Fails: " in other.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [((), "usage: gate.sh MODEL"), (("organism/nobody",), "organism"), (("x", "--nope"), "--nope")],
)
def test_a_mistake_is_no_verdict(tmp_path, args, said):
    ran = gate(tmp_path, *args)
    assert ran.returncode == 2
    assert said in ran.stderr


def steps() -> dict[str, str]:
    """The shell of each step of the workflow that has any, by the step's name."""
    found, name, lines = {}, "", WORKFLOW.splitlines()
    for at, text in enumerate(lines):
        if match := re.match(r"      - (?:name|uses): (.*)", text):
            name = match[1]
        elif match := re.match(r"        run: (.*)", text):
            block = []
            for following in lines[at + 1 :]:
                if following.strip() and not following.startswith(" " * 10):
                    break
                block.append(following[10:])
            found[name] = match[1] if match[1] != "|" else "\n".join(block)
    return found


def test_the_workflow_calls_the_gate_with_options_that_there_are():
    shell = steps()
    assert list(shell) == ["Install", "Sweep and gate", "Summary"]
    words = shlex.split(shell["Sweep and gate"])
    assert words[:2] == ["ci/gate.sh", "$MODEL"]
    with main.make_context("holdfast", ["sweep", *words[2:]]) as parent:
        main.commands["sweep"].make_context("sweep", words[2:], parent=parent)


def test_what_a_person_typed_is_never_part_of_the_workflows_script():
    for shell in steps().values():
        assert "${{" not in shell
        subprocess.run(["sh", "-n"], input=shell, text=True, check=True)


def test_the_workflow_uploads_what_the_gate_writes(tmp_path):
    for name in ("summary.md", "holdfast.sarif"):
        assert name in WORKFLOW
        assert name in (EXAMPLE / "gate.sh").read_text(encoding="utf-8")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/summary.md").write_text("## said\n", encoding="utf-8")
    summary = tmp_path / "step"
    more = {"OUT": "run", "GITHUB_STEP_SUMMARY": str(summary)}
    for _ in range(2):
        subprocess.run(
            ["bash", "-e", "-c", steps()["Summary"]],
            cwd=tmp_path,
            env=environment(**more),
            check=True,
        )
    assert summary.read_text("utf-8") == "## said\n## said\n"


def test_the_readme_names_what_is_written():
    for name in WRITTEN:
        assert f"`{name}`" in README
