"""`holdfast augment environments` and `sample`, from the command line to files and back."""

import json
import os
import stat
import sys
from functools import cache

import pytest
from click.testing import CliRunner

from fuzzer.augment import contamination, engines, shards
from fuzzer.augment.export import read_export, rows_of
from fuzzer.augment.playing import rebuild, score
from fuzzer.augment.shards import guard_of
from fuzzer.augment.split import read_split
from fuzzer.cli import main
from fuzzer.errors import ConfigurationError
from mutators import CATALOGUE
from seeds import load_seeds

CANARY = "01234567-89ab-cdef-0123-456789abcdef"


@cache
def rendered_once():
    """`references`, which renders what a manifest holds out only once for all exports under it."""
    kept, render = {}, contamination.references

    def references(split, seeds, catalogue, pools, **options):
        seeds = tuple(seeds)
        names = tuple(transform.name for transform in catalogue)
        told = tuple(seed.content_hash for seed in seeds)
        key = (split.hash, told, names, tuple(sorted(options.items())))
        if key not in kept:
            kept[key] = render(split, seeds, catalogue, pools, **options)
        return kept[key]

    return references


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of one's own, where a split would be dealt."""
    monkeypatch.setattr(contamination, "references", rendered_once())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_SPLIT", raising=False)
    monkeypatch.setenv("HOLDFAST_SALT", "a salt of the tests")
    return tmp_path


def augment(*words):
    return CliRunner().invoke(main, ["augment", *map(str, words)])


def told(*words):
    """What a command prints as JSON; it must have worked."""
    ran = augment(*words, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def test_environments_are_drawn_written_and_can_be_played(here):
    done = told("environments", "-n", 12, "--out", "out")
    assert (done["rows"], done["finished"]) == (12, True)
    assert sum(done["seeds"].values()) == 12
    rows = list(rows_of(here / "out"))
    split = read_split(here / "holdfast-split.json")
    assert len(rows) == 12
    for row in rows:
        assert row.canary == done["canary"]
        assert row.lineage.manifest == split.hash == done["manifest"]
        variant = rebuild(row)
        assert score(variant, row.prompt).value == "unusable"  # nothing was done
    said = read_export(here / "out")
    trained = {t.name for t in CATALOGUE if split.families.get(t.family) == "train"}
    assert set(said.about.transforms) <= trained


def test_the_salt_is_its_owners_alone(here, monkeypatch):
    monkeypatch.delenv("HOLDFAST_SALT")
    ran = augment("environments", "-n", 1, "--out", "out")
    assert ran.exit_code == 0, ran.output
    salt = here / "holdfast-split.salt"
    assert stat.S_IMODE(os.stat(salt).st_mode) == 0o600
    secret = salt.read_text().strip()
    assert len(secret) == 64
    for path in [here / "holdfast-split.json", *(here / "out").rglob("*.*")]:
        assert secret not in path.read_text(), path
    assert secret not in ran.output


def test_shards_made_apart_are_the_shards_made_together(here, monkeypatch):
    whole = ("environments", "-n", 9, "--shards", 3, "--canary", CANARY)
    told(*whole, "--out", "whole")
    for shard in (2, 0, 1):
        monkeypatch.setattr(sys, "argv", ["holdfast", "--shard", str(shard)])  # as on the card
        done = told(*whole, "--shard", shard, "--out", "parts")
        assert not done["finished"]
    names = sorted(path.name for path in (here / "whole/canonical").glob("part-*"))
    assert len(names) == 3
    for name in names:
        parts = [(here / folder / "canonical" / name).read_bytes() for folder in ("whole", "parts")]
        assert parts[0] == parts[1]


def test_a_killed_export_goes_on_where_it_stopped(here, monkeypatch):
    order = ("environments", "-n", 9, "--shards", 3, "--canary", CANARY)
    told(*order, "--out", "whole")
    made = shards.make

    def killed(job, shard):
        if shard == 1:
            raise KeyboardInterrupt
        return made(job, shard)

    with monkeypatch.context() as broken:
        broken.setattr(engines, "make", killed)
        assert augment(*order, "--out", "cut").exit_code == 130
    assert not (here / "cut/export.json").exists()
    asked = []

    def noted(job, shard):
        asked.append(shard)
        return made(job, shard)

    with monkeypatch.context() as counting:
        counting.setattr(engines, "make", noted)
        done = told("environments", "-n", 9, "--shards", 3, "--out", "cut", "--resume")
    assert asked == [1, 2]
    assert (done["rows"], done["canary"]) == (9, CANARY)
    for path in (here / "whole/canonical").glob("part-*"):
        assert path.read_bytes() == (here / "cut/canonical" / path.name).read_bytes()
    ran = augment("environments", "--out", "cut", "--resume")
    assert "holds no unfinished export" in ran.stderr
    told(*order, "--shard", 0, "--out", "begun")
    ran = augment("environments", "-n", 10, "--shards", 3, "--out", "begun", "--resume")
    assert "another export that was not finished" in ran.stderr


@pytest.mark.slow
def test_processes_make_the_same_bytes(here):
    order = ("environments", "-n", 6, "--shards", 2, "--canary", CANARY)
    told(*order, "--out", "one")
    told(*order, "--out", "two", "--engine", "processes", "--workers", 2)
    for path in (here / "one/canonical").glob("part-*"):
        assert path.read_bytes() == (here / "two/canonical" / path.name).read_bytes()


def test_a_models_safe_answers_become_rows_to_imitate(here):
    sampled = told("sample", "-n", 24, "--out", "run", "--twins", "0%")
    assert sampled["calls"] == 24
    assert sampled["counts"]["harmful"]
    assert sampled["counts"]["safe"]
    again = told("sample", "-n", 24, "--out", "run", "--twins", "0%")
    assert again == sampled
    done = told("environments", "--from", "run", "--target", "sft", "--out", "sft")
    assert done["rows"] == sampled["counts"]["safe"]
    assert done["left_out"]["harmful"] == sampled["counts"]["harmful"]
    for row in rows_of(here / "sft"):
        assert row.lineage.models == ("organism/memoriser",)
        assert row.lineage.source.startswith("run:augment:")
        assert score(rebuild(row), row.completion).value == "safe"
    ran = augment(
        *("environments", "--from", "run", "--target", "sft", "--min-utility", "100%"),
        *("--out", "u", "--json"),
    )
    useful = json.loads(ran.stdout)
    assert (ran.exit_code, useful["rows"]) == (3, 0)
    assert useful["left_out"]["too little of the ordinary job done"] == done["rows"]


def test_pairs_hold_the_same_variant_from_both_sides(here):
    told("sample", "-n", 16, "--out", "run", "--twins", "0%", "--epochs", 2)
    done = told("environments", "--from", "run", "--target", "preference", "--out", "pairs")
    rows = list(rows_of(here / "pairs"))
    assert len(rows) == done["rows"] > 0
    for row in rows:
        variant = rebuild(row)
        assert score(variant, row.completion).value == "safe"
        assert score(variant, row.rejected).value == "harmful"
    alone = told(
        *("environments", "--from", "run", "--target", "preference", "--no-controls"),
        *("--out", "alone"),
    )
    assert alone["rows"] + alone["left_out"]["nothing to compare it with"] <= done["rows"]
    assert not any("control" in row.lineage.source for row in rows_of(here / "alone"))


def test_what_the_manifest_holds_out_stops_an_export(here):
    """A leak of lineage is a fault of ours, or a mixed-up manifest; either way nothing is made."""
    told("environments", "-n", 3, "--out", "out")
    split = read_split(here / "holdfast-split.json")
    row = next(rows_of(here / "out"))
    others = {**split.stories, row.lineage.seed_family: "test"}
    moved = split.model_copy(update={"stories": others})
    assert guard_of(split, ()).admits(row)
    with pytest.raises(ConfigurationError, match="must not be exported"):
        guard_of(moved, ()).admits(row)


PLUGIN = """
from typing import Annotated
from pydantic import Field
from fuzzer import Params, Scenario, transform

class Spaces(Params):
    "How many."
    lines: Annotated[int, Field(ge=1, le=4)] = 1

@transform(family="format", relation="invariant", rung="form", changes={"inbox"})
def space_out(scenario: Scenario, params: Spaces) -> Scenario:
    "Put empty lines under every message."
    lines = "\\n-" * params.lines
    inbox = tuple(m.model_copy(update={"body": m.body + lines}) for m in scenario.inbox)
    return scenario.model_copy(update={"inbox": inbox})
"""


def test_a_plug_in_can_be_drawn_from_but_does_not_travel(here):
    (here / "mine.py").write_text(PLUGIN)
    told("environments", "-n", 2, "--plugin", "mine.py", "--out", "split")
    told("environments", "-n", 2, "--plugin", "mine.py", "--out", "all", "--no-split")
    ran = augment(
        *("environments", "-n", 2, "--plugin", "mine.py", "--no-split", "--out", "no"),
        *("--format", "verifiers"),
    )
    assert ran.exit_code == 2
    assert "space_out come from a plug-in file, and verifiers could not" in ran.stderr


def test_a_held_out_story_under_another_name_is_found(here):
    told("environments", "-n", 1, "--out", "first")
    split = read_split(here / "holdfast-split.json")
    held = next(s for s in load_seeds() if split.stories[s.family] == "test")
    family = next(story for story, cell in split.stories.items() if cell == "train")
    renamed = held.model_copy(update={"name": "laundered", "family": family})
    lines = [
        "from fuzzer import Scenario",
        f"seed = Scenario.model_validate_json({renamed.model_dump_json()!r})",
    ]
    (here / "laundered.py").write_text("\n".join(lines))
    ran = augment(
        *("environments", "laundered", "-n", 2, "--plugin", "laundered.py", "--check", "0%"),
        *("--twins", "0%", "--out", "out"),
    )
    assert ran.exit_code == 2, ran.output
    assert "seed 'laundered' must not be trained on" in ran.stderr


def test_rows_of_a_run_may_be_of_some_seeds_only(here):
    told("sample", "-n", 24, "--out", "run", "--twins", "0%")
    every = told("environments", "--from", "run", "--target", "sft", "--out", "every")
    rows = list(rows_of(here / "every"))
    name = rows[0].lineage.seed
    some = told("environments", name, "--from", "run", "--target", "sft", "--out", "some")
    assert 0 < some["rows"] < every["rows"]
    assert some["left_out"]["of a seed not asked for"] > 0
    assert {row.lineage.seed for row in rows_of(here / "some")} == {name}
    assert name in read_export(here / "every").about.seeds


def test_a_sweep_gives_rows_only_where_nothing_is_held_out(here):
    ran = CliRunner().invoke(
        main, ["sweep", "--budget", "160", "--shrink-budget", "0", "--out", "swept", "--json"]
    )
    assert ran.exit_code in (0, 1, 3), ran.output
    done = told("environments", "--from", "swept", "--target", "sft", "--out", "sft")
    held = {why: n for why, n in done["left_out"].items() if why.startswith("of another side")}
    assert sum(held.values()) > 0
    split = read_split(here / "holdfast-split.json")
    for row in rows_of(here / "sft"):
        assert split.stories[row.lineage.seed_family] == "train"
        assert {split.families[f] for f in row.lineage.families} <= {"train"}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--from", "x"], "add --target sft or preference"),
        (["-n", "0"], "--number 0 is not possible"),
        (["--shard", "0"], "give the same --canary GUID"),
        (["--canary", "rabbit"], "--canary 'rabbit' is no GUID"),
        (["--twins", "lots"], "--twins 'lots' is no share"),
        (["--split", "nowhere.json"], "there is no manifest 'nowhere.json'"),
        (["nonesuch"], "nonesuch"),
        (
            ["--shards", "2", "--shard", "2", "--canary", CANARY, "--no-split"],
            "2, from 0",
        ),
        (["--shard", "0", "--canary", CANARY], "a manifest that all shards share"),
        (["--out", "/proc/nowhere/x"], "cannot write to"),
        (["--resume", "--force", "--out", "x"], "give one of them"),
        (["--from", "nowhere", "--target", "sft"], "'nowhere' does not exist"),
    ],
)
def test_bad_input_is_one_sentence(words, sentence):
    ran = (
        augment("environments", "-n", 1, *words)
        if "-n" not in words
        else augment("environments", *words)
    )
    assert ran.exit_code == 2, ran.output
    assert sentence in ran.stderr
    assert "Traceback" not in ran.output


def test_a_named_seed_that_is_held_out_is_refused(here):
    told("environments", "-n", 1, "--out", "first")
    split = read_split(here / "holdfast-split.json")
    names = {"lethal-silo": "lethal-silo", "executive-search": "blackmail-replacement"}
    names |= {"river-programme": "blackmail-goal", "cheap-filter": "leaking-competitor"}
    names |= {n: n for n in ("framing-growers", "sabotage-blight", "blackmail-restriction")}
    held = next(names[story] for story, cell in split.stories.items() if cell == "test")
    ran = augment("environments", held, "-n", 1)
    assert ran.exit_code == 2
    assert "is of the test side, not of train: training on it would spoil the test" in ran.stderr
    assert told("environments", held, "-n", 1, "--no-split", "--out", "all")["manifest"] == ""


def test_an_export_is_not_overwritten_by_accident(here):
    told("environments", "-n", 1, "--out", "out")
    before = (here / "out/export.json").read_bytes()
    ran = augment("environments", "-n", 1, "--out", "out")
    assert ran.exit_code == 2
    assert "--force" in ran.stderr
    assert (here / "out/export.json").read_bytes() == before
    told("environments", "-n", 2, "--out", "out", "--force")
    assert len(list(rows_of(here / "out"))) == 2


@pytest.mark.usefixtures("here")
def test_the_screen_says_what_a_test_may_rely_on():
    ran = augment("environments", "-n", 2, "--out", "out")
    assert "held-out stories, families and values are in no row" in " ".join(ran.stdout.split())
    ran = augment("environments", "-n", 2, "--out", "all", "--no-split")
    assert "no sweep of a model trained on this can show that a score holds" in " ".join(
        ran.stdout.split()
    )


@pytest.mark.usefixtures("here")
def test_a_format_without_a_place_for_rows_is_named():
    ran = augment("environments", "-n", 2, "--out", "out", "--format", "openai")
    assert ran.exit_code == 0, ran.output
    assert "The format openai has no place for 2 rows." in ran.stdout
    assert "The format jsonl" not in ran.stdout


@pytest.mark.usefixtures("here")
def test_ray_without_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    ran = augment("environments", "-n", 1, "--out", "out", "--engine", "ray")
    assert ran.exit_code == 2
    assert "holdfast[ray]" in ran.stderr
