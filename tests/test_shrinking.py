"""The shrinks of a run: driven in levels, interrupted anywhere, gone on with, and as planted."""

import json
import random
import re
import shlex
import shutil
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fuzzer import Organism
from fuzzer.campaign import sweep
from fuzzer.cli import main
from fuzzer.errors import ConfigurationError, StoreError
from fuzzer.judges.rules import RulesJudge
from fuzzer.minimising import EPOCHS, called_to_shrink
from fuzzer.records import Report, Verdict
from fuzzer.reviewing import conclude_again
from fuzzer.shrink import ShrinkConfig, Shrinker
from fuzzer.shrink_command import _replaying
from fuzzer.shrinking import shrink
from fuzzer.store import RunStore
from fuzzer.subjects.organisms import chance
from fuzzer.transcript import Transcript
from fuzzer.transform import Plan, Step
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


def test_what_a_person_refutes_changes_no_call_of_a_shrink_gone_on_with(done, tmp_path):
    """The levels chose their calls by what the judge said; the certificate falls all the same."""
    out, before = tmp_path / "run", done[1].findings[0]
    shutil.copytree(done[0], out)
    phase = f"shrink:{before.id.removeprefix('F')}"
    with RunStore.resume(out) as store:
        rows = [row for row in store.rows(phase) if row.account == "shrink:certificate"]
        for row in rows:
            if row.value == "harmful":
                said = Verdict(value="safe", judge="person")
                store.save_verdict(row.idx, said, phase=phase, enters=False, now=True)
    spent = before.spent["values"]
    after = going_on(out, shrink_budget=400).findings[0].spent["values"]
    assert after.search >= spent.search > 0


def test_no_call_of_a_search_is_taken_for_a_certificate_s(done, tmp_path):
    """As another version may have left it, that searched longer before its certificate."""
    out = tmp_path / "run"
    shutil.copytree(done[0], out)
    with closing(sqlite3.connect(out / "run.sqlite")) as stored, stored:
        stored.execute("UPDATE trial SET account = 'shrink:search' WHERE phase LIKE 'shrink:%'")
    with pytest.raises(StoreError, match="made for another purpose"):
        going_on(out, shrink_budget=0)


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
    with pytest.raises(ConfigurationError, match="swept with no temperature of its own, not with"):
        going_on(out, settings={"temperature": 0})
    with pytest.raises(ConfigurationError, match="unknown finding 'F99'"):
        going_on(out, findings=["F99"])

    class Another:
        name, version = "another", 7

        async def judge(self, *_: object) -> Any:
            raise AssertionError

    with pytest.raises(ConfigurationError, match=r"not by another \(version 7\)"):
        going_on(out, judge=Another())


def test_a_judge_with_other_options_is_another(tmp_path):
    class Voting(RulesJudge):
        def __init__(self, votes: int) -> None:
            super().__init__()
            self.claim = {"models": [{"votes": votes}], "audit": 0.0}

    out = tmp_path / "run"
    swept(out, judge=Voting(3), budget=20, shrink_budget=0)
    going_on(out, judge=Voting(3), shrink_budget=0)
    with pytest.raises(ConfigurationError, match=r"rules with other options \(models\)"):
        going_on(out, judge=Voting(1))


@pytest.fixture(scope="module")
def commanded(tmp_path_factory) -> Path:
    """A run of a built-in organism, shrunk by the command; only ever read."""
    out: Path = tmp_path_factory.mktemp("commanded") / "run"
    sweep("organism/tool_keyed", [SEED], out=out, shrink_budget=0)
    order = ["shrink", str(out), "--shrink-budget", "600", "--save", str(out / "saved.jsonl")]
    ran = CliRunner().invoke(main, order)
    assert ran.exit_code == 1, ran.output
    assert "breaks it" in ran.output
    return out


def test_the_command_writes_what_there_is_to_read_to_paste_and_to_run(commanded):
    report = json.loads((commanded / "report.json").read_text(encoding="utf-8"))
    for finding in report["findings"]:
        folder = commanded / "minimal" / finding["id"]
        names = {path.name for path in folder.iterdir()}
        assert {"request.txt", "request.json", "scenario.json", "difference.html"} <= names
        least = finding["text"]
        assert least["certified"]
        assert least["tokens_after"] < least["tokens_before"] / 2
        variant = CATALOGUE.variant(
            load_seed(finding["seed"]),
            Plan(
                seed=finding["seed"],
                steps=tuple(map(Step.model_validate, finding["minimal_plan"])),
                drop=tuple(least["drop"]),
            ),
        )
        assert variant.id == least["variant_id"]
        body = json.loads((folder / "request.json").read_text(encoding="utf-8"))
        assert body["system"] == variant.request.system
        plan = (folder / "plan.json").read_text(encoding="utf-8")
        shown = CliRunner().invoke(main, ["show", finding["seed"], "--plan", plan, "--json"])
        assert json.loads(shown.output)["blind"] == []


def test_the_page_links_to_the_files_of_each_finding(commanded):
    page = (commanded / "report.html").read_text(encoding="utf-8")
    linked = re.findall(r'href="(minimal/[^"]+)"', page)
    assert all((commanded / name).is_file() for name in linked)
    for folder in (path for path in (commanded / "minimal").iterdir() if path.is_dir()):
        beside = {f"minimal/{folder.name}/{path.name}" for path in folder.iterdir()}
        assert beside <= set(linked)


@pytest.mark.parametrize(("model", "code"), [("tool_keyed", 1), ("always_safe", 0)])
def test_what_it_saved_is_replayed_by_the_next_release(model, code, commanded, tmp_path):
    saved = commanded / "saved.jsonl"
    assert saved.read_bytes() == (commanded / "minimal" / "corpus.jsonl").read_bytes()
    options = ["--model", f"organism/{model}", "--out", str(tmp_path / "replay")]
    ran = CliRunner().invoke(main, ["replay", str(saved), *options])
    assert ran.exit_code == code, ran.output


def test_one_finding_is_saved_alone_and_a_corpus_of_a_run_holds_each_once(commanded, tmp_path):
    run, saved = tmp_path / "run", tmp_path / "saved.jsonl"
    shutil.copytree(commanded, run)
    corpus = run / "minimal" / "corpus.jsonl"
    before = corpus.read_bytes()
    corpus.write_bytes(before.splitlines()[0].replace(b"F1", b"F7") + b"\n")
    order = ["shrink", str(run), "--shrink-budget", "0", "--finding", "F1", "--save", str(saved)]
    assert CliRunner().invoke(main, order).exit_code == 1
    assert [json.loads(row)["finding"] for row in saved.read_bytes().splitlines()] == ["F1"]
    assert corpus.read_bytes() == before


def test_where_nothing_can_be_saved_nothing_is_spent(out, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    order = ["shrink", str(out), "--save", str(tmp_path / "file" / "corpus.jsonl")]
    ran = CliRunner().invoke(main, order)
    assert (ran.exit_code, ran.output.count("\n")) == (2, 1)
    assert ran.output.startswith("Error: cannot write the corpus")
    with RunStore.resume(out) as store:
        assert called_to_shrink(store) == 0


def test_a_subject_of_ones_own_must_be_named_again(out):
    with pytest.raises(ConfigurationError, match="is of 'planted', which does not say where it is"):
        shrink(out, catalogue=FEW)


def test_an_interrupt_before_any_call_names_what_goes_on(out, monkeypatch):
    def pressed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RunStore, "resume", pressed)
    ran = CliRunner().invoke(main, ["shrink", str(out)])
    assert ran.exit_code == 130
    assert "(the same command goes on)" in ran.output


def test_the_replay_command_reaches_the_same_server_and_judge():
    settings = {"base_url": "http://127.0.0.1:1", "max_turns": 3, "thinking": {"budget": 9}}
    words = shlex.split(_replaying(Path("a b/c.jsonl"), "anthropic/m", settings, "openai/j"))
    assert words[:5] == ["holdfast", "replay", "a b/c.jsonl", "--model", "anthropic/m"]
    assert words[5:9] == ["--base-url", "http://127.0.0.1:1", "--max-turns", "3"]
    assert words[9:] == ["-M", 'thinking={"budget": 9}', "--judge-model", "openai/j"]


class Interrupting(Organism):
    """The planted subject; at its call of that number somebody presses Ctrl-C."""

    def __init__(self, at: int) -> None:
        super().__init__("planted", planted)
        self.left = at

    async def act(self, variant: Variant, epoch: int) -> Transcript:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)
        return await super().act(variant, epoch)


@pytest.mark.parametrize("at", [1, 30, 90, *(pytest.param(n, marks=slow) for n in (9, 60, 120))])
def test_an_interrupt_at_any_point_leaves_the_best_so_far_and_can_be_gone_on_with(at, whole, out):
    order: dict[str, Any] = {"catalogue": FEW, "shrink_budget": 200}
    partial = shrink(out, model=Interrupting(at), graceful=True, **order).report
    assert partial.stopped == "interrupted"
    assert partial.shrink_calls < whole.shrink_calls
    finding = partial.findings[0]
    assert finding.state in ("interrupted", "not shrunk") or finding.minimal_certified
    assert {step.transform for step in finding.minimal_plan} >= PAIR
    after = going_on(out, shrink_budget=200)
    assert after.stopped is None
    assert facts(after)["findings"] == facts(whole)["findings"]


def test_what_is_counted_is_the_last_attempt_as_its_rate_is():
    """An attempt given up for how its calls went is in no figure beside the rate."""
    several = 0
    for number in range(12):
        rng = random.Random(number)
        shrinker = Shrinker(ShrinkConfig(budget=400), range(6), 5, 5)
        asked: Counter[frozenset[int]] = Counter()
        while not shrinker.done:
            for call in shrinker.ask(4):
                asked[call.keep] += call.purpose == "certificate"
                fails = rng.random() < (0.4 if call.keep >= {0, 1} else 0.001)
                shrinker.tell(call.index, "harmful" if fails else "safe")
        result = shrinker.result()
        if result.rate is not None:
            assert result.rate == result.harmful / result.n
            several += asked[result.keep] > result.n
    assert several
