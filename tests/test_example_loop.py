"""The example that closes the loop: what it learns, that it repeats, that its files are its own."""

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.teaching_to_the_test import __main__ as command
from examples.teaching_to_the_test.figure import figure
from examples.teaching_to_the_test.measure import Size, run
from examples.teaching_to_the_test.policy import UNTRAINED, WIDTH, Policy, features, learn, read
from examples.teaching_to_the_test.summary import Results, difference_of, rate_of, results
from examples.teaching_to_the_test.table import headline, markdown
from examples.teaching_to_the_test.worlds import CANARY, Group, World, text_of
from fuzzer.augment.drawing import Environments, Recipe
from fuzzer.augment.playing import rebuild
from fuzzer.judges.rules import RulesJudge
from mutators import CATALOGUE

ROOT = Path(__file__).parents[1]
HERE = ROOT / "examples" / "teaching_to_the_test"
STORED = Results.model_validate_json((HERE / "results.json").read_bytes())
TINY = Size(training_seeds=2, rows=40, steps=60, draws=2, distances=(0, 12), sweeps=False)

HASH = """
from examples.teaching_to_the_test.measure import Size, run
size = Size(rows=12, steps=30, draws=1, distances=(0, 8), sweeps=False)
print(run(3, size).decisions)
"""


@pytest.fixture(scope="module")
def tiny():
    return results(TINY, [run(number, TINY) for number in range(TINY.training_seeds)])


def test_a_narrow_zero_is_a_zero_on_the_seeds(tiny):
    rate = tiny.rate("varied", "narrow", "trained", 0)
    assert (rate.k, rate.training_seeds) == (0, 2)
    assert rate.n >= 10
    assert tiny.rate("varied", "base", "trained", 0, 12).rate == 1.0
    assert tiny.rate("varied", "base", "twins", 0, 12).rate == 1.0


def test_far_from_the_seeds_the_narrow_policy_fails(tiny):
    far = {arm: tiny.rate("varied", arm, "trained", 12) for arm in ("narrow", "augmented")}
    assert far["narrow"].k > far["augmented"].k


@pytest.mark.slow
def test_decisions_hang_on_no_process_and_no_number_of_threads():
    """Two processes, one thread of linear algebra and two, other hashes of strings."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", HASH],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env=os.environ
            | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), threads)
            | {"PYTHONHASHSEED": threads, "PYTHONPATH": str(ROOT)},
        )
        for threads in ("1", "2")
    ]
    told = [process.communicate(timeout=120)[0].strip() for process in started]
    assert told[0] == told[1]
    assert len(told[0]) == 32


def test_what_is_learned_from_is_what_a_row_shows():
    world = World(1)
    recipe = Recipe(canary=CANARY, random_seed=1)
    made = Environments(
        recipe, world.seeds, (), CATALOGUE, CATALOGUE.pools, RulesJudge().decide, world.split
    )
    for row in islice(made.rows(0, 6), 6):
        assert np.array_equal(features(text_of(row)), read(rebuild(row)))


def test_nothing_tested_was_trained_on():
    world = World(2)
    world.augmented(30)
    split, pools = world.split, CATALOGUE.pools
    places: dict[Group, set[str]] = {
        "trained": {"train"},
        "values": {"test-values"},
        "families": {"test-transforms"},
        "stories": {"test-seeds"},
        "both": {"test-both"},
    }
    for group, allowed in places.items():
        seeds, _ = world.tested[group]
        by_name = {seed.name: seed for seed in seeds}
        for variant in world.variants(group, 3, 3):
            assert variant.distance == 3
            assert variant.id not in world._exposed
            seed = by_name[variant.plan.seed]
            assert split.place(seed, variant.plan.steps, CATALOGUE, pools) in allowed


def test_every_training_seed_has_a_deal_of_its_own():
    assert len({World(number).split.salt_hash for number in range(4)}) == 4


def test_an_untrained_policy_acts_and_a_trained_one_tells_its_texts_apart():
    held, acted = features("the quiet text"), features("another loud text")
    assert Policy("p", UNTRAINED).takes_initiative(held)
    learned = Policy("p", learn([held, held], [acted], 50))
    assert not learned.takes_initiative(held)
    assert learned.takes_initiative(acted)


@settings(deadline=None, max_examples=25)
@given(st.text(max_size=60))
def test_a_text_is_a_set_of_places(text):
    seen = features(text)
    assert np.array_equal(seen, np.unique(seen))
    assert not len(seen) or 0 <= seen[0] <= seen[-1] < WIDTH


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 9), st.just(9)), min_size=1, max_size=12))
def test_a_rate_stands_within_its_interval_and_never_bare(counts):
    rate = rate_of(counts)
    assert 0 <= rate.low <= rate.rate <= rate.high <= 1
    assert rate.low < rate.high
    same = difference_of([k / n for k, n in counts], [k / n for k, n in counts])
    assert (same.mean, same.differing) == (0, 0)


def test_the_files_are_those_of_the_results():
    assert (HERE / "RESULTS.md").read_text(encoding="utf-8") == markdown(STORED)
    assert (HERE / "figure.svg").read_text(encoding="utf-8") == figure(STORED)
    assert (HERE / "results.json").read_text(encoding="utf-8") == command.as_json(STORED)
    assert STORED.size == Size()
    assert STORED.size.training_seeds >= 10


def test_the_readme_shows_the_table_as_it_is():
    assert headline(STORED) in (HERE / "README.md").read_text(encoding="utf-8")


def test_the_figure_is_markup_that_opens():
    root = ElementTree.fromstring((HERE / "figure.svg").read_bytes())
    panels = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert panels.count("transforms applied (not to scale)") == 7


def test_a_figure_is_drawn_again_from_what_is_stored(tmp_path):
    (tmp_path / "results.json").write_bytes((HERE / "results.json").read_bytes())
    command.main(["--redraw", "--out", str(tmp_path)])
    for name in ("results.json", "RESULTS.md", "figure.svg"):
        assert (tmp_path / name).read_bytes() == (HERE / name).read_bytes()


@pytest.mark.slow
def test_the_whole_example_comes_out_byte_for_byte(tmp_path):
    command.main(["--out", str(tmp_path)])
    for name in ("results.json", "RESULTS.md", "figure.svg"):
        assert (tmp_path / name).read_bytes() == (HERE / name).read_bytes()
    assert json.loads((tmp_path / "results.json").read_bytes())["cells"]
