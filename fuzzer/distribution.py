"""D, the declared distribution of variants, and the other rows a search may ask for.

Every draw is a function of (random seed, kind of row, number) alone, so that two runs draw alike
and a resumed run draws again what it drew. A value that changes nothing where its step stands is
rejected and drawn again from its pool, so that which steps are in a plan does not depend on whose
values happen to do nothing; draws that are invalid, have distance 0 or are *blind* are rejected and
drawn again within their density class; they are counted, never repaired.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from random import Random

from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.outline import (
    DENSITIES,
    PATIENCE,
    OfPlans,
    Outline,
    Pools,
    Presences,
    contains,
    pick,
    stratum_of,
)
from fuzzer.proposal import FAR, Draw, Stratum
from fuzzer.records import Blind
from fuzzer.scenario import Scenario, canonical_json
from fuzzer.transform import Plan, Step
from fuzzer.variant import Judging, Variant, admit

VERSION = 2  # of the sampler; part of D's hash
WHOLE_TRIED = 4  # all-on plans that must hold every choice, before some may be left out
VALUES_TRIED = 16  # of one step, before the draw is rejected
_CACHED = 128


class NothingToDraw(ConfigurationError):
    """Draw after draw was rejected: with these seeds and transforms nothing can be tested."""


class Distribution(OfPlans):
    """Where a search's plans come from; satisfies `fuzzer.proposal.PlanSource`.

    `judge` decides the controls at admission; with `referring`, what it refers is for others to
    decide (`fuzzer.variant.admit`); `judged_by` is the judge's name and version, for the hash.
    Raises `NothingToDraw` when `PATIENCE` draws in a row were rejected.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        seeds: Iterable[Scenario],
        pools: Pools,
        judge: Judging,
        random_seed: int = 0,
        judged_by: str = "",
        referring: bool = False,
    ) -> None:
        self.catalogue = catalogue
        self.scenarios = {seed.name: seed for seed in seeds}
        self.seeds = tuple(self.scenarios)
        self.pools = pools
        self.random_seed = random_seed
        self.blind: dict[tuple[str, Plan], Blind] = {}  # whatever was found blind, with its reason
        self.rejected: dict[tuple[str, int], list[tuple[str, Plan]]] = {}  # blind, by (kind, k)
        self._judge = judge
        self._judged_by = judged_by
        self._referring = referring
        self.outline = Outline(catalogue, self.scenarios.values(), pools, random_seed)
        self._variants: OrderedDict[tuple[str, Plan], Variant] = OrderedDict()
        self._effective: set[tuple[str, Plan]] = set()  # those whose every step does something

    def of_seeds(self, seeds: Iterable[Scenario]) -> "Distribution":
        """The same distribution over other seeds."""
        return Distribution(
            self.catalogue,
            seeds,
            self.pools,
            self._judge,
            self.random_seed,
            self._judged_by,
            self._referring,
        )

    # --------------------------------------------------------------------------- plan source

    def canonical(self, k: int) -> Draw:
        """The k-th canonical call: the seeds in turn."""
        seed = self.seeds[k % len(self.seeds)]
        return Draw(seed, Plan(seed=seed), "canonical", 0)

    def draw(self, k: int) -> Draw:
        """The k-th draw from D."""
        rng = Random(f"{self.random_seed}:D:{k}")
        return self._draw(rng, self.seeds, stratum_of(rng.random()), ("draw", k))

    def far_draw(self, k: int, seed: str) -> Draw:
        """A draw from D given this seed and a distance of at least `FAR`, for block k."""
        rng = Random(f"{self.random_seed}:far:{seed}:{k}")
        for _ in range(PATIENCE):
            draw = self._draw(rng, (seed,), stratum_of(rng.random()), ("far", k))
            if draw.distance >= FAR:
                return draw
        raise NothingToDraw(f"seed {seed!r}: no draw reaches distance {FAR}")

    def all_on(self, k: int) -> Draw:
        """Every applicable choice at once, the parameters drawn afresh.

        Not a draw from D, so it may be repaired: steps that change nothing are left out, and if it
        stays blind choices are left out too. One bad transform must not forbid all the others.
        """
        rng = Random(f"{self.random_seed}:all:{k}")
        return self._admitted(rng, self.seeds, "all_on", 1.0, ("all_on", k))

    @property
    def far_share(self) -> float:
        """Share of D at distance `FAR` or more, rejected draws left out of account."""
        return self.outline.far_share

    # ---------------------------------------------------------------------------- neighbours

    def behaviour(self, seed: str) -> str:
        """What a seed tempts to."""
        return self.outline.behaviour(seed)

    def subset(self, seed: str, plan: Plan, keep: Iterable[int]) -> Draw | None:
        """Only these steps of a plan; None where that is blind."""
        return self._neighbour(seed, plan.keep(keep))

    def transfer(self, plan: Plan, seed: str) -> Draw | None:
        """The same steps on another seed; None where one does nothing there, or it is blind."""
        moved = Plan(seed=seed, steps=plan.steps)
        if self.catalogue.applied(self.scenarios[seed], moved) is None:
            return None
        return self._neighbour(seed, moved)

    def apart(self, k: int, known: tuple[Plan, ...]) -> Draw | None:
        """The k-th draw by the law of D that holds none of the plans known; None if too rare."""
        rng = Random(f"{self.random_seed}:apart:{k}")
        smaller = tuple(plan.steps for plan in known)
        stratum = stratum_of(rng.random())
        try:
            draw = self._admitted(
                rng, self.seeds, stratum, DENSITIES[stratum], ("apart", k), smaller
            )
        except NothingToDraw:
            return None
        return draw._replace(stratum="neighbour")

    def _neighbour(self, seed: str, plan: Plan) -> Draw | None:
        if not self.admissible(seed, plan):
            return None
        return Draw(seed, plan, "neighbour", self.variant(seed, plan).distance)

    # ------------------------------------------------------------------------------ drawing

    def _draw(
        self, rng: Random, seeds: tuple[str, ...], stratum: Stratum, row: tuple[str, int]
    ) -> Draw:
        return self._admitted(rng, seeds, stratum, DENSITIES[stratum], row)

    def _admitted(
        self,
        rng: Random,
        seeds: tuple[str, ...],
        stratum: Stratum,
        density: float,
        row: tuple[str, int],
        known: tuple[tuple[Step, ...], ...] = (),
    ) -> Draw:
        for attempt in range(PATIENCE):
            seed = pick(rng, seeds)
            if stratum == "all_on" and attempt > WHOLE_TRIED:
                density = max(0.5, density - 0.05)
            steps, distance = self.outline.steps(rng, seed, stratum, density)
            if any(contains(steps, smaller) for smaller in known):
                continue
            scenario: Scenario | None = None
            if distance:
                found = self.catalogue.settled(
                    self.scenarios[seed],
                    steps,
                    lambda name: pick(rng, self.pools[name]),
                    VALUES_TRIED,
                )
                if found is None and stratum == "all_on" and attempt >= WHOLE_TRIED:
                    found = self.catalogue.effective(self.scenarios[seed], steps)
                if found is None:
                    continue
                steps, scenario = found
                distance = sum(self.catalogue[s.transform].relation == "invariant" for s in steps)
            if distance == 0:
                continue
            plan = self.catalogue.ordered(seed, steps)
            variant = self._built(seed, plan, scenario)
            if variant is None:
                continue
            if self._admits(variant):
                return Draw(seed, plan, stratum, distance)
            self.rejected.setdefault(row, []).append((seed, plan))
        raise NothingToDraw(
            f"{PATIENCE} draws in a row were invalid or blind; the last reason: "
            f"{self._last_reason()}; nothing can be tested with these seeds and transforms"
        )

    # ------------------------------------------------------------------------------ variants

    def variant(self, seed: str, plan: Plan) -> Variant:
        """The variant of a proposal, admitted or not."""
        key = (seed, plan)
        if (found := self._variants.get(key)) is None:
            found = self.catalogue.variant(self.scenarios[seed], plan)
            self._keep(key, found)
        return found

    def admissible(self, seed: str, plan: Plan) -> bool:
        """Whether a plan on a seed may be run; a blind one is recorded with its reason."""
        return self._admits(self.variant(seed, plan))

    def possible(self, seed: str, plan: Plan, scenario: Scenario | None = None) -> bool:
        """`admissible`, kept in no record: a shrink asks about many that nobody would miss.

        `scenario` when the plan has been applied already.
        """
        if scenario is None:
            variant = self.variant(seed, plan)
        else:
            variant = self.catalogue.variant(self.scenarios[seed], plan, scenario)
        return bool(admit(variant, self.scenarios[seed], self._judge, referring=self._referring))

    def _built(self, seed: str, plan: Plan, scenario: Scenario | None = None) -> Variant | None:
        """The variant of a draw, or None when one of its steps changes nothing.

        `scenario` when the plan has been applied already.
        """
        key = (seed, plan)
        if key in self._effective:
            return self._variants[key]
        if scenario is None:
            scenario = self.catalogue.applied(self.scenarios[seed], plan)
        if scenario is None:
            return None
        found = self.catalogue.variant(self.scenarios[seed], plan, scenario)
        self._keep(key, found)
        self._effective.add(key)
        return found

    def _keep(self, key: tuple[str, Plan], variant: Variant) -> None:
        self._variants[key] = variant
        if len(self._variants) > _CACHED:
            gone, _ = self._variants.popitem(last=False)
            self._effective.discard(gone)

    def _admits(self, variant: Variant) -> bool:
        seed = self.scenarios[variant.plan.seed]
        admission = admit(variant, seed, self._judge, referring=self._referring)
        if admission:
            return True
        self.blind[variant.plan.seed, variant.plan] = Blind(
            seed=variant.plan.seed, plan=variant.plan.steps, reason="; ".join(admission.reasons)
        )
        return False

    def _last_reason(self) -> str:
        return next((b.reason for b in reversed(self.blind.values())), "a step changed nothing")

    # ----------------------------------------------------------------------------- provenance

    @property
    def hash(self) -> str:
        """Hash of what D is: sampler, catalogue, pools, seeds and judge (hex, 16 bytes)."""
        digest = hashlib.blake2b(digest_size=16)
        catalogue = [(t.name, t.version, t.relation, t.group) for t in self.catalogue]
        digest.update(canonical_json([VERSION, catalogue, self._judged_by]))
        for name in sorted(self.pools):
            digest.update(canonical_json([name, [step.params for step in self.pools[name]]]))
        for seed in self.scenarios.values():
            digest.update(seed.content_hash.encode())
        return digest.hexdigest()

    def presences(self, seed: str, stratum: Stratum, plan: Plan) -> Iterator[Presences]:
        """For each step a row of D might hold: (transform, in the plan, chance given the others).

        See `fuzzer.outline.Outline.presences`.
        """
        return self.outline.presences(seed, stratum, plan.steps)
