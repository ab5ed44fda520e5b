"""Judged again, a run says what it said; a later judge stands beside, and never in its place."""

import asyncio
import io
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fuzzer.campaign import sweep
from fuzzer.errors import ConfigurationError, StoreError
from fuzzer.evidence import confidence_sequence
from fuzzer.graph import Catalogue
from fuzzer.judges.rules import VERSION, RulesJudge
from fuzzer.records import Evidence, Report, Verdict
from fuzzer.rejudge import CHANGED_SHOWN, Rejudged, rejudge
from fuzzer.scenario import Scenario
from fuzzer.store import DATABASE, LOCK, RunStore
from fuzzer.subjects.organisms import Organism
from fuzzer.transcript import Transcript, Turn
from fuzzer.transform import Params, Transform, transform
from fuzzer.variant import Variant
from mutators import CATALOGUE
from mutators.values import changed
from reports.rejudged import show, text
from seeds import load_seed

ONE = (load_seed("blackmail-replacement"),)
SOME = Organism("some", 0.15)
Decide = Callable[[Variant, Transcript], Verdict]


class Own:
    """A judge of the user's own, made of a function."""

    def __init__(self, decide: Decide | None = None, name: str = "own", version: int = 2) -> None:
        self.decide = decide or (lambda *_: Verdict(value="safe"))
        self.name, self.version = name, version

    async def judge(self, variant: Variant, transcript: Transcript) -> Verdict:
        await asyncio.sleep(0)
        return self.decide(variant, transcript)


@pytest.fixture(scope="module")
def finished() -> Iterator[Path]:
    """A run that has ended, failures in it; never written to."""
    with tempfile.TemporaryDirectory() as place:
        report = sweep(SOME, ONE, budget=120, stop="budget", shrink_budget=60, out=f"{place}/run")
        assert report.verdict == "brittle"
        assert report.mutated.harmful
        yield Path(place) / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def told(run: Path) -> tuple[Report | None, bytes, list[Any], int]:
    """All that a run says of itself, and how many verdicts stand in it."""
    with RunStore.read(run) as store:
        report, trials = store.report(), [t.model_dump() for t in store.trials()]
    with sqlite3.connect(run / DATABASE) as database:
        (verdicts,) = database.execute("SELECT COUNT(*) FROM verdict").fetchone()
    database.close()
    return report, (run / "report.json").read_bytes(), trials, verdicts


def matrix(rejudged: Rejudged) -> dict[tuple[str, str], int]:
    return {(change.before, change.now): change.n for change in rejudged.changes}


def spoiled(run: Path, statement: str, *values: Any) -> int:
    with sqlite3.connect(run / DATABASE) as database:
        count = database.execute(statement, values).rowcount
    database.close()
    return count


# --------------------------------------------------------------------------------- the same judge


def test_the_same_judge_says_the_same_and_nothing_is_stored(run):
    before = told(run)
    again = rejudge(run)
    report, _, trials, _ = before
    assert report is not None
    assert told(run) == before
    assert again.judge_now == again.judge_before
    assert again.trials == again.judged == again.repeated == len(trials)
    assert (again.stored, again.differing, again.changed, again.not_stored) == (0, 0, 0, "")
    assert not again.not_judged
    assert (again.verdict, again.exit_code) == ("brittle", 1)
    # Where every trial can be judged again, both columns are the report's own rates.
    assert again.canonical.before == again.canonical.now == report.canonical
    assert again.mutated.before == again.mutated.now == report.mutated
    assert "No verdict has changed." in text(again)
    assert "the run's own judge" in text(again)


def test_the_same_judge_with_other_code_is_reported(run):
    before = told(run)
    again = rejudge(run, judge=Own(name="rules", version=VERSION))
    assert told(run) == before
    assert again.differing == again.changed == again.lowered > 0
    assert "not deterministic, or its code" in " ".join(text(again).split())


# ------------------------------------------------------------------------------------ a later one


def test_a_later_judge_stands_beside_and_the_accounts_are_kept(run):
    report, written, trials, verdicts = told(run)
    again = rejudge(run, judge=Own())
    assert report is not None
    failures = sum(trial["verdict"]["value"] == "harmful" for trial in trials)
    assert again.changed == again.lowered == failures > 0
    assert again.raised == 0
    assert matrix(again)["harmful", "safe"] == failures
    assert sum(matrix(again).values()) == again.judged == again.stored == len(trials)
    assert again.mutated.before == report.mutated
    assert (again.mutated.now.harmful, again.mutated.now.n) == (0, report.mutated.n)
    assert again.mutated.now.ci == confidence_sequence(report.mutated.n, 0, report.alpha)
    assert (again.verdict, again.exit_code) == (report.verdict, report.exit_code)
    assert told(run) == (report, written, trials, verdicts + len(trials))
    with RunStore.read(run) as store:
        found = store.verdict_by("own", 2, trials[0]["idx"])
        assert found is not None
        assert (found.value, found.judge, found.version) == ("safe", "own", 2)
        assert store.verdict_by("own", 3, trials[0]["idx"]) is None
    assert spoiled(run, "UPDATE verdict SET cause = cause WHERE enters AND judge = 'own'") == 0


def test_the_first_changed_trials_come_with_the_evidence_that_was_given_up(run):
    again = rejudge(run, judge=Own())
    assert len(again.changed_trials) == min(CHANGED_SHOWN, again.changed)
    first = again.changed_trials[0]
    assert (first.before, first.now, first.quoted_by) == ("harmful", "safe", "before")
    assert first.quote
    assert first.why
    with RunStore.read(run) as store:
        trial = store.trial(first.idx, first.phase)
    assert trial is not None
    assert (trial.seed, trial.plan.steps) == (first.seed, first.plan)


def test_asked_again_a_later_judge_is_compared_and_stored_once(run):
    first = rejudge(run, judge=Own())
    once = told(run)
    second = rejudge(run, judge=Own())
    assert told(run) == once
    assert (second.stored, second.repeated, second.differing) == (0, first.judged, 0)
    assert second.changes == first.changes
    third = rejudge(run, judge=Own(lambda *_: Verdict(value="unusable", cause="odd")))
    assert told(run) == once
    assert third.differing == third.repeated == first.judged


def test_a_failure_that_only_the_later_judge_sees_is_shown_and_enters_nothing(run):
    evidence = (Evidence(turn=0, quote="or else", why="saw a demand"),)
    before = told(run)
    again = rejudge(run, judge=Own(lambda *_: Verdict(value="harmful", evidence=evidence)))
    assert again.lowered == 0
    assert again.raised == again.changed > 0
    assert again.changed_trials[0].quoted_by == "now"
    assert told(run)[:3] == before[:3]
    shown = " ".join(text(again).split())
    assert "failures that only this judge sees" in shown
    assert "now (saw a demand): “or else”" in shown
    assert "sweep again with this judge" in shown


def test_a_verdict_is_kept_under_the_name_of_the_judge_that_was_asked(run):
    rules = RulesJudge()  # signs its verdicts "rules 1", under which they stand already
    again = rejudge(run, judge=Own(rules.decide))
    assert (again.stored, again.changed, again.repeated) == (again.trials, 0, 0)


def test_a_referral_is_unusable_content(run):
    again = rejudge(run, judge=Own(lambda *_: Verdict(value="refer")))
    assert {now for _, now in matrix(again)} == {"unusable"}
    assert again.unusable == {"referral unresolved": again.judged}
    assert again.mutated.now.n == 0
    assert again.mutated.now.unusable == again.mutated.before.n
    assert again.mutated.now.ci == (0.0, 1.0)


@pytest.mark.parametrize(
    ("broken", "cause"),
    [
        (lambda *_: 1 / 0, "the judge raised ZeroDivisionError"),
        (lambda *_: None, "the judge returned NoneType, not a Verdict"),
    ],
)
def test_a_judge_that_breaks_has_judged_nothing_and_is_asked_again(broken, cause, run):
    before = told(run)
    again = rejudge(run, judge=Own(broken))
    assert again.unusable == {cause: again.judged}
    assert again.stored == 0
    assert told(run) == before
    assert rejudge(run, judge=Own()).stored == again.judged


def test_what_makes_judging_pointless_ends_it_and_what_was_said_is_kept(run):
    asked = 0

    def expires(variant: Variant, transcript: Transcript) -> Verdict:  # noqa: ARG001
        nonlocal asked
        asked += 1
        if asked > 20:
            raise ConfigurationError("the key has expired; renew it")
        return Verdict(value="safe")

    with pytest.raises(ConfigurationError, match="expired"):
        rejudge(run, judge=Own(expires), max_connections=5)
    again = rejudge(run, judge=Own())
    assert (again.repeated, again.stored) == (20, again.judged - 20)


# -------------------------------------------------------------------------------- unfinished runs


class Expires(Organism):
    """A subject whose key expires after a number of calls."""

    calls = 0

    async def act(self, variant: Variant, epoch: int) -> Transcript:
        self.calls += 1
        if self.calls > 30:
            raise ConfigurationError("the key has expired; renew it")
        return await super().act(variant, epoch)


@pytest.mark.parametrize("judge", [None, Own()])
def test_an_unfinished_run_can_be_judged_again_and_then_resumed(judge, tmp_path):
    run, options = tmp_path / "run", {"budget": 60, "shrink_budget": 0}
    with pytest.raises(ConfigurationError, match="expired"):
        sweep(Expires("some", 0.15), ONE, out=run, **options)
    # As a kill leaves it: answered, and the verdicts not committed yet.
    lost = spoiled(run, "DELETE FROM verdict WHERE trial_id % 3 = 0")
    again = rejudge(run, judge=judge)
    assert again.trials == again.judged == 30
    assert (again.verdict, again.exit_code) == (None, 3)
    assert sum(n for (before, _), n in matrix(again).items() if before == "not judged") == lost
    assert again.stored == (30 if judge else 0)
    assert "has not ended" in text(again)
    assert "not judged" in text(again)
    report = sweep(Organism("some", 0.15), ONE, out=run, resume=True, **options)
    assert report == sweep(Organism("some", 0.15), ONE, out=tmp_path / "fresh", **options)


# --------------------------------------------------------------------- what cannot be built again


class Nothing(Params):
    """None."""


def _signed(scenario: Scenario, sign: str) -> Scenario:
    bodies = (changed(m, body=f"{m.body}\n{sign}") for m in scenario.inbox)
    return changed(scenario, inbox=tuple(bodies))


def signing(sign: str, version: int) -> Transform:
    """The transform as it may be found later."""

    @transform(family="x", relation="invariant", rung="form", changes={"inbox"}, version=version)
    def sign_off(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001
        """Sign every message."""
        if not sign:
            raise ZeroDivisionError
        return _signed(scenario, sign)

    return sign_off


sign_off = signing("Yours.", 1)
OTHERS = [CATALOGUE["rename_tools"]]


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (signing("Yours.", 2), "a transform has changed since the run"),
        (signing("", 1), "a transform has changed since the run"),
        (signing("Bye.", 1), "the same plan makes another request than in the run"),
        (None, "the transform 'sign_off' is not installed; name its plug-in"),
    ],
)
def test_a_changed_transform_is_never_judged_against_another_ledger(now, reason, tmp_path):
    run = tmp_path / "run"
    sweep(
        Organism("o", 0.0),
        ONE,
        catalogue=Catalogue([sign_off, *OTHERS], CATALOGUE.pools),
        budget=40,
        out=run,
    )
    with RunStore.read(run) as store:
        touched = sum(
            any(step.transform == "sign_off" for step in trial.plan.steps)
            for trial in store.trials()
        )
    known = [now, *OTHERS] if now else OTHERS
    again = rejudge(run, judge=Own(), catalogue=Catalogue(known, CATALOGUE.pools))
    assert again.not_judged == {reason: touched}
    assert again.judged == again.stored == again.trials - touched
    assert 0 < touched < again.trials
    assert again.mutated.before.n == again.mutated.now.n < again.trials
    assert reason in text(again)


def test_a_changed_seed_is_not_judged_and_the_right_one_given_is(tmp_path):
    seed = changed(ONE[0], name="mine", summary="One of my own.")
    run = tmp_path / "run"
    sweep(Organism("o", 0.0), [seed], budget=20, out=run)
    missing = rejudge(run)
    assert missing.judged == 0
    assert missing.not_judged == {
        "the seed 'mine' is not installed; name its file or its plug-in": 20
    }
    later = changed(seed, summary="Another.")
    assert rejudge(run, seeds=[later]).not_judged == {
        "the seed 'mine' has changed since the run": 20
    }
    assert rejudge(run, seeds=[seed]).judged == 20
    assert "Not judged again: 20" in text(missing)


# ---------------------------------------------------------------------------- where none may write


def test_a_run_that_is_being_written_is_judged_and_not_stored(run):
    before = told(run)
    with RunStore.resume(run):
        again = rejudge(run, judge=Own())
        assert "is in use by process" in again.not_stored
        assert again.stored == 0
        assert again.changed > 0
        assert rejudge(run).not_stored == ""  # the run's own judge has nothing to store
    assert told(run) == before
    shown = " ".join(text(again).split())
    assert "Nothing was stored: the run directory" in shown
    assert "--out" not in shown


def test_a_run_that_nobody_may_write_is_judged_and_not_stored(finished):
    with tempfile.TemporaryDirectory() as place:
        run = Path(shutil.copytree(finished, f"{place}/run"))
        Path(place).chmod(0o755)
        for path in (*run.iterdir(), run):
            path.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            again = rejudge(run, judge=Own())
        finally:
            if root:
                os.seteuid(0)
        assert re.search("cannot write in the run directory|may not be written", again.not_stored)
        assert (again.stored, again.judged) == (0, again.trials)
        run.chmod(0o755)
        assert not (run / LOCK).stat().st_mode & 0o222
        assert told(run)[3] == told(finished)[3]


def test_nor_is_a_database_that_may_only_be_read_touched(run, monkeypatch):
    before = told(run)
    monkeypatch.setattr(os, "access", lambda *_: False)  # to root, every file can be written
    again = rejudge(run, judge=Own())
    assert again.not_stored.endswith("run.sqlite' may not be written")
    assert told(run) == before


def test_what_is_no_run_is_one_clear_sentence(tmp_path):
    with pytest.raises(StoreError, match="does not exist"):
        rejudge(tmp_path / "none")
    with pytest.raises(ConfigurationError, match="max_connections = 0"):
        rejudge(tmp_path, max_connections=0)


# ------------------------------------------------------------------------------- on the terminal

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e\ud800[bold red]or else[/] " + "x" * 900


def test_what_a_subject_wrote_does_not_reach_the_terminal_raw(tmp_path):
    asked: list[str] = []

    class Hostile:
        name = "hostile\x1b[31m"

        async def act(self, variant: Variant, epoch: int) -> Transcript:  # noqa: ARG002
            return Transcript(turns=(Turn("assistant", HOSTILE.replace("\ud800", "")),))

    def quotes(variant: Variant, transcript: Transcript) -> Verdict:  # noqa: ARG001
        evidence = Evidence(turn=0, quote=HOSTILE, why=HOSTILE)
        value: Any = "harmful" if len(asked) % 2 else "refer"
        asked.append(value)
        return Verdict(value=value, cause=HOSTILE, evidence=(evidence,))

    sweep(Hostile(), ONE, budget=10, out=tmp_path / "run")
    again = rejudge(tmp_path / "run", judge=Own(quotes, name="own\x1b[5m"))
    assert again.changed == 10
    assert again.changed_trials[0].quote.startswith("\x1b]0;owned")
    assert len(again.changed_trials[0].quote) == 500
    for colour in (False, True):
        out = io.StringIO()
        if colour:
            out.isatty = lambda: True  # type: ignore[method-assign]
        show(again, stream=out)
        shown = out.getvalue()
        for bad in ("\x1b]", "\x1b[2J", "\x1b[5m", "\x07", "\u202e", "\ud800", "owned"):
            assert bad not in shown
        assert "[bold red]or else[/]" in shown  # nobody's markup


def test_it_fits_a_terminal_and_prints_as_json(run):
    again = rejudge(run, judge=Own())
    shown = text(again)
    assert max(map(len, shown.splitlines())) <= 80
    assert len(shown.splitlines()) < 40
    assert shown.startswith("Judged again by own 2: ")
    assert "The run's verdict stays brittle" in shown
    assert Rejudged.model_validate_json(again.model_dump_json()) == again
