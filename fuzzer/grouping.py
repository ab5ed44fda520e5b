"""Noisy adaptive group testing: which few steps of a small plan fail together, by joint posterior.

Every set of up to `LARGEST` steps is a hypothesis: subsets that hold it fail at one unknown rate,
all others at an unknown background rate. A call on any subset tells of all hypotheses at once, and
the subsets of one round are chosen so that together they tell most (greedily, by mutual
information: Krause, Singh and Guestrin 2008, JMLR 9; group testing: Scarlett 2019,
arXiv:1803.05099). So rounds of eight cost little more than eight calls in turn. Beside the sets
stands a *vague* model, in which only the size of a subset matters: when it foresees outcomes better
than all sets together, causes are larger, or several, or suppressed, and the caller is told.

What is asked depends on outcomes alone: candidate subsets come from a generator that starts anew
from a constant and the number of the round.
"""

import math
import random
from collections.abc import Iterable
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Masks = NDArray[np.uint64]

Subset = frozenset[int]

MOST = 30  # steps in question: with more, there are too many sets
LARGEST = 3  # steps in a cause
NOTHING = 0.02  # prior probability that no step is needed
VAGUE = 0.05  # ... and of the vague model
GRADES = (1, 2, 3, 5, 8)  # its failure rates rise with the size of a subset to these powers
BRANCHES = 16  # outcomes of a round so far that a further pool is weighed under
RENEWED = 8  # of so many counts, one is of all sets, the others of those that matter
NEGLIGIBLE = 1e-7  # probability of a set that does not matter
DRAWN = 24  # candidate pools drawn for each place in a round
WEIGHED = 400  # sets that pools are weighed by: all that matter, or a sample of them


class Grouping:
    """Posterior over the sets that may be the cause, and the pools to call next.

    >>> grouping = Grouping(range(6), background=0.01)
    >>> step = 0
    >>> while grouping.likeliest[1] < 0.95:
    ...     for pool in grouping.pools(2, step):
    ...         grouping.tell(pool, {1, 4} <= pool)
    ...     step += 1
    >>> grouping.likeliest[0]
    frozenset({1, 4})
    """

    def __init__(self, steps: Iterable[int], background: float) -> None:
        """`steps`: those in question, at most MOST. `background`: the rate that is no failure."""
        import numpy as np

        self.steps = tuple(steps)
        if len(self.steps) > MOST:
            raise ValueError(f"{len(self.steps)} steps are more than {MOST}.")
        self._place = {step: i for i, step in enumerate(self.steps)}
        masks, prior = _sets(len(self.steps))
        self._masks = np.array(masks, dtype=np.uint64)
        self._prior = np.log(np.array(prior))
        self._rates = np.array(failure_rates(background))
        self._backgrounds = np.array([background / 10, background])
        self._hits = np.zeros(len(masks))
        self._tries = np.zeros(len(masks))
        self._all = [0, 0]  # failures and calls, whatever the subset
        self._vague = np.zeros((len(GRADES), len(self._rates)))
        self._weights: Floats | None = None  # over sets; None until counted
        self._inside = self._outside = self._hits
        self._log_vague = 0.0
        self._live = np.arange(len(masks))  # sets that are counted anew after every call
        self._age = -1

    def tell(self, keep: Iterable[int], failures: int, calls: int = 1) -> None:
        """Calls on a subset, and how many of them failed."""
        import numpy as np

        mask = self._mask(keep)
        within = (self._masks & np.uint64(mask)) == self._masks
        self._hits += failures * within
        self._tries += calls * within
        self._all[0] += failures
        self._all[1] += calls
        share = mask.bit_count() / max(1, len(self.steps))
        rate = np.array([share**grade for grade in GRADES])[:, None] * self._rates[None, :]
        rate = np.maximum(rate, self._backgrounds[0])
        self._vague += failures * np.log(rate) + (calls - failures) * np.log1p(-rate)
        self._weights = None

    def exclude(self, keep: Iterable[int]) -> None:
        """A subset that cannot be tested is no answer."""
        import numpy as np

        self._prior[self._masks == np.uint64(self._mask(keep))] = -np.inf
        self._weights = None

    @property
    def likeliest(self) -> tuple[Subset, float]:
        """The likeliest set and its probability, if it is one of these sets at all."""
        weights = self._posterior()
        best = int(weights.argmax())
        return self._subset(int(self._masks[best])), float(weights[best])

    @property
    def vague(self) -> float:
        """Probability that no such set is the cause."""
        self._posterior()
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, self._log_vague))))

    def probability(self, keep: Iterable[int]) -> float:
        """Probability of one set."""
        import numpy as np

        return float(self._posterior()[self._masks == np.uint64(self._mask(keep))].sum())

    def covering(self, share: float) -> Subset:
        """All steps of the likeliest sets that have `share` of the probability together."""
        weights, held, total = self._posterior(), 0, 0.0
        for best in weights.argsort(kind="stable")[::-1]:
            held |= int(self._masks[best])
            total += float(weights[best])
            if total >= share:
                break
        return self._subset(held)

    def seen(self, keep: Iterable[int]) -> tuple[int, int]:
        """(failures, calls) on subsets that hold `keep`, where it is one of the sets."""
        found = (self._masks == self._mask(keep)).nonzero()[0]
        return (int(self._hits[found[0]]), int(self._tries[found[0]])) if len(found) else (0, 0)

    def pools(self, n: int, step: int, avoid: Iterable[Subset] = ()) -> list[Subset]:
        """`n` subsets to call together; none of `avoid`. `step`: how many rounds came before."""
        import numpy as np

        weights = self._posterior()
        if not weights.any():
            return []
        rng = random.Random(f"pools {step}")
        active = np.flatnonzero(weights > 1e-4 * weights.max())
        if len(active) > WEIGHED:
            places = rng.choices(active.tolist(), weights[active].tolist(), k=WEIGHED)
            active, times = np.unique(np.array(places), return_counts=True)
            start = times / WEIGHED
        else:
            start = weights[active] / weights[active].sum()
        masks = self._masks[active]
        inside, outside = self._inside[active], self._outside[active]
        entropy_in, entropy_out = _entropy(inside), _entropy(outside)
        branches = start[:, None]  # one column per outcome of the pools chosen so far
        barred = {self._mask(keep) for keep in avoid}
        chosen: list[int] = []
        likely = rng.choices(masks.tolist(), start.tolist(), k=DRAWN * n)
        for _ in range(n):
            rise = branches * (inside - outside)[:, None]
            more = branches * (entropy_in - entropy_out)[:, None]
            level = (branches * outside[:, None]).sum(0)
            known = (branches * entropy_out[:, None]).sum()
            mass = branches.sum(0)
            terms = np.concatenate([rise, more.sum(1)[:, None]], axis=1)

            best, most = 0, -2.0
            candidates = self._candidates(rng, [likely.pop() for _ in range(DRAWN)])
            while True:
                asked = np.array(candidates, dtype=np.uint64)[:, None]
                within = ((masks[None, :] & asked) == masks[None, :]).astype(float)
                sums = within @ terms
                harm = (sums[:, :-1] + level) / mass
                gains = _entropy(harm) @ mass - sums[:, -1] - known
                gains[[pool in barred for pool in candidates]] = -1.0
                gains = gains.round(9)  # so that no rounding of sums decides
                top = int(gains.argmax())
                if gains[top] <= most:
                    break
                best, most = candidates[top], float(gains[top])
                candidates = [best ^ (1 << i) for i in range(len(self.steps))]
                if not candidates:
                    break
            if most < 0:
                break  # none that may be asked
            chosen.append(best)
            held = (masks & np.uint64(best)) == masks
            harm = np.where(held, inside, outside)[:, None]
            branches = np.concatenate([branches * harm, branches * (1 - harm)], axis=1)
            heavy = np.argsort(-branches.sum(0), kind="stable")[:BRANCHES]
            branches = branches[:, heavy] / branches[:, heavy].sum()
        return [self._subset(pool) for pool in chosen]

    def _candidates(self, rng: random.Random, likely: Iterable[int]) -> list[int]:
        """Pools to begin with: random ones, and some that hold a likely set."""
        n = len(self.steps)
        pools = []
        for number, mask in enumerate(likely):
            one, other = rng.getrandbits(n + 1) >> 1, rng.getrandbits(n + 1) >> 1
            drawn = (one & other, one, one | other, one | other)[number % 4]
            pools.append(drawn | mask if number % 3 == 0 else drawn)
        return pools

    def _posterior(self) -> "Floats":
        """Weights of the sets; with them, per set, the failure rates inside and outside."""
        import numpy as np

        if self._weights is not None:
            return self._weights
        self._age = (self._age + 1) % RENEWED
        live = self._live if self._age else np.arange(len(self._masks))
        p, b = self._rates[None, :, None], self._backgrounds[None, None, :]
        hits, tries = self._hits[live, None, None], self._tries[live, None, None]
        harmful, calls = self._all
        logs = hits * (np.log(p) - np.log(b)) + (tries - hits) * (np.log1p(-p) - np.log1p(-b))
        logs += harmful * np.log(b) + (calls - harmful) * np.log1p(-b)
        logs += self._prior[live, None, None] - math.log(logs.shape[1] * logs.shape[2])
        top = float(logs.max())
        if top == -math.inf:  # every set is excluded
            self._weights, self._log_vague = np.zeros(len(self._masks)), math.inf
            return self._weights
        mass = np.exp(logs - top)
        sums = mass.sum((1, 2))
        whole = float(sums.sum())
        safe = np.maximum(sums, 1e-300)
        size = len(self._masks)
        self._weights, self._inside, self._outside = (np.zeros(size) for _ in range(3))
        self._weights[live] = sums / whole
        self._inside[live] = (mass * p).sum((1, 2)) / safe
        self._outside[live] = (mass * b).sum((1, 2)) / safe
        high = self._vague.max()
        vague = high + math.log(np.exp(self._vague - high).mean())
        self._log_vague = math.log(VAGUE / (1 - VAGUE)) + vague - top - math.log(whole)
        if not self._age:
            self._live = np.flatnonzero(self._weights > NEGLIGIBLE)
        return self._weights

    def _mask(self, keep: Iterable[int]) -> int:
        return sum(1 << self._place[step] for step in keep if step in self._place)

    def _subset(self, mask: int) -> Subset:
        return frozenset(step for i, step in enumerate(self.steps) if mask >> i & 1)


@lru_cache(maxsize=8)
def _sets(n: int) -> tuple[list[int], list[float]]:
    """All sets of up to LARGEST of n steps as bit masks, and their prior probabilities."""
    sizes = [k for k in range(1, LARGEST + 1) if k <= n]
    masks, prior = [0], [NOTHING if sizes else 1.0]
    for size in sizes:
        each = (1 - NOTHING) / len(sizes) / math.comb(n, size)
        for members in combinations(range(n), size):
            masks.append(sum(1 << i for i in members))
            prior.append(each)
    return masks, prior


def failure_rates(background: float) -> list[float]:
    """The failure rates that a search reckons with: 0.9 apart in log-odds, up to 0.995."""
    start = math.log(background / (1 - background))
    rates = [1 / (1 + math.exp(-start - 0.9 * g)) for g in range(1, 20)]
    return [rate for rate in rates if rate < 0.995] or rates[:1]


def _entropy(rate: "Floats") -> "Floats":
    import numpy as np

    rate = np.clip(rate, 1e-12, 1 - 1e-12)
    entropy: Floats = -(rate * np.log2(rate) + (1 - rate) * np.log2(1 - rate))
    return entropy
