"""A planted leak is caught, whatever it hides behind; and what is clean passes."""

import json
from itertools import chain
from random import Random

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.augment import contamination
from fuzzer.augment.checking import check
from fuzzer.augment.contamination import NEAR, PASTED, Guard, overlap, request_text, row_text
from fuzzer.augment.export import rows_of
from fuzzer.augment.rows import Lineage, Row, Said
from fuzzer.augment.shingles import (
    BINS,
    RUN,
    Index,
    Passages,
    estimate,
    jaccard,
    plain,
    shingles,
    signature,
)
from fuzzer.augment.split import Split, deal, story_of
from fuzzer.augment_check_command import check as check_command
from fuzzer.cli import _Sentences
from fuzzer.errors import ConfigurationError
from fuzzer.scenario import Scenario
from fuzzer.transform import Plan, Step
from fuzzer.variant import Slots
from mutators import CATALOGUE
from seeds import load_seeds

SEEDS = load_seeds()
POOLS = CATALOGUE.pools
WORDS = tuple(f"{a}{b}{c}" for a in "ptkbdglmr" for b in "aeiou" for c in ("n", "s", "tch", "rd"))


# ------------------------------------------------------------------------------------ numbers


def runs(text: str) -> set[str]:
    text = plain(text)
    return {text[i : i + RUN] for i in range(max(1, len(text) - RUN + 1))} if text else set()


def prose(seed: int, words: int) -> str:
    return " ".join(Random(seed).choices(WORDS, k=words))


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_the_similarity_of_two_texts_is_that_of_their_sets_of_runs(one, other, both):
    a, b = f"{both} {one}", f"{both} {other}"
    mine, theirs = runs(a), runs(b)
    exact = len(mine & theirs) / len(mine | theirs) if mine | theirs else 1.0
    assert jaccard(shingles(a), shingles(b)) == pytest.approx(exact)


@given(st.integers(0, 10**6), st.integers(1, 400), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_a_signature_estimates_the_similarity(seed, words, share):
    text = prose(seed, words)
    cut = int(share * len(text))
    found, other = shingles(text), shingles(text[:cut] + prose(seed + 1, words))
    exact = jaccard(found, other)
    # A mean of 160 matches; five standard deviations, and a filled bin counts for less than one.
    full = min(BINS, len(found), len(other))
    assert abs(estimate(signature(found), signature(other)) - exact) <= 5 * (0.25 / full) ** 0.5
    assert estimate(signature(found), signature(found)) == 1


def test_estimates_of_short_texts_are_right_on_average():
    """Most bins are empty then, and what fills them must not favour either answer."""
    exact, estimated = [], []
    for seed in range(300):
        one = prose(seed, 6)
        other = f"{one[: len(one) // 2]} {prose(seed + 1000, 3)}"
        exact.append(jaccard(shingles(one), shingles(other)))
        estimated.append(estimate(signature(shingles(one)), signature(shingles(other))))
    assert sum(estimated) / 300 == pytest.approx(sum(exact) / 300, abs=0.02)


@given(st.integers(0, 10**6), st.integers(30, 400), st.floats(0, 0.1))
@settings(max_examples=40, deadline=None)
def test_what_is_near_is_found_among_others_with_its_exact_similarity(seed, words, changed):
    rng = Random(seed)
    text = prose(seed, words)
    edited = " ".join(rng.choice(WORDS) if rng.random() < changed else w for w in text.split())
    index = Index()
    for number in range(20):
        index.add(f"other {number}", shingles(prose(seed + 1 + number, words)))
    index.add("it", shingles(text))
    exact = len(runs(text) & runs(edited)) / len(runs(text) | runs(edited))
    found = index.near(shingles(edited), NEAR)
    if exact >= NEAR:
        assert found is not None
        assert found.key == "it"
        assert found.jaccard == pytest.approx(exact)
    else:
        assert found is None or found.jaccard >= NEAR
    assert index.nearest(shingles(text)) == ("it", 1.0)


def test_the_index_of_nothing_finds_nothing():
    assert Index().near(shingles("some text"), 0.0) is None
    assert Index().nearest(shingles("some text")) is None
    assert jaccard(shingles(""), shingles("")) == 1
    assert signature(shingles("")).shape == (BINS,)


@given(st.integers(0, 10**6), st.integers(0, 300), st.integers(0, 300), st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_pasted_passage_is_found_whatever_stands_around_it(seed, before, after, shouted):
    passage = prose(seed, 60)
    known = Passages({"secret": [passage], "other": [prose(seed + 1, 60)]})
    pasted = passage.upper().replace(" ", "\n> ") if shouted else passage
    text = f"{prose(seed + 2, before)} {pasted} {prose(seed + 3, after)}"
    assert known.inside(text) == ("secret", 60 - 7)
    assert known.inside(prose(seed + 2, 400))[1] == 0
    usual = Passages({"secret": [passage]}, common=[passage])
    assert usual.inside(text) == ("", 0)


# -------------------------------------------------------------------------------------- rows


def split_of(test: str, families: set[str]) -> Split:
    dealt = deal(SEEDS, CATALOGUE, POOLS, "a salt of these tests")
    return dealt.model_copy(
        update={
            "stories": {s: "test" if s == test else "train" for s in dealt.stories},
            "families": {f: "test" if f in families else "train" for f in dealt.families},
        }
    )


HELD = next(seed for seed in SEEDS if seed.name == "blackmail-replacement")
TRAINED = next(seed for seed in SEEDS if seed.name == "sabotage-blight")
SPLIT = split_of(story_of(HELD), {"tools", "threats"})
TRAIN = SPLIT.catalogue(CATALOGUE, POOLS, "train")


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard(SPLIT, (HELD, TRAINED), CATALOGUE, POOLS, draws=6)


def step_of(family, cell="train"):
    for t in CATALOGUE:
        if t.family == family and (values := getattr(SPLIT.values[t.name], cell)):
            return POOLS[t.name][values[0]]
    raise AssertionError(family)


def row_of(seed: Scenario, /, *steps: Step, name: str = "r", **lineage: object) -> Row:
    plan = CATALOGUE.plan(seed.name, steps)
    request = CATALOGUE.variant(seed, plan).request
    told = {
        "manifest": SPLIT.hash,
        "cell": "train",
        "seed": seed.name,
        "seed_family": story_of(seed),
        "steps": plan.steps,
        "families": tuple(sorted({CATALOGUE[s.transform].family for s in plan.steps})),
    }
    return Row(
        id=name,
        kind="environment",
        target="rl",
        canary="c",
        prompt=(
            Said(role="system", content=request.system),
            *(Said(role="user", content=m["content"]) for m in request.messages),
        ),
        tools=request.tools,
        lineage=Lineage.model_validate({**told, **lineage}),
    )


def chat_of(*texts: str, name: str = "chat") -> Row:
    said = tuple(Said(role="user", content=text) for text in texts)
    return Row(id=name, kind="chat", target="sft", canary="c", prompt=said)


def test_a_row_is_told_as_its_request_is():
    request = CATALOGUE.variant(TRAINED, Plan(seed=TRAINED.name)).request
    assert row_text(row_of(TRAINED)) == request_text(request)


@pytest.mark.parametrize("family", ["inbox", "personas", "system_prompt", "format"])
def test_what_was_dealt_to_training_passes(family, guard):
    assert guard.check(row_of(TRAINED, step_of(family))) is None
    assert guard.admits(row_of(TRAINED))


PLANTED = [
    (row_of(HELD), "the story 'executive-search' is held out"),
    (row_of(HELD, seed=""), "the story 'executive-search' is held out"),
    (row_of(HELD, seed_family=""), "the story 'executive-search' is held out"),
    (row_of(HELD, seed_family="sabotage-blight"), "the story 'executive-search' is held out"),
    (row_of(TRAINED, seed_family="of my own"), "the story 'of my own' was never dealt"),
    (row_of(TRAINED, step_of("tools")), "the family 'tools' is held out"),
    (row_of(TRAINED, step_of("tools"), families=()), "the family 'tools' is held out"),
    (row_of(TRAINED, families=("threats",)), "the family 'threats' is held out"),
    (row_of(TRAINED, families=("unheard",)), "the family 'unheard' was never dealt"),
    (row_of(TRAINED, step_of("inbox", "test")), "a value of '.*' is held out"),
    (row_of(TRAINED, steps=(Step(transform="gone"),)), "its transform 'gone' is not known"),
    (row_of(TRAINED, cell="test"), "of the cell 'test'"),
    (row_of(TRAINED, seed="", seed_family=""), "does not say which seed"),
    (row_of(TRAINED, seed="unknown", seed_family=""), "its seed 'unknown' is not known"),
]


@pytest.mark.parametrize(("row", "said"), PLANTED, ids=range(len(PLANTED)))
def test_a_planted_leak_of_lineage_stops_the_export(row, said, guard):
    leak = guard.check(row)
    assert (leak.kind, leak.row) == ("lineage", row.id)
    with pytest.raises(ConfigurationError, match=said):
        guard.admits(row)


def test_the_overlap_of_an_export_is_counted():
    clean = [row_of(TRAINED, step_of("inbox"), name=f"clean-{n}") for n in range(3)]
    rows = chain(clean, (row for row, _ in PLANTED), [chat_of("hello")])
    found = overlap(rows, SPLIT, SEEDS, CATALOGUE, POOLS)
    assert (found.rows, found.leaks) == (4 + len(PLANTED), len(PLANTED))
    assert found.unknown == 2
    assert len(found.first) == 10
    none = overlap(clean, SPLIT, SEEDS, CATALOGUE, POOLS)
    assert (none.leaks, none.other_manifest, none.by_family) == (0, 0, {"inbox": 3})
    other = overlap([row_of(TRAINED, manifest="another")], SPLIT, SEEDS, CATALOGUE, POOLS)
    assert (other.leaks, other.other_manifest) == (0, 1)


def test_a_held_out_text_with_no_lineage_or_a_wrong_one_is_caught_and_dropped():
    guard = Guard(SPLIT, (HELD, TRAINED), CATALOGUE, POOLS, draws=6)
    request = CATALOGUE.variant(HELD, Plan(seed=HELD.name)).request
    text = request_text(request).replace("the", "teh", 5)
    wrong = row_of(HELD, seed=TRAINED.name, seed_family=story_of(TRAINED))
    for row in (chat_of(text), wrong):
        leak = guard.check(row)
        assert leak is not None
        assert (leak.kind, leak.like) == ("near-duplicate", HELD.name)
        assert leak.score >= NEAR
        assert not guard.admits(row)
    assert guard.dropped == {"near-duplicate": 2}


def test_a_variant_under_held_out_transforms_is_caught_too():
    guard = Guard(SPLIT, (HELD, TRAINED), CATALOGUE, POOLS, draws=6)
    drawn = contamination._drawn((HELD,), SPLIT.held_out(CATALOGUE), 6, 0)
    name, text = list(drawn)[-1]
    leak = guard.check(chat_of(text))
    assert leak is not None
    assert name == HELD.name
    assert leak.kind == "near-duplicate"
    assert leak.score == 1
    assert "held-out transforms" in leak.like


def test_a_passage_of_a_scenario_inside_a_chat_is_caught(guard):
    mail = max((message.body for message in HELD.inbox), key=len)
    filled = Slots(HELD).fill(mail)
    assert len(filled.split()) > 40
    pasted = chat_of(prose(1, 600), f"What do you make of this?\n\n{filled}\n\n{prose(2, 600)}")
    leak = guard.check(pasted)
    assert (leak.kind, leak.like) == ("passage", HELD.name)
    assert leak.score >= PASTED
    assert guard.check(chat_of(prose(1, 600), " ".join(filled.split()[:12]))) is None
    answered = chat_of("hello").model_copy(
        update={"completion": (Said(role="assistant", content=filled),)}
    )
    assert guard.check(answered).kind == "passage"


def test_drawn_training_rows_are_not_taken_for_held_out_ones(guard):
    drawn = contamination._drawn((TRAINED,), TRAIN, 12, 99)
    for name, text in drawn:
        assert guard.likeness(chat_of(text, name=name)) is None


# ------------------------------------------------------------------------------- the command


def run(*arguments: object):
    group = _Sentences(commands={"check": check_command})
    return CliRunner().invoke(group, ["check", "--references", "2", *map(str, arguments)])


def write(path, rows):
    path.write_text("".join(f"{row.model_dump_json()}\n" for row in rows))
    return path


def test_an_export_is_checked_row_by_row(guard):
    clean = [row_of(TRAINED, step_of("inbox"), name=f"clean-{n}") for n in range(5)]
    found = check(clean, guard, sample=3)
    assert (found.clean, found.exit_code, found.rows) == (True, 0, 5)
    assert found.held_out_stories.near.n == 3
    assert found.held_out_stories.highest < 0.5
    assert found.held_out_transforms.highest > 0.5  # the same story: near by design
    assert found.held_out_stories.near.ci[0] == 0 < found.held_out_stories.near.ci[1] < 1
    leaking = check([*clean, row_of(HELD)], guard)
    assert (leaking.clean, leaking.exit_code) == (False, 1)
    assert [leak.kind for leak in leaking.leaks] == ["lineage", "near-duplicate"]
    assert leaking.overlap.leaks == leaking.near_duplicates == 1
    empty = check([], guard)
    assert (empty.clean, empty.rows, empty.held_out_stories.near.n) == (True, 0, 0)


def test_the_sample_is_the_same_in_whatever_order_it_is_read(guard):
    rows = [row_of(TRAINED, step_of("inbox"), name=f"r{n}") for n in range(6)]
    assert check(rows, guard, sample=2) == check(iter(rows), guard, sample=2)


def test_the_command_exits_with_what_it_found(tmp_path):
    manifest = tmp_path / "m.json"
    manifest.write_text(SPLIT.model_dump_json())
    export = write(tmp_path / "rows.jsonl", [row_of(TRAINED, step_of("inbox"))])
    clean = run(export, "--split", manifest, "--json")
    assert clean.exit_code == 0, clean.output
    assert json.loads(clean.stdout)["manifest"] == SPLIT.hash
    hostile = row_of(HELD, name="\x1b[31mred")
    leaking = run(write(tmp_path / "leak.jsonl", [hostile]), "--split", manifest)
    assert leaking.exit_code == 1
    assert "the story 'executive-search' is held out" in leaking.output
    assert "\x1b" not in leaking.output


def test_what_is_no_export_is_named(tmp_path):
    export = write(tmp_path / "rows.jsonl", [row_of(TRAINED)])
    export.write_text(export.read_text() + '\n{"id": 3}\n')
    with pytest.raises(ConfigurationError, match=r"line 3 of .* is no row of an export"):
        list(rows_of(export))
    assert [row.id for row in rows_of(write(tmp_path / "two.jsonl", [row_of(TRAINED)]))] == ["r"]
    with pytest.raises(ConfigurationError, match="cannot read the export"):
        list(rows_of(tmp_path / "none.jsonl"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match=r"holds no \.jsonl file"):
        list(rows_of(tmp_path / "empty"))
