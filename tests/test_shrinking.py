"""The shrinks of a run: driven in levels, interrupted anywhere, gone on with, and as planted."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from fuzzer import Organism
from fuzzer.campaign import sweep
from fuzzer.errors import ConfigurationError
from fuzzer.minimising import EPOCHS
from fuzzer.records import Report
from fuzzer.reviewing import conclude_again
from fuzzer.shrink import ShrinkConfig, Shrinker
from fuzzer.shrinking import shrink
from fuzzer.store import RunStore
from fuzzer.subjects.organisms import chance
from fuzzer.transform import Plan
from fuzzer.variant import Variant
from mutators import CATALOGUE
from seeds import load_seed
from tests.few import FEW

slow = pytest.mark.slow
SEED = load_seed("blackmail-replacement")
PAIR = frozenset(("rename_tools", "format_inbox"))


def planted(variant: Variant) -> float:
    """A pair of transforms fails in seven calls of ten."""
    held = {step.transform for step in variant.plan.steps}
    return 0.7 if held >= PAIR else 0.001


def swept(out: Path, **options: Any) -> Report:
    subject = Organism("planted", planted)
    return sweep(subject, [SEED], catalogue=FEW, out=out, **options)


def going_on(out: Path, **options: Any) -> Report:
    subject = Organism("planted", planted)
    return shrink(out, model=subject, catalogue=FEW, **options).report


def facts(report: Report) -> dict[str, Any]:
    return report.facts()


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Path, Report]:
    """A run whose findings were shrunk at once, and its report; never written to."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, swept(out)


@pytest.fixture
def whole(done: tuple[Path, Report]) -> Report:
    return done[1]


@pytest.fixture(scope="module")
def unshrunk(tmp_path_factory) -> Path:
    """The same run without any shrink; only ever copied."""
    out: Path = tmp_path_factory.mktemp("unshrunk") / "run"
    assert swept(out, shrink_budget=0).shrink_calls == 0
    return out


@pytest.fixture
def out(unshrunk: Path, tmp_path: Path) -> Path:
    shutil.copytree(unshrunk, tmp_path / "run")
    return tmp_path / "run"


def test_the_planted_pair_is_what_remains(whole):
    finding = whole.findings[0]
    assert {step.transform for step in finding.minimal_plan} == PAIR
    assert finding.minimal_certified


def test_a_sweep_reaches_the_same_minimal_plan_as_its_twin_through_ask_and_tell(done):
    out, report = done
    finding = report.findings[0]
    number = int(finding.id.removeprefix("F"))
    with RunStore.read(out) as store:
        known = store.get(f"shrink:{number}")
    plan = Plan(seed=finding.seed, steps=finding.plan)
    twin = Shrinker(
        ShrinkConfig(threshold=report.threshold, alpha=report.alpha),
        [step.key for step in plan.steps],
        known["failed"],
        known["replays"],
    )
    while not twin.done:
        for call in twin.ask(4):
            variant = CATALOGUE.variant(SEED, plan.keep(call.keep))
            drawn = chance("planted", 0, variant.id, EPOCHS * number + call.epoch)
            harmful = drawn < planted(variant)
            twin.tell(call.index, "harmful" if harmful else "safe")
    result = twin.result()
    reached = {step.transform for step in plan.keep(result.keep).steps}
    assert reached == {step.transform for step in finding.minimal_plan}
    spent = finding.spent["plan"]
    assert (result.calls_search, result.calls_certificate) == (spent.search, spent.certificate)


@pytest.mark.parametrize("first", [0, 7, 30, *(pytest.param(n, marks=slow) for n in (1, 55))])
def test_a_shrink_gone_on_with_is_the_shrink_made_at_once(first, whole, out):
    before = going_on(out, shrink_budget=first)
    assert before.shrink_calls <= first
    after = going_on(out, shrink_budget=200)
    assert facts(after)["findings"] == facts(whole)["findings"]
    assert (after.calls, after.verdict, after.evidence) == (
        whole.calls,
        whole.verdict,
        whole.evidence,
    )
    assert after.shrink_calls == whole.shrink_calls
    # what it wrote is what a person's review starts from, and giving it again makes no call
    assert conclude_again(out, catalogue=FEW).findings == after.findings
    assert facts(going_on(out, shrink_budget=0)) == facts(after)


def test_only_the_finding_named_is_gone_on_with(tmp_path):
    out = tmp_path / "run"
    subject = Organism("two", lambda v: 0.9 if v.plan.steps else 0.001)
    options: dict[str, Any] = {"catalogue": FEW}
    before = sweep(
        subject, [SEED, load_seed("leaking-competitor")], out=out, shrink_budget=0, **options
    )
    assert len(before.findings) > 1
    last = before.findings[-1].id
    report = shrink(out, model=subject, findings=[last], **options).report
    touched = {finding.id: finding.calls_to_shrink for finding in report.findings}
    assert touched.pop(last) > 0
    assert set(touched.values()) == {0}


def test_another_model_or_finding_or_judge_is_refused_in_a_sentence(out):
    with pytest.raises(ConfigurationError, match="is of 'planted', not of 'other'"):
        shrink(out, model=Organism("other", 0.5), catalogue=FEW)
    with pytest.raises(ConfigurationError, match="unknown finding 'F99'"):
        going_on(out, findings=["F99"])

    class Another:
        name, version = "another", 7

        async def judge(self, *_: object) -> Any:
            raise AssertionError

    with pytest.raises(ConfigurationError, match=r"not by another \(version 7\)"):
        going_on(out, judge=Another())
