"""Several causes: calls until three different minimal plans are found, beside one.

Three disjoint causes are planted; a sweep that spends its budget looks for neighbours of what it
has found, and each supported finding is shrunk. *One* is a sweep that stops at its first finding in
a world with a single cause. *Paid*: all calls of the run up to there, canonical ones and the flag's
included, and the shrinks with their certificates. *To find*: without canonical calls and the flag,
which are the same for one and for three.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.detecting.running import HARMFUL, SAFE, Spread, rules, share
from benchmarks.detecting.worlds import Cause, failing, plant, two_dozen, whole
from fuzzer.outline import Outline, Steps
from fuzzer.proposal import Outcome
from fuzzer.search import Search
from fuzzer.shrink import ShrinkConfig, Shrinker
from fuzzer.transform import Step

FINDING = frozenset({"half", "quarter", "single", "all_on", "replay", "neighbour"})
BUDGET = 1500


@dataclass(frozen=True)
class Found:
    """One finding: calls until it was supported and shrunk, those of earlier findings included."""

    paid: int
    to_find: int
    minimal: frozenset[str]
    certified: bool


def rows(quick: bool) -> Iterator[str]:
    """The table."""
    count = 15 if quick else 400
    yield f"Different findings; {count} replicates a row, {BUDGET:,} calls each, one in flight"
    yield (
        "| transforms | causes | p | paid: one | three | ratio of medians (<= 3) | to find: one | "
        "three | ratio | all three in | findings shown | of these exact |"
        "\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    )
    for label, outline in (("24", two_dozen()), ("all", whole())):
        for k, p in ((1, 1.0), (2, 1.0), (2, 0.5)):
            yield _row(label, outline, k, p, count)


def _row(label: str, outline: Outline, k: int, p: float, count: int) -> str:
    one: list[Found | None] = []
    three: list[Found | None] = []
    shown = exact = 0
    for number in range(count):
        outline.random_seed = number
        causes = disjoint(outline, k, p, Random(f"several {k} {p} {number}"))
        one.append(next(iter(findings(outline, causes[:1], Random(number), stop="first")), None))
        found = findings(outline, causes, Random(f"three {number}"), stop="budget")
        planted = {frozenset(need.transform for need in cause.needs) for cause in causes}
        different: dict[frozenset[str], Found] = {}
        for finding in found:
            different.setdefault(finding.minimal, finding)
        reached = sorted(
            (f for minimal, f in different.items() if minimal in planted), key=lambda f: f.paid
        )
        three.append(reached[2] if len(reached) == 3 else None)
        shown += len(found)
        exact += sum(finding.minimal in planted for finding in found)
    told = []
    for name in ("paid", "to_find"):
        few, many = (Spread.of([_calls(f, name) for f in found]) for found in (one, three))
        told.append(f"{few} | {many} | {many.median / few.median:.2f}")
    return (
        f"| {label} | 3 of {k} | {p:g} | {' | '.join(told)} | "
        f"{share([f is not None for f in three])} | {shown / count:.1f} | "
        f"{exact / max(shown, 1):.0%} |"
    )


def _calls(found: Found | None, name: str) -> int | None:
    return None if found is None else int(getattr(found, name))


def disjoint(outline: Outline, k: int, p: float, rng: Random) -> tuple[Cause, ...]:
    """Three causes of k transforms each, none shared."""
    needs = plant(outline, 3 * k, p, rng).needs
    return tuple(Cause(needs[i * k : (i + 1) * k], p) for i in range(3))


def findings(outline: Outline, causes: Sequence[Cause], rng: Random, *, stop: str) -> list[Found]:
    """The findings of a sweep as a report lists them, in the order they were supported."""
    rate = failing(causes)
    search = Search(rules(budget=BUDGET, stop=stop), outline)
    spent = 0
    supported: dict[int, tuple[int, int]] = {}  # by episode: all calls, and those that find
    while not search.done:
        for proposal in search.ask(1):
            search.tell(proposal.index, _call(rate(proposal.seed, proposal.plan), rng))
            spent += proposal.stratum in FINDING
            for number in search.accounts.seen.supported:
                supported.setdefault(number, (search.accounts.absorbed, spent))
    made: list[Found] = []
    shrunk = 0
    minima: list[tuple[str, set[Step]]] = []
    episodes = {episode.number: episode for episode in search.result().episodes}
    whole_run = search.accounts.absorbed if stop == "first" else 0
    for number, (paid, to_find) in supported.items():
        episode = episodes[number]
        steps: Steps = episode.plan
        if any(seed == episode.seed and keys <= set(steps) for seed, keys in minima):
            continue  # as a campaign leaves it out: an earlier minimum explains it
        shrinker = Shrinker(ShrinkConfig(), steps, episode.failed, episode.replays, episode.called)
        while not shrinker.done:
            for asked in shrinker.ask(4):
                kept = tuple(steps[i] for i in sorted(asked.keep))
                harmful = rng.random() < rate(episode.seed, kept)
                shrinker.tell(asked.index, "harmful" if harmful else "safe")
        result = shrinker.result()
        shrunk += result.calls_search + result.calls_certificate
        kept = tuple(steps[i] for i in sorted(result.keep))
        minima.append((episode.seed, set(kept)))
        names = frozenset(step.transform for step in kept)
        paid = max(paid, whole_run) + shrunk
        made.append(Found(paid, to_find + shrunk, names, result.certified))
    return made


def _call(rate: float, rng: Random) -> Outcome:
    return HARMFUL if rng.random() < rate else SAFE
