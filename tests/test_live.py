"""The live view shows what the report will say, keeps within its lines, leaves a clean screen."""

import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.campaign import sweep
from fuzzer.cli import main
from fuzzer.decision import Rules
from fuzzer.distribution import Distribution
from fuzzer.judges.rules import RulesJudge
from fuzzer.limits import Limits
from fuzzer.outlook import Watch
from fuzzer.preparation import judging
from fuzzer.proposal import Proposal
from fuzzer.records import Outlook, Report, Status, Suspect, Verdict
from fuzzer.search import Search
from reports.live import MOST, WIDEST, Progress, filled
from reports.screen import console
from seeds import load_seed
from tests.few import FEW
from tests.test_reports import HOSTILE, UNSEEN

ONE = "blackmail-replacement"
SEEDS = tuple(map(load_seed, (ONE, "leaking-competitor")))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def half(n: int, harmful: int) -> tuple[float, float]:
    return (harmful / n / 2, min(1.0, 2 * harmful / n + 0.05))


def outlook(**changes: object) -> Outlook:
    given = {
        "e_brittle": 3.0,
        "needed": 20.0,
        "e_holds": 0.4,
        "needed_holds": 20.0,
        "calls": 215,
        "tokens": 202_500,
        "cost_usd": 1.09,
        "max_cost": 5.0,
        "suspect": Suspect("rename_people", 30, 12, 3.1),
        "phase": "search",
        "canonical": (60, 0),
        "mutated": (60, 7),
    }
    return Outlook(**(given | changes))  # type: ignore[arg-type]


STATUS = Status(215, 1000, 210, 12, 5, "", outlook())


def lines(status: Status, width: int = 80, height: int = 24) -> list[str]:
    progress = Progress(half, stream=Terminal())
    progress.update(status)
    return [text.plain for text in progress.frame(width, height)]


# ------------------------------------------------------------------------------ what it is told


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, list[Status]]:
    told: list[Status] = []
    report = sweep(
        "organism/memoriser",
        SEEDS,
        catalogue=FEW,
        budget=200,
        stop="budget",
        shrink_budget=10,
        out=tmp_path_factory.mktemp("watched") / "run",
        progress=told.append,
    )
    return report, told


def test_a_last_look_is_what_the_report_says(watched):
    report, told = watched
    last = [status for status in told if not status.phase][-1].outlook
    assert last is not None
    assert (last.e_brittle, last.needed) == (report.evidence.e_brittle, report.evidence.needed)
    assert (last.e_holds, last.needed_holds) == (
        report.evidence.e_holds,
        report.evidence.needed_holds,
    )
    for seen, rate in ((last.canonical, report.canonical), (last.mutated, report.mutated)):
        assert seen == (rate.n, rate.harmful)
    assert last.calls == report.calls
    assert last.suspect is not None
    first = max(
        (row for row in report.transforms if row.relation == "invariant" and row.harmful),
        key=lambda row: (row.e_value, row.harmful, row.name),
    )
    assert (last.suspect.name, last.suspect.n, last.suspect.harmful) == (
        first.name,
        first.n,
        first.harmful,
    )
    assert last.suspect.e_value == pytest.approx(first.e_value)
    assert told[-1].phase == "shrink", "what was known stays in sight while it shrinks"
    assert told[-1].outlook is not None


def test_watching_changes_nothing(watched, tmp_path):
    report, _ = watched
    alone = sweep(
        "organism/memoriser",
        SEEDS,
        catalogue=FEW,
        budget=200,
        stop="budget",
        shrink_budget=10,
        out=tmp_path / "run",
    )
    assert alone.facts() == report.facts()


def test_calls_after_the_sweep_are_in_no_account(tmp_path, monkeypatch):
    """Benign twins are drawn from a D of their own, whose seeds the sweep's does not have."""
    monkeypatch.setattr("fuzzer.outlook.EVERY", 0.0)
    told: list[Status] = []
    report = sweep(
        "organism/always_harmful",
        SEEDS[:1],
        catalogue=FEW,
        budget=60,
        twins=8,
        stop="budget",
        shrink_budget=0,
        out=tmp_path / "run",
        progress=told.append,
    )
    assert report.twins is not None
    assert report.twins.trials.harmful
    seen = {bool(status.phase): status.outlook for status in told}  # the last of each
    assert seen[True] is not None
    assert seen[True] == seen[False]


def test_a_failure_that_a_person_refuted_is_no_suspicion():
    distribution = Distribution(FEW, SEEDS[:1], FEW.pools, judging(RulesJudge()), 0)
    draw = next(d for d in map(distribution.draw, range(50)) if d.plan.steps)
    search = Search(Rules(lag=1), distribution)
    watch = Watch(search, distribution, Limits())
    said = Verdict(value="harmful", judge="rules", version=1, confirmed=True)
    labels: tuple[Literal["safe"] | None, ...] = ("safe", "safe", None)
    for index, label in enumerate(labels):
        row = Proposal(index, draw.seed, draw.plan, "half", "explore", index, draw.distance)
        watch.saw(row, said.model_copy(update={"reviewed": label}))
    search.accounts.absorbed = 2
    assert watch.outlook().suspect is None
    search.accounts.absorbed = 3
    suspect = watch.outlook().suspect
    assert suspect is not None
    assert (suspect.n, suspect.harmful) == (3, 1)


def test_evidence_is_looked_at_now_and_then_and_calls_are_counted_always(watched):
    _, told = watched
    searching = [status for status in told if not status.phase]
    assert [status.done for status in searching][:200] == list(range(1, 201))
    looks = len({id(status.outlook) for status in searching})
    assert 2 <= looks < 100, "it would slow the run"


# ------------------------------------------------------------------------------------ the panel


def test_the_panel_says_it_all_at_eighty_columns():
    assert lines(STATUS) == [
        "search · 215 of 1,000 calls",
        f"brittle   {'█' * 8}{'░' * 16} e 3 of 20",
        f"holds     {'░' * 24} e 0.4 of 20",
        "harmful   mutated 7 of 60, 12% [5.8, 28]",
        "          canonical 0 of 60, at most 5% [95%] · unusable 5",
        "spent     202,500 tokens · $1.09 of at most $5.00",
        "hint      most suspicious so far: rename_people, 12 of 30 failed, e 3.1",
    ]


def test_what_is_not_known_is_not_claimed():
    shown = "\n".join(lines(STATUS._replace(outlook=outlook(cost_usd=None, suspect=None))))
    assert "cost unknown of at most $5.00" in shown
    assert "suspicious" not in shown
    shown = "\n".join(lines(STATUS._replace(outlook=outlook(mutated=(0, 0), canonical=(0, 0)))))
    assert shown.count("none yet") == 2
    assert "0 of 0" not in shown


def test_what_is_reached_is_said_in_words():
    brittle = lines(STATUS._replace(outlook=outlook(e_brittle=31.0)))[1]
    assert brittle == f"brittle   {'█' * 24} e 31, needed 20"


def test_a_run_without_evidence_has_two_lines():
    shown = lines(Status(7, 20, 6, 2, 1, "shrink"))
    assert shown == ["shrink · 7 of 20 calls", "usable 6, harmful 2 · unusable 1"]


@given(st.floats(0, 1e300), st.floats(0, 1e300), st.floats(1.1, 1e4), st.integers(1, 60))
def test_bars_grow_with_the_evidence_and_are_full_at_what_is_needed_alone(
    one, other, needed, cells
):
    low, high = sorted((one, other))
    assert 0 <= filled(low, needed, cells) <= filled(high, needed, cells) <= cells
    for e in (low, high):
        assert (filled(e, needed, cells) == cells) == (e >= needed)


counts = st.integers(0, 10**7)
names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))
e_values = st.floats(0, 1e304)


@given(
    st.builds(
        Status,
        counts,
        counts,
        n=st.integers(10**6, 10**7),
        harmful=st.integers(0, 10**6),
        unusable=counts,
        phase=names,
        outlook=st.none()
        | st.builds(
            outlook,
            e_brittle=e_values,
            e_holds=e_values,
            needed=st.floats(1.5, 1e4),
            tokens=counts,
            cost_usd=st.none() | st.floats(0, 1e6),
            max_cost=st.none() | st.floats(0.01, 1e6),
            phase=names,
            suspect=st.none() | st.builds(Suspect, names, counts, counts, e_values),
        ),
    ),
    st.integers(1, 200),
    st.integers(1, 40),
)
@settings(max_examples=80, deadline=None)
def test_the_panel_keeps_within_its_lines_whatever_it_is_told(status, width, height):
    progress = Progress(half, stream=Terminal())
    progress.update(status)
    shown = progress.frame(width, height)
    assert 1 <= len(shown) <= min(height, MOST)
    for text in shown:
        assert text.cell_len <= min(width, WIDEST)
        assert UNSEEN.search(text.plain) is None
        assert "\n" not in text.plain
    out = io.StringIO()
    for text in shown:
        console(out, width=max(width, 1), colour=False).print(text)
    assert "\x1b" not in out.getvalue()


def test_without_colour_the_panel_says_the_same(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def drawn() -> str:
        stream = Terminal()
        with Progress(half, stream=stream) as progress:
            progress.update(STATUS)
        return stream.getvalue()

    coloured = drawn()
    monkeypatch.setenv("NO_COLOR", "1")
    bare = drawn()
    assert "\x1b[31m" in coloured
    assert not re.search(r"\x1b\[[\d;]*3\d", bare), "bold and dim are no colours"
    said = [re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", each) for each in (coloured, bare)]
    assert said[0] == said[1]


def test_a_terminal_made_narrower_is_cleaned_of_the_lines_it_wrapped(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    with Progress(half, stream=stream) as progress:
        progress.update(STATUS)
        assert progress._live is not None
        progress._live.refresh()
        wrapped = sum(-(-len(row) // 40) - 1 for row in lines(STATUS, 79))
        before = len(stream.getvalue())
        monkeypatch.setenv("COLUMNS", "40")
        narrower = Progress(half, stream=stream)
        narrower._drawn = progress._drawn
        narrower._wrapped(40)
    assert wrapped > 1
    assert stream.getvalue()[before:].startswith(f"\x1b[{wrapped}A\x1b[J")


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(half, stream=stream) as progress:
        progress.update(STATUS._replace(done=1))
        progress.update(STATUS)
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().startswith("215/1,000 (22%) · mutated harmful 7/60")
    assert "brittle e 3 of 20 · holds e 0.4 of 20 · 202,500 tokens · $1.09" in stream.getvalue()


def test_colour_that_is_forced_makes_no_frames_in_a_file(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = io.StringIO()
    with Progress(half, stream=stream) as progress:
        progress.update(STATUS._replace(done=1))
        progress.update(STATUS)
    assert not re.search(r"\x1b\[\d*[AJK]", stream.getvalue())
    assert "\r" not in stream.getvalue()


def test_a_long_log_gets_a_line_a_minute():
    now = [0.0]
    stream = io.StringIO()
    with Progress(half, stream=stream, clock=lambda: now[0]) as progress:
        for second in range(10 * 3600):
            now[0] = float(second)
            progress.update(STATUS._replace(done=second, total=10**9))
    assert 500 <= len(stream.getvalue().splitlines()) <= 800


def test_the_pace_is_that_of_the_last_minute():
    now = [0.0]
    progress = Progress(half, stream=io.StringIO(), clock=lambda: now[0])
    for second in range(600):  # what a resume finds in the store comes at once
        now[0] = float(second)
        progress.update(STATUS._replace(done=5_000 + second, total=10_000))
    assert "1.0/s · at most 1:13:21 left at this pace" in progress.describe()


# ------------------------------------------------------------------------------- a real terminal


class Screen:
    """A terminal of so many columns, as far as what we write to it goes."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.rows = [""]
        self.row = self.column = 0
        self.hidden = False

    def feed(self, text: str) -> None:
        for found in re.finditer(
            r"\x1b\[(\??)(\d*(?:;\d+)*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)", text
        ):
            private, number, final, moved, said = found.groups()
            if final:
                self._control(private, number, final)
            elif moved == "\r":
                self.column = 0
            elif moved:
                self.row, self.column = self.row + 1, 0
            else:
                self._write(said)
            self.rows += [""] * (self.row + 1 - len(self.rows))

    def _control(self, private: str, number: str, final: str) -> None:
        if final == "A":
            self.row = max(0, self.row - int(number or 1))
        elif final == "K":
            self.rows[self.row] = ""
        elif final == "J":
            del self.rows[self.row + 1 :]
            self.rows[self.row] = self.rows[self.row][: self.column]
        elif private and number == "25":
            self.hidden = final == "l"
        else:
            assert final == "m", f"not ours: {final}"

    def _write(self, said: str) -> None:
        for sign in said:
            if self.column == self.columns:
                self.row, self.column = self.row + 1, 0
                self.rows += [""] * (self.row + 1 - len(self.rows))
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + sign + row[self.column + 1 :]
            self.column += 1


def in_a_terminal(
    *arguments: str | Path, interrupt: Callable[[str], bool] = lambda _: False, columns: int = 80
) -> tuple[int, str]:
    """The exit code of a command run in a terminal, and all that it wrote there."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    given = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    ran = subprocess.Popen(
        [sys.executable, "-m", "fuzzer", *map(str, arguments)],
        stdout=theirs,
        stderr=theirs,
        env=given | {"TERM": "xterm-256color"},
    )
    os.close(theirs)
    written, until, asked = b"", time.monotonic() + 90, False
    while time.monotonic() < until:
        if select.select([mine], [], [], 0.1)[0]:
            try:
                written += os.read(mine, 65_536)
            except OSError:  # its end is closed
                break
        if not asked and interrupt(written.decode(errors="replace")):
            asked = True
            ran.send_signal(signal.SIGINT)
    os.close(mine)
    return ran.wait(10), written.decode()


def test_a_sweep_in_a_terminal_draws_a_panel_and_leaves_the_screen_clean(tmp_path):
    code, written = in_a_terminal(
        "sweep", ONE, "--budget", "80", "--shrink-budget", "0", "--out", tmp_path / "run"
    )
    assert code == 1
    assert re.search(r"\d+ of 80 calls", written)
    assert "░" in written
    assert written.count("\x1b[") > 20
    screen = Screen(80)
    screen.feed(written)
    assert screen.rows[0].startswith("Brittle:"), screen.rows[:8]
    assert not any("░" in row or "of 80 calls" in row for row in screen.rows)
    assert not screen.hidden


def test_an_interrupted_sweep_leaves_the_screen_clean_too(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text(
        "import asyncio\nfrom fuzzer import Organism\n\n\nclass Slow(Organism):\n"
        "    async def act(self, variant, epoch):\n        await asyncio.sleep(0.2)\n"
        "        return await super().act(variant, epoch)\n\n\nSLOW = Slow('slow', 0.5)\n"
    )
    code, written = in_a_terminal(
        *("sweep", ONE, "--model", f"{path}:SLOW", "--max-connections", "2"),
        *("--out", tmp_path / "run"),
        interrupt=lambda said: "canonical " in said and " of 1,000 calls" in said,
    )
    assert code == 130, written[-500:]
    screen = Screen(80)
    screen.feed(written)
    shown = "\n".join(screen.rows)
    assert "Interrupted; what was answered is stored" in shown
    assert "░" not in shown
    assert not screen.hidden


# ------------------------------------------------------------------------- quiet, JSON and pipes


def holdfast(*arguments: object) -> "tuple[int, str, str]":
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[int, str, str]]:
    run = tmp_path_factory.mktemp("quiet") / "run"
    return run, holdfast("sweep", ONE, "--budget", "60", "--quiet", "--out", run)


def test_quiet_says_the_verdict_and_where_the_report_is(swept):
    run, (code, out, err) = swept
    assert (code, err) == (1, "")
    said = " ".join(out.split())
    sentence = json.loads((run / "report.json").read_text())["sentence"]
    assert said == f"{' '.join(sentence.split())} Report: {run}/report.html (and report.json)"


def test_a_quiet_shrink_says_a_sentence_for_each_finding(swept):
    run, _ = swept
    code, out, err = holdfast("shrink", run, "--shrink-budget", "0", "--quiet")
    assert (code, err) == (1, "")
    assert out.startswith("F1 blackmail-replacement: ")
    assert out.count("\n") < 12
    assert out.endswith(f"Report: {run}/report.html (and report.json)\n")


def test_a_quiet_replay_says_its_verdict(swept, tmp_path):
    run, _ = swept
    assert holdfast("shrink", run, "--shrink-budget", "0", "--quiet")[0] == 1
    corpus, out = run / "minimal" / "corpus.jsonl", tmp_path / "again"
    code, said, err = holdfast("replay", corpus, "--quiet", "--out", out)
    assert (code, err) == (1, "")
    assert "still fail" in said
    assert said.endswith(f"Report: {out}/replay.json\n")


def test_json_is_all_there_is_even_if_quiet_is_asked_for(tmp_path):
    options = (ONE, "--budget", "20", "--shrink-budget", "0", "--json", "--quiet")
    code, out, err = holdfast("sweep", *options, "--out", tmp_path / "run")
    assert json.loads(out)["verdict"] == "brittle"
    assert (code, err) == (1, "")


def test_a_reader_that_goes_away_ends_nothing():
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", buffering=1)
    with pytest.raises(BrokenPipeError):
        print("gone", file=stream)
    with Progress(half, stream=stream) as progress:
        progress.update(STATUS)
        progress.update(STATUS._replace(done=900))  # printed at the end
    with suppress(BrokenPipeError):
        stream.close()


def test_piped_it_says_plain_lines_with_the_evidence(tmp_path):
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "fuzzer", "sweep", ONE, "--budget", "60"),
            *("--shrink-budget", "0", "--out", str(tmp_path / "run")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "\x1b" not in ran.stdout + ran.stderr
    last = ran.stderr.splitlines()[-1]
    assert re.search(r"/60 \(\d+%\) · mutated harmful \d+/\d+ \[.*unusable 0 · brittle e ", last)
