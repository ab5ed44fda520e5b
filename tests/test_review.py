"""A person looks through a run: what they say is kept, changes the claim, and makes no call."""

import asyncio
import io
import itertools
import json
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fuzzer.campaign import sweep
from fuzzer.cli import main
from fuzzer.errors import ConfigurationError, StoreError
from fuzzer.evidence import upper_bound
from fuzzer.graph import Catalogue
from fuzzer.judges.rules import RulesJudge
from fuzzer.people import reviewed, said_of, sample_of
from fuzzer.records import Evidence, Report, Verdict
from fuzzer.rejudge import Variants, rejudge
from fuzzer.review import Desk, _write_label, card, queue
from fuzzer.review_commands import _ask, _walk
from fuzzer.reviewing import conclude_again
from fuzzer.store import DATABASE, RunStore
from fuzzer.subjects.organisms import Organism
from fuzzer.transcript import Transcript, Turn, Usage
from fuzzer.variant import Variant
from mutators import CATALOGUE
from mutators.values import changed
from reports.html import render
from seeds import load_seed
from seeds.writing import to_toml
from tests.labelled import transcript

ONE = (load_seed("blackmail-replacement"),)


class Unsure:
    """The rules under another name, as one judge's word that nobody has confirmed."""

    def __init__(self, wrong: Callable[[Variant], bool] | None = None) -> None:
        self.name, self.version = "model", 1
        self._rules = RulesJudge()
        self._wrong = wrong

    async def judge(self, variant: Variant, transcript: Transcript) -> Verdict:
        await asyncio.sleep(0)
        said = self._rules.decide(variant, transcript)
        if self._wrong and said.value == "safe" and transcript.actions and self._wrong(variant):
            said = Verdict(value="harmful")
        named = {"judge": self.name, "version": self.version}
        return said.model_copy(update=named | {"confirmed": said.value != "harmful"})


def keyed(variant: Variant) -> float:
    """Fails wherever tools are renamed."""
    return float(any(step.transform == "rename_tools" for step in variant.plan.steps))


SUBJECT = Organism("keyed", keyed)
OPTIONS: dict[str, Any] = {"budget": 70, "shrink_budget": 50}


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Runs that have ended; never written to."""
    with tempfile.TemporaryDirectory() as place:
        sweep(SUBJECT, ONE, **OPTIONS, judge=Unsure(), out=f"{place}/unsure")
        sweep(SUBJECT, ONE, **OPTIONS, out=f"{place}/rules")
        yield Path(place)


@pytest.fixture
def unsure(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "unsure", tmp_path / "unsure"))


@pytest.fixture
def ruled(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "rules", tmp_path / "rules"))


def report_of(run: Path) -> Report:
    with RunStore.read(run) as store:
        found = store.report()
    assert found is not None
    return found


def label(run: Path, choose: Callable[[Any], str | None]) -> int:
    """Labels as a person would give them, by what the judge said of each trial."""
    with RunStore.resume(run) as store:
        found = [(said, value) for said in said_of(store) if (value := choose(said))]
        for said, value in found:
            verdict = Verdict.model_validate({"value": value, "judge": "person"})
            store.save_verdict(said.idx, verdict, phase=said.phase, enters=False, now=True)
    return len(found)


def all_failures(value: str) -> Callable[[Any], str | None]:
    return lambda said: value if said.value == "harmful" else None


def reviewing(run: Path, answers: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["review", str(run), *options], input=answers)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


# -------------------------------------------------------------------------------- what is stored


def test_a_later_label_takes_the_place_of_the_earlier_and_unsure_withdraws_it(unsure):
    def labels() -> set[str | None]:
        with RunStore.read(unsure) as store:
            return {said.label for said in said_of(store) if said.value == "harmful"}

    count = label(unsure, all_failures("harmful"))
    assert labels() == {"harmful"}
    assert label(unsure, all_failures("safe")) == count
    assert labels() == {"safe"}
    with RunStore.read(unsure) as store:
        outcomes = [o for o in store.outcomes() if o.value == "harmful"]
        assert {o.reviewed for o in outcomes} == {"safe"}
        assert {r.value for r in store.rows() if r.judged == "harmful"} == {"safe"}
        trial = store.trial(outcomes[0].idx)
        assert trial is not None
        assert trial.verdict is not None
        assert trial.verdict.value == "harmful"  # what the judge said stays
    label(unsure, all_failures("refer"))
    assert labels() == {None}
    with RunStore.read(unsure) as store:
        assert {o.reviewed for o in store.outcomes()} == {None}


def test_the_judge_that_entered_is_never_taken_for_a_person(tmp_path):
    class Namesake(Unsure):
        def __init__(self) -> None:
            super().__init__()
            self.name = "person"

    run = tmp_path / "run"
    sweep(SUBJECT, ONE, budget=20, shrink_budget=0, judge=Namesake(), out=run)
    with RunStore.read(run) as store:
        assert {said.label for said in said_of(store)} == {None}
    result = reviewing(run, "h\n")
    assert result.exit_code == 2
    assert "is called 'person'" in result.stderr


# ------------------------------------------------------------------------------ concluded again


def concluded_alike(run: Path) -> Report:
    """The report of a run that says the same when it is concluded again."""
    before = report_of(run)
    page = (run / "report.html").read_bytes()
    again = conclude_again(run)
    assert again == before
    assert again.timing == before.timing
    assert report_of(run) == before
    assert (run / "report.html").read_bytes() == page
    return before


def test_a_run_nobody_has_looked_at_says_what_it_said(unsure, ruled, tmp_path):
    concluded_alike(unsure)
    concluded_alike(ruled)
    sweep(Organism("safe", 0.0), ONE, budget=12, twins=4, out=tmp_path / "twins")
    assert concluded_alike(tmp_path / "twins").twins is not None


@pytest.mark.slow
def test_so_does_one_that_holds_was_stopped_or_spent_its_budget(tmp_path):
    safe = Organism("safe", 0.0)
    sweep(safe, ONE, budget=500, threshold=0.05, out=tmp_path / "holds")
    assert concluded_alike(tmp_path / "holds").verdict == "holds"
    sweep(Spends("x", 0.0), ONE, budget=60, max_tokens_total=100, out=tmp_path / "stopped")
    assert concluded_alike(tmp_path / "stopped").stopped == "max_tokens_total"
    sweep(Organism("x", 0.3), ONE, budget=200, stop="budget", out=tmp_path / "budget")
    assert concluded_alike(tmp_path / "budget").calls == 200
    sweep(Organism("y", keyed), None, budget=300, out=tmp_path / "many")
    assert len(concluded_alike(tmp_path / "many").seeds) > 6


class Spends(Organism):
    """A subject whose every answer takes ten tokens."""

    async def act(self, variant: Variant, epoch: int) -> Transcript:
        said = await super().act(variant, epoch)
        return said.model_copy(update={"usage": Usage(input=10)})


def test_it_asks_nobody_and_draws_nothing(unsure, monkeypatch):
    label(unsure, all_failures("harmful"))

    def never(*_: Any) -> Any:
        raise AssertionError

    for name in ("draw", "far_draw", "all_on", "canonical"):
        monkeypatch.setattr(f"fuzzer.distribution.Distribution.{name}", never)
    monkeypatch.setattr(RulesJudge, "decide", never)
    assert conclude_again(unsure).verdict == "brittle"


def test_a_provisional_run_lists_what_nobody_has_confirmed(unsure):
    report = report_of(unsure)
    assert (report.verdict, report.provisional, report.teaching_to_the_test) == (
        "brittle",
        True,
        "undetermined",
    )
    assert report.findings
    for finding in report.findings:
        assert (finding.review, finding.state) == ("unreviewed", "not shrunk")
        assert not finding.minimal_certified
        assert finding.harmful > 0
        assert finding.e_value >= finding.needed
    shown = " ".join(CliRunner().invoke(main, ["report", str(unsure)]).output.split())
    assert "Brittle, provisional" in shown
    assert "unreviewed: one judge's word" in shown
    assert "holdfast review" in shown
    assert "Unreviewed." in render(report)


def test_confirmed_failures_make_the_claim(unsure):
    before = report_of(unsure)
    count = label(unsure, all_failures("harmful"))
    report = conclude_again(unsure)
    assert (report.verdict, report.provisional) == ("brittle", False)
    assert report.evidence.e_brittle >= report.evidence.needed > before.evidence.e_brittle
    assert report.flag.e_far > before.flag.e_far
    assert {finding.review for finding in report.findings} == {"confirmed"}
    assert (report.mutated, report.canonical) == (before.mutated, before.canonical)
    assert report.review is not None
    assert (report.review.confirmed, report.review.unreviewed) == (count, 0)
    assert report_of(unsure) == report
    assert json.loads((unsure / "report.json").read_text())["provisional"] is False
    assert "confirmed by a second judge or a person" in (unsure / "report.html").read_text()


def test_refuted_failures_are_none(unsure):
    before = report_of(unsure)
    count = label(unsure, all_failures("safe"))
    report = conclude_again(unsure)
    assert (report.verdict, report.exit_code) == ("inconclusive", 3)
    assert f"a person refuted {count} of {count} failures" in (report.reason or "")
    assert report.sufficient_budget is None
    assert (report.findings, report.provisional) == ((), False)
    assert report.mutated.harmful == report.canonical.harmful == report.flag.far_harmful == 0
    assert all(row.harmful == 0 for row in report.transforms)
    assert all(row.harmful == 0 for row in report.dose)
    assert (report.mutated.n, report.calls) == (before.mutated.n, before.calls)
    label(unsure, all_failures("refer"))  # and taken back
    assert conclude_again(unsure) == before


def test_a_rules_failure_can_be_refuted_too_and_takes_its_certificate_with_it(ruled):
    before = report_of(ruled)
    (first, *_) = before.findings
    assert (first.review, first.minimal_certified) == ("rules", True)
    phase = f"shrink:{first.id[1:]}"
    some = label(
        ruled,
        lambda s: (
            "safe"
            if s.phase == phase and s.account == "shrink:certificate" and s.value == "harmful"
            else None
        ),
    )
    (found, *_) = conclude_again(ruled).findings
    assert not found.minimal_certified
    assert (
        found.state == f"its certificate rested on {first.harmful} failures that a person refuted"
    )
    assert (found.n, found.harmful, found.rate) == (first.n, 0, 0.0)
    assert first.harmful <= some
    label(ruled, all_failures("safe"))
    report = conclude_again(ruled)
    assert report.verdict == "inconclusive"
    assert report.findings == ()
    assert report.shrink_calls == before.shrink_calls  # they were made
    assert report.tokens == before.tokens


def test_a_resume_goes_on_from_what_a_person_said(unsure):
    """No call of the search is made again; what is confirmed now is shrunk."""
    label(unsure, all_failures("harmful"))
    concluded = conclude_again(unsure)
    resumed = sweep(SUBJECT, ONE, **OPTIONS, judge=Unsure(), out=unsure, resume=True)
    assert (resumed.verdict, resumed.calls) == (concluded.verdict, concluded.calls)
    assert resumed.shrink_calls > 0
    assert resumed.mutated == concluded.mutated
    (first, *_) = resumed.findings
    assert not first.minimal_certified  # its fresh failures are one judge's word again
    assert "nobody has confirmed" in first.state or first.state != "certified"
    assert conclude_again(unsure) == resumed


def test_a_run_that_has_not_ended_is_one_sentence(tmp_path):
    class Expires(Organism):
        calls = 0

        async def act(self, variant: Variant, epoch: int) -> Transcript:
            self.calls += 1
            if self.calls > 10:
                raise ConfigurationError("the key has expired; renew it")
            return await super().act(variant, epoch)

    run = tmp_path / "run"
    with pytest.raises(ConfigurationError, match="expired"):
        sweep(Expires("x", 0.0), ONE, budget=40, out=run)
    with pytest.raises(ConfigurationError, match="has not ended; continue it"):
        conclude_again(run)
    result = reviewing(run, "h\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: the run in ")
    assert len(result.stderr.splitlines()) == 1


def test_what_has_changed_since_is_one_sentence_and_the_labels_are_kept(tmp_path):
    seed = changed(ONE[0], name="mine", summary="One of my own.")
    run = tmp_path / "run"
    sweep(SUBJECT, [seed], budget=30, shrink_budget=0, judge=Unsure(), out=run)
    before = report_of(run)
    with pytest.raises(ConfigurationError, match="'mine' is not installed; name its file"):
        conclude_again(run)
    with pytest.raises(ConfigurationError, match="seed 'mine' has changed since the run"):
        conclude_again(run, seeds=[changed(seed, summary="Another.")])
    fewer = Catalogue([t for t in CATALOGUE if t.name != "rename_tools"], CATALOGUE.pools)
    with pytest.raises(ConfigurationError, match="'rename_tools' is not installed; name its"):
        conclude_again(run, seeds=[seed], catalogue=fewer)
    assert conclude_again(run, seeds=[seed]) == before
    result = reviewing(run, "h\n")
    assert result.exit_code == 2
    assert "The facts cannot be shown" in result.stdout
    assert "the labels are saved all the same" in result.stderr
    assert len(rows(run / "labels.jsonl")) == 1
    file = tmp_path / "mine.toml"
    file.write_text(to_toml(seed), encoding="utf-8")
    given = reviewing(run, "h\n", "--scenario", str(file))
    assert "The facts cannot be shown" not in given.stdout
    assert given.exit_code == report_of(run).exit_code


def test_a_run_of_an_earlier_holdfast_is_swept_once_more(unsure):
    with sqlite3.connect(unsure / DATABASE) as database:
        database.execute("DELETE FROM run WHERE key = 'ending'")
    database.close()
    with pytest.raises(StoreError, match="--resume"):
        conclude_again(unsure)
    sweep(SUBJECT, ONE, **OPTIONS, judge=Unsure(), out=unsure, resume=True)
    assert conclude_again(unsure).verdict == "brittle"


# -------------------------------------------------------------------------------------- the queue


def test_failures_that_carry_a_finding_come_first_and_the_sample_last(ruled):
    with RunStore.resume(ruled) as store:
        report = store.report()
        assert report is not None
        items = queue(store, report)
        only = queue(store, report, findings_only=True)
        assert queue(store, report) == items
    whys = [item.why for item in items]
    assert whys == sorted(whys, key=["failure", "disagreement", "sample"].index)
    assert len({item.said.name for item in items}) == len(items)
    carrying = [bool(item.finding) for item in items if item.why == "failure"]
    assert carrying == sorted(carrying, reverse=True)
    assert any(carrying)
    assert not all(carrying)
    assert [i for i in only if i.why == "failure"] == [i for i in items if i.finding]
    assert all(i.said.account.startswith(("replay:", "shrink:cert")) for i in items if i.finding)
    rated = [i for i in items if i.why == "failure" and i.said.phase == "sweep"]
    assert all(item.said.idx < report.calls for item in rated)


def test_the_sample_is_fixed_by_its_random_seed_and_holds_one_at_least(ruled):
    def drawn(**options: Any) -> list[tuple[str, int]]:
        with RunStore.resume(ruled) as store:
            report = store.report()
            assert report is not None
            items = queue(store, report, **options)
            names = [item.said.name for item in items if item.why == "sample"]
            assert sample_of(store).issuperset(names)
            assert all(i.said.value == "safe" for i in items if i.why == "sample")
        return names

    report = report_of(ruled)
    negatives = report.calls - sum(
        row.judged == "harmful" for row in RunStore.read(ruled).rows() if row.idx < report.calls
    )
    five = drawn()
    assert len(five) == -(-negatives // 20)
    assert drawn(share=0.0001) == five[:1]
    assert drawn(share=0) == []
    assert drawn(share=1, random_seed=0)[: len(five)] == five
    assert drawn(random_seed=1) != five
    assert sorted(drawn(share=1)) == sorted(drawn(share=1, random_seed=2))
    with pytest.raises(ConfigurationError, match="--sample 2 is no share"):
        drawn(share=2)


def test_what_judges_disagree_on_is_looked_at(ruled):
    class Other:
        name, version = "other", 1

        async def judge(self, variant: Variant, transcript: Transcript) -> Verdict:  # noqa: ARG002
            return Verdict(value="harmful")

    report = report_of(ruled)
    with RunStore.resume(ruled) as store:
        assert not any(said.disputed for said in said_of(store))
    rejudge(ruled, judge=Other())
    with RunStore.resume(ruled) as store:
        found = {i.said.name for i in queue(store, report, share=0) if i.why == "disagreement"}
        assert found == {said.name for said in said_of(store) if said.value != "harmful"}


def test_a_blind_queue_is_shuffled_and_holds_the_same(unsure):
    report = report_of(unsure)
    with RunStore.resume(unsure) as store:
        open_, blind = queue(store, report), queue(store, report, blind=True)
        assert blind == queue(store, report, blind=True)
    assert sorted(blind) == sorted(open_)
    assert [i.why for i in blind] != [i.why for i in open_]


def test_the_bound_on_what_is_missed_rests_on_the_random_sample_alone(unsure):
    report = report_of(unsure)
    with RunStore.resume(unsure) as store:
        trials, sample = list(said_of(store)), frozenset([("sweep", 0), ("sweep", 4)])
        negatives = [s for s in trials if s.value == "safe" and s.phase == "sweep"][:6]

        def counted(*labels: Any) -> Any:
            given = dict(zip((s.name for s in negatives), labels, strict=False))
            said = [s._replace(label=given.get(s.name, s.label)) for s in trials]
            return reviewed(report, said, sample)

        names = [said.name for said in negatives]
        sample = frozenset(names[:3])
        clean = counted("safe", "safe", "safe")
        assert (clean.sampled, clean.missed, clean.missed_elsewhere) == (3, 0, 0)
        assert clean.missed_at_most == upper_bound(3, 0, 0.05) == pytest.approx(1 - 0.05 ** (1 / 3))
        one = counted("harmful", "safe", None, "harmful", "harmful")
        assert (one.sampled, one.missed, one.missed_elsewhere) == (2, 1, 2)
        assert one.missed_at_most == upper_bound(2, 1, 0.05)
        assert (one.compared, one.agreed) == (4, 1)
        assert counted().missed_at_most == 1.0


# ------------------------------------------------------------------------------------ the command


def test_a_walk_saves_every_answer_and_ends_with_what_it_came_to(unsure):
    first = reviewing(unsure, "h\nH\nsafe\n?\nnonsense\nb\nb\nh\nq\n", "--reviewer", "Ada")
    assert first.exit_code == 1
    assert first.stdout.count("h harmful, s safe") == 9
    found = rows(unsure / "labels.jsonl")
    # The fourth was unsure; back twice, from the fifth to the third, which is corrected.
    assert [row["label"] for row in found] == ["harmful"] * 3
    assert {row["reviewer"] for row in found} == {"Ada"}
    assert set(found[0]) == {
        *("id", "seed", "plan", "channel", "label", "turns", "source", "reviewer", "at")
    }
    assert len({row["id"] for row in found}) == 3
    shown = " ".join(first.stdout.split())
    assert "3 answers this time, 1 left open as unsure" in shown
    assert "Failures: 3 confirmed, 0 refuted" in shown
    assert "Misses: unknown" in shown
    assert "Brittle" in shown
    with RunStore.read(unsure) as store:
        assert sum(said.label == "harmful" for said in said_of(store)) == 3
    again = reviewing(unsure, "")
    assert again.exit_code == 1
    left = int(re.findall(r"(\d+) trials? to look at", again.stdout)[0])
    assert left == int(re.findall(r"(\d+) trials? to look at", first.stdout)[0]) - 3
    assert report_of(unsure).review is not None


def test_all_confirmed_or_all_refuted_by_hand(unsure, tmp_path):
    other = Path(shutil.copytree(unsure, tmp_path / "other"))
    many = "h\n" * 400
    confirmed = reviewing(unsure, many, "--sample", "0")
    assert confirmed.exit_code == 1
    assert report_of(unsure).provisional is False
    assert "Nothing is left to look at" in reviewing(unsure, "", "--sample", "0").stdout
    refuted = reviewing(other, many.replace("h", "s"), "--sample", "0.2", "--json")
    assert refuted.exit_code == 3
    told = json.loads(refuted.stdout)
    assert (told["verdict"], told["provisional"], told["left"]) == ("inconclusive", False, 0)
    review = told["review"]
    assert review["refuted"] > 0
    assert review["confirmed"] == review["unreviewed"] == review["missed"] == 0
    assert review["missed_at_most"] == upper_bound(review["sampled"], 0, 0.05)
    assert "h harmful, s safe" in refuted.stderr
    assert told["sentence"].startswith("Inconclusive: a person refuted")


def test_a_miss_is_counted_and_enters_nothing(made, tmp_path):
    run = Path(shutil.copytree(made / "rules", tmp_path / "run"))
    before = report_of(run)
    with RunStore.resume(run) as store:
        items = queue(store, before, findings_only=True)
    failures = sum(item.why == "failure" for item in items)
    missed = len(items) - failures
    result = reviewing(run, "h\n" * len(items), "--findings")
    assert result.exit_code == 1
    report = report_of(run)
    assert report.review is not None
    assert (report.review.missed, report.review.sampled) == (missed, missed)
    assert report.review.missed_at_most == 1.0
    assert (report.mutated, report.canonical, report.evidence) == (
        before.mutated,
        before.canonical,
        before.evidence,
    )
    assert any("harmful that the judge called safe" in note for note in report.notes)
    assert f"Misses: {missed} of {missed}" in " ".join(result.stdout.split())


def test_a_label_reads_back_as_the_transcript_it_was_given_for(unsure):
    reviewing(unsure, "h\n" * 3)
    catalogue = Catalogue.of(CATALOGUE)
    for row in rows(unsure / "labels.jsonl"):
        plan = catalogue.plan(row["seed"], [*_steps(row["plan"])])
        variant = catalogue.variant(load_seed(row["seed"]), plan)
        assert variant.scenario.channel == row["channel"]
        read = transcript(row["turns"], variant)
        assert RulesJudge().decide(variant, read).value == row["label"] == "harmful"


def _steps(plan: list[dict[str, Any]]) -> Iterator[Any]:
    from fuzzer.transform import Step

    for step in plan:
        yield Step.model_validate(step)


def test_labels_of_several_runs_share_a_file_and_other_lines_stay(unsure, ruled, tmp_path):
    shared = tmp_path / "mine.jsonl"
    own = '{"id": "x", "label": "safe"}'
    shared.write_text(f"{own}\nnot JSON\n")
    for run in (unsure, ruled):
        reviewing(run, "h\nh\n", "--labels", str(shared))
    reviewing(unsure, "s\n", "--labels", str(shared), "--again")  # the first one, corrected
    told = shared.read_text().splitlines()
    assert told[:2] == [own, "not JSON"]
    assert len(told) == 6
    assert [json.loads(text)["label"] for text in told[2:]].count("safe") == 1
    reviewing(unsure, "?\n", "--labels", str(shared), "--again")
    assert len(shared.read_text().splitlines()) == 5
    assert not (unsure / "labels.jsonl").exists()
    result = reviewing(unsure, "h\n", "--labels", str(tmp_path / "no" / "where.jsonl"))
    assert result.exit_code == 2
    assert "cannot write the labels" in result.stderr


def test_the_facts_are_the_variants_own(unsure):
    result = reviewing(unsure, "r\nq\n")
    with RunStore.read(unsure) as store:
        report = store.report()
        assert report is not None
    with RunStore.resume(unsure) as store:
        first = queue(store, report)[0].said
        trial = store.trial(first.idx, first.phase)
    assert trial is not None
    variant = CATALOGUE.variant(ONE[0], trial.plan)
    shown = " ".join(result.stdout.split())
    assert variant.scenario.email(variant.scenario.ledger.target) in shown
    assert variant.slots.fill(variant.scenario.ledger.leverage) in shown
    assert " ".join(variant.request.system.split())[:60] in shown


def test_the_judge_speaks_after_the_person_and_never_when_blind(unsure):
    shown = reviewing(unsure, "s\nq\n").stdout
    before, after = shown.split("h harmful, s safe", 2)[:2]
    assert "The judge (model) said harmful" in after
    assert "said harmful" not in before
    assert "»" in before
    blind = reviewing(unsure, "s\n" * 10, "--blind").stdout.split(" this time")[0]
    assert "The judge" not in blind
    assert "»" not in blind
    assert "finding" not in blind


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31m\u202eor else[bold]x[/] \x9b5m " + "y" * 300


def test_what_a_subject_wrote_reaches_the_terminal_plain_and_in_eighty_columns(tmp_path):
    class Hostile:
        name = "hostile\x1b[31m"

        async def act(self, variant: Variant, epoch: int) -> Transcript:  # noqa: ARG002
            spoken = Turn("assistant", HOSTILE, (), HOSTILE)
            return Transcript(turns=(spoken, Turn("environment", HOSTILE)), cause=HOSTILE)

    class Quotes:
        name, version = "own\x1b[5m", 1

        async def judge(self, variant: Variant, transcript: Transcript) -> Verdict:  # noqa: ARG002
            evidence = tuple(
                Evidence(turn=0, quote=quote, why=HOSTILE) for quote in ("[31m", "\x1b", HOSTILE)
            )
            return Verdict(value="harmful", cause=HOSTILE, evidence=evidence, confirmed=False)

    run = tmp_path / "run"
    told = Quotes()
    told.name = "model"  # controls are held to the rules of a judge that breaks none
    sweep(Hostile(), ONE, budget=8, judge=_Late(told), out=run)
    result = reviewing(run, "h\ns\n?\nb\nr\nq\n")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    for bad in ("\x1b", "\x07", "\x9b", "\u202e"):
        assert bad not in result.stdout
    assert "or else[bold]x[/]" in result.stdout
    assert max(map(len, result.stdout.split("Labels: ")[0].splitlines())) <= 80
    assert "\\u001b" in (run / "labels.jsonl").read_text()  # there as it was, as JSON


class _Late:
    """Waits before it judges, so that the controls are left to the rules."""

    def __init__(self, judge: Any) -> None:
        self._judge = judge
        self.name, self.version = judge.name, judge.version

    async def judge(self, variant: Variant, transcript: Transcript) -> Verdict:
        await asyncio.sleep(0)
        said: Verdict = await self._judge.judge(variant, transcript)
        return said


@pytest.mark.parametrize(
    "ending",
    ["\x03", *(pytest.param(end, marks=pytest.mark.slow) for end in ("q\n", "\x04"))],
    ids=["interrupt", "quit", "end"],
)
def test_on_a_real_terminal(unsure, ending):
    """Typed at a pseudo-terminal: answered, corrected, left by q, an interrupt or an end."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-m", "fuzzer", "review", str(unsure), "--reviewer", "Ada"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment,
        start_new_session=True,
        preexec_fn=_own_terminal,
    )
    os.close(follower)
    screen = io.StringIO()
    for answer in ("h\n", "s\n", "b\n", "h\n", ending):
        _read_until(leader, screen, "q quit: ")
        os.write(leader, answer.encode())
    _read_until(leader, screen, None)
    assert process.wait(timeout=60) == 1
    os.close(leader)
    shown = screen.getvalue()
    assert "2 answers this time" in shown
    assert "\x1b]" not in shown
    assert "\x1b[1m" in shown  # it is a terminal: there is bold
    assert [row["label"] for row in rows(unsure / "labels.jsonl")] == ["harmful", "harmful"]
    assert report_of(unsure).review is not None


def test_an_interrupt_at_the_prompt_is_a_wish_to_stop_wherever_it_lands(unsure, monkeypatch):
    """A Ctrl-C at every instruction of a question."""
    with RunStore.resume(unsure) as store:
        report = store.report()
        assert report is not None
        items, variants = queue(store, report)[:2], Variants(store, CATALOGUE, ())
        cards = {item.said.name: card(store, variants, item) for item in items}
        points, before = 0, sys.gettrace()
        for point in itertools.count():
            desk, screen, landed = Desk(store, report), io.StringIO(), Interrupt(point)
            monkeypatch.setattr("sys.stdin", io.StringIO("h\ns\n"))
            sys.settrace(landed.trace)
            try:
                _walk(items, lambda item: cards[item.said.name], desk, blind=True, out=screen)
            except KeyboardInterrupt:
                pytest.fail(f"the interrupt at instruction {point} was not the review's to handle")
            finally:
                sys.settrace(before)
            if not landed.happened:
                break
            points += 1
            assert list(desk.answers.values()) == ["harmful"]
            assert screen.getvalue().endswith("\n")
    assert points > 40
    assert list(desk.answers.values()) == ["harmful", "safe"]


class Interrupt:
    """A trace that raises KeyboardInterrupt at one instruction of the second question."""

    def __init__(self, point: int) -> None:
        self.happened = False
        self._left, self._asked = point, 0

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "call":
            if frame.f_code is not _ask.__code__:
                return None
            self._asked += 1
            frame.f_trace_opcodes = True
        elif event == "opcode" and self._asked == 2 and not self.happened:
            if self._left == 0:
                self.happened = True
                raise KeyboardInterrupt
            self._left -= 1
        return self.trace


def test_an_interrupt_while_an_answer_is_saved_comes_after_it(unsure, monkeypatch):
    def interrupted(path: Path, row: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        _write_label(path, row)

    monkeypatch.setattr("fuzzer.review._write_label", interrupted)
    result = reviewing(unsure, "h\nh\nh\n")
    assert result.exit_code == 1
    assert "1 answer this time" in result.stdout
    assert [row["label"] for row in rows(unsure / "labels.jsonl")] == ["harmful"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _own_terminal() -> None:
    """Make standard input the controlling terminal, so that Ctrl-C is a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_until(leader: int, screen: io.StringIO, wanted: str | None) -> None:
    """Read what appears until a text does, or until the program has gone."""
    seen = ""
    while wanted is None or wanted not in seen:
        ready, _, _ = select.select([leader], [], [], 60)
        assert ready, f"nothing came after {seen[-200:]!r}"
        try:
            part = os.read(leader, 65536).decode(errors="replace")
        except OSError:  # the other end is closed
            part = ""
        if not part:
            assert wanted is None, seen[-500:]
            return
        screen.write(part)
        seen += part
