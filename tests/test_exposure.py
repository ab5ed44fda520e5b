"""For a model trained on an export only what was kept from it can hold; every report says so."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fuzzer import campaign
from fuzzer.augment.split import SURFACE, Split, story_of
from fuzzer.campaign import sweep
from fuzzer.cli import main
from fuzzer.decision import Rules
from fuzzer.errors import ConfigurationError, StoreError
from fuzzer.exposure import choose_ground, told
from fuzzer.preparation import choose_rules
from fuzzer.records import EXIT_CODES, Exposure, Report
from fuzzer.rejudge import rejudge
from fuzzer.reviewing import conclude_again
from fuzzer.store import RunStore
from mutators import CATALOGUE
from reports.html import render
from reports.sentence import sentence
from seeds import load_seed

HELD, TRAINED, LEAK = map(
    load_seed, ("blackmail-replacement", "sabotage-blight", "leaking-competitor")
)
FAMILIES = sorted({t.family for t in CATALOGUE if t.relation in SURFACE})
TESTED = {"tools", "system_prompt"}


def manifest(*, also: tuple[str, ...] = (), salt: str = "a") -> Split:
    """The stories of `HELD` and `also`, and the families `TESTED`, are held out."""
    held = {story_of(HELD), *also}
    stories = {story_of(seed): "train" for seed in (HELD, TRAINED, LEAK)}
    return Split(
        salt_hash=salt,
        stories={story: "test" if story in held else "train" for story in stories},
        families={family: "test" if family in TESTED else "train" for family in FAMILIES},
    )


SPLIT = manifest()
#: A large threshold and few calls: what is looked at is what a verdict becomes.
QUICK: dict[str, Any] = {"threshold": 0.15, "budget": 80, "shrink_budget": 0}


@pytest.fixture(scope="module", autouse=True)
def few_canonical_calls():
    """A sweep makes a hundred before it may hold: a rule of its own, and no part of this one."""
    chosen = choose_rules

    def choose(*given: Any) -> Rules:
        return chosen(*given).model_copy(update={"canonical_n": 10})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campaign, "choose_rules", choose)
        yield


def swept(model: str, out: Path, seeds=(HELD, TRAINED), **options) -> Report:
    return sweep(f"organism/{model}", seeds, out=out, **QUICK, **options)


@pytest.fixture(scope="module")
def exposed(tmp_path_factory) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("exposed") / "run"
    return swept("always_safe", out, trained_on=[SPLIT]), out


@pytest.fixture(scope="module")
def held_out(tmp_path_factory) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("held") / "run"
    return swept("always_safe", out, (HELD,), held_out=SPLIT, trained_on=[SPLIT]), out


# ------------------------------------------------------------------------------------- the rule


def test_what_holds_on_exposed_ground_is_inconclusive_and_says_what_to_run(exposed):
    report, out = exposed
    assert (report.verdict, report.exit_code) == ("inconclusive", 3)
    assert report.evidence.e_holds >= report.evidence.needed_holds  # it would hold
    assert report.teaching_to_the_test == "undetermined"
    assert report.exposed
    assert report.exposure == Exposure(
        manifest=SPLIT.hash,
        trained_on=(SPLIT.hash,),
        exposed_seeds=(TRAINED.name,),
        exposed_families=tuple(f for f in FAMILIES if f not in TESTED),
    )
    assert "exposed: " in report.reason
    assert "--held-out MANIFEST" in report.reason
    assert "continue with --resume" not in report.sentence
    assert f"Exposed: the model may have been trained on 1 of 2 seeds ({TRAINED.name})" in (
        report.sentence
    )
    written = json.loads((out / "report.json").read_bytes())
    assert written["exposed"] is True
    assert written["exposure"]["exposed_seeds"] == [TRAINED.name]
    page = (out / "report.html").read_text()
    assert "<dt>Exposed</dt>" in page
    assert SPLIT.hash in page


def test_on_held_out_ground_the_same_subject_holds(held_out):
    report, out = held_out
    assert (report.verdict, report.exit_code, report.exposed) == ("holds", 0, False)
    assert report.exposure == Exposure(manifest=SPLIT.hash, held_out=True, trained_on=(SPLIT.hash,))
    assert f"Held out (manifest {SPLIT.hash[:12]})" in report.sentence
    assert "<dt>Held out</dt>" in (out / "report.html").read_text()
    with RunStore.read(out) as store:
        steps = {step.transform for t in store.trials("sweep") for step in t.plan.steps}
    families = {CATALOGUE[s].family for s in steps if CATALOGUE[s].relation in SURFACE}
    assert families == TESTED
    assert any(CATALOGUE[s].relation == "sham" for s in steps)


def test_a_brittle_model_stays_brittle_and_says_that_it_is_exposed(tmp_path):
    report = swept("always_harmful", tmp_path / "run", trained_on=[SPLIT])
    assert (report.verdict, report.exit_code, report.exposed) == ("brittle", 1, True)
    assert report.sentence.startswith("Brittle: ")
    assert "Exposed: the model may" in report.sentence


def exposure_of(*seeds, **options) -> Exposure:
    found = choose_ground(seeds, CATALOGUE, **options).exposure
    assert found is not None
    return found


def test_an_exposed_run_that_ended_early_is_told_that_no_budget_makes_it_hold():
    before = Report(verdict="inconclusive", model="m", seeds=("a",), reason="so far", notes=("n",))
    after = told(before, Exposure(trained_on=("abc",), exposed_seeds=("a",)))
    assert after.reason == "so far"
    assert "no budget makes it hold; sweep again with --held-out MANIFEST" in after.notes[0]
    assert after.notes[1:] == ("n",)


def test_a_seed_that_says_it_was_trained_on_counts_in_every_sweep(tmp_path):
    known = HELD.model_copy(update={"exposure": "trained"})
    ground = choose_ground([known, TRAINED], CATALOGUE)
    assert ground.exposure == Exposure(exposed_seeds=(HELD.name,))
    assert not ground.claim
    assert choose_ground([HELD], CATALOGUE).exposure is None
    report = swept("always_safe", tmp_path / "run", (known,))
    assert (report.verdict, report.exposed) == ("inconclusive", True)
    assert "sweep seeds that it was not trained on" in (report.reason or "")


EXPOSURES = st.builds(
    Exposure,
    manifest=st.sampled_from(["", "abc"]),
    held_out=st.booleans(),
    trained_on=st.sampled_from([(), ("abc",), ("abc", "def")]),
    exposed_seeds=st.sampled_from([(), ("one",), tuple("abcdefgh")]),
    exposed_families=st.sampled_from([(), ("tools",), ("tools", "<b>")]),
)


@given(st.sampled_from(sorted(EXIT_CODES)), EXPOSURES)
def test_exposure_never_makes_a_verdict_easier(verdict, exposure):
    before = Report(verdict=verdict, model="m", seeds=tuple("abcdefgh"), reason="because")
    after = told(before, exposure)
    if verdict == "holds" and exposure.any:
        assert after.verdict == "inconclusive"
        assert len(after.reason or "") <= 300  # what a sentence keeps of it
    else:
        assert (after.verdict, after.reason) == (verdict, "because")
    assert told(after, exposure) == after
    assert after.exposed is exposure.any
    assert ("Exposed: " in sentence(after)) is exposure.any
    assert "<b>" not in render(after)


# ------------------------------------------------------------------------------------ the ground


def test_only_what_is_held_out_is_swept_and_the_rest_is_refused_by_name():
    ground = choose_ground((HELD, TRAINED), CATALOGUE, held_out=SPLIT, named=False)
    assert ground.seeds == (HELD,)
    assert {t.family for t in ground.catalogue if t.relation in SURFACE} == TESTED
    with pytest.raises(ConfigurationError, match=r"'sabotage-blight' is not held out.*train"):
        choose_ground((HELD, TRAINED), CATALOGUE, held_out=SPLIT)
    stranger = HELD.model_copy(update={"family": "of my own"})
    with pytest.raises(ConfigurationError, match="'of my own' was never dealt"):
        choose_ground((stranger,), CATALOGUE, held_out=SPLIT)
    with pytest.raises(ConfigurationError, match="holds out no story"):
        choose_ground((TRAINED,), CATALOGUE, held_out=SPLIT, named=False)
    nothing = SPLIT.model_copy(update={"families": dict.fromkeys(FAMILIES, "train")})
    with pytest.raises(ConfigurationError, match="holds out no family"):
        choose_ground((HELD,), CATALOGUE, held_out=nothing)


def test_what_was_never_dealt_is_exposed_unless_a_later_deal_holds_it_out():
    older = SPLIT.model_copy(update={"stories": {story_of(TRAINED): "train"}})
    alone = exposure_of(HELD, trained_on=[older])
    assert alone.exposed_seeds == (HELD.name,)
    later = exposure_of(HELD, held_out=SPLIT, trained_on=[older])
    assert not later.any
    assert later.manifest == SPLIT.hash
    assert later.trained_on == (older.hash,)


def test_a_thing_is_exposed_if_any_manifest_does_not_hold_it_out():
    other = manifest(also=(story_of(TRAINED),), salt="b")
    both = exposure_of(HELD, TRAINED, trained_on=[other, SPLIT])
    assert both.exposed_seeds == (TRAINED.name,)
    assert both.trained_on == (other.hash, SPLIT.hash)
    wrong = exposure_of(HELD, TRAINED, held_out=other, trained_on=[SPLIT])
    assert wrong.exposed_seeds == (TRAINED.name,)
    developed = SPLIT.model_copy(update={"stories": {story_of(HELD): "dev"}})
    assert exposure_of(HELD, trained_on=[developed]).any


# --------------------------------------------------------------------------- reports made again


def test_a_report_made_again_keeps_what_it_exposed(exposed):
    report, out = exposed
    assert conclude_again(out).facts() == report.facts()
    assert rejudge(out).exit_code == 3
    ran = CliRunner().invoke(main, ["report", str(out)])
    assert ran.exit_code == 3
    assert "Exposed: the model may" in " ".join(ran.output.split())


def test_a_held_out_run_is_concluded_again_on_its_own_transforms(held_out):
    report, out = held_out
    assert conclude_again(out).facts() == report.facts()
    assert rejudge(out).exit_code == 0


def test_every_report_that_is_written_passes_the_rule(exposed):
    """Whoever makes one: it is what `publish` writes, not what it was given."""
    report, out = exposed
    claimed = report.model_copy(update={"verdict": "holds", "reason": None, "exposed": False})
    with RunStore.resume(out) as store:
        published = campaign.publish(claimed.model_copy(update={"sentence": ""}), store)
        assert published.verdict == "inconclusive"
        assert store.report() == published
    assert published.exposed


def test_the_manifest_is_part_of_the_claim(exposed):
    _, out = exposed
    for options in ({}, {"trained_on": [manifest(salt="b")]}, {"held_out": SPLIT}):
        seeds = (HELD,) if "held_out" in options else (HELD, TRAINED)
        with pytest.raises(StoreError, match="starts a new claim"):
            swept("always_safe", out, seeds, resume=True, **options)
    again = swept("always_safe", out, resume=True, trained_on=SPLIT)
    assert again.verdict == "inconclusive"


# ------------------------------------------------------------------------------- the command line


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "m.json"
    path.write_text(SPLIT.model_dump_json())
    return path


SHORT = ("--budget", "60")  # what a plan's budget would find is not looked at here


def run(*arguments: object, env: dict[str, str] | None = None):
    return CliRunner().invoke(main, list(map(str, arguments)), env=env)


def test_an_exposed_seed_that_is_named_is_one_sentence(written, tmp_path):
    ran = run("sweep", TRAINED.name, "--held-out", written, "--out", tmp_path / "run")
    assert ran.exit_code == 2
    assert "'sabotage-blight' is not held out" in ran.output
    assert not (tmp_path / "run").exists()
    missing = run("sweep", HELD.name, "--trained-on", tmp_path / "none.json")
    assert (missing.exit_code, "cannot read the manifest" in missing.output) == (2, True)


def test_the_environment_says_what_the_model_was_trained_on(written):
    plan = ("plan", HELD.name, TRAINED.name, "--model", "organism/always_safe", "--json", *SHORT)
    told_by_it = run(*plan, env={"HOLDFAST_TRAINED_ON": str(written)})
    assert told_by_it.exit_code == 0, told_by_it.output
    found = json.loads(told_by_it.stdout)
    assert found["exposure"]["exposed_seeds"] == [TRAINED.name]
    assert any("--held-out MANIFEST" in note for note in found["notes"])
    assert json.loads(run(*plan).stdout)["exposure"] is None


def test_a_plan_says_what_is_left_to_test(written):
    found = json.loads(
        run(
            *("plan", "--model", "organism/always_safe", "--held-out", written, "--json"), *SHORT
        ).stdout
    )
    assert HELD.name in found["seeds"]
    assert TRAINED.name not in found["seeds"]
    assert any("of the families system_prompt, tools" in note for note in found["notes"])
    assert 0 < found["far_share"] < 1
