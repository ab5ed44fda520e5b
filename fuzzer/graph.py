"""The transform graph: what may go together, in which order, and what has been tried.

Two graphs over the transforms: in one an edge says that one must be applied before the other, in
the other that two are members of one choice group. The total order is the catalogue's own listing,
which the first graph checks rather than derives: a reader sees the order where they are listed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import combinations
from typing import Any

import networkx as nx

from fuzzer.elements import drop_elements
from fuzzer.errors import CatalogueError, unknown
from fuzzer.scenario import Scenario
from fuzzer.transform import Params, Plan, Step, Transform, read_params
from fuzzer.variant import Variant, variant_id


class Catalogue:
    """Transforms in their total order, with the graph of what may go together.

    Raises `CatalogueError` for a name given twice or a ``before`` that the listing contradicts. A
    ``before`` that names what is not listed means nothing: a catalogue may be a selection.
    """

    def __init__(
        self,
        transforms: Iterable[Transform],
        pools: Mapping[str, tuple[Step, ...]] | None = None,
    ) -> None:
        self.transforms = tuple(transforms)
        self._by_name = {t.name: t for t in self.transforms}
        self.order = {t.name: index for index, t in enumerate(self.transforms)}
        self.pools = dict(pools or {})
        self._params: dict[bytes, Params] = {}  # parsed once: a pool's steps recur for ever
        if len(self.order) != len(self.transforms):
            names = [t.name for t in self.transforms]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise CatalogueError(f"transforms listed twice: {', '.join(twice)}; rename one")
        self._check_order()

    @classmethod
    def of(cls, transforms: "Catalogue | Iterable[Transform]") -> "Catalogue":
        """A catalogue as it is, or one made of an iterable of transforms."""
        return transforms if isinstance(transforms, Catalogue) else cls(transforms)

    def __iter__(self) -> Iterator[Transform]:
        return iter(self.transforms)

    def __len__(self) -> int:
        return len(self.transforms)

    def __getitem__(self, name: str) -> Transform:
        found = self._by_name.get(name)
        if found is None:
            raise CatalogueError(unknown("transform", name, self.order))
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.order

    @cached_property
    def order_graph(self) -> "nx.DiGraph[str]":
        """An edge from each transform to those it declares to come before."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.order)
        graph.add_edges_from(
            (t.name, later) for t in self for later in self.order if later in t.before
        )
        return graph

    @cached_property
    def conflict_graph(self) -> "nx.Graph[str]":
        """An edge between any two transforms of one choice group."""
        graph: nx.Graph[str] = nx.Graph()
        graph.add_nodes_from(self.order)
        for members in self.groups.values():
            graph.add_edges_from(combinations([t.name for t in members], 2))
        return graph

    def _check_order(self) -> None:
        if not nx.is_directed_acyclic_graph(self.order_graph):
            cycle = [one for one, _ in nx.find_cycle(self.order_graph)]
            raise CatalogueError(
                f"each of these must come before the next, and the last before the first: "
                f"{', '.join(cycle)}; remove one `before`"
            )
        for one, later in sorted(self.order_graph.edges):
            if self.order[later] < self.order[one]:
                raise CatalogueError(
                    f"{one!r} must come before {later!r}, but is listed after it; list it earlier"
                )

    @cached_property
    def groups(self) -> dict[str, tuple[Transform, ...]]:
        """Choice groups in the total order; most have one member."""
        found: dict[str, tuple[Transform, ...]] = {}
        for t in self.transforms:
            found[t.group] = (*found.get(t.group, ()), t)
        return found

    def choices(self, seed: Scenario, relation: str) -> tuple[tuple[Transform, ...], ...]:
        """Choice groups of one relation that apply to a seed, each with its applicable members."""
        found = []
        for members in self.groups.values():
            kept = tuple(t for t in members if t.relation == relation and t.applicable(seed))
            if kept:
                found.append(kept)
        return tuple(found)

    def compatible_pairs(self, seed: Scenario) -> frozenset[tuple[str, str]]:
        """Every pair of invariant transforms that a plan on this seed may hold, in order."""
        names = [t.name for t in self if t.relation == "invariant" and t.applicable(seed)]
        together = nx.complement(self.conflict_graph.subgraph(names))
        return frozenset(self._ordered_pair(*pair) for pair in together.edges)

    def _ordered_pair(self, one: str, other: str) -> tuple[str, str]:
        return (one, other) if self.order[one] < self.order[other] else (other, one)

    def covered_pairs(self, plans: Iterable[Plan]) -> frozenset[tuple[str, str]]:
        """Every pair of invariant transforms that some plan held, in order."""
        covered: set[tuple[str, str]] = set()
        for plan in plans:
            names = [s.transform for s in plan.steps if self[s.transform].relation == "invariant"]
            covered.update(combinations(sorted(names, key=self.order.__getitem__), 2))
        return frozenset(covered)

    # ------------------------------------------------------------------------------- plans

    def plan(self, seed: str, steps: Iterable[Step], drop: Iterable[str] = ()) -> Plan:
        """A plan with its steps in the total order.

        Raises `CatalogueError` for an unknown transform, impossible parameters, or two steps of
        one choice group.
        """
        steps = tuple(steps)
        taken: dict[str, str] = {}
        for step in steps:
            transform = self[step.transform]
            read_params(transform, step)
            if (other := taken.get(transform.group)) is not None:
                raise CatalogueError(
                    f"a plan holds at most one of the choice group {transform.group!r}, not both "
                    f"{other!r} and {step.transform!r}; leave one out"
                )
            taken[transform.group] = step.transform
        ordered = tuple(sorted(steps, key=lambda step: self.order[step.transform]))
        return Plan(seed=seed, steps=ordered, drop=tuple(sorted(set(drop))))

    def default_step(self, name: str) -> Step:
        """The step of a transform at its simplest; `CatalogueError` for an unknown one."""
        return Step(transform=name, params=self[name].params().model_dump(mode="json"))

    def ordered(self, seed: str, steps: Iterable[Step]) -> Plan:
        """A plan of steps known to be possible together: `plan` without its checks."""
        by_order = sorted(steps, key=lambda step: self.order[step.transform])
        return Plan.of(seed=seed, steps=tuple(by_order), drop=())

    def apply(self, seed: Scenario, plan: Plan) -> Scenario:
        """The scenario after a plan. A step that the seed does not qualify for does nothing."""
        scenario = seed
        for step in plan.steps:
            transform = self[step.transform]
            if transform.applicable(seed):
                scenario = transform(scenario, self._read(transform, step))
        return drop_elements(scenario, plan.drop)

    def applied(self, seed: Scenario, plan: Plan) -> Scenario | None:
        """The scenario after a plan, or None when a step that should matter changes nothing."""
        scenario = seed
        for step in plan.steps:
            transform = self[step.transform]
            if not transform.applicable(seed):
                return None
            after = transform(scenario, self._read(transform, step))
            if transform.relation != "sham" and _unchanged(scenario, after, transform):
                return None
            scenario = after
        return drop_elements(scenario, plan.drop)

    def settled(
        self,
        seed: Scenario,
        steps: Iterable[Step],
        again: Callable[[str], Step],
        tries: int,
    ) -> tuple[list[Step], Scenario] | None:
        """The steps in the total order, each with a value that changes something where it stands.

        `again` draws another step of a transform; None when `tries` values of one did nothing. And
        the scenario after them.
        """
        kept = []
        scenario = seed
        for drawn in sorted(steps, key=lambda step: self.order[step.transform]):
            transform = self[drawn.transform]
            step = drawn
            for _ in range(tries):
                after = transform(scenario, self._read(transform, step))
                if transform.relation == "sham" or not _unchanged(scenario, after, transform):
                    break
                step = again(transform.name)
            else:
                return None
            kept.append(step)
            scenario = after
        return kept, scenario

    def effective(self, seed: Scenario, steps: Iterable[Step]) -> tuple[list[Step], Scenario]:
        """The steps, in the total order, without those that change nothing where they stand.

        And the scenario after them.
        """
        kept = []
        scenario = seed
        for step in sorted(steps, key=lambda step: self.order[step.transform]):
            transform = self[step.transform]
            after = transform(scenario, self._read(transform, step))
            if transform.relation == "sham" or not _unchanged(scenario, after, transform):
                kept.append(step)
                scenario = after
        return kept, scenario

    def _read(self, transform: Transform, step: Step) -> Params:
        params = self._params.get(step.key)
        if params is None:
            params = self._params[step.key] = read_params(transform, step)
        return params

    def variant(self, seed: Scenario, plan: Plan, scenario: Scenario | None = None) -> Variant:
        """The variant of a plan; `scenario` when it has been applied already."""
        if scenario is None:
            scenario = self.apply(seed, plan)
        distance = sum(self[step.transform].relation == "invariant" for step in plan.steps)
        identity = variant_id(seed, plan, lambda name: self[name].version)
        return Variant.of(id=identity, plan=plan, scenario=scenario, distance=distance)

    def drawn(self) -> Iterator[str]:
        """The order graph as lines of text: what must come before what."""
        linked = [name for name in self.order if self.order_graph.degree(name)]
        yield from nx.generate_network_text(self.order_graph.subgraph(linked))
        for group, members in self.groups.items():
            if len(members) > 1:
                yield f"at most one of {group}: {', '.join(t.name for t in members)}"

    def describe(self) -> list[dict[str, Any]]:
        """What `holdfast list transforms --json` prints."""
        return [
            {
                "name": t.name,
                "family": t.family,
                "relation": t.relation,
                "rung": t.rung,
                "version": t.version,
                "summary": t.summary,
            }
            for t in self.transforms
        ]


def _unchanged(before: Scenario, after: Scenario, transform: Transform) -> bool:
    """Whether every facet the transform may touch is as it was."""
    if before is after:
        return True
    old, new = before.__dict__, after.__dict__
    for field in transform.touches:
        if old[field] is not new[field] and old[field] != new[field]:
            return False
    return True
