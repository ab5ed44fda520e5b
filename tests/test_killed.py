"""A run dies at any moment and loses nothing: real processes, killed, interrupted, out of space."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fuzzer.errors import StoreError
from fuzzer.store import RunStore
from tests.hostile import Asked, Hostile, two_turns
from tests.loopback import KEY, Reply

SEED = "blackmail-replacement"
AT_ONCE = 8


def started(url: str, run: Path, budget: int, *more: str, **popen: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "fuzzer", "sweep", SEED, "--model", "anthropic/test-model"]
    options = ["--base-url", url, "--out", str(run), "--budget", str(budget), "--stop", "budget"]
    options += ["--shrink-budget", "0", "--max-connections", str(AT_ONCE), *more]
    return subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"ANTHROPIC_API_KEY": KEY, "NO_PROXY": "127.0.0.1"},
        **popen,
    )


def ended(running: "subprocess.Popen[str]", within: float = 120) -> tuple[int, str, str]:
    try:
        out, err = running.communicate(timeout=within)
    finally:
        running.kill()
    return running.returncode, out, err


def until(happened: Any, within: float = 60) -> None:
    """Wait for it, but not for ever."""
    limit = time.monotonic() + within
    while not happened():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.005)


def indices(run: Path) -> list[int]:
    with RunStore.read(run) as store:
        assert all(row.value for row in store.rows()), "every trial is judged"
        return [row.idx for row in store.rows()]


def facts(run: Path) -> dict[str, Any]:
    with RunStore.read(run) as store:
        report = store.report()
    assert report is not None
    return report.facts()


@pytest.mark.parametrize(
    ("budget", "kills"),
    [
        (24, 1),
        pytest.param(60, 2, marks=pytest.mark.slow),
        pytest.param(2000, 20, marks=pytest.mark.slow),
    ],
)
def test_killed_at_random_moments_every_trial_is_stored_once_and_paid_for_once(
    budget, kills, tmp_path
):
    run, moments = tmp_path / "run", random.Random(3)
    in_flight = 0
    with Hostile(lambda asked: Reply(two_turns(asked).body, delay=0.01)) as server:
        for kill in range(kills):
            before = server.answered()
            share = 2 * budget // (kills + 1)
            running = started(server.url, run, budget, *(["--resume"] if kill else []))
            wanted = before + moments.randrange(1, share)
            until(lambda n=wanted, p=running: server.answered() >= n or p.poll() is not None)
            time.sleep(moments.random() * 0.02)
            running.send_signal(signal.SIGKILL)
            ended(running)
            in_flight += AT_ONCE
        code, _, err = ended(started(server.url, run, budget, "--resume"))
        assert code in (0, 3), err
        assert "Traceback" not in err
        repeated = len(server.asked) - 2 * budget
    assert indices(run) == list(range(budget))
    assert 0 <= repeated <= in_flight, "only what was in flight at a kill is asked again"


@pytest.mark.parametrize(
    ("number", "budget"),
    [
        (signal.SIGINT, 30),
        pytest.param(signal.SIGINT, 60, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 60, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_run_cleanly_within_two_seconds(number, budget, tmp_path):
    answered = 2 * budget // 3  # of two requests a trial: then it stalls
    run, stuck = tmp_path / "run", [True]

    def script(asked: Asked) -> Reply:
        late = stuck[0] and asked.number >= answered
        return Reply(two_turns(asked).body, delay=30 if late else 0)

    with Hostile(script) as server:
        running = started(server.url, run, budget)
        until(lambda: len(server.asked) > answered + 1)
        began = time.monotonic()
        running.send_signal(number)
        code, out, err = ended(running)
        took = time.monotonic() - began
        assert code == 130
        assert "Traceback" not in err
        assert "it was interrupted" in out
        assert took < 2
        partial = json.loads((run / "report.json").read_text())
        assert (partial["stopped"], partial["verdict"]) == ("interrupted", "inconclusive")
        assert 0 < partial["calls"] < answered
        assert (run / "report.html").exists()

        stuck[0] = False
        code, _, err = ended(started(server.url, run, budget, "--resume"))
        assert code == 3, err
        ended(started(server.url, tmp_path / "whole", budget))
    assert indices(run) == list(range(budget))
    assert facts(run) == facts(tmp_path / "whole")


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_later(tmp_path):
    run = tmp_path / "run"

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    with Hostile() as server:
        code, out, err = ended(started(server.url, run, 300, preexec_fn=small))
        assert (code, out) == (2, "")
        assert "Traceback" not in err
        (sentence,) = [said for said in err.splitlines() if said.startswith("Error: ")]
        assert "run.sqlite" in sentence
        assert "--resume" in sentence
        with RunStore.read(run) as store:
            assert store.count_from(0) > 0
            assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        code, _, err = ended(started(server.url, run, 300, "--resume"))
    assert code == 3, err
    assert indices(run) == list(range(300))


def test_the_key_is_in_nothing_a_run_writes_even_when_it_is_echoed(tmp_path):
    run = tmp_path / "run"
    echoed = json.dumps(f"{KEY} \x1b[31m").encode()

    def script(asked: Asked) -> Reply:
        body = json.dumps(two_turns(asked).body).encode()
        return Reply(body.replace(b'"First a look."', echoed).replace(b"look_around", KEY.encode()))

    with Hostile(script) as server:
        code, out, err = ended(started(server.url, run, 12))
    assert code == 3, err
    with RunStore.read(run) as store:
        trial = store.trial(0)
    assert trial is not None
    assert "(key)" in trial.transcript.turns[0].text, "it was echoed"
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in data for data in [*written, out.encode(), err.encode()])
    assert "\x1b" not in out + err


def test_a_crash_that_quotes_the_key_shows_none(tmp_path):
    model = tmp_path / "mine.py"
    model.write_text(
        "import os\n"
        "class Mine:\n"
        "    name = 'mine'\n"
        "    async def act(self, variant, epoch):\n"
        "        raise RuntimeError(os.environ['ANTHROPIC_API_KEY'])\n"
    )
    command = [sys.executable, "-m", "fuzzer", "sweep", SEED, "--model", f"{model}:Mine"]
    done = subprocess.run(
        [*command, "--budget", "60", "--out", str(tmp_path / "run")],
        capture_output=True,
        env=os.environ | {"ANTHROPIC_API_KEY": KEY},
        check=False,
    )
    assert done.returncode == 4
    written = [path.read_bytes() for path in (tmp_path / "run").iterdir()]
    assert not any(KEY.encode() in data for data in [*written, done.stdout, done.stderr])


def test_without_pages_left_the_store_says_so_and_stays_whole(tmp_path):
    with RunStore.create(tmp_path / "run", {"model": "m"}) as store:
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(StoreError, match=r"no space left for .*--resume: nothing is lost"):
            store.put("large", "x" * 100_000)
        store._db.execute("PRAGMA max_page_count = 100000")
        assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        store.put("small", 1)


@pytest.mark.slow
def test_a_run_in_use_refuses_a_second_sweep_and_lets_itself_be_read(tmp_path):
    """The server stalls until everything has been looked at, so that no machine is too slow."""
    run, open_gate = tmp_path / "run", [40]

    def script(asked: Asked) -> Reply:
        return Reply(two_turns(asked).body, delay=0 if asked.number < open_gate[0] else 30)

    def read() -> list[int]:
        with RunStore.read(run) as store:
            return [row.idx for row in store.rows()]

    with Hostile(script) as server:
        running = started(server.url, run, 60)
        until(lambda: len(server.asked) > 40)
        before = read()
        assert before
        code, out, err = ended(started(server.url, run, 60, "--resume"))
        assert (code, out) == (2, "")
        (sentence,) = [line for line in err.splitlines() if line.startswith("Error: ")]
        assert "in use" in sentence
        assert len(server.asked) <= 40 + AT_ONCE, "the second asked for nothing"
        assert running.poll() is None
        assert set(before) <= set(read())
        running.send_signal(signal.SIGINT)
        assert ended(running)[0] == 130
        open_gate[0] = 10_000
        code, _, err = ended(started(server.url, run, 60, "--resume"))
        assert code == 3, err
    assert indices(run) == list(range(60))
