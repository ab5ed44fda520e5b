"""Values on planted outcomes, through ask / tell: is the answer right, and at how many calls.

A world says which values of a step, or of two, fail. *Right*: the simplest values, the verdict of
each step and the fields that matter are those planted. *Cert.*: of the results that changed a
value, how many were certified; *false*: how many results were certified and yet failed no more
often than the cut, or would have without a step. The steps found come with a cut and fresh calls on
them, as a certificate of the plan leaves them.
"""

import argparse
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fuzzer.evidence import log_above
from fuzzer.records import ValueVerdict
from fuzzer.shrink import CLEAR
from fuzzer.transform import Step
from fuzzer.values import Steps, ValueConfig, ValueResult, ValueShrinker

BACKGROUND = 0.001
THRESHOLD = 0.01
BUDGET = 400
PROOF = 100  # calls in which a plan's certificate has to succeed; else it is begun anew

Fails = Callable[[Steps], bool]  # whether these steps fail, at the rate of the cell, or hardly ever


class Planted:
    """Steps whose fields are whole numbers or words, with pools; a `fuzzer.values.ValueSource`."""

    def __init__(self, fields: Mapping[str, Sequence[Any]], size: int, rng: random.Random) -> None:
        """`fields`: the values of each field, its default first; `size`: of the pool at most."""
        self.fields = fields
        default = {name: values[0] for name, values in fields.items()}
        drawn = [default]
        drawn += [{n: rng.choice(v) for n, v in fields.items()} for _ in range(4 * size)]
        pool = list(dict.fromkeys(tuple(values.items()) for values in drawn))[:size]
        self.pool = [dict(values) for values in pool]
        self._steps: dict[str, tuple[Step, ...]] = {}

    def default(self, step: Step) -> Step:
        """The first value of every field."""
        return Step(transform=step.transform, params=self.pool[0])

    def others(self, step: Step) -> Sequence[Step]:
        """The pool."""
        name = step.transform
        if name not in self._steps:
            self._steps[name] = tuple(Step(transform=name, params=each) for each in self.pool)
        return self._steps[name]

    def towards(self, step: Step, name: str) -> Sequence[Any]:
        """One by one, where the field is a number."""
        values = self.fields[name]
        if isinstance(values, range):
            return values[: values.index(step.params[name]) + 1]
        return (values[0], step.params[name])


@dataclass(frozen=True)
class World:
    """A planted answer: the steps found, what fails, and what is to be said of it."""

    source: Planted
    found: Steps
    fails: Fails
    right: Callable[[ValueResult], bool]


Make = Callable[[random.Random], World]


def said(result: ValueResult, verdict: ValueVerdict, *matter: str) -> bool:
    """Whether every step has this verdict, and these fields matter."""
    return all(row.verdict == verdict and set(row.matter) == set(matter) for row in result.rows)


def any_value(steps: int) -> Make:
    """Whatever the values of one step, or of several."""

    def world(rng: random.Random) -> World:
        source = Planted({"locale": LOCALES, "draw": range(64)}, 60, rng)
        found = tuple(step(name, rng.choice(source.pool[1:])) for name in "abc"[:steps])
        return World(
            source=source,
            found=found,
            fails=lambda steps: len(steps) == len(found),
            right=lambda result: (
                said(result, "any value") and result.steps == tuple(map(source.default, found))
            ),
        )

    return world


def one_value(rng: random.Random) -> World:
    """One of thirty values, told apart by a single number without order."""
    source = Planted({"draw": range(30)}, 30, rng)
    found = (step("a", rng.choice(source.pool[1:])),)
    return World(
        source=source,
        found=found,
        fails=lambda steps: steps == found,
        right=lambda result: said(result, "this value only", "draw") and result.steps == found,
    )


LOCALES = ("en", "de", "fr", "es", "pt", "tr", "uk", "ka", "hi", "ar", "ja", "ko")


def one_locale(rng: random.Random) -> World:
    """One locale, whichever names are drawn from it."""
    source = Planted({"locale": LOCALES, "draw": range(64), "native": (False, True)}, 200, rng)
    ours = [params for params in source.pool if params["locale"] == "ja"]
    found = (step("a", rng.choice(ours)),)
    simplest = step("a", {"locale": "ja", "draw": 0, "native": False})

    def right(result: ValueResult) -> bool:
        locale = next(row for row in result.rows[0].fields if row.name == "locale")
        said_so = said(result, "some values", "locale") and locale.verdict == "this value only"
        return said_so and result.steps == (simplest,)

    return World(
        source=source,
        found=found,
        fails=lambda steps: bool(steps) and steps[0].params["locale"] == "ja",
        right=right,
    )


def from_on(top: int) -> Make:
    """A count from some number on, of at most `top`, whatever is drawn beside it."""

    def world(rng: random.Random) -> World:
        source = Planted({"count": range(1, top + 1), "draw": range(16)}, 200, rng)
        params = rng.choice([p for p in source.pool if p["count"] > top // 3])
        found = (step("a", params),)
        least = rng.randint(2, params["count"])

        def right(result: ValueResult) -> bool:
            exact = result.steps == (step("a", {"count": least, "draw": 0}),)
            return exact and said(result, "some values", "count")

        return World(
            source=source,
            found=found,
            fails=lambda steps: bool(steps) and steps[0].params["count"] >= least,
            right=right,
        )

    return world


def joint(rng: random.Random) -> World:
    """Two counts that have to add up: no single one may be lowered any further."""
    source = Planted({"count": range(1, 25)}, 24, rng)
    found = tuple(step(name, {"count": rng.randint(14, 23)}) for name in "ab")
    least = rng.randint(26, sum(each.params["count"] for each in found))

    def right(result: ValueResult) -> bool:
        counts = [each.params["count"] for each in result.steps]
        return sum(counts) == least and said(result, "some values", "count")

    return World(
        source=source,
        found=found,
        fails=lambda steps: (
            len(steps) == 2 and sum(each.params["count"] for each in steps) >= least
        ),
        right=right,
    )


def step(transform: str, params: Mapping[str, Any]) -> Step:
    """A step, in a word."""
    return Step(transform=transform, params=dict(params))


WORLDS: dict[str, Make] = {
    "any value": any_value(1),
    "any values, 2 steps": any_value(2),
    "one of 30 values": one_value,
    "one locale, any draw": one_locale,
    "from m on, of 24": from_on(24),
    "from m on, of 200": from_on(200),
    "two counts add up": joint,
}


@dataclass(frozen=True)
class Replicate:
    """What one search came to."""

    result: ValueResult
    right: bool
    false: bool


def certified(p: float, rng: random.Random) -> tuple[float, int, int]:
    """(cut, failures, calls) of the steps found, as a certificate of the plan leaves them.

    The cut is half the rate less its standard error, from as many calls as a search makes before it
    dares a certificate; the calls are those that then show the rate to lie above it.
    """
    while True:
        seen = least = 0.0
        searched = failed = 0
        while searched * least < CLEAR * (1 - least) or not searched:
            searched += 1
            failed += rng.random() < p
            seen = (failed + 0.5) / (searched + 1)
            least = max(0.0, seen - math.sqrt(seen * (1 - seen) / (searched + 1)))
        cut = max(THRESHOLD, least / 2)
        failures = calls = 0
        while calls < PROOF:
            calls += 1
            failures += rng.random() < p
            if log_above(cut, calls, failures) >= math.log(2 / 0.05):
                return cut, failures, calls


def replicate(name: str, p: float, number: int, batch: int = 4, budget: int = BUDGET) -> Replicate:
    """One planted world; the same number gives the same replicate."""
    rng = random.Random(f"{name} {p} {batch} {number}")
    world = WORLDS[name](rng)
    cut, failures, calls = certified(p, rng)
    config = ValueConfig(budget=budget, batch=batch, threshold=THRESHOLD, cut=cut)
    shrinker = ValueShrinker(config, world.found, world.source, failures, calls, attempts=1)
    while not shrinker.done:
        for call in shrinker.ask(batch):
            harmful = rng.random() < (p if world.fails(call.steps) else BACKGROUND)
            shrinker.tell(call.index, "harmful" if harmful else "safe")
    result = shrinker.result()
    steps = result.steps
    without = (steps[:i] + steps[i + 1 :] for i in range(len(steps)))
    true = world.fails(steps) and p > result.cut and not any(map(world.fails, without))
    return Replicate(result, world.right(result), result.certified and not true)


HEADER = (
    f"{'world':<22}{'p':>4}{'batch':>6}{'right':>8}{'cert.':>7}{'false':>7}"
    f"{'search':>10}{'all calls':>11}"
)


def row(name: str, p: float, batch: int, runs: Sequence[Replicate]) -> str:
    """One line: shares, and medians / 90% points of calls."""

    def quantiles(values: Sequence[int]) -> str:
        ordered = sorted(values)
        return f"{ordered[len(ordered) // 2]}/{ordered[math.ceil(0.9 * len(ordered)) - 1]}"

    changed = [run.result.certified for run in runs if run.result.changed]
    certified = f"{sum(changed) / len(changed):.0%}" if changed else "-"
    return (
        f"{name:<22}{p:>4}{batch:>6}{sum(r.right for r in runs) / len(runs):>8.1%}{certified:>7}"
        f"{sum(r.false for r in runs) / len(runs):>7.1%}"
        f"{quantiles([r.result.calls_search for r in runs]):>10}"
        f"{quantiles([r.result.calls_search + r.result.calls_certificate for r in runs]):>11}"
    )


def rows(quick: bool) -> Iterator[str]:
    """The table, its title first."""
    replicates = 40 if quick else 400
    yield (
        f"Values: {replicates} replicates a row, budget {BUDGET}, background {BACKGROUND}; "
        "calls are median/90%"
    )
    yield HEADER
    for p in (1.0, 0.5) if quick else (1.0, 0.5, 0.2):
        for name in WORLDS:
            for batch in (4,) if quick else (4, 8):
                runs = [replicate(name, p, number, batch) for number in range(replicates)]
                yield row(name, p, batch, runs)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.reducing.valuing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rows, 40 replicates each")
    started = time.perf_counter()
    for line in rows(parser.parse_args(argv).quick):
        print(line, flush=True)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
