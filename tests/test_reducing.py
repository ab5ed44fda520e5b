"""The benchmark of shrinking: its truths, limits, rivals and checks are right."""

import random
from functools import partial

import pytest

from benchmarks import shrinking
from benchmarks.reducing import certifying, planning, rivals
from benchmarks.reducing.certifying import OWN, THIRD, WALD, Checked, check
from benchmarks.reducing.hypothesis_shrinker import shrink
from benchmarks.reducing.rivals import RIVALS, Rival
from benchmarks.reducing.running import PROCESSES, Setting, drive, plant, play
from benchmarks.reducing.worlds import (
    BACKGROUND,
    GRADED,
    blind_knockout,
    cause,
    leaks,
    limit,
    seed_itself,
    shared_step,
    steps,
    subsets,
    suppressors,
    two_causes,
    unequal,
)
from fuzzer.shrink import ShrinkConfig, Shrinker

KINDS = [cause(1, 0.5), cause(3, 0.5), cause(2, 0.5, 0.03), seed_itself(0.5), two_causes(0.5)]
KINDS += [unequal(0.8, 0.3), shared_step(0.5), suppressors(0.5), GRADED, blind_knockout(2, 0.5)]
KINDS += [leaks(2), steps(0.001, 0.2, 0.8)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("cut", [0.05, 0.35, 0.6])
def test_the_truth_of_a_world_is_what_going_through_all_its_subsets_finds(kind, cut):
    world = kind.plant(8, random.Random(kind.name))
    found = set()
    for keep in subsets(range(8)):
        fewer = [keep - {step} for step in keep]
        if (
            not world.blind(keep)
            and world.rate(keep) > cut
            and all(world.blind(s) or world.rate(s) < cut for s in fewer)
        ):
            found.add(keep)
    assert world.minimal(cut) == found
    assert bool(found) == (world.rate(world.full) > cut)


def test_planted_causes_have_the_minima_that_their_names_say():
    def sizes(kind, cut):
        return sorted(len(keep) for keep in plant(kind, 24, 0)[0].minimal(cut))

    assert sizes(cause(3, 0.5), 0.25) == [3]
    assert sizes(seed_itself(0.5), 0.25) == [0]
    assert sizes(two_causes(0.5), 0.25) == sizes(shared_step(0.5), 0.25) == [2, 2]
    assert (sizes(unequal(0.8, 0.3), 0.2), sizes(unequal(0.8, 0.3), 0.4)) == ([2, 2], [2])
    assert sizes(suppressors(0.5), 0.25) == [2]
    assert sizes(GRADED, 0.5) == [5] * 6
    assert sizes(steps(0.001, 0.2), 0.2) == []  # exactly at the cut is not above it


def test_a_kind_plants_the_same_world_again_and_others_too():
    again = [plant(cause(2, 0.5), 24, 3)[0].matters for _ in range(2)]
    assert again[0] == again[1]
    assert len({plant(cause(2, 0.5), 24, number)[0].matters for number in range(20)}) > 10


@pytest.mark.parametrize(
    ("n", "k", "p", "calls"),
    [
        *((24, k, 1.0, c) for k, c in ((1, 4.1), (2, 7.5), (3, 10.2))),
        *((24, k, 0.5, c) for k, c in ((1, 12.9), (2, 23.4), (3, 32.1))),
        *((24, k, 0.1, c) for k, c in ((1, 80.4), (2, 146.5), (3, 200.4))),
        *((200, k, 1.0, c) for k, c in ((1, 7.0), (3, 19.1))),
        *((200, k, 0.5, c) for k, c in ((1, 22.1), (3, 60.1))),
        *((200, k, 0.1, c) for k, c in ((1, 137.7), (3, 375.6))),
    ],
)
def test_the_limit_is_the_one_known(n, k, p, calls):
    assert round(limit(n, k, p), 1) == calls


@pytest.mark.parametrize(
    "rival", [r for r in RIVALS if r.name != "... of frozensets"], ids=lambda r: r.name
)
def test_a_rival_is_exact_where_nothing_is_left_to_chance(rival: Rival):
    for k in (1, 2, 3):
        answer = rivals.run(rival, cause(k, 1.0, 0.0), 12, 0.01, k)
        assert answer.keep == plant(cause(k, 1.0, 0.0), 12, k)[0].matters
        assert answer.right
        assert 0 < answer.rounds <= answer.calls


def test_hypothesis_begins_with_the_whole_plan():
    def fails(keep):
        asked.append(keep)
        return keep >= {3, 7}

    for encoding in ("lists", "frozensets"):
        asked: list[frozenset[int]] = []
        found = shrink(12, encoding, fails)
        assert asked[0] == frozenset(range(12))
        assert {3, 7} <= found
        assert encoding == "frozensets" or found == {3, 7}


def test_a_flaky_answer_is_counted_and_not_an_answer():
    flaky = next(r for r in RIVALS if r.name == "Hypothesis, 1 call")
    answers = [rivals.run(flaky, cause(2, 0.3), 6, 0.01, number) for number in range(6)]
    gave_up = [a for a in answers if a.keep is None]
    assert gave_up
    assert not any(a.right for a in gave_up)


def test_repeats_and_sequential_tests_err_as_seldom_as_they_are_told_to():
    rng = random.Random(0)
    known = rivals.Known(0.3, 0.05)
    for kind, fails in ((cause(1, 0.3), True), (seed_itself(BACKGROUND), False)):
        coin = rivals.Coin(kind.plant(4, rng), rng)
        for judge in (rivals.sprt, partial(rivals.any_of, early=True)):
            wrong = sum(judge(coin, known, coin.world.full) != fails for _ in range(600))
            assert wrong <= 0.05 * 600 + 2.5 * (600 * 0.05 * 0.95) ** 0.5


def test_a_log_has_every_call_and_no_blind_one():
    world, prior = plant(blind_knockout(2, 1.0), 12, 0)
    shrinker = Shrinker(ShrinkConfig(), range(12), *prior)
    log = drive(shrinker, world, random.Random(0), 4)
    result = shrinker.result()
    assert len(log.calls) == result.calls_search + result.calls_certificate
    assert not any(world.blind(keep) for keep, _, _ in log.calls)
    assert log.searching < log.rounds


def test_a_replicate_comes_again_and_counts_what_the_shrinker_counts():
    setting = Setting(cause(2, 1.0), 12, 200)
    one, two = play(setting, 5), play(setting, 5)
    assert one == two
    assert one.keep == plant(setting.kind, 12, 5)[0].matters
    assert (one.certified, one.minimal) == (True, True)
    assert one.rounds * setting.batch >= one.calls >= one.rounds


def holding(checked: list[Checked], way: str) -> float:
    """The smaller share that holds, of those at the true rates and beside fresh draws."""
    true = sum(not one.wrong[way] for one in checked)
    fresh = sum(not one.refuted[way] for one in checked)
    return min(true, fresh) / len(checked)


def test_certificates_hold_and_the_usual_interval_is_caught():
    checked = [one for one in map(check, range(0, 24, 2)) if one is not None]
    assert len(checked) >= 8
    assert holding(checked, OWN) >= certifying.BAR
    assert holding(checked, WALD) < 0.5


@pytest.mark.slow
def test_bounds_that_are_somewhat_too_narrow_are_caught_too():
    checked = [one for one in map(check, range(240)) if one is not None]
    assert len(checked) >= 200
    assert holding(checked, OWN) >= certifying.BAR
    assert holding(checked, WALD) < 0.5
    assert holding(checked, THIRD) < certifying.BAR


def test_no_certificate_is_true_where_a_rate_lies_at_the_cut():
    for cell in certifying.boundaries():
        world, _ = plant(cell.kind, 8, 0)
        assert world.minimal(cell.cut) == frozenset()
        assert cell.cut in {world.rate(keep) for keep in subsets(world.matters)}


def test_a_row_says_which_bars_it_misses(monkeypatch):
    monkeypatch.setenv(PROCESSES, "1")
    cell = planning.Cell(1, 1.0, batch=8)
    runs = [play(cell.setting, number) for number in range(6)]
    line, bars = planning.row(cell, runs)
    assert bars["exact"]
    assert bars["rounds"]
    assert line.endswith(planning.told(bars))
    assert planning.told({"exact": True, "search": False}) == "missed: search"
    assert list(planning.summary([{"exact": True}, {"exact": False}])) == [
        "\nbars met, of the rows that have them: exact 1/2"
    ]


def test_a_part_is_printed_by_itself(monkeypatch, capsys):
    monkeypatch.setitem(shrinking.PARTS, "large", lambda quick: iter([f"quick: {quick}"]))
    shrinking.main(["--quick", "--only", "large"])
    assert capsys.readouterr().out.startswith("\n### large\n\nquick: True\n")
