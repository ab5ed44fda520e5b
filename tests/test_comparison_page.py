"""The page of a comparison says what the record says, no more, and lets nothing hostile in."""

import itertools
import json
import re
from html import unescape
from typing import Any

import pytest
from click.testing import CliRunner

from fuzzer.cli import main
from fuzzer.comparison import Change, Comparison, Found, Group, Lost, Side, WorstCase
from fuzzer.transform import Step
from reports.compare import sentence
from reports.comparison_page import SECTIONS, render
from reports.text import percent
from tests.test_compare import H, S, U, once, step, write
from tests.test_reports import HOSTILE, Page, harmless

SIDE = Side(
    directory="runs/a",
    model="lab/model-7",
    verdict="holds",
    calls=500,
    budget=500,
    full=True,
    ended="spent its budget, as told (--stop budget)",
    draws=360,
    epochs=1,
    unusable=2,
)


def group(name: str, difference: float, lower: float, upper: float, pairs: int = 80) -> Group:
    return Group(
        name=name,
        pairs=pairs,
        variants=pairs,
        calls=pairs,
        harmful_a=0,
        harmful_b=round(max(0, difference) * pairs),
        rate_a=0.0,
        rate_b=max(0.0, difference),
        difference=difference,
        lower=lower,
        upper=upper,
        method="fixed",
        p_worse=0.01,
        p_better=0.9,
        exact=True,
        at_most_a=0.037,
        at_most_b=None if difference > 0 else 0.037,
    )


PLAN = (step(3), step(9, "reorder"))
WORSE = Comparison(
    verdict="worse",
    exit_code=1,
    margin=0.01,
    alpha=0.05,
    method="fixed",
    why="both runs were told to spend their budget, and did",
    a=SIDE,
    b=SIDE.model_copy(update={"model": "lab/model-8", "verdict": "brittle", "directory": "b"}),
    distribution="9f2c1a",
    judge="rules 4",
    random_seed=0,
    seeds=("blackmail-goal", "leak", "frame"),
    mutated=group("", 0.21, 0.12, 0.31, 240),
    worst=WorstCase(unusable_a=2, unusable_b=5, difference=0.23, lower=0.13, upper=0.34),
    lost=Lost(only_a=120, unusable=7),
    by_seed=(
        group("blackmail-goal", 0.4, 0.2, 0.6),
        group("leak", 0.02, -0.1, 0.15),
        group("frame", -0.3, -0.5, -0.1),
    ),
    canonical=group("", 0.0, -0.033, 0.033, 100),
    canonical_by_seed=(group("leak", 0.0, -0.3, 0.3, 6),),
    newly_failing=(
        Change(seed="leak", plan=PLAN, harmful_a=0, harmful_b=1, calls=1),
        Change(seed="leak", plan=(), harmful_a=0, harmful_b=2, calls=3),
    ),
    newly_failing_count=61,
    newly_passing=(Change(seed="frame", plan=PLAN, harmful_a=1, harmful_b=0, calls=1),),
    newly_passing_count=1,
    new_findings=(
        Found(id="F1", seed="leak", minimal_plan=PLAN, rate=0.5, ci=(0.2, 0.8), certified=False),
    ),
    gone_findings=(
        Found(id="F9", seed="frame", minimal_plan=(), rate=0.9, ci=(0.7, 0.98), certified=True),
    ),
    notes=("Calls of each draw: 1 in A, 3 in B; of each the first 1 is compared.",),
)
NO_WORSE = WORSE.model_copy(
    update={
        "verdict": "no_worse",
        "mutated": group("", 0.0, -0.006, 0.006, 900),
        "by_seed": (),
        "worst": None,
        "lost": Lost(),
        "newly_failing": (),
        "newly_failing_count": 0,
        "newly_passing": (),
        "newly_passing_count": 0,
        "new_findings": (),
        "gone_findings": (),
        "canonical": None,
        "canonical_by_seed": (),
        "notes": (),
    }
)
UNDETERMINED = WORSE.model_copy(update={"verdict": "undetermined"})
ALL = {"worse": WORSE, "no worse": NO_WORSE, "undetermined": UNDETERMINED}


def words(page: str) -> str:
    return " ".join(" ".join(Page(page).words).split())


@pytest.mark.parametrize("name", ALL)
def test_the_page_says_the_sentence_first_and_has_every_section(name):
    page = render(ALL[name])
    parsed = harmless(page)
    said = words(page)
    assert " ".join(sentence(ALL[name]).split()) in said
    ids = {value for key, value in parsed.attributes if key == "id"}
    assert ids >= {id for id, _ in SECTIONS}


def test_every_number_of_the_chart_stands_in_its_table():
    said = words(render(WORSE))
    for row in (WORSE.mutated, *WORSE.by_seed):
        assert f"{row.pairs} 0, ≤ 3.7% {percent(row.rate_b) if row.rate_b else '0, ≤ 3.7%'}" in said
    for told in ("+21 [+12, +31]", "+40 [+20, +60]", "+2 [-10, +15]", "-30 [-50, -10]"):
        assert told in said
    assert said.count("B fails more often:") == 2
    assert said.count("B fails less often:") == 1


def test_a_seed_is_said_to_be_worse_only_where_its_limits_show_it():
    worse, better = words(render(WORSE)).split("What got worse")[2].split("What got better")
    assert "Shown by its own limits, on 1 seed, points: blackmail-goal (+40)." in worse
    assert "within what chance does, on 1 seed, points: leak (+2)." in worse
    assert "Shown by its own limits, on 1 seed, points: frame (-30)." in better


def test_changed_variants_are_counted_and_said_to_decide_little():
    said = words(render(WORSE))
    assert "61 variants newly failing" in said
    assert "the first 2 of 61" in said
    assert (
        "One call decides little (a variant that was safe once may fail at any rate up to 95%"
        in said
    )
    assert "1 variant newly passing" in said
    assert "safe harmful" in said, "what one call answered"
    assert "0 of 3 harmful 2 of 3 harmful" in said
    assert "holdfast show leak --plan" in said
    assert "F1 on leak: fails in 50% [20, 80] of runs; not certified minimal" in said
    assert "no proof that its variant passes" in said


def test_what_is_left_out_stands_with_its_reason():
    said = words(render(WORSE))
    assert "drawn in A only, B having ended 120" in said
    assert "without a usable pair of answers 7" in said
    assert "Unusable answers: 2 in A, 5 in B." in said
    nothing = words(render(NO_WORSE))
    assert "Every draw of both runs is paired." in nothing
    assert "Nothing was seen to get worse on these 900 paired draws" in nothing
    assert "that B fails 0.60 points more often is not excluded" in nothing
    assert "No canonical call pairs" in nothing


@pytest.mark.parametrize("poison", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_hostile_text_in_every_field_stays_text(poison):
    harmless(render(poisoned(poison)))


def poisoned(*poisons: str) -> Comparison:
    """A comparison in which these texts take turns wherever a text of others' may be."""
    turns = itertools.cycle(poisons)

    def bad() -> Step:
        return step(1).model_copy(
            update={"transform": next(turns), "params": {next(turns): [next(turns)]}}
        )

    def side(of: Side) -> Side:
        fields = ("directory", "model", "verdict", "ended")
        return of.model_copy(update={name: next(turns) for name in fields})

    def named(groups: tuple[Group, ...]) -> tuple[Group, ...]:
        return tuple(each.model_copy(update={"name": next(turns)}) for each in groups)

    def changed() -> tuple[Change, ...]:
        (first, *_) = WORSE.newly_failing
        return (first.model_copy(update={"seed": next(turns), "plan": (bad(), bad())}),) * 2

    def found() -> tuple[Found, ...]:
        (first,) = WORSE.new_findings
        told = {"seed": next(turns), "id": next(turns), "minimal_plan": (bad(),) * 4}
        return (first.model_copy(update=told),)

    return WORSE.model_copy(
        update={
            "a": side(WORSE.a),
            "b": side(WORSE.b),
            "distribution": next(turns),
            "judge": next(turns),
            "seeds": (next(turns), next(turns)),
            "notes": (next(turns), next(turns)),
            "by_seed": named(WORSE.by_seed),
            "canonical_by_seed": named(WORSE.canonical_by_seed),
            "newly_failing": changed(),
            "newly_passing": changed(),
            "new_findings": found(),
            "gone_findings": found(),
        }
    )


# --------------------------------------------------------------------------------- the command line


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    a = write(home / "a", once(*[S] * 39, U))
    return a, write(home / "b", once(*[H] * 20, *[S] * 20))


def compared(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_the_three_formats_say_the_same_and_exit_alike(runs):
    text, page, record = (compared(*runs, "--format", kind) for kind in ("text", "html", "json"))
    assert {text.exit_code, page.exit_code, record.exit_code} == {1}
    found = Comparison.model_validate_json(record.output)
    said = " ".join(sentence(found).split())
    assert " ".join(text.output.split()).startswith(said)
    assert said in words(page.output)
    assert json.loads(compared(*runs, "--json").output) == json.loads(record.output)
    shown = unescape(re.sub("<[^>]+>", " ", page.output))
    assert f"{found.newly_failing_count} variants newly failing" in shown


def test_a_format_can_be_written_to_a_file(runs, tmp_path):
    for kind, start in (("html", "<!doctype html>"), ("json", "{"), ("text", "Worse: ")):
        ran = compared(*runs, "--format", kind, "--out", tmp_path / kind)
        assert (ran.exit_code, ran.output) == (1, "")
        written = (tmp_path / kind).read_text(encoding="utf-8")
        assert written.startswith(start)
        assert written.endswith("\n")


def test_a_file_that_cannot_be_written_is_one_sentence(runs, tmp_path):
    for where, said in ((tmp_path, "name a file in it"), (tmp_path / "no" / "x", "cannot write")):
        ran = compared(*runs, "--format", "html", "--out", where)
        assert ran.exit_code == 2
        assert said in ran.output
        assert len(ran.output.strip().splitlines()) == 1


def test_each_verdict_has_a_colour_and_a_sign_of_its_own():
    heads = [
        re.search(
            r'id="verdict" class="(\w+)".*?<span aria-hidden="true">(.) </span>', render(each), re.S
        )
        for each in ALL.values()
    ]
    assert all(heads)
    for one, other in itertools.combinations([head.groups() for head in heads if head], 2):
        assert one[0] != other[0]
        assert one[1] != other[1]
