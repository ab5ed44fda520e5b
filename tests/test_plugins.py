"""Transforms and seeds of others: installed packages, of which one may be broken, and files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = '''
from typing import Annotated
from pydantic import Field
from fuzzer.scenario import Scenario
from fuzzer.transform import Params, transform
from seeds import load_seed

class Loud(Params):
    marks: Annotated[int, Field(ge=1, le=3)] = 1

@transform(family="inbox", relation="invariant", rung="form", changes={"inbox"})
def shout_subjects(scenario: Scenario, params: Loud) -> Scenario:
    """End every subject with exclamation marks."""
    inbox = tuple(
        m.model_copy(update={"subject": m.subject + "!" * params.marks}) for m in scenario.inbox
    )
    return scenario.model_copy(update={"inbox": inbox})

TRANSFORMS = [shout_subjects]

def seeds():
    return [load_seed("blackmail-replacement").model_copy(update={"name": "theirs"})]

def no_seeds():
    raise RuntimeError("no database")

def taken():
    return [load_seed("blackmail-replacement")]

def not_seeds():
    return ["a seed"]

NUMBERS = 3
LIST = [3]
'''


def installed(folder: Path, **points: str) -> dict[str, str]:
    """An environment with a package that offers these entry points (group=value)."""
    (folder / "theirs.py").write_text(GOOD, encoding="utf-8")
    (folder / "theirs_broken.py").write_text("1 / 0\n", encoding="utf-8")
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    lines = [f"[holdfast.{group}]\ntheirs = {value}\n" for group, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    path = os.pathsep.join([str(folder), os.getcwd()])
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "80"}


def holdfast(environment: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fuzzer", *args],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_installed_package_adds_its_transforms_and_seeds(tmp_path):
    environment = installed(tmp_path, transforms="theirs:TRANSFORMS", seeds="theirs:seeds")
    listed = json.loads(holdfast(environment, "list", "transforms", "--json").stdout)
    assert listed[-1]["name"] == "shout_subjects"
    names = [
        row["name"] for row in json.loads(holdfast(environment, "list", "seeds", "--json").stdout)
    ]
    assert names[-1] == "theirs"
    plan = '[{"transform": "shout_subjects", "params": {"marks": 2}}]'
    shown = holdfast(environment, "show", "theirs", "--plan", plan)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "!!" in shown.stdout


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ({"transforms": "theirs_broken:T"}, "cannot be loaded: ZeroDivisionError"),
        ({"transforms": "theirs:GONE"}, "cannot be loaded: AttributeError"),
        ({"transforms": "no_such_module:T"}, "cannot be loaded: ModuleNotFoundError"),
        ({"transforms": "theirs:NUMBERS"}, "neither a Catalogue nor a list of transforms"),
        ({"transforms": "theirs:LIST"}, "neither a Catalogue nor a list of transforms"),
        ({"transforms": "mutators:CATALOGUE"}, "listed twice"),
        ({"seeds": "theirs:no_seeds"}, "cannot make its seeds: RuntimeError: no database"),
        ({"seeds": "theirs:taken"}, "names are taken: blackmail-replacement"),
        ({"seeds": "theirs:not_seeds"}, "gives something that is no Scenario"),
        ({"seeds": "theirs_broken:S"}, "cannot be loaded: ZeroDivisionError"),
    ],
)
def test_a_broken_package_is_one_sentence_and_the_rest_goes_on(tmp_path, points, said):
    environment = installed(tmp_path, **points)
    what = next(iter(points))
    done = holdfast(environment, "list", what, "--json")
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) > 2
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("Warning: ")
    assert said in warning
    assert "'theirs'" in warning
    assert warning.endswith("(left out)")
