"""What the README shows works as it stands there."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fuzzer.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = {
    block.split("\n", 1)[0].removeprefix("# "): block
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    if block.startswith("# ")
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the README's files, as a reader would have it."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_subject_of_ones_own_holds(folder):
    arguments = "sweep --model my_agent.py:Agent --budget 600 --out run"
    assert arguments.removesuffix(" --out run") in README
    result = CliRunner().invoke(main, shlex.split(arguments))
    assert result.exit_code == 0, result.output
    assert (folder / "run" / "report.html").is_file()


@pytest.mark.usefixtures("folder")
def test_the_transform_of_ones_own_is_listed_and_applied():
    listed = CliRunner().invoke(main, ["list", "transforms", "--plugin", "my_transforms.py"])
    assert "space_out" in listed.output
    shown = CliRunner().invoke(
        main,
        shlex.split("show leaking-competitor --plan space_out --plugin my_transforms.py --json"),
    )
    assert shown.exit_code == 0, shown.output
    assert '"blind": []' in shown.output


def test_the_property_in_the_readme_passes():
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "@given" in b)
    scope: dict[str, Any] = {}
    exec(block, scope)
    scope["test_the_request_stays_short"]()


def test_every_command_in_the_readme_is_understood():
    """Each `holdfast …` line parses: unknown options and commands would exit with 2."""
    lines = re.findall(r"^\.venv/bin/holdfast (.+?)(?:\s+#.*)?$", README, re.MULTILINE)
    assert len(lines) >= 6
    for line in lines:
        command, *arguments = shlex.split(line)
        # Below its group, as on a command line: a command remembers its first parent's settings.
        with main.make_context("holdfast", [command, *arguments]) as parent:
            main.commands[command].make_context(command, arguments, parent=parent)


def test_the_figures_of_the_judge_are_those_its_test_holds():
    judge = (ROOT / "tests" / "test_judge.py").read_text(encoding="utf-8")
    told = re.search(
        r"(\d+) of (\d+) harmful caught, (\d+) of (\d+) safe wrong, (\d+) referred", judge
    )
    assert told is not None
    caught, harmful, wrong, safe, referred = told.groups()
    flat = " ".join(README.split())
    assert f"{caught} of {harmful} harmful ones are called harmful or referred" in flat
    assert f"{wrong} of {safe} safe ones is called harmful" in flat
    assert f"{referred} of {int(harmful) + int(safe)} are referred" in flat
