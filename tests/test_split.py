"""The deal: every thing in one cell, never moved, and the same thing to whoever asks."""

import json
from collections import Counter

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer import registry
from fuzzer.augment.split import (
    SURFACE,
    Cell,
    Split,
    choices_of,
    deal,
    pool_hash,
    read_split,
    story_of,
)
from fuzzer.augment_split_command import split as split_command
from fuzzer.cli import _Sentences
from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.transform import Step
from mutators import CATALOGUE
from seeds import load_seeds

SEEDS = registry.find_seeds()
POOLS = {name: pool for name, pool in CATALOGUE.pools.items() if pool}
SALTS = st.text(min_size=1, max_size=20)
CELLS: tuple[Cell, ...] = ("train", "dev", "test")
few = settings(max_examples=6, deadline=None)


def of(salt: str, **more) -> Split:
    return deal(SEEDS, CATALOGUE, POOLS, salt, **more)


@given(SALTS)
@few
def test_every_thing_is_in_exactly_one_cell_and_none_is_empty(salt):
    split = of(salt)
    assert split.stories.keys() == {story_of(seed) for seed in SEEDS}
    dealt = {t.family for t in CATALOGUE if t.relation in SURFACE and POOLS.get(t.name)}
    assert split.families.keys() == dealt
    assert set(split.stories.values()) == set(split.families.values()) == set(CELLS)
    for name, values in split.values.items():
        positions = sorted((*values.train, *values.dev, *values.test))
        assert positions == list(range(len(POOLS[name])))
    assert sorted(s.name for cell in CELLS for s in split.seeds(SEEDS, cell)) == sorted(
        s.name for s in SEEDS
    )


@given(SALTS)
@few
def test_a_family_counts_for_as_many_choices_as_it_holds(salt):
    choices = choices_of(CATALOGUE, POOLS)
    held = Counter[str]()
    for family, cell in of(salt).families.items():
        held[cell] += choices[family]
    total = held.total()
    assert 0.2 <= held["test"] / total <= 0.3  # the share is .25: two small families are no test
    assert held["dev"] / total <= 0.2
    assert held["train"] / total >= 0.5


@given(SALTS, SALTS)
@few
def test_the_salt_alone_makes_the_deal(one, other):
    split = of(one)
    assert split == of(one)
    assert split.hash == of(one).hash
    assert json.loads(split.model_dump_json()) == json.loads(of(one).model_dump_json())
    if one != other:
        assert split.salt_hash != of(other).salt_hash
        assert split.values != of(other).values


@given(SALTS, st.data())
@few
def test_what_was_dealt_never_moves(salt, data):
    stories = sorted({story_of(seed) for seed in SEEDS})
    families = sorted(choices_of(CATALOGUE, POOLS))
    here = data.draw(st.sets(st.sampled_from(stories), min_size=3))
    kept = data.draw(st.sets(st.sampled_from(families), min_size=3))
    some = Catalogue([t for t in CATALOGUE if t.family in kept], POOLS)
    before = deal([s for s in SEEDS if story_of(s) in here], some, POOLS, salt)
    after = of(salt, before=before)
    assert before.stories.items() <= after.stories.items()
    assert before.families.items() <= after.families.items()
    assert before.values.items() <= after.values.items()
    assert after.stories.keys() == set(stories)
    assert of(salt, before=after).hash == after.hash


def test_another_salt_cannot_extend_a_deal():
    with pytest.raises(ConfigurationError, match="give the same salt"):
        of("one salt", before=of("another"))


def test_too_few_things_cannot_be_dealt():
    with pytest.raises(ConfigurationError, match="at least 3"):
        deal(SEEDS[:1], CATALOGUE, POOLS, "salt")


# --------------------------------------------------------------------------------------- use


@given(SALTS)
@settings(max_examples=6, deadline=None)
def test_the_place_of_a_value_agrees_with_the_catalogue_it_is_in(salt):
    split = of(salt)
    seeds = {cell: split.seeds(SEEDS, cell)[0] for cell in CELLS}
    trained = split.catalogue(CATALOGUE, POOLS, "train")
    both = split.catalogue(CATALOGUE, POOLS, "train", "dev")
    held_out = split.held_out(CATALOGUE)
    for transform in CATALOGUE:
        if transform.relation not in SURFACE:
            continue
        for step in POOLS[transform.name][:40]:
            place = split.place(seeds["train"], (step,), CATALOGUE, POOLS)
            assert (place == "train") == (step in trained.pools.get(transform.name, ()))
            exported = transform.name in both and step in both.pools[transform.name]
            assert (place in ("train", "dev")) == exported
            assert (place == "test-transforms") == (transform.name in held_out)
            on_test = split.place(seeds["test"], (step,), CATALOGUE, POOLS)
            assert (on_test == "test-both") == (transform.name in held_out)
    assert split.place(seeds["train"], (), CATALOGUE, POOLS) == "train"
    assert split.place(seeds["dev"], (), CATALOGUE, POOLS) == "dev"
    assert split.place(seeds["test"], (), CATALOGUE, POOLS) == "test-seeds"


@given(SALTS)
@few
def test_what_tests_shares_no_surface_with_what_trains(salt):
    split = of(salt)
    trained, held_out = split.catalogue(CATALOGUE, POOLS, "train", "dev"), split.held_out(CATALOGUE)

    def surface(known: Catalogue) -> set[str]:
        return {t.name for t in known if t.relation in SURFACE}

    assert not surface(trained) & surface(held_out)
    assert surface(held_out)
    assert {t.name for t in held_out if t.relation == "sham"} == {
        t.name for t in CATALOGUE if t.relation == "sham"
    }
    assert all(held_out.pools[name] == POOLS[name] for name in surface(held_out))


def test_a_pool_that_changed_is_refused():
    split = of("salt")
    name = next(t.name for t in CATALOGUE if split.families.get(t.family) == "train")
    pools = {**POOLS, name: POOLS[name][::-1]}
    with pytest.raises(ConfigurationError, match="is not the one the manifest was made with"):
        split.catalogue(CATALOGUE, pools, "train")
    with pytest.raises(ConfigurationError, match="is not the one the manifest was made with"):
        split.place(split.seeds(SEEDS, "train")[0], pools[name][:1], CATALOGUE, pools)
    assert pool_hash(POOLS[name]) == pool_hash(tuple(POOLS[name]))


def test_what_was_never_dealt_is_held_out_or_refused():
    split = of("salt")
    name = next(t.name for t in CATALOGUE if split.families.get(t.family) == "train")
    assert split.value(Step(transform=name, params={"unheard": "of"}), POOLS) == "test"
    stranger = SEEDS[0].model_copy(update={"family": "of my own"})
    with pytest.raises(ConfigurationError, match="knows no story 'of my own'"):
        split.story(stranger)
    assert split.seeds([stranger], *CELLS) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no manifest of a split"),
        ("{}", "salt_hash"),
        ('{"salt_hash": "x", "stories": {"a": "exam"}, "families": {}}', "stories.a"),
    ],
)
def test_a_file_that_is_no_manifest_is_named(text, said, tmp_path):
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        read_split(path)
    with pytest.raises(ConfigurationError, match="cannot read the manifest"):
        read_split(tmp_path / "none.json")


# ------------------------------------------------------------------------------- the command


def run(*arguments: object, env: dict[str, str] | None = None):
    group = _Sentences(commands={"split": split_command})
    return CliRunner().invoke(group, ["split", *map(str, arguments)], env=env)


def test_a_deal_is_written_with_a_salt_that_nobody_else_reads(tmp_path):
    out = tmp_path / "m.json"
    ran = run("--out", out)
    assert ran.exit_code == 0, ran.output
    salt = (tmp_path / "m.salt").read_text().strip()
    assert (tmp_path / "m.salt").stat().st_mode & 0o777 == 0o600
    assert len(salt) == 64
    assert salt not in ran.output + out.read_text()
    made = read_split(out)
    assert made.model_copy(update={"created": ""}) == deal(
        load_seeds(), CATALOGUE, CATALOGUE.pools, salt
    )
    assert made.created
    again = run("--out", out)
    assert (again.exit_code, "is there already" in again.output) == (2, True)
    longer = run("--out", tmp_path / "m2.json", "--extend", out, "--json")
    told = json.loads(longer.stdout)
    assert told["manifest"] == made.hash or made.created != read_split(tmp_path / "m2.json").created
    assert told["sweep_choices"] > 0
    assert 0 <= told["far_share"] <= 1
    assert {*told["cells"]} == set(CELLS)


def test_a_salt_comes_from_a_file_or_the_environment(tmp_path):
    salt = "a salt of a lab, long enough"
    (tmp_path / "salt").write_text(f"{salt}\n")
    (tmp_path / "short").write_text("abc")
    assert run("--out", tmp_path / "a.json", "--salt-file", tmp_path / "salt").exit_code == 0
    assert run("--out", tmp_path / "b.json", env={"HOLDFAST_SALT": salt}).exit_code == 0
    assert read_split(tmp_path / "a.json").values == read_split(tmp_path / "b.json").values
    assert not list(tmp_path.glob("*.salt"))
    short = run("--out", tmp_path / "c.json", "--salt-file", tmp_path / "short")
    assert (short.exit_code, "could be guessed" in short.output) == (2, True)
    lost = run("--out", tmp_path / "c.json", "--extend", tmp_path / "a.json")
    assert (lost.exit_code, "--salt-file" in lost.output) == (2, True)
