"""A run on disk loses no answer, repeats none, and says clearly what is wrong."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.errors import StoreError
from fuzzer.records import Evidence, Report, Trial, Verdict
from fuzzer.secrets import without_credentials
from fuzzer.store import DATABASE, RunStore
from fuzzer.stored import dump_plan, load_plan
from fuzzer.transcript import Action, Call, Transcript, Turn, Usage
from fuzzer.transform import Plan, Step

CLAIM = {"model": "organism/test", "rules": {"threshold": 0.01, "alpha": 0.05}, "seeds": ["a"]}
PLAN = Plan(seed="a", steps=(Step(transform="rename", params={"draw": 3}),), drop=("inbox:x",))
VERDICT = Verdict(
    value="harmful",
    evidence=(Evidence(turn=0, quote="or else", why="a demand"),),
    judge="rules",
    version=2,
)


def trial(idx: int, **changes: Any) -> Trial:
    given: dict[str, Any] = {
        "idx": idx,
        "variant_id": f"{idx % 7:024x}",
        "seed": "a",
        "plan": PLAN,
        "stratum": "half",
        "account": "explore",
        "epoch": idx // 7,
        "distance": 1,
        "transcript": Transcript(turns=(Turn("assistant", f"answer {idx}"),), usage=Usage(3, 4)),
    }
    return Trial(**(given | changes))


# ------------------------------------------------------------------------------------- round trip

text = st.text(st.characters(codec=None, categories=None), max_size=30)
plain_text = st.text(max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_text, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
inputs = st.dictionaries(plain_text, values, max_size=3)
# A plan's parameters come from pools, which are JSON already.
parameters = st.dictionaries(
    plain_text, plain_text | st.booleans() | st.integers(-(2**63), 2**63 - 1), max_size=3
)
calls = st.builds(Call, name=text, input=inputs, id=plain_text)
turns = st.builds(
    Turn,
    role=st.sampled_from(["assistant", "environment"]),
    text=text,
    calls=st.lists(calls, max_size=2).map(tuple),
    reasoning=text,
)
actions = st.builds(
    Action,
    role=plain_text,
    args=inputs,
    raw_name=text,
    span=st.tuples(*[st.integers(-1, 99)] * 3),
    error=text,
)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    return Transcript.model_construct(
        turns=tuple(draw(st.lists(turns, max_size=3))),
        actions=tuple(draw(st.lists(actions, max_size=2))),
        stop=draw(st.sampled_from(["end", "declined", "max_tokens", "max_turns", "error"])),
        cause=draw(plain_text),
        usage=Usage(draw(st.integers(0, 10**9)), 1),
    )


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    evidence = st.builds(Evidence, turn=st.integers(0, 9), quote=plain_text, why=plain_text)
    return Verdict(
        value=draw(st.sampled_from(["harmful", "safe", "unusable"])),
        evidence=tuple(draw(st.lists(evidence, max_size=2))),
        engaged=draw(st.booleans()),
        judge=draw(plain_text),
        version=draw(st.integers(0, 99)),
        cause=draw(plain_text),
        confirmed=draw(st.booleans()),
    )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(transcripts(), st.none() | verdicts(), parameters), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_what_is_stored_reads_back_equal_in_index_order(rows, chance):
    expected = []
    for idx, (transcript, verdict, params) in enumerate(rows):
        plan = Plan(seed="a", steps=(Step(transform="t", params=params),))
        state = "answered" if verdict is None else "done"
        given = trial(idx, transcript=transcript, plan=plan, variant_id=str(idx))
        expected.append(given.model_copy(update={"verdict": verdict, "state": state}))
    with tempfile.TemporaryDirectory() as directory:
        with RunStore.create(directory, CLAIM) as store:
            for one in chance.sample(expected, len(expected)):
                store.save_transcript(one.model_copy(update={"verdict": None, "state": "answered"}))
                if one.verdict is not None:
                    store.save_verdict(one.idx, one.verdict)
            assert list(store.trials()) == expected
        with RunStore.read(directory) as store:
            assert list(store.trials("sweep")) == expected
            assert [store.trial(idx) for idx in range(len(rows))] == expected
            found = [(o.idx, o.value) for o in store.outcomes()]
            assert found == [(o.idx, o.verdict and o.verdict.value) for o in expected]


def test_text_that_no_database_likes_comes_back_as_it_was(tmp_path):
    words = "nul \x00, half \ud800 a surrogate, 'quotes\" and \x1b[31m"
    said = Transcript.model_construct(
        turns=(Turn("assistant", words, (Call("c", {"k": words, "n": 10**30}),)),),
        actions=(Action("send_message", {"body": words}, "c", (0, 1, 2)),),
        stop="end",
        cause="",
        usage=Usage(),
    )
    with RunStore.create(tmp_path, CLAIM) as store:
        store.save_transcript(trial(0, transcript=said))
        found = store.trial(0)
        assert found is not None
        assert found.transcript == said


def test_nesting_beyond_reason_is_cut_off_not_fatal(tmp_path):
    deep: Any = "bottom"
    for _ in range(900):
        deep = [deep]
    said = Transcript(turns=(Turn("assistant", "x", (Call("c", {"deep": deep}),)),))
    with RunStore.create(tmp_path, CLAIM) as store:
        store.save_transcript(trial(0, transcript=said))
        found = store.trial(0)
        assert found is not None
        assert "nested too deeply" in json.dumps(found.transcript.turns[0].calls[0].input)


def test_phases_have_their_own_indices_and_the_sweep_comes_first(tmp_path):
    with RunStore.create(tmp_path, CLAIM) as store:
        store.save_transcripts(
            [
                (trial(1), "h"),
                (trial(0, phase="shrink:f1", stratum="shrink"), "h"),
                (trial(0), "h"),
            ]
        )
        store.save_verdict(0, VERDICT, phase="shrink:f1")
        assert [(t.phase, t.idx) for t in store.trials()] == [
            ("sweep", 0),
            ("sweep", 1),
            ("shrink:f1", 0),
        ]
        assert store.phases() == ("shrink:f1", "sweep")
        assert store.counts() == {"answered": 2}
        assert store.counts("shrink:f1") == {"harmful": 1}
        assert store.trial(7) is None


def test_a_later_judge_stands_beside_the_accounts(tmp_path):
    with RunStore.create(tmp_path, CLAIM) as store:
        store.save_transcript(trial(0))
        store.save_verdict(0, VERDICT)
        store.save_verdict(0, Verdict(value="safe", judge="other"), enters=False, now=True)
        assert [o.value for o in store.outcomes()] == ["harmful"]
        assert len(list(store.trials())) == 1


def test_trials_after_the_stop_are_marked(tmp_path):
    with RunStore.create(tmp_path, CLAIM) as store:
        for idx in range(4):
            store.save_transcript(trial(idx))
            store.save_verdict(idx, VERDICT)
        store.mark_after_stop(1)
        assert [t.state for t in store.trials()] == ["done", "done", "after_stop", "after_stop"]


def test_an_index_is_stored_once(tmp_path):
    with RunStore.create(tmp_path, CLAIM) as store:
        store.save_transcript(trial(3))
        with pytest.raises(ValueError, match="stored already"):
            store.save_transcripts([(trial(4), ""), (trial(3), "")])
        assert store.trial(4) is None  # a commit is whole or nothing
        store.save_verdict(9, VERDICT)
        with pytest.raises(ValueError, match="not stored"):
            store.flush()
        store._verdicts.clear()


def test_report_pools_and_notes_of_a_run_are_kept(tmp_path):
    report = Report(verdict="holds", model="m", seeds=("a",))
    with RunStore.create(tmp_path, CLAIM, {"rename": [{"draw": 1}]}) as store:
        store.put("calls", 3)
        store.put("calls", 4)
        assert store.report() is None
        store.finish(report)
        with pytest.raises(ValueError, match="fixed"):
            store.put("claim", {})
    with RunStore.read(tmp_path) as store:
        assert store.report() == report
        assert store.pools() == {"rename": [{"draw": 1}]}
        assert (store.get("calls"), store.get("nothing"), store.claim) == (4, None, CLAIM)


def test_credentials_are_never_stored(tmp_path):
    claim = CLAIM | {"settings": {"API_KEY": "sk-secret-1", "max_tokens": 5, "list": [{}]}}
    with RunStore.create(tmp_path, claim) as store:
        store.put("more", {"auth_token": "sk-secret-2"})
    with RunStore.resume(tmp_path, claim) as store:
        assert store.claim["settings"]["max_tokens"] == 5
    assert b"sk-secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert without_credentials((1, {"a": 2})) == [1, {"a": 2}]


looks = st.text('}],["\\a', max_size=9)
layout = st.recursive(
    looks | st.sampled_from(('}],["', '",[["', "}]],", "\ud800", 2**60, 1, 1.0, True, None)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(looks, inner, max_size=2),
    max_leaves=4,
)


@given(
    looks,
    st.lists(
        st.builds(Step, transform=looks, params=st.dictionaries(looks, layout, max_size=2)),
        max_size=4,
    ),
    st.lists(looks, max_size=2),
)
@settings(max_examples=100)
def test_a_plan_whose_texts_look_like_the_layout_it_is_stored_in_comes_back(seed, steps, drop):
    plan = Plan(seed=seed, steps=tuple(steps), drop=tuple(drop))
    assert repr(load_plan(dump_plan(plan))) == repr(plan)  # 1, 1.0 and True are three things


# ------------------------------------------------------------------------------------------- kill

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path.cwd() / "tests"))
from fuzzer.store import RunStore
from fuzzer.records import Trial, Verdict
from fuzzer.transcript import Transcript, Turn
from fuzzer.transform import Plan

directory, claim = sys.argv[1], {"model": "m"}
store = RunStore.resume(directory, claim)
for outcome in store.outcomes():
    if outcome.value is None:
        store.save_verdict(outcome.idx, Verdict(value="safe"))
start = sum(store.counts().values())
print("ready", flush=True)
for idx in range(start, start + 100_000):
    store.save_transcript(Trial(
        idx=idx, variant_id=str(idx), seed="a", plan=Plan(seed="a"), stratum="half",
        account="explore", epoch=0, distance=1,
        transcript=Transcript(turns=(Turn("assistant", f"answer {idx} " * 50),)),
    ))
    sys.stdout.write(f"{idx}\\n")
    sys.stdout.flush()
    store.save_verdict(idx, Verdict(value="safe"))
"""


def test_a_kill_at_any_moment_loses_no_answer_and_repeats_none(tmp_path):
    chance = random.Random(5)
    RunStore.create(tmp_path, {"model": "m"}).close()
    written = 0
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        heard = [int(row) for row in process.stdout.read().splitlines(keepends=True)
                 if row.endswith("\n")]  # fmt: skip
        process.stdout.close()
        process.wait()
        assert heard == list(range(written, written + len(heard)))
        with RunStore.resume(tmp_path, {"model": "m"}) as store:  # the lock died with its process
            stored = list(store.trials())
            assert [t.idx for t in stored] == list(range(len(stored)))
            assert written + len(heard) <= len(stored) <= written + len(heard) + 1
            assert all(f"answer {t.idx} " in t.transcript.turns[0].text for t in stored)
            unjudged = [t.idx for t in stored if t.verdict is None]
            assert unjudged == list(range(len(stored) - len(unjudged), len(stored)))
            assert len(unjudged) <= 65
            written = len(stored)
    assert written > 0


# -------------------------------------------------------------------------------------------- lock


def test_a_second_writer_is_refused_and_readers_are_not(tmp_path):
    with RunStore.create(tmp_path, CLAIM) as store:
        store.save_transcript(trial(0))
        with pytest.raises(StoreError, match=rf"{tmp_path}.*in use by process {os.getpid()}"):
            RunStore.resume(tmp_path, CLAIM)
        with pytest.raises(StoreError, match="in use"):
            RunStore.create(tmp_path, CLAIM)
        code = (
            "import sys; from fuzzer.store import RunStore; from fuzzer.errors import StoreError\n"
            "with RunStore.read(sys.argv[1]) as s: print(len(list(s.trials())))\n"
            "try: RunStore.resume(sys.argv[1])\n"
            "except StoreError as e: print(e)"
        )
        run = [sys.executable, "-c", code, str(tmp_path)]
        seen = subprocess.run(run, check=True, capture_output=True, text=True).stdout.splitlines()
        assert seen[0] == "1"
        assert "is in use by process" in seen[1]
        assert len(seen) == 2
        with RunStore.read(tmp_path) as reader:
            store.save_transcript(trial(1))
            assert [t.idx for t in reader.trials()] == [0, 1]
            with pytest.raises(StoreError, match="cannot write"):
                reader.save_transcript(trial(2))
    with RunStore.resume(tmp_path, CLAIM) as store:
        assert store.counts() == {"answered": 2}


# ------------------------------------------------------------------------------------------ errors


def one_sentence(error: pytest.ExceptionInfo[StoreError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


def test_a_changed_claim_names_the_first_difference_with_both_values(tmp_path):
    RunStore.create(tmp_path, CLAIM).close()
    RunStore.resume(tmp_path).close()
    for change, said in (
        ({"rules": {"threshold": 0.05, "alpha": 0.01}}, "rules.alpha = 0.05, not 0.01"),
        ({"rules": {"threshold": 0.01}}, "rules.alpha = 0.05, not nothing"),
        ({"seeds": ["a", "b"]}, 'seeds = ["a"], not ["a","b"]'),
        ({"zeal": 1}, "zeal = nothing, not 1"),
        ({"seeds": ["s" * 999]}, "ss… ("),
    ):
        with pytest.raises(StoreError) as error:
            RunStore.resume(tmp_path, CLAIM | change)
        assert said in one_sentence(error)
        assert "starts a new claim: use another --out" in str(error.value)
    with RunStore.resume(tmp_path, CLAIM | {"seeds": ("a",)}) as store:  # as JSON they are equal
        assert store.claim == CLAIM


def test_a_directory_that_holds_a_run_is_not_started_again(tmp_path):
    RunStore.create(tmp_path, CLAIM).close()
    with pytest.raises(StoreError, match="already holds a run; add --resume"):
        RunStore.create(tmp_path, CLAIM)


def corrupt(path: Path) -> None:
    path.write_bytes(b"this is no database at all, but it is long enough to be read as one" * 99)


def truncated(path: Path) -> None:
    with RunStore.create(path.parent, CLAIM) as store:
        for idx in range(50):
            store.save_transcript(trial(idx))
    path.write_bytes(path.read_bytes()[:8192])


def foreign(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE music (title)")
    database.close()


def newer(path: Path) -> None:
    RunStore.create(path.parent, CLAIM).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (corrupt, "corrupt or no database"),
        (truncated, "corrupt or no database"),
        (foreign, "was not written by Holdfast"),
        (newer, "run format 99"),
        (empty, "holds no claim yet"),
        (directory, "is a directory"),
    ],
)
def test_what_is_no_run_is_one_clear_sentence(tmp_path, damage, said):
    damage(tmp_path / DATABASE)
    for attempt in (RunStore.resume, RunStore.read):
        with pytest.raises(StoreError) as error, attempt(tmp_path) as store:
            list(store.trials())
        assert said in one_sentence(error)
        assert str(tmp_path) in str(error.value)


def test_a_run_that_died_before_its_claim_can_be_started_again(tmp_path):
    (tmp_path / DATABASE).write_bytes(b"")
    RunStore.create(tmp_path, CLAIM).close()


@pytest.mark.parametrize("damage", [corrupt, foreign, directory])
def test_nothing_of_others_is_overwritten(tmp_path, damage):
    damage(tmp_path / DATABASE)
    before = (tmp_path / DATABASE).is_dir() or (tmp_path / DATABASE).read_bytes()
    with pytest.raises(StoreError) as error:
        RunStore.create(tmp_path, CLAIM)
    one_sentence(error)
    assert before == ((tmp_path / DATABASE).is_dir() or (tmp_path / DATABASE).read_bytes())


def test_a_missing_directory_and_a_place_that_cannot_be_one(tmp_path):
    for attempt in (RunStore.resume, RunStore.read):
        with pytest.raises(StoreError, match="does not exist; name the directory"):
            attempt(tmp_path / "none")
        with pytest.raises(StoreError, match="holds no run"):
            attempt(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write in the run directory .* choose another"):
        RunStore.create(tmp_path / "file" / "run", CLAIM)
    assert not (tmp_path / "none").exists()


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Root may write everywhere: be somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_directory_without_permission(tmp_path):
    tmp_path.chmod(0o555)
    with nobody(), pytest.raises(StoreError) as error:
        RunStore.create(tmp_path / "run", CLAIM)
    tmp_path.chmod(0o755)
    assert "Permission denied" in one_sentence(error)
    assert not (tmp_path / "run").exists()


def test_a_run_can_be_read_where_nobody_may_write():
    with tempfile.TemporaryDirectory() as place:
        path = Path(place)
        RunStore.create(path, CLAIM).close()
        path.chmod(0o555)
        for name in path.iterdir():
            name.chmod(0o444)
        with nobody():
            with RunStore.read(path) as store:
                assert store.claim == CLAIM
            with pytest.raises(StoreError, match="cannot write"):
                RunStore.resume(path, CLAIM)
        path.chmod(0o755)


def test_a_full_disk_is_one_clear_sentence_and_loses_nothing_stored(tmp_path):
    store = RunStore.create(tmp_path, CLAIM)
    store.save_transcript(trial(0))
    store._db.execute("PRAGMA max_page_count = 12")
    big = Transcript(turns=(Turn("assistant", "x" * 100_000),))
    with pytest.raises(StoreError) as error:
        store.save_transcript(trial(1, transcript=big))
    assert "no space left" in one_sentence(error)
    assert "continue with --resume" in str(error.value)
    store.close()
    with RunStore.resume(tmp_path, CLAIM) as again:
        assert [t.idx for t in again.trials()] == [0]
        again.save_transcript(trial(1, transcript=big))


def test_a_damaged_transcript_is_named(tmp_path):
    with RunStore.create(tmp_path, CLAIM) as store:
        store.save_transcript(trial(0))
        store._db.execute("""UPDATE trial SET transcript = '{"turns": [{}]}'""")
        with pytest.raises(StoreError, match=r"trial 0 in .* cannot be read"):
            store.trial(0)


def test_a_path_with_odd_characters_can_be_read(tmp_path):
    odd = tmp_path / "a ?b#c%20 é"
    RunStore.create(odd, CLAIM).close()
    with RunStore.read(odd) as store:
        assert store.claim == CLAIM
