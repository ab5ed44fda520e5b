"""A finding as a test: it fails where the model still fails, and passes where it does not."""

import ast
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fuzzer
from fuzzer.records import Finding, LeastText
from fuzzer.scenario import Block, Scenario
from fuzzer.snippet import (
    MOST,
    calls_to_show,
    identifier,
    known_of,
    literal,
    rebuilds,
    snippet,
)
from fuzzer.transform import Plan, Step
from fuzzer.variant import Variant
from mutators import CATALOGUE
from seeds import load_seed
from tests.test_reports import HOSTILE

ROOT = Path(fuzzer.__file__).parent.parent
SEED = load_seed("blackmail-goal")
BASE = CATALOGUE.variant(SEED, Plan(seed=SEED.name))
PLAN = Plan(
    seed=SEED.name,
    steps=(CATALOGUE.pools["rename_tools"][3],),
    drop=("inbox:pumps", "tools:create_event"),
)
MINIMAL = CATALOGUE.variant(SEED, PLAN)


def finding(plan: Plan = PLAN, **changed: Any) -> Finding:
    values = {
        "id": "F1",
        "seed": plan.seed,
        "plan": plan.steps,
        "minimal_plan": plan.steps,
        "minimal_certified": True,
        "rung": "form",
        "rate": 12 / 14,
        "ci": (0.57, 0.98),
        "calls_to_find": 3,
        "calls_to_shrink": 54,
        "n": 14,
        "harmful": 12,
        "fresh": True,
        "cut": 0.43,
        "certificate_alpha": 0.05,
        "state": "certified",
    }
    return Finding(**(values | changed))


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Save it and run it, as whoever gets it would."""
    file = folder / "test_F1.py"
    file.write_text(text, encoding="ascii")
    options = ["-q", "-p", "no:cacheprovider", "-W", "error", "-c", "/dev/null"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={folder}", str(file)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


# --------------------------------------------------------------------------------- it really runs


def test_it_fails_on_an_organism_that_fails_and_says_the_plan(tmp_path):
    ran = run(snippet(finding(), BASE, MINIMAL, "organism/tool_keyed"), tmp_path)
    assert ran.returncode == 1, ran.stdout
    assert "1 failed, 1 passed" in ran.stdout
    assert "calls did harm: Plan(seed='blackmail-goal', steps=(Step(transform='rename_to" in (
        ran.stdout
    )
    assert "Falsifying" not in ran.stdout  # a whole variant would be pages
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "_"] == ["test_F1.py"]


def test_it_passes_on_an_organism_that_is_always_safe(tmp_path):
    ran = run(snippet(finding(), BASE, MINIMAL, "organism/always_safe"), tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize("model", ["always_safe", "tool_keyed", "malformed"])
def test_the_stored_form_runs_as_a_file_too(model, tmp_path):
    text = snippet(finding(), BASE, MINIMAL, f"organism/{model}", embed=True)
    ran = run(text, tmp_path)
    assert ran.returncode == (model != "always_safe"), ran.stdout
    assert ("AssertionError: no answer could be judged" in ran.stdout) == (model == "malformed")


def foreign() -> tuple[Variant, Variant]:
    """A seed nobody has installed, and a variant of it by a transform nobody has either."""
    seed = SEED.model_copy(update={"name": "own-seed"})
    plan = Plan(seed="own-seed", steps=(Step(transform="own_step", params={"by": "'\"\\"}),))
    extra = Block(id="own", text="One \"more\" \\ line:\u2028'''\n\u202eend")
    scenario = MINIMAL.scenario.model_copy(
        update={"name": "own-seed", "system": (*MINIMAL.scenario.system, extra)}
    )
    before = Variant(id="seed", plan=Plan(seed="own-seed"), scenario=seed)
    return before, Variant(id="own", plan=plan, scenario=scenario, distance=1)


def test_the_stored_scenario_needs_no_catalogue():
    before, after = foreign()
    text = snippet(finding(after.plan), before, after, "organism/tool_keyed")
    assert "find_catalogue" not in text
    with pytest.raises(AssertionError, match=r"calls did harm: Plan\(seed='own-seed'"):
        executed(text)["test_F1"]()
    executed(text.replace("tool_keyed", "always_safe"))["test_F1"]()


def test_answers_that_nobody_can_judge_do_not_pass():
    text = snippet(finding(), BASE, MINIMAL, "organism/malformed", embed=True)
    with pytest.raises(AssertionError, match="no answer could be judged"):
        executed(text)["test_F1"]()


def test_a_changed_catalogue_is_said():
    text = snippet(finding(), BASE, MINIMAL, "organism/always_safe")
    recorded = executed(text.replace(MINIMAL.request_hash, "0" * 32))
    with pytest.raises(AssertionError, match="the seed or a transform has changed since"):
        recorded["test_F1_is_the_request_recorded"]()


# ---------------------------------------------------------------------------------- what it holds


def executed(text: str) -> dict[str, Any]:
    """What the file defines, the asking left out."""
    names: dict[str, Any] = {}
    exec(compile(text, "test_F1.py", "exec"), names)
    return names


def test_the_catalogues_form_builds_the_same_variant():
    names = executed(snippet(finding(), BASE, MINIMAL, "organism/pair", seeds=[SEED.name]))
    assert names["VARIANT"] == MINIMAL
    assert names["VARIANT"].request == MINIMAL.request
    assert names["SUBJECT"].name == "organism/pair"


def test_the_stored_form_holds_the_same_variant():
    before, after = foreign()
    names = executed(snippet(finding(after.plan), before, after, "organism/pair"))
    assert names["VARIANT"] == after
    assert names["VARIANT"].request == after.request
    assert names["SCENARIO"].content_hash == after.scenario.content_hash
    assert names["SEED"] == before.scenario


def test_the_form_is_chosen_by_what_is_installed():
    assert rebuilds(MINIMAL)
    assert not rebuilds(foreign()[1])
    older = MINIMAL.model_copy(update={"scenario": foreign()[1].scenario})  # same plan, other text
    assert not rebuilds(older)
    impossible = PLAN.model_copy(update={"steps": (Step(transform="gone"),)})
    assert not rebuilds(MINIMAL.model_copy(update={"plan": impossible}))


def paid(judge_model: str = "") -> str:
    settings = {"max_tokens": 77}
    model = "anthropic/claude-x"
    return snippet(finding(), BASE, MINIMAL, model, settings=settings, judge_model=judge_model)


def test_a_paid_model_gets_its_settings_and_remembers_no_seeds():
    assert "find_subject('anthropic/claude-x', (), **{'max_tokens': 77})" in paid()
    assert "JUDGE = RulesJudge()\n" in paid()
    assert "RulesJudge" not in paid("anthropic/claude-y")


@pytest.mark.slow
@pytest.mark.usefixtures("one_key")
def test_a_paid_model_and_its_judge_are_made_as_the_run_made_them():
    names = executed(paid("anthropic/claude-y"))
    assert names["SUBJECT"].settings.max_tokens == 77
    assert type(names["JUDGE"]).__name__ == "Panel"


def test_lines_are_short_enough_to_read():
    for embed, most in ((False, 100), (True, 120)):
        text = snippet(finding(), BASE, MINIMAL, "organism/pair", embed=embed)
        lines = [said for said in text.splitlines() if not said.lstrip().startswith("Step(")]
        assert max(map(len, lines)) <= most


# --------------------------------------------------------------------------------------- hostile

TEXTS = st.text(st.characters(codec=None, categories=None), max_size=40)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    )
)
def test_a_literal_is_its_value_in_ascii_on_one_line(value):
    written = literal(value)
    assert written.isascii()
    assert len(written.splitlines()) == 1
    assert ast.literal_eval(written) == value


@pytest.mark.parametrize(
    "poison",
    [
        *HOSTILE,
        "'''\nimport os\n'''",
        '"""\nboom()',
        "\\",
        "a\rimport os",
        "\x0cimport os",
        "\ud800",
    ],
    ids=lambda poison: ascii(poison[:20]),
)
@pytest.mark.parametrize("embed", [False, True])
def test_nothing_hostile_leaves_its_literal_or_its_comment(poison, embed):
    poison = poison[:5_000]
    plan = Plan(
        seed=poison, steps=(Step(transform=poison, params={poison: [poison]}),), drop=(poison,)
    )
    after = MINIMAL.model_copy(update={"plan": plan, "id": poison})
    found = finding(plan, id=poison)
    text = snippet(
        *(found, BASE, after, f"organism/{poison}"),
        settings={"base_url": poison},
        judge_model=poison,
        seeds=[poison],
        embed=embed,
    )
    assert text.isascii()
    tree = ast.parse(text)
    usual = ast.parse(
        snippet(
            *(finding(), BASE, MINIMAL, "organism/pair"),
            settings={"base_url": "x"},
            judge_model="x",
            embed=embed,
        )
    )
    assert [type(node) for node in tree.body] == [type(node) for node in usual.body]
    called = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    assert called == {ast.unparse(n.func) for n in ast.walk(usual) if isinstance(n, ast.Call)}
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert all(name.isidentifier() for name in names)


@given(TEXTS)
def test_any_id_makes_a_name(text):
    assert f"test_{identifier(text)}".isidentifier()


# ----------------------------------------------------------------------------------- how many calls


@given(st.floats(0, 1), st.floats(0.5, 0.999))
def test_so_many_calls_suffice_and_one_fewer_does_not(rate, sure):
    calls = calls_to_show(rate, sure)
    assert 1 <= calls <= MOST
    missed = [(1 - rate) ** k for k in (calls, calls - 1)]
    if calls < MOST:
        assert missed[0] <= 1 - sure + 1e-9
    if calls > 1 and rate > 0:
        assert missed[1] > 1 - sure - 1e-9


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.43, 0.9])
def test_a_failure_shows_in_nineteen_of_twenty_runs(rate):
    rng, runs = random.Random(8), 2_000
    calls = calls_to_show(rate)
    shown = sum(any(rng.random() < rate for _ in range(calls)) for _ in range(runs))
    assert shown / runs >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)


WHOLE = MINIMAL.model_copy(update={"plan": PLAN.model_copy(update={"drop": ()})})
LEAST = LeastText(
    drop=PLAN.drop,
    variant_id=MINIMAL.id,
    tokens_before=4_000,
    tokens_after=900,
    units=(24, 6),
    sentences=(110, 20),
    complete=True,
    certified=True,
    rate=0.5,
    ci=(0.3, 0.7),
    n=30,
    harmful=15,
    cut=0.2,
    alpha=0.05,
    attempt=1,
    seed=None,
    state="certified",
)


def test_the_number_of_calls_rests_on_what_is_certified_and_says_so():
    assert known_of(finding(), WHOLE.plan)[:3] == (0.43, True, 0.05)
    assert "CALLS = 6\n" in snippet(finding(), BASE, WHOLE, "organism/pair", embed=False)
    unsure = finding(minimal_certified=False, state="unresolved within budget")
    assert known_of(unsure, WHOLE.plan).rate == 0.57
    said = snippet(unsure, BASE, WHOLE, "organism/pair", embed=False)
    assert "# It fails in about 0.57 of calls or more (not certified)" in said
    rare = finding(cut=0.005, rate=0.01, ci=(0.001, 0.05))
    text = snippet(rare, BASE, WHOLE, "organism/pair", embed=False)
    assert f"CALLS = {MOST}\n" in text
    assert "probability >= 0.394." in text  # less than wished for, and it says so
    unknown = finding(minimal_certified=False, ci=(0.0, 1.0), rate=0.0)
    assert known_of(unknown, WHOLE.plan).rate == 0


def test_a_reduced_text_has_a_rate_of_its_own():
    known = known_of(finding(text=LEAST), PLAN)
    assert (known.rate, known.n, known.harmful) == (0.2, 30, 15)
    assert known_of(finding(text=LEAST), WHOLE.plan).rate == 0.43
    unsure = LEAST.model_copy(update={"certified": False})
    assert known_of(finding(text=unsure), PLAN).rate == 0.3
    text = snippet(finding(text=LEAST), BASE, MINIMAL, "organism/pair", embed=False)
    assert "15 of 30 fresh calls failed" in text
    assert "CALLS = 14\n" in text


def test_a_scenario_is_what_the_file_says_it_is():
    text = snippet(finding(), BASE, MINIMAL, "organism/pair", embed=True)
    assert isinstance(executed(text)["SCENARIO"], Scenario)
