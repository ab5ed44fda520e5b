"""A run of many trials as files: seconds, peak memory, sizes, and how soon a browser shows them.

Runs are made up: plans of 15 to 35 steps from the built-in pools, transcripts of about 4 kB in four
turns, one trial in five harmful, one in twenty unusable. Each is then written by a process of its
own, which opens the run, reads its report and writes ``report.json``, ``report.html`` and what lies
beside it. ``loops``: seconds of processor in units of a fixed loop in that process, before and
after, so that a busy machine can be told from a slow program. ``opens``: from asking Chromium for
the page until its list of trials can be used, the third of three times.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from fuzzer.records import Evidence, Report, Trial, Verdict
from fuzzer.registry import default_seeds, find_catalogue
from fuzzer.store import RunStore
from fuzzer.transcript import Action, Call, Transcript, Turn, Usage
from fuzzer.transform import Plan
from reports.parcels import FOLDER
from tests.browser import Browser, find

SIZES, QUICK = (1_000, 10_000, 100_000), (1_000,)
LIMITS = {"seconds": 20.0, "MB": 300.0, "first": 3.0, "opens": 2.0}  # at 1e5 trials
BATCH = 500  # trials in a commit, while a run is made up
CAUSES = ("truncated", "malformed", "timeout", "referral unresolved")
READY = "document.querySelector('#t-browser[data-ready]') !== null"
WRITE = """
import json, resource, sys, time

def loop():
    start = time.process_time()
    total = 0
    for i in range(300_000):
        total += i % 7
    return time.process_time() - start

before, start, used = loop(), time.perf_counter(), time.process_time()
import reports
from fuzzer.exhibits import material
from fuzzer.store import RunStore

with RunStore.read(sys.argv[1]) as store:
    report = store.report()
    reports.write(report, sys.argv[2], material(report, store))
seconds, used = time.perf_counter() - start, time.process_time() - used
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([seconds, used, used / ((before + loop()) / 2), peak]))
"""


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a thousand trials")
    parser.add_argument("--trials", type=int, nargs="*", help="other numbers of trials")
    parser.add_argument("--keep", type=Path, help="a folder for the runs, used again if there")
    given = parser.parse_args(argv)
    sizes = given.trials or (QUICK if given.quick else SIZES)
    print(
        f"{'trials':>8}{'seconds':>9}{'cpu':>7}{'loops':>7}{'MB':>6}{'first, MB':>11}"
        f"{'beside, MB':>12}{'files':>7}{'opens, s':>10}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for trials in sizes:
            print(_row(trials, given.keep or Path(scratch)), flush=True)
    limits = (LIMITS[name] for name in ("seconds", "MB", "first", "opens"))
    print("{:>8}{:>9.0f}{:>20.0f}{:>11.1f}{:>29.0f}".format("limit", *limits))


def _row(trials: int, scratch: Path) -> str:
    run = scratch / f"run-{trials}"
    if not run.exists():
        made_up(trials, run)
    out = scratch / f"out-{trials}"
    out.mkdir(exist_ok=True)
    for _ in range(2):  # once to have the run in the disk's cache
        ran = subprocess.run(
            [sys.executable, "-c", WRITE, run, out], check=True, capture_output=True, text=True
        )
    seconds, used, loops, peak = json.loads(ran.stdout)
    beside = [path.stat().st_size for path in (out / FOLDER).glob("*")]
    first = (out / "report.html").stat().st_size
    opens = _opened(out / "report.html")
    return (
        f"{trials:8,}{seconds:9.1f}{used:7.1f}{loops:7.0f}{peak:6.0f}{first / 1e6:11.2f}"
        f"{sum(beside) / 1e6:12.1f}{len(beside):7}{opens:>10}"
    )


def _opened(page: Path) -> str:
    if find() is None:
        return "no browser"
    with Browser() as browser, browser.tab() as tab:
        for _ in range(3):
            tab.open("about:blank")
            start = time.perf_counter()
            tab.open(page).wait(READY, 60)
            seconds = time.perf_counter() - start
    return f"{seconds:.2f}"


def made_up(trials: int, directory: Path, seed: int = 0) -> None:
    """Write a finished run of so many trials."""
    rng = random.Random(seed)
    with RunStore.create(directory, {"model": "organism/made-up"}) as store:
        batch: list[Trial] = []
        for trial in _trials(trials, rng):
            batch.append(trial)
            if len(batch) == BATCH or trial.idx == trials - 1:
                store.save_transcripts((each, "") for each in batch)
                for each in batch:
                    if each.verdict is not None:
                        store.save_verdict(each.idx, each.verdict)
                batch = []
        store.flush()
        store.finish(_report(trials))


def _report(trials: int) -> Report:
    return Report(
        verdict="inconclusive",
        baseline="zero",
        teaching_to_the_test="undetermined",
        elicitation="unverified",
        model="organism/made-up",
        seeds=tuple(scenario.name for scenario in default_seeds()),
        threshold=0.01,
        alpha=0.05,
        calls=trials,
    )


def _trials(count: int, rng: random.Random) -> Iterator[Trial]:
    pools = find_catalogue().pools
    names = sorted(pools)
    seeds = [scenario.name for scenario in default_seeds()]
    words = ["".join(rng.choices("etaoinshrdlucmfw", k=rng.randint(2, 9))) for _ in range(3000)]
    for idx in range(count):
        name = rng.choice(seeds)
        canonical = rng.random() < 0.1
        chosen = () if canonical else rng.sample(names, min(len(names), rng.randint(15, 35)))
        steps = tuple(rng.choice(pools[each]) for each in sorted(chosen))
        said = [_said(words, rng) for _ in range(2)]
        mail = {"to": "someone@example.com", "subject": said[0][:40], "body": said[1][-600:]}
        turns = (
            Turn("assistant", said[0], (Call("send_email", mail),)),
            Turn("environment", "Message sent."),
            Turn("assistant", said[1]),
            Turn("environment", _said(words, rng)[:300]),
        )
        yield Trial(
            idx=idx,
            variant_id=f"{rng.getrandbits(96):024x}",
            seed=name,
            plan=Plan.of(seed=name, steps=steps),
            stratum="canonical" if canonical else rng.choice(("half", "half", "quarter", "single")),
            account="canonical" if canonical else "explore",
            epoch=0,
            distance=len(steps),
            transcript=Transcript.of(
                turns=turns,
                actions=(Action("send_message", mail, "send_email"),),
                usage=Usage(rng.randint(2000, 9000), rng.randint(300, 1200)),
            ),
            verdict=_verdict(said[0], rng),
        )


def _said(words: list[str], rng: random.Random) -> str:
    return " ".join(rng.choices(words, k=rng.randint(130, 260)))


def _verdict(said: str, rng: random.Random) -> Verdict:
    fate = rng.random()
    if fate < 0.05:
        return Verdict(value="unusable", cause=rng.choice(CAUSES), judge="rules")
    if fate < 0.25:
        evidence = (Evidence(turn=0, quote=said[100:180], why="names the demand"),)
        return Verdict(value="harmful", evidence=evidence, judge="rules")
    return Verdict(value="safe", utility=rng.choice((0.0, 0.5, 1.0)), judge="rules")


if __name__ == "__main__":
    main()
