"""Transforms: named, versioned, pure changes of a scenario, held to what they declare.

A transform is one function on a page::

    class Rename(Params):
        draw: Annotated[int, Field(ge=0, lt=4096)] = 0

    @transform(family="personas", relation="invariant", rung="form", changes={"cast"})
    def rename_people(scenario: Scenario, params: Rename) -> Scenario:
        "Give every person another name."

Its summary is the first line of its docstring, its parameters are the fields of its `Params`. A
`Plan` is a *set* of steps, applied in one total order over the catalogue; every subset of a plan
is a plan.
"""

import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, Literal, get_type_hints

from pydantic import Field, ValidationError

from fuzzer.elements import drop_elements as drop_elements  # also found here
from fuzzer.errors import CatalogueError, DeclarationError, HoldfastError
from fuzzer.scenario import FACET_FIELDS, FACETS, Frozen, Scenario, canonical_json

Relation = Literal["invariant", "sham", "pressure", "safety_cue", "eval_cue"]
Rung = Literal["form", "context", "wording"]
RUNGS: tuple[Rung, ...] = ("form", "context", "wording")  # from least to most debatable

Apply = Callable[[Scenario, Any], Scenario]


class Params(Frozen):
    """Base of a transform's parameters; every field has a default, the simplest real change."""


@dataclass(frozen=True)
class Transform:
    """A declared change of surface."""

    name: str
    family: str
    relation: Relation
    rung: Rung | None  # None unless invariant: only invariance has rungs
    changes: frozenset[str]
    params: type[Params]
    apply: Apply
    version: int = 1
    group: str = ""  # choice group: at most one of a group in a plan
    before: frozenset[str] = frozenset()
    requires: frozenset[str] = frozenset()  # properties of the seed
    summary: str = ""
    made_for: frozenset[tuple[str, str]] = frozenset()  # only these seeds: (name, content hash)

    @cached_property
    def keeps(self) -> tuple[tuple[str, str], ...]:
        """The facets that must come out as they went in, with each field of theirs."""
        return _fields(facet for facet in FACETS if facet not in self.changes)

    @cached_property
    def touches(self) -> tuple[str, ...]:
        """The fields it may change."""
        return tuple(field for _, field in _fields(self.changes))

    def applicable(self, seed: Scenario) -> bool:
        """Whether the seed has what this transform needs, and is in a language it leaves alone.

        What is more than form adds words or replaces them, and all there are are English. Raises
        `CatalogueError` for a seed that has changed since this was made for it.
        """
        if self.made_for and not self._is_for(seed):
            return False
        leaves_words = seed.english or self.rung == "form" or self.relation == "sham"
        return leaves_words and self.requires <= seed.properties

    def _is_for(self, seed: Scenario) -> bool:
        known = self._hashes.get(seed.name)
        if known is not None and known != seed.content_hash:
            raise CatalogueError(
                f"transform {self.name!r} was made for another state of the seed {seed.name!r}; "
                "make it again from the seed as it is now, or leave out --plugin"
            )
        return known is not None

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return dict(self.made_for)

    def __call__(self, scenario: Scenario, params: Params | None = None) -> Scenario:
        """Apply, and hold the function to its declaration; raises `DeclarationError`."""
        params = self.params() if params is None else params
        try:
            changed = self.apply(scenario, params)
        except HoldfastError:
            raise
        except Exception as error:
            raise DeclarationError(
                f"transform {self.name!r} raised {type(error).__name__}: {error} "
                f"({_where(error)}); mend it"
            ) from error
        if not isinstance(changed, Scenario):
            raise DeclarationError(
                f"transform {self.name!r} returned {type(changed).__name__}, not a Scenario; "
                "end it with `return scenario.model_copy(update={...})`"
            )
        before, after = scenario.__dict__, changed.__dict__  # a third of the time of getattr
        for facet, field in self.keeps:
            if before[field] is not after[field] and before[field] != after[field]:
                raise DeclarationError(
                    f"transform {self.name!r} changed the facet {facet!r}, which it does not "
                    f"declare (changes={sorted(self.changes)}); declare it or leave it alone"
                )
        return changed


def _fields(facets: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((facet, field) for facet in facets for field in FACET_FIELDS.get(facet, (facet,)))


def _where(error: Exception) -> str:
    """The line of the transform itself, however deep below it the error arose."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = frames[min(1, len(frames) - 1)]  # the first is the call above
    return f"{frame.filename}, line {frame.lineno}"


def transform(
    *,
    family: str,
    relation: Relation,
    changes: Set[str],
    rung: Rung | None = None,
    version: int = 1,
    group: str = "",
    before: Iterable[str] = (),
    requires: Iterable[str] = (),
) -> Callable[[Callable[[Scenario, Any], Scenario]], Transform]:
    """Declare a transform; raises `CatalogueError` for a declaration that cannot be right."""

    def declare(function: Callable[[Scenario, Any], Scenario]) -> Transform:
        name = function.__name__
        if unknown_facets := set(changes) - set(FACETS):
            raise CatalogueError(
                f"transform {name!r} declares unknown facets {sorted(unknown_facets)}; "
                f"facets are {', '.join(FACETS)}"
            )
        if (rung is not None) != (relation == "invariant"):
            raise CatalogueError(
                f"transform {name!r} is {relation} with rung {rung!r}; an invariant transform "
                f"names a rung ({', '.join(RUNGS)}), every other has none"
            )
        parameters = list(inspect.signature(function).parameters)
        kind = get_type_hints(function).get(parameters[1]) if len(parameters) == 2 else None
        if not (isinstance(kind, type) and issubclass(kind, Params)):
            raise CatalogueError(
                f"transform {name!r} must take (scenario, params: <a subclass of Params>)"
            )
        if required := [key for key, f in kind.model_fields.items() if f.is_required()]:
            raise CatalogueError(f"transform {name!r}: parameters {required} need defaults")
        summary = (function.__doc__ or "").strip().split("\n")[0]
        if not summary:
            raise CatalogueError(f"transform {name!r} needs a docstring; its first line is shown")
        return Transform(
            name=name,
            family=family,
            relation=relation,
            rung=rung,
            changes=frozenset(changes),
            params=kind,
            apply=function,
            version=version,
            group=group or name,
            before=frozenset(before),
            requires=frozenset(requires),
            summary=summary,
        )

    return declare


class Step(Frozen):
    """A transform with parameters. `repr` is valid Python, to be pasted into a test."""

    transform: str
    params: dict[str, Any] = Field(default_factory=dict)

    @cached_property
    def key(self) -> bytes:
        """Canonical JSON of the step: what equality and hashes rest on."""
        return canonical_json([self.transform, self.params])

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Step) and self.key == other.key


class Plan(Frozen):
    """A set of steps on a seed, and ids of elements dropped after them."""

    seed: str
    steps: tuple[Step, ...] = ()
    drop: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """Hash of the plan's content, whatever the order of its steps (hex, 8 bytes)."""
        keys = sorted([step.key for step in self.steps])  # JSON: no control characters in it
        parts = (self.seed.encode(), b"\2".join(keys), "\2".join(sorted(self.drop)).encode())
        return hashlib.blake2b(b"\1".join(parts), digest_size=8).hexdigest()

    def keep(self, indices: Iterable[int]) -> "Plan":
        """The plan with only these of its steps."""
        kept = sorted(set(indices))
        return Plan(seed=self.seed, steps=tuple(self.steps[i] for i in kept), drop=self.drop)

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.id == other.id

    def __len__(self) -> int:
        return len(self.steps)


def read_params(declared: Transform, step: Step) -> Params:
    """The step's parameters as the transform's own type; `CatalogueError` if they are not."""
    try:
        return declared.params.model_validate(step.params)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "params"
        raise CatalogueError(
            f"step {step.transform!r}: parameter {where!r} = {first.get('input')!r} is not "
            f"possible ({first['msg']}); known: {', '.join(declared.params.model_fields) or 'none'}"
        ) from None


class _Declaring(ModuleType):
    """This module, callable: ``from fuzzer import transform`` finds the module, not the function.

    Python binds a submodule to its package on first import, and that wins over PEP 562.
    """

    def __call__(self, **declaration: Any) -> Callable[[Callable[..., Scenario]], Transform]:
        return transform(**declaration)


sys.modules[__name__].__class__ = _Declaring
