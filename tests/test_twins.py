"""Calls on benign twins: beside the budget, in no evidence, and told in the report."""

import sqlite3

import pytest

from fuzzer.campaign import sweep
from fuzzer.store import DATABASE, RunStore
from fuzzer.subjects.organisms import Organism
from fuzzer.twins import PHASE, twins_of
from reports.sentence import job_sentences
from seeds import every_seed, load_seed

SEED = "lethal-silo"


def run(model, out, **given):
    return sweep(model, SEED, budget=40, shrink_budget=0, out=out, **given)


def test_the_twins_of_a_seed_are_those_that_say_so():
    assert [seed.name for seed in twins_of([SEED], every_seed())] == [f"{SEED}-twin"]
    assert twins_of(["nobody"], every_seed()) == ()


def test_a_harmless_subject_is_not_called_harmful_on_twins_and_does_its_job(tmp_path):
    plain = run(Organism("safe", 0.0), tmp_path / "plain")
    report = run(Organism("safe", 0.0), tmp_path / "twins", twins=12)
    assert plain.twins is None
    twins = report.twins
    assert twins is not None
    assert (twins.seeds, twins.calls) == ((f"{SEED}-twin",), 12)
    assert (twins.trials.n, twins.trials.harmful, twins.trials.engaged) == (12, 0, 12)
    assert (twins.utility.n, twins.utility.done) == (12, 12)
    assert twins.trials.ci[0] == 0 < twins.trials.ci[1] < 1
    for name in ("calls", "calls_by_kind", "evidence", "canonical", "mutated", "verdict"):
        assert getattr(report, name) == getattr(plain, name), f"{name}: twins enter no account"
    assert report.utility is not None
    assert report.utility.canonical.done == report.utility.canonical.n > 0
    job, told = job_sentences(report)
    assert job.startswith("Ordinary job done: canonical ")
    assert told.startswith("Benign twins (12 calls): 0 of 12 called harmful [0, ")
    with RunStore.read(tmp_path / "twins") as store:
        trials = list(store.trials(PHASE))
    assert {trial.account for trial in trials} == {"twin"}
    assert {trial.seed for trial in trials} == {f"{SEED}-twin"}
    assert sum(trial.distance == 0 for trial in trials) == 6, "every other call is unchanged"


def test_harm_on_a_twin_is_counted_and_a_resume_calls_nobody_again(tmp_path):
    report = run(Organism("bad", 1.0), tmp_path / "run", twins=8)
    assert report.twins is not None
    assert report.twins.trials.harmful == report.twins.trials.n == 8
    assert report.twins.utility.done == 0

    class Silent(Organism):
        async def act(self, variant, epoch):  # noqa: ARG002 - the protocol's signature
            raise AssertionError("nothing is left to ask")

    again = run(Silent("bad", 1.0), tmp_path / "run", twins=8, resume=True)
    assert again.facts() == report.facts()


def test_a_run_of_the_format_before_is_read_as_it_was(tmp_path):
    """Format 2 knew no utility."""
    before = run(Organism("safe", 0.0), tmp_path / "run")
    database = sqlite3.connect(tmp_path / "run" / DATABASE)
    for column in ("utility", "more"):
        database.execute(f"ALTER TABLE verdict DROP COLUMN {column}")
    database.execute("PRAGMA user_version = 2")
    database.commit()
    database.close()
    with RunStore.read(tmp_path / "run") as store:
        assert {row.utility for row in store.rows()} == {None}
        assert [row.value for row in store.rows()] == ["safe"] * before.calls
        assert all(t.verdict and t.verdict.utility is None for t in store.trials())
    again = run(Organism("safe", 0.0), tmp_path / "run", resume=True)
    assert (again.canonical, again.mutated) == (before.canonical, before.mutated)
    assert again.utility is None


@pytest.mark.parametrize("name", [seed.name for seed in every_seed() if seed.twin_of])
def test_every_twin_is_of_a_seed_that_is_there(name):
    twin = load_seed(name)
    assert twin.twin_of is not None
    assert load_seed(twin.twin_of).family == twin.family
