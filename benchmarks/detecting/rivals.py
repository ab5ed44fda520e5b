"""What the search is measured against: other ways to choose plans, with the search's own evidence.

A rival only chooses what to call next. Everything else is the search's: G bets on exploration
calls, E_j on the replays of failing variants (`BrittleEvidence`), and the numbers of `Rules` say
when an episode ends and when E is enough. Where the comparison leaves room, it favours the rivals:

* one call at a time, each chosen with all outcomes in; a search with W calls of lag is not so lucky
  (and as replays go first, never more than one episode is open);
* no canonical calls: C stays at 1, where those of a search make it shrink;
* a variant that failed may be replayed again in a later episode, which a search does not do: of one
  transform alone without values there is but one variant.

Plans are of invariant steps, the seed uniform; shams are in none. Rejections are as in `Outline`.
"""

import argparse
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Protocol

from fuzzer.decision import Rules
from fuzzer.evidence import BrittleEvidence
from fuzzer.graph import Catalogue
from fuzzer.outline import Outline
from fuzzer.preparation import choose_seeds
from fuzzer.scenario import Scenario
from fuzzer.transform import Params, Step, Transform

if TYPE_CHECKING:
    import numpy as np

LONGEST = 6  # steps of a plan
BLOCK = 64  # plans that numbers are drawn for at once
RULES = Rules(lag=0)
ENDLESS = Rules(lag=0, episode_limit=1_000_000)

Steps = tuple[Step, ...]
Fails = Callable[[str, Steps], float]  # seed and steps, in the total order -> chance to fail


class Chooser(Protocol):
    """A rival at work on one sweep."""

    learns: bool  # from passes too: then no call may be skipped

    def plan(self, skipped: int) -> tuple[str, Steps]:
        """Seed and steps of the next call but `skipped`: those passed, whatever they held."""
        ...

    def learn(self, failed: bool) -> None:
        """What came of the latest plan, in a first call or a replay."""
        ...


Policy = Callable[[Outline, random.Random], Chooser]


def calls_to_brittle(
    policy: Policy,
    fails: Fails,
    outline: Outline,
    rng: random.Random,
    cap: int = 20_000,
    *,
    most: float = 1.0,
    rules: Rules = RULES,
    in_a_row: bool = True,
) -> int | None:
    """Calls on mutated variants, replays included, until E reaches what it needs; None above `cap`.

    `most` is a rate that no plan exceeds. A rival that does not learn then need not draw every
    plan: a call fails when it comes up with chance `most` and then again with chance rate / `most`,
    so the calls before one that comes up are passes, and there is a geometric number of them.
    `in_a_row`, as the search does, ends an episode after so many replays without a failure; else
    after so many in all.

    Raises:
        ValueError: `fails` gave a rate above `most`, or below 0.
    """
    chooser = policy(outline, rng)
    share = 1.0 if chooser.learns else most
    log_miss = math.log1p(-share) if share < 1 else -math.inf
    evidence = BrittleEvidence(rules.q0)
    explore, needed = evidence.explore, rules.needed
    calls = 0
    while calls < cap:
        skipped = int(math.log(1.0 - rng.random()) / log_miss) if share < 1 else 0
        seed, steps = chooser.plan(skipped)
        rate = fails(seed, steps)
        if not 0.0 <= rate <= most:
            raise ValueError(f"a rate of {rate!r}, where 0 to {most!r} was promised")
        calls += skipped + 1
        explore.trials += skipped + 1
        failed = rng.random() * share < rate
        if chooser.learns:
            chooser.learn(failed)
        if not failed:
            continue
        explore.failures += 1
        found = evidence.e >= needed
        if not found and len(evidence.episodes) < rules.episode_limit:
            replays, found = _replay(chooser, rate, evidence, rng, rules, in_a_row)
            calls += replays
        if found:
            return calls if calls <= cap else None
    return None


def _replay(
    chooser: Chooser,
    rate: float,
    evidence: BrittleEvidence,
    rng: random.Random,
    rules: Rules,
    in_a_row: bool,
) -> tuple[int, bool]:
    """One episode: the replays it took, and whether E crossed.

    As in a search it goes on when supported until E crosses, within its replays.
    """
    evidence.open_episode()
    episode = evidence.episodes[-1]
    last = rules.replay_limit
    while episode.trials < last and episode.e >= rules.episode_floor:
        failed = rng.random() < rate
        episode.update(failed)
        chooser.learn(failed)
        if failed and evidence.e >= rules.needed:
            return episode.trials, True
        if failed and in_a_row:
            last = episode.trials + rules.replay_limit
    return episode.trials, False


# ------------------------------------------------------------------------------------ the rivals


class _Space:
    """An outline as numbers: transforms counted in the total order."""

    def __init__(self, outline: Outline) -> None:
        names = sorted(
            {t.name for both in outline.choices.values() for g in both["invariant"] for t in g},
            key=outline.catalogue.order.__getitem__,
        )
        number = {name: n for n, name in enumerate(names)}
        self.pools = tuple(outline.pools[name] for name in names)
        self.groups = tuple(  # by seed
            (seed, tuple(tuple(number[t.name] for t in group) for group in both["invariant"]))
            for seed, both in outline.choices.items()
            if both["invariant"]
        )
        self.homes = tuple(  # by transform: the seeds it applies to
            tuple(seed for seed, groups in self.groups if any(n in g for g in groups))
            for n in range(len(names))
        )
        self.mates = tuple(  # by transform: its choice group, itself included
            tuple(number[t.name] for t in group if t.name in number)
            for group in (outline.catalogue.groups[outline.catalogue[n].group] for n in names)
        )

    @cached_property
    def applies(self) -> "tuple[np.ndarray, ...]":
        """By seed: which transforms apply to it, as booleans."""
        import numpy as np

        return tuple(np.array([seed in homes for homes in self.homes]) for seed, _ in self.groups)

    def steps(self, numbers: Sequence[int], rng: random.Random) -> Steps:
        """A uniform value for each of these transforms."""
        chance, pools = rng.random, self.pools
        return tuple([pools[n][int(chance() * len(pools[n]))] for n in numbers])


@lru_cache(maxsize=16)  # replicates share an outline
def _space(outline: Outline) -> _Space:
    return _Space(outline)


def walks(outline: Outline, rng: random.Random) -> Chooser:
    """Uniform walks: 1 to 6 steps, of distinct choice groups, member and value uniform."""
    return _Walks(_space(outline), rng)


def one_at_a_time(outline: Outline, rng: random.Random) -> Chooser:
    """Each transform alone, in an order drawn once, again and again; its value anew each time."""
    return _OneAtATime(_space(outline), rng)


def thompson(outline: Outline, rng: random.Random) -> Chooser:
    """Thompson sampling over transforms: 1 to 6, those with the highest of the rates sampled.

    Beta(1, 1) each; an outcome, of a replay also, counts for every transform of its plan. Of a
    choice group the member sampled highest may enter. Thompson 1933, doi:10.1093/biomet/25.3-4.285.
    """
    return _Thompson(_space(outline), rng)


class _Walks:
    learns = False

    def __init__(self, space: _Space, rng: random.Random) -> None:
        self._space = space
        self._rng = rng

    def plan(self, skipped: int) -> tuple[str, Steps]:  # noqa: ARG002 # none depends on another
        chance, every = self._rng.random, self._space.groups
        seed, groups = every[int(chance() * len(every))]
        count = len(groups)
        length = 1 + int(chance() * min(LONGEST, count))
        chosen: list[int] = []
        numbers = []
        while length:
            one = int(chance() * count)
            if one in chosen:
                continue
            chosen.append(one)
            length -= 1
            group = groups[one]
            numbers.append(group[int(chance() * len(group))] if len(group) > 1 else group[0])
        numbers.sort()
        return seed, self._space.steps(numbers, self._rng)

    def learn(self, failed: bool) -> None:
        pass


class _OneAtATime:
    learns = False

    def __init__(self, space: _Space, rng: random.Random) -> None:
        self._space = space
        self._rng = rng
        self._order = rng.sample(range(len(space.pools)), len(space.pools))
        self._turn = -1

    def plan(self, skipped: int) -> tuple[str, Steps]:
        self._turn += skipped + 1
        number = self._order[self._turn % len(self._order)]
        homes = self._space.homes[number]
        seed = homes[int(self._rng.random() * len(homes))]
        return seed, self._space.steps((number,), self._rng)

    def learn(self, failed: bool) -> None:
        pass


class _Thompson:
    """A rate sampled from Beta(a, b), a and b whole, is X with -log(1 - X) a sum of exponentials.

    Their rates are b, b + 1 ... b + a - 1 (Rényi 1953 on order statistics, of which X is one of a
    uniform sample). The sums rank as the rates do, and all but the first term are of transforms
    that were in a failing plan: a fifth of the time of sampling the rates.
    """

    learns = True

    def __init__(self, space: _Space, rng: random.Random) -> None:
        import numpy as np

        self._space = space
        self._rng = rng
        self._draws = np.random.default_rng(rng.getrandbits(64))
        self._passes = np.ones(len(space.pools))  # b
        self._failures = [1] * len(space.pools)  # a
        self._raised = np.zeros(0, dtype=np.intp)  # transform of each term but the first
        self._above = np.zeros(0)  # and what its rate exceeds b by
        self._block, self._row = np.zeros((0, len(space.pools))), 0
        self._numbers: list[int] = []

    def plan(self, skipped: int) -> tuple[str, Steps]:  # noqa: ARG002 # it learns: none ever is
        chance, every = self._rng.random, self._space.groups
        at = int(chance() * len(every))
        seed, groups = every[at]
        sampled = self._sampled()
        sampled *= self._space.applies[at]
        numbers = []
        for _ in range(1 + int(chance() * min(LONGEST, len(groups)))):
            best = int(sampled.argmax())
            numbers.append(best)
            for mate in self._space.mates[best]:
                sampled[mate] = -1.0
        numbers.sort()
        self._numbers = numbers
        return seed, self._space.steps(numbers, self._rng)

    def _sampled(self) -> "np.ndarray":
        """-log(1 - rate) of every transform."""
        import numpy as np

        if self._row == len(self._block):  # many at once: a draw costs more than its numbers
            shape = (BLOCK, len(self._passes))
            self._block, self._row = self._draws.standard_exponential(shape), 0
        sampled: np.ndarray = self._block[self._row] / self._passes
        self._row += 1
        if len(self._raised):
            terms = self._draws.standard_exponential(len(self._raised))
            terms /= self._passes[self._raised] + self._above
            sampled += np.bincount(self._raised, terms, len(sampled))
        return sampled

    def learn(self, failed: bool) -> None:
        import numpy as np

        if not failed:
            self._passes[self._numbers] += 1
            return
        self._above = np.append(self._above, [self._failures[n] for n in self._numbers])
        self._raised = np.append(self._raised, self._numbers)
        for number in self._numbers:
            self._failures[number] += 1


POLICIES: dict[str, Policy] = {
    "walks": walks,
    "one-at-a-time": one_at_a_time,
    "Thompson": thompson,
}

# ----------------------------------------------------------------- held to what is known of them

BACKGROUND = 0.001


def binary_outline(count: int = 24) -> Outline:
    """So many transforms of one value each, no two of a group, on one seed; named "t0", "t1" ..."""
    names = [f"t{n}" for n in range(count)]
    catalogue = Catalogue(map(_binary, names))
    pools = {name: (Step(transform=name),) for name in names}
    return Outline(catalogue, choose_seeds(None)[:1], pools)


def _binary(name: str) -> Transform:
    return Transform(
        name=name,
        family="binary",
        relation="invariant",
        rung="form",
        changes=frozenset(),
        params=Params,
        apply=_same,
        group=name,
    )


def _same(scenario: Scenario, _: Params) -> Scenario:
    return scenario


@dataclass(frozen=True)
class Known:
    """A row of an earlier simulation, of 24 binary transforms; None: above the cap."""

    name: str
    fails: Fails
    most: float
    figures: dict[str, tuple[int | None, int | None]]  # by rival: median and p90
    slow: bool = False


def conjunction(needed: int, rate: float, suppressors: int = 0) -> Fails:
    """Fails at `rate` where the first transforms of 24 are all in and the last ones out."""
    cause = {f"t{n}" for n in range(needed)}
    off = {f"t{23 - n}" for n in range(suppressors)}

    def fails(_: str, steps: Steps) -> float:
        names = {step.transform for step in steps}
        return rate if cause <= names and off.isdisjoint(names) else BACKGROUND

    return fails


def graded(_: str, steps: Steps) -> float:
    """Log-odds of -7, and 1.5 more for each of six transforms."""
    held = sum(step.transform in _GRADED for step in steps)
    return 1 / (1 + math.exp(7 - 1.5 * held))


_GRADED = {f"t{n}" for n in range(6)}


def known_rows() -> Iterator[Known]:
    """The rows of that simulation that a rival here was in."""
    for (needed, rate, suppressors), figures in _PUBLISHED.items():
        cause = ("single", "pair", "triple")[needed - 1]
        name = f"{cause}{f' + {suppressors} suppressors' if suppressors else ''}, p = {rate:g}"
        found = dict(zip(POLICIES, figures, strict=True))
        slow = needed == 3 and rate < 0.5
        yield Known(name, conjunction(needed, rate, suppressors), rate, found, slow)
    found = dict(zip(POLICIES, ((263, 956), _NEVER, (243, 803)), strict=True))
    yield Known("graded, six factors", graded, 1 / (1 + math.exp(-2)), found)


_NEVER = (None, None)
#: Transforms needed, rate, suppressors: median and p90 of walks, one at a time and Thompson, of 200
#: replicates with a cap of 20,000. Its accounts: E = .5 G + .5 Σ E_j / (j (j+1)), another grid.
_PUBLISHED: dict[tuple[int, float, int], tuple[tuple[int | None, int | None], ...]] = {
    (1, 1.0, 0): ((7, 17), (15, 25), (8, 15)),
    (1, 0.5, 0): ((13, 38), (33, 90), (14, 30)),
    (1, 0.1, 0): ((95, 234), (217, 642), (101, 226)),
    (2, 1.0, 0): ((33, 92), _NEVER, (38, 101)),
    (2, 0.5, 0): ((68, 199), _NEVER, (76, 260)),
    (2, 0.1, 0): ((353, 1138), _NEVER, (381, 1317)),
    (3, 1.0, 0): ((247, 780), _NEVER, (249, 906)),
    (3, 0.5, 0): ((459, 1446), _NEVER, (456, 2366)),
    (3, 0.1, 0): ((2467, 8782), _NEVER, (2727, 15998)),
    (1, 0.5, 3): ((19, 58), (33, 90), (18, 47)),
    (1, 0.1, 3): ((152, 340), (217, 642), (117, 276)),
    (2, 0.5, 3): ((112, 366), _NEVER, (125, 358)),
    (2, 0.1, 3): ((565, 1719), _NEVER, (600, 2013)),
    (3, 0.5, 3): ((635, 2148), _NEVER, (757, 3369)),
    (3, 0.1, 3): ((3618, 12237), _NEVER, (4302, None)),
}


def quantile(found: Sequence[int | None], share: float) -> int | None:
    """The calls that this share of the replicates did with; None where it is above the cap."""
    return _ranked(found)[max(0, math.ceil(share * len(found)) - 1)]


def quantile_interval(found: Sequence[int | None], share: float) -> tuple[int | None, int | None]:
    """An interval of about 95% for a quantile, from the ranks about it (normal approximation)."""
    count, ranked = len(found), _ranked(found)
    half = 1.96 * math.sqrt(count * share * (1 - share))
    low = max(0, math.floor(count * share - half) - 1)
    return ranked[low], ranked[min(count - 1, math.ceil(count * share + half))]


def _ranked(found: Sequence[int | None]) -> list[int | None]:
    return sorted(found, key=lambda calls: math.inf if calls is None else calls)


def rows(quick: bool) -> Iterator[str]:
    """The rivals on 24 binary transforms, beside an earlier simulation of them."""
    count = 40 if quick else 400
    yield f"Rivals on 24 binary transforms: calls to brittle, median / p90 of {count} sweeps"
    yield "(intervals of about 95%); r = .01, background .001, never above 20,000 calls."
    yield "Before: an earlier simulation, 200 sweeps; its episodes ended after 30 replays in a row"
    yield "without a failure, and there was no end to episodes. As before: with that rule."
    yield "By the rules: 30 replays in all and 20 episodes, which is what a search keeps to."
    yield "| cause | rival | before | as before | by the rules |"
    yield "|---|---|---|---|---|"
    outline = binary_outline()
    for known in known_rows():
        for name, figures in known.figures.items():
            if quick and (figures == _NEVER or known.slow):
                continue
            before = " / ".join(map(_calls, figures))
            as_before = _shown(sweeps(known, name, outline, count, as_before=True))
            here = _shown(sweeps(known, name, outline, count, as_before=False))
            yield f"| {known.name} | {name} | {before} | {as_before} | {here} |"


def sweeps(
    known: Known, rival: str, outline: Outline, count: int, *, as_before: bool
) -> list[int | None]:
    """Calls to brittle of so many sweeps, seeded; `as_before`: with the earlier end of episodes."""
    rng = random.Random(f"{known.name}/{rival}/{as_before}")
    return [
        calls_to_brittle(
            POLICIES[rival],
            known.fails,
            outline,
            rng,
            most=known.most,
            rules=ENDLESS if as_before else RULES,
            in_a_row=as_before,
        )
        for _ in range(count)
    ]


def _shown(found: Sequence[int | None]) -> str:
    parts = []
    for share in (0.5, 0.9):
        low, high = map(_calls, quantile_interval(found, share))
        parts.append(f"{_calls(quantile(found, share))} ({low}-{high})")
    return " / ".join(parts)


def _calls(number: int | None) -> str:
    return "∞" if number is None else str(number)


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="40 sweeps a row, not 400, and fewer rows"
    )
    for row in rows(parser.parse_args(argv).quick):
        print(row, flush=True)


if __name__ == "__main__":
    main()
