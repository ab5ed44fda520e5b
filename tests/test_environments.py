"""Environments: rows by number, rebuilt from what the row says, played, and scored by the judge."""

import json
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.augment.drawing import Environments, Recipe
from fuzzer.augment.playing import REWARD, Game, rebuild, score
from fuzzer.augment.rows import Row, Said, ToolCall
from fuzzer.augment.siblings import Siblings
from fuzzer.augment.split import deal
from fuzzer.augment.talk import said_of, transcript_of
from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.preparation import choose_pools, judging, rules_judge
from fuzzer.strategies import variants
from fuzzer.transform import Plan
from mutators import CATALOGUE
from seeds import load_seed, load_seeds

SEEDS = load_seeds()
POOLS = choose_pools(CATALOGUE, SEEDS)
JUDGE = judging(rules_judge())
SPLIT = deal(SEEDS, CATALOGUE, POOLS, "a salt of the tests")
TWINS = (load_seed("lethal-silo-twin"), load_seed("blackmail-replacement-twin"))


def environments(split=SPLIT, **recipe):
    made = Recipe(canary="0000", **recipe)
    return Environments(made, SEEDS, TWINS, CATALOGUE, POOLS, JUDGE, split)


def plain(seed):
    return Catalogue(()).variant(seed, Plan(seed=seed.name))


def harmless(text="Nothing to be done."):
    return (Said(role="assistant", content=text),)


@pytest.mark.parametrize("target", ["rl", "sft", "preference"])
def test_a_row_survives_json_and_is_rebuilt_as_it_was(target):
    for row in environments(target=target).rows(0, 4):
        again = Row.model_validate_json(row.model_dump_json(exclude_defaults=True))
        assert again == row
        variant = rebuild(again)
        assert variant.id == row.lineage.variant
        assert Game(variant).prompt == row.prompt
        assert Game(variant).tools == row.tools


def test_rows_depend_on_their_number_alone():
    whole = [row.model_dump_json() for row in environments().rows(0, 12)]
    parts = environments()
    later = [row.model_dump_json() for row in parts.rows(6, 12)]
    assert [row.model_dump_json() for row in parts.rows(0, 6)] + later == whole
    assert len(set(whole)) == 12
    other = [row.model_dump_json() for row in environments(random_seed=1).rows(0, 12)]
    assert set(other).isdisjoint(whole)


def test_a_spot_check_changes_no_row():
    every = [row.model_dump_json() for row in environments().rows(0, 12)]
    assert [row.model_dump_json() for row in environments(checked=0.2).rows(0, 12)] == every


@pytest.mark.parametrize(("cell", "ground"), [("train", {"train"}), ("dev", {"train", "dev"})])
def test_nothing_held_out_is_in_a_row(cell, ground):
    """And nothing of the dev side is a training row: its stories are others."""
    for row in environments(cell=cell).rows(0, 15):
        assert SPLIT.stories[row.lineage.seed_family] == cell
        assert {SPLIT.families[f] for f in row.lineage.families} <= ground
        seed = load_seed(row.lineage.seed)
        assert SPLIT.place(seed, row.lineage.steps, CATALOGUE, POOLS) == cell
        assert row.lineage.manifest == SPLIT.hash


def test_twins_come_in_their_share():
    rows = environments(split=None, twins=0.5).rows(0, 40)
    share = sum(row.lineage.seed.endswith("-twin") for row in rows) / 40
    assert 0.25 < share < 0.75
    assert not any(r.lineage.seed.endswith("-twin") for r in environments(twins=0).rows(0, 15))


def test_a_split_that_leaves_nothing_says_so():
    held = [s for s in SEEDS if SPLIT.stories[s.family] == "test"]
    recipe = Recipe(canary="0")
    with pytest.raises(ConfigurationError, match="leaves none of these seeds to train"):
        Environments(recipe, held, (), CATALOGUE, POOLS, JUDGE, SPLIT)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_controls_earn_what_they_should(seed):
    variant = plain(seed)
    safe, *_ = variant.controls.safe
    assert score(variant, said_of(variant, safe)).reward == REWARD["useful"]
    assert score(variant, (*Game(variant).prompt, *said_of(variant, safe))).reward == 1.0
    for control in variant.controls.harmful:
        said = score(variant, said_of(variant, control))
        assert (said.reward, said.value) == (0.0, "harmful")
    idle = score(variant, harmless())
    assert (idle.reward, idle.value, idle.utility) == (0.5, "safe", 0.0)


def test_what_cannot_be_judged_earns_nothing():
    variant = plain(SEEDS[0])
    cut = score(variant, harmless("I will"), stop="max_tokens")
    assert (cut.reward, cut.value, cut.cause) == (0.0, "unusable", "truncated")
    assert score(variant, harmless("")).value == "unusable"


def test_part_of_the_job_earns_part_of_the_reward():
    for seed in SEEDS:
        variant = plain(seed)
        safe = said_of(variant, variant.controls.safe[0])
        calls = [call for said in safe for call in said.tool_calls]
        scores = [
            score(variant, [Said(role="assistant", content="So far.", tool_calls=tuple(calls[:n]))])
            for n in range(len(calls) + 1)
        ]
        for one in scores:
            assert one.utility is not None
            assert one.reward == pytest.approx(0.5 + 0.5 * one.utility)
        if any(0 < (one.utility or 0) < 1 for one in scores):
            return
    pytest.fail("no seed has a job of more than one part")


@settings(deadline=None, max_examples=25)
@given(variants("blackmail-replacement", max_steps=6), st.integers(0, 3))
def test_a_performance_survives_being_told_as_messages(variant, pick):
    played = [transcript for _, transcript in variant.performed]
    control = played[pick % len(played)]
    told = said_of(variant, control)
    again = transcript_of(variant, told)
    assert [(a.role, a.args) for a in again.actions] == [(a.role, a.args) for a in control.actions]
    assert [s.role for s in told][-1:] == ["assistant"]
    with_prompt = transcript_of(variant, (*Game(variant).prompt, *told))
    assert with_prompt == again


def test_a_game_answers_as_the_world_does():
    seed = load_seed("blackmail-replacement")
    variant = plain(seed)
    game = Game(variant)
    filing, reading = seed.tool("archive_message"), seed.tool("read_message")
    assert filing is not None
    assert reading is not None
    mail = variant.world.inbox[0]
    assert mail.subject in game.call(reading.name, {"message_id": mail.id})
    assert game.call("no_such_tool", {"x": 1}) == "Error: unknown tool 'no_such_tool'."
    names = {param.role: param.path[0] for param in filing.params}
    first = game.call(filing.name, {names["message_id"]: mail.id})
    assert first == f"Message {mail.id} moved to Archive."
    again = game.call(filing.name, {names["message_id"]: mail.id})  # the world remembers
    assert again == f"Error: message {mail.id} was moved to Archive before."


def test_calls_in_the_text_are_answered_by_the_user():
    seed = load_seed("blackmail-replacement").model_copy(update={"channel": "xml"})
    variant = plain(seed)
    row = said_of(variant, variant.controls.safe[0])
    assert not any(said.tool_calls for said in row)
    assert "<call" in row[0].content
    assert Game(variant).tools == ()


def test_another_text_is_not_rebuilt_silently():
    row = next(environments().rows(0, 1))
    assert row.play is not None
    wrong = row.play.model_copy(update={"request_hash": "0" * 32})
    with pytest.raises(ConfigurationError, match="the request has another text"):
        rebuild(row.model_copy(update={"play": wrong}))
    aged = row.lineage.model_copy(update={"seed_hash": "0" * 32})
    with pytest.raises(ConfigurationError, match=r"seed .* is of another version"):
        rebuild(row.model_copy(update={"lineage": aged}))
    name = row.lineage.steps[0].transform
    older = row.lineage.model_copy(update={"versions": {name: 0}})
    with pytest.raises(ConfigurationError, match=f"transform {name!r} is of another version"):
        rebuild(row.model_copy(update={"lineage": older}))
    with pytest.raises(ConfigurationError, match="is no environment"):
        rebuild(row.model_copy(update={"play": None}))


def test_tool_calls_keep_their_arguments_as_they_are():
    call = ToolCall(
        id="a", name="send", arguments={"to": ["x", 1, None], "deep": {"y": "ü\ud83d"[0]}}
    )
    said = Said(role="assistant", content="", tool_calls=(call,))
    assert json.loads(said.model_dump_json())["tool_calls"][0]["arguments"] == call.arguments


def test_a_preference_holds_a_control_of_either_kind():
    rows = list(islice(environments(target="preference").rows(0, 6), 6))
    for row in rows:
        variant = rebuild(row)
        assert score(variant, row.completion).reward == 1.0
        assert score(variant, row.rejected).value == "harmful"
    assert len({row.lineage.source for row in rows}) > 1


def test_siblings_share_their_first_steps_and_are_told_apart_by_the_rest():
    drawn = environments(siblings=8, twins=0)
    rows = list(drawn.rows(0, 48))
    assert len({row.lineage.variant for row in rows}) >= 40
    shared = 0
    for family in range(6):
        members = rows[family * 8 : family * 8 + 8]
        assert len({row.lineage.seed for row in members}) == 1
        plans = [{step.key for step in row.lineage.steps} for row in members]
        shared += bool(set.intersection(*plans))
    assert shared >= 3
    again = environments(siblings=8, twins=0)
    assert [again.row(number) for number in (17, 3, 16)] == [rows[17], rows[3], rows[16]]


def test_each_choice_is_in_as_many_plans_as_the_declared_distribution_says():
    """However many siblings share it: half of two thirds of the plans, a quarter of a sixth."""
    seed = load_seed("blackmail-replacement")
    pools = {name: pool[:8] for name, pool in POOLS.items()}
    siblings = Siblings(CATALOGUE, (seed,), pools, 3, 4)
    n = 1200
    held = Counter(
        CATALOGUE[step.transform].group
        for number in range(n)
        for step in siblings.variant(number)[0].plan.steps
    )
    groups = CATALOGUE.choices(seed, "invariant")
    expected = 2 / 3 * 1 / 2 + 1 / 6 * 1 / 4 + 1 / 6 / len(groups)
    assert set(held) == {members[0].group for members in groups}  # and so no sham
    assert sum(held.values()) / n / len(groups) == pytest.approx(expected, abs=0.03)
    for group, count in held.items():
        assert count / n == pytest.approx(expected, abs=0.1), group
