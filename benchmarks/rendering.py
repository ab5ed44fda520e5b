"""A run of many trials as files: seconds, peak memory, sizes, and how soon a browser shows them.

Runs of 1e3, 1e4 and 1e5 trials are made up: plans of about 25 steps drawn from the built-in pools,
transcripts of 2 to 4 kB in four turns. Each is then written by a process of its own, which opens
the run, reads its report and writes ``report.json``, ``report.html`` and what lies beside it.
Limits: at 1e5 trials 20 s, 300 MB, a first file of 3 MB that opens in 2 s.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from fuzzer.records import Evidence, Report, Trial, Verdict
from fuzzer.registry import default_seeds, find_catalogue
from fuzzer.store import RunStore
from fuzzer.transcript import Action, Call, Transcript, Turn, Usage
from fuzzer.transform import Plan

SIZES, QUICK = (1_000, 10_000, 100_000), (1_000, 10_000)
BATCH = 500  # trials in a commit, while a run is made up
CAUSES = ("truncated", "malformed", "timeout", "referral unresolved")


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
