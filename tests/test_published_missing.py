"""What is said about a published condition where the extra is not installed."""

import subprocess
import sys

import pytest

from benchmarks.gates import main as print_gates
from fuzzer.errors import ConfigurationError, SeedError
from fuzzer.registry import find_seed
from seeds.published import (
    PREFIX,
    _generator,
    load_published,
    published_names,
    published_texts,
)

NAME = f"{PREFIX}blackmail-explicit-america-replacement"


@pytest.fixture(autouse=True)
def without(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "inspect_evals"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "inspect_evals", None)
    for cached in (_generator, load_published, published_texts):
        cached.cache_clear()


@pytest.mark.parametrize("ask", [find_seed, load_published])
def test_the_sentence_names_the_extra(ask):
    with pytest.raises(ConfigurationError) as caught:
        ask(NAME)
    assert str(caught.value) == f"seed {NAME!r} needs the extra: pip install 'holdfast[published]'"
    assert caught.value.__suppress_context__


def test_there_are_no_names_to_list():
    with pytest.raises(ConfigurationError, match=r"needs the extra: pip install"):
        published_names()


@pytest.mark.parametrize(
    "name",
    [
        f"{PREFIX}blackmial-explicit-america-replacement",
        f"{PREFIX}blackmail-none-america-replacement",
        f"{PREFIX}blackmail",
        "published/else",
        "published/",
    ],
)
def test_an_unknown_name_is_said_before_anything_is_missed(name):
    with pytest.raises(SeedError, match="unknown seed") as caught:
        find_seed(name)
    assert "SCENARIO-GOAL_TYPE-GOAL_VALUE-URGENCY" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_slip_of_the_finger_is_guessed():
    with pytest.raises(SeedError, match=f"did you mean '{NAME}'"):
        find_seed(NAME.replace("blackmail", "blackmial"))


def test_the_benchmark_says_so_and_goes_on(capsys):
    print_gates(["--quick"])
    assert "pip install 'holdfast[published]'" in capsys.readouterr().out


def test_nothing_of_it_is_imported_before_it_is_used():
    code = (
        "import sys, fuzzer.registry, fuzzer.campaign, seeds; "
        "sys.exit('seeds.published' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
