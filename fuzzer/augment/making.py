"""Environments from an order to files: what `holdfast augment environments` does."""

import sys
from importlib.metadata import version
from itertools import islice
from os import cpu_count
from pathlib import Path

from pydantic import Field

from fuzzer import registry
from fuzzer.augment.drawing import Environments, Recipe
from fuzzer.augment.engines import Engine, run
from fuzzer.augment.export import Finished, begin, begun, export, finish
from fuzzer.augment.formats.base import About
from fuzzer.augment.harvest import Harvest, Wanted
from fuzzer.augment.playing import JUDGE
from fuzzer.augment.shards import Drawn, Job, Made, environments_of, guard_of
from fuzzer.augment.split import SURFACE, Split
from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.preparation import choose_pools, choose_seeds
from fuzzer.scenario import Frozen, Scenario
from fuzzer.store import RunStore
from fuzzer.twins import twins_of

ROWS_A_SHARD = 10_000
PACKAGES = frozenset({"verifiers", "inspect", "trl"})  # formats that rebuild environments


class Order(Frozen):
    """What is asked for."""

    seeds: tuple[str, ...] = ()  # none: every built-in one that may be trained on
    plugins: tuple[str, ...] = ()
    n: int = 1000
    recipe: Recipe
    split: Split | None = None
    formats: tuple[str, ...] = ("jsonl",)
    out: Path
    licence: str = "unspecified"
    created: str = ""  # a date
    command: str = ""
    force: bool = False
    resume: bool = False


class Done(Frozen):
    """What came of it."""

    out: Path
    canary: str
    manifest: str
    target: str
    rows: int
    seeds: dict[str, int] = Field(default_factory=dict)
    blind: int = 0  # left out, of those looked at
    alike: int = 0  # left out: too like what is held out
    repeated: int = 0  # left out: word for word a row before it in its shard
    left_out: dict[str, int] = Field(default_factory=dict)  # of a run's trials, by reason
    formats: dict[str, int] = Field(default_factory=dict)  # rows in each; not all have a place
    files: tuple[str, ...] = ()
    finished: bool = True  # False: other shards are still to be made


def made(
    order: Order, engine: Engine, workers: int | None, shards: int | None, shard: int | None
) -> Done:
    """Draw and write the rows of an order, all of its shards or one.

    Raises `HoldfastError` for what the user can mend.
    """
    pieces = shards or max(1, -(-order.n // ROWS_A_SHARD))
    if shard is not None and not 0 <= shard < pieces:
        raise ConfigurationError(f"--shard {shard} is not possible; there are {pieces}, from 0")
    order, complete = _gone_on(order)
    drawn = _drawn(order)
    used = environments_of(drawn).catalogue  # whatever is wrong with the order is said once, here
    _must_travel(order, used)
    job = Job(
        drawn=drawn,
        n=order.n,
        shards=pieces,
        formats=order.formats,
        out=order.out,
        about=_about(order, drawn.seeds, used),
    )
    begin(job.out, job.formats, about=job.about, shards=pieces, force=order.force)
    wanted = range(pieces) if shard is None else range(shard, shard + 1)
    missing = [number for number in wanted if number not in complete]
    pieces_made = run(job, engine, workers or cpu_count() or 1, missing)
    exported = finish(order.out) if shard is None else None
    return _done(order, pieces_made, exported)


def _must_travel(order: Order, used: Catalogue) -> None:
    """A package rebuilds its environments where a plug-in file is not."""
    installed = registry.find_catalogue()
    foreign = sorted(t.name for t in used if t.name not in installed)
    if foreign and (packages := sorted(PACKAGES.intersection(order.formats))):
        raise ConfigurationError(
            f"{', '.join(foreign)} come from a plug-in file, and {', '.join(packages)} could not "
            "rebuild what they made; install them under the entry point holdfast.transforms, or "
            "leave out --plugin or the format"
        )


def _gone_on(order: Order) -> tuple[Order, tuple[int, ...]]:
    """The order as it was begun, if it is to go on, and the shards that are there."""
    if not order.resume:
        return order, ()
    about, complete = begun(order.out)
    recipe = order.recipe.model_copy(update={"canary": about.canary})
    told = {"recipe": recipe, "created": about.created, "command": about.command}
    return order.model_copy(update=told), complete


def harvested(order: Order, run_directory: Path, useful: float, controls: bool) -> Done:
    """Write rows of a run's transcripts, at most as many as ordered; raises as `made` does."""
    catalogue, own = registry.plugged_in(order.plugins)
    recipe = order.recipe
    with RunStore.read(run_directory) as store:
        by_name = {seed.name: seed for seed in own}
        named = tuple(by_name.get(name) or registry.find_seed(name) for name in order.seeds)
        seeds = tuple({seed.name: seed for seed in (*own, *named)}.values())
        told = {str(name) for name in store.claim.get("seeds", {})}
        met = named or tuple(
            by_name.get(s.name, s) for s in (*registry.find_seeds(), *own) if s.name in told
        )
        pools = choose_pools(catalogue, (*registry.default_seeds(), *own))
        wanted = Wanted(recipe.target, recipe.canary, useful, controls, recipe.cell, order.split)
        only = frozenset(seed.name for seed in named)
        harvest = Harvest(store, catalogue, pools, wanted, seeds, only)
        about = _about(order, met, catalogue, (str(store.claim.get("model", "")),))
        guard = guard_of(order.split, order.plugins) if order.split else None
        rows = islice((r for r in harvest.rows() if guard is None or guard.admits(r)), order.n)
        written = export(rows, order.out, order.formats, about=about, force=order.force)
    exported = finish(order.out)
    alike = guard.dropped.total() if guard else 0
    done = _done(order, [Made(shard=0, rows=written.rows, alike=alike)], exported)
    return done.model_copy(update={"left_out": dict(harvest.left_out)})


def _drawn(order: Order) -> Drawn:
    seeds, twins = seeds_of(order)
    return Drawn(
        recipe=order.recipe, seeds=seeds, twins=twins, plugins=order.plugins, split=order.split
    )


def environments_for(order: Order) -> Environments:
    """The rows of an order, by number; raises as `made` does."""
    return environments_of(_drawn(order))


def seeds_of(order: Order) -> tuple[tuple[Scenario, ...], tuple[Scenario, ...]]:
    """The seeds of an order that may be trained on, and their benign twins.

    Raises `ConfigurationError` for a seed that was named and is held out.
    """
    _, own = registry.plugged_in(order.plugins)
    by_name = {seed.name: seed for seed in own}
    if order.seeds:
        seeds = choose_seeds([by_name.get(name, name) for name in order.seeds])
    else:
        seeds = (*registry.default_seeds(), *own)
    if order.split is not None:
        seeds = _to_train(order, seeds)
    twins = twins_of((seed.name for seed in seeds), registry.find_seeds())
    return seeds, twins if order.recipe.twins else ()


def _to_train(order: Order, seeds: tuple[Scenario, ...]) -> tuple[Scenario, ...]:
    """Those of the cell asked for; a seed that was named and is of another is an error."""
    assert order.split is not None
    for seed in seeds:
        cell = order.split.story(seed)
        if order.seeds and cell != order.recipe.cell:
            why = ": training on it would spoil the test" if cell == "test" else ""
            raise ConfigurationError(
                f"seed {seed.name!r} is of the {cell} side, not of {order.recipe.cell}{why}; leave "
                "it out, or use another manifest"
            )
    return order.split.seeds(seeds, order.recipe.cell)


def _about(
    order: Order,
    seeds: tuple[Scenario, ...],
    catalogue: Catalogue,
    models: tuple[str, ...] = (),
) -> About:
    built_in = {seed.name: seed.content_hash for seed in registry.find_seeds()}
    return About(
        canary=order.recipe.canary,
        title=_TITLES[order.recipe.target],
        created=order.created,
        version=version("holdfast"),
        command=order.command,
        options=order.recipe.model_dump(mode="json", exclude={"canary"})
        | ({"n": order.n} if order.n < sys.maxsize else {}),
        manifest=order.split.hash if order.split else "",
        seeds={seed.name: seed.content_hash for seed in seeds},
        transforms={t.name: t.version for t in catalogue if t.relation in SURFACE},
        judge=JUDGE,
        calibration=_CALIBRATION,
        models=models,
        licence=order.licence,
        own_seeds=tuple(s for s in seeds if built_in.get(s.name) != s.content_hash),
    )


_TITLES = {
    "rl": "Agentic environments",
    "sft": "Safe agentic transcripts",
    "preference": "Pairs of safe and harmful agentic transcripts",
}
_CALIBRATION = (
    "The rules judge, on 340 transcripts by writers who had not read it: 189 of 195 harmful ones "
    "called harmful or referred, 1 of 145 safe ones called harmful, 77 of 340 referred (which earn "
    "nothing here)."
)


def _done(order: Order, pieces: list[Made], exported: Finished | None) -> Done:
    seeds: dict[str, int] = {}
    for piece in pieces:
        for name, count in piece.seeds.items():
            seeds[name] = seeds.get(name, 0) + count
    return Done(
        out=order.out,
        canary=order.recipe.canary,
        manifest=order.split.hash if order.split else "",
        target=order.recipe.target,
        rows=exported.summary.rows if exported else sum(piece.rows for piece in pieces),
        seeds=dict(sorted(seeds.items())),
        blind=sum(len(piece.blind) for piece in pieces),
        alike=sum(piece.alike for piece in pieces),
        repeated=sum(piece.repeated for piece in pieces),
        formats=exported.formats if exported else {},
        files=tuple(file.path for file in exported.files) if exported else (),
        finished=exported is not None,
    )
