"""Hypothesis strategies: `plans()`, `variants()`, and the parameter pools drawn from them.

A transform's `Params` is the single source of its parameters. A campaign draws from committed
pools, filled here once; a user's own ``@given`` draws straight from the strategies and shrinks
natively towards fewer steps and default parameters.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzer.graph import Catalogue
from fuzzer.scenario import Scenario, canonical_json
from fuzzer.transform import Params, Plan, Relation, Step, Transform
from fuzzer.variant import Variant, render

POOL_SIZE = 256  # values at most
POOL_PATIENCE = 64  # draws in a row without a new effect that end a pool
SURFACE: tuple[Relation, ...] = ("invariant", "sham")


def steps(transform: Transform) -> st.SearchStrategy[Step]:
    """Steps of one transform, shrinking towards its defaults."""
    return st.from_type(transform.params).map(
        lambda params: Step(transform=transform.name, params=params.model_dump(mode="json"))
    )


def plans(
    catalogue: Catalogue | Iterable[Transform] | None = None,
    *,
    max_steps: int = 6,
    seed: str = "",
    relations: Sequence[Relation] = SURFACE,
) -> st.SearchStrategy[Plan]:
    """Plans of up to `max_steps` steps, at most one of each choice group, in the total order.

    Without a `catalogue`, the built-in one. Only what should change nothing is drawn
    (`relations`), so that a failing example is a broken invariance.
    """
    known = _catalogue(catalogue)
    drawable = [t for t in known if t.relation in relations]
    if not drawable or max_steps < 1:
        return st.just(Plan(seed=seed))
    return st.lists(
        st.one_of([steps(t) for t in drawable]),
        max_size=max_steps,
        unique_by=lambda step: known[step.transform].group,
    ).map(lambda drawn: known.plan(seed, drawn))


def variants(
    seed: Scenario | str,
    catalogue: Catalogue | Iterable[Transform] | None = None,
    *,
    max_steps: int = 6,
) -> st.SearchStrategy[Variant]:
    """Variants of a seed (a name or a `Scenario`); blind ones are never drawn."""
    from fuzzer.judges.rules import RulesJudge
    from fuzzer.registry import find_seed
    from fuzzer.variant import admit

    scenario = find_seed(seed) if isinstance(seed, str) else seed
    known = _catalogue(catalogue)
    fitting = Catalogue([t for t in known if t.applicable(scenario)])
    judge = RulesJudge().decide
    return (
        plans(fitting, max_steps=max_steps, seed=scenario.name)
        .map(lambda plan: known.variant(scenario, plan))
        .filter(lambda variant: bool(admit(variant, scenario, judge)))
    )


def _catalogue(catalogue: Catalogue | Iterable[Transform] | None) -> Catalogue:
    if catalogue is None:
        from fuzzer.registry import find_catalogue

        return find_catalogue()
    return Catalogue.of(catalogue)


def fill_pool(transform: Transform, seeds: Sequence[Scenario]) -> tuple[Step, ...]:
    """A transform's pool: values distinct by rendered effect on the seeds, the defaults first.

    Public Hypothesis API only: ``fuzz_one_input`` on bytes that depend on name, version and
    number. A value that changes nothing on any seed is left out (a sham has just its defaults).
    """
    default = Step(transform=transform.name, params=transform.params().model_dump(mode="json"))
    if transform.relation == "sham":
        return (default,)
    effects = _Effects(transform, [seed for seed in seeds if transform.applicable(seed)])
    pool: list[Step] = []

    drawn: set[bytes] = set()

    def consider(params: Params) -> bool:
        key = canonical_json(params.model_dump(mode="json"))
        if key in drawn or not effects.add(params):
            drawn.add(key)
            return False
        drawn.add(key)
        pool.append(Step(transform=transform.name, params=params.model_dump(mode="json")))
        return True

    consider(transform.params())
    draw = _drawer(transform)
    idle = number = 0
    while len(pool) < POOL_SIZE and idle < POOL_PATIENCE:
        params = draw(number)
        number += 1
        idle = 0 if params is not None and consider(params) else idle + 1
    return tuple(pool) or (default,)  # drawing it is then rejected, or blind, and counted


class _Effects:
    """Parameters by what they do to each seed in turn; two that do the same to all are the same.

    Most differ on the first seed already, so that further ones are rendered only where it matters.
    """

    def __init__(self, transform: Transform, seeds: Sequence[Scenario]) -> None:
        self._transform = transform
        self._seeds = seeds
        self._root: dict[bytes, Any] = {}
        self.add(None)  # what changes nothing is there from the start

    def add(self, params: Params | None) -> bool:
        """Whether these parameters do what none before them did."""
        node = self._root
        for depth in range(len(self._seeds)):
            effect = self._effect(params, depth)
            if effect not in node:
                node[effect] = (params,)
                return True
            if isinstance(node[effect], tuple):  # nobody had to look further until now
                (other,) = node[effect]
                deeper = depth + 1 < len(self._seeds)
                node[effect] = {self._effect(other, depth + 1): (other,)} if deeper else {}
            node = node[effect]
        return False

    def _effect(self, params: Params | None, depth: int) -> bytes:
        seed = self._seeds[depth]
        after = seed if params is None else self._transform(seed, params)
        return hashlib.blake2b(render(after).text.encode(), digest_size=16).digest()


def _drawer(transform: Transform) -> Callable[[int], Params | None]:
    """The numbered draws of a transform's parameters; None when the bytes of one ran out."""
    caught: list[Params] = []

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.from_type(transform.params))
    def catch(params: Params) -> None:
        caught.append(params)

    fuzz = catch.hypothesis.fuzz_one_input  # type: ignore[attr-defined]

    def draw(number: int) -> Params | None:
        caught.clear()
        name = f"{transform.name}:{transform.version}:{number}".encode()
        fuzz(hashlib.shake_128(name).digest(256))
        return caught[0] if caught else None

    return draw
