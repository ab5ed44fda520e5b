"""One shard of an export: a range of numbered rows on disk, the same wherever it is made."""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from fuzzer import registry
from fuzzer.augment.contamination import Guard
from fuzzer.augment.drawing import Blinded, Environments, Recipe
from fuzzer.augment.export import export
from fuzzer.augment.formats.base import About
from fuzzer.augment.rows import Row
from fuzzer.augment.split import Split
from fuzzer.preparation import choose_pools, judging, rules_judge
from fuzzer.scenario import Frozen, Scenario

REFERENCES = 16  # held-out variants of each kind that rows are compared with; `check` takes more


class Drawn(Frozen):
    """What rows are drawn from: everything that one of them depends on."""

    recipe: Recipe
    seeds: tuple[Scenario, ...]
    twins: tuple[Scenario, ...] = ()
    plugins: tuple[str, ...] = ()
    split: Split | None = None


class Job(Frozen):
    """An export of environments, as a worker anywhere needs it."""

    drawn: Drawn
    n: int  # rows asked for, over all shards
    shards: int
    formats: tuple[str, ...] = ("jsonl",)
    out: Path
    about: About

    def numbers(self, shard: int) -> range:
        """The numbers of the rows of one shard."""
        return range(shard * self.n // self.shards, (shard + 1) * self.n // self.shards)


class Made(Frozen):
    """What came of one shard."""

    shard: int
    rows: int
    blind: tuple[Blinded, ...] = ()
    alike: int = 0  # left out: too like what is held out
    repeated: int = 0  # left out: word for word a row before it in the shard
    seeds: dict[str, int] = Field(default_factory=dict)


def environments_of(drawn: Drawn) -> Environments:
    """The rows that can be drawn; raises `HoldfastError` as `Environments` does."""
    return _environments(drawn.model_dump_json())


@lru_cache(maxsize=2)  # a worker makes many shards of the same
def _environments(told: str) -> Environments:
    drawn = Drawn.model_validate_json(told)
    split, plugins = drawn.split, drawn.plugins
    catalogue, _ = registry.plugged_in(plugins)
    return Environments(
        drawn.recipe,
        drawn.seeds,
        drawn.twins,
        catalogue,
        choose_pools(catalogue, drawn.seeds),
        judging(rules_judge()),
        split,
        guard_of(split, plugins) if split else None,
    )


def guard_of(split: Split, plugins: tuple[str, ...]) -> Guard:
    """What stands before an export: it knows every seed there is."""
    catalogue, own = registry.plugged_in(plugins)
    installed = registry.find_seeds()
    known = {seed.name: seed for seed in (*installed, *own)}.values()
    trusted = frozenset(seed.name for seed in installed)
    return Guard(split, known, catalogue, catalogue.pools, draws=REFERENCES, trusted=trusted)


def make(job: str, shard: int) -> str:
    """Write one shard of a job; both sides of the call are JSON, so that any worker can make it."""
    read = Job.model_validate_json(job)
    environments = environments_of(read.drawn)
    before, like = len(environments.blind), environments.alike
    distinct = _Distinct()
    numbers = read.numbers(shard)
    written = export(
        distinct.of(environments.rows(numbers.start, numbers.stop)),
        read.out,
        read.formats,
        about=read.about,
        shard=shard,
        shards=read.shards,
    )
    blind = tuple(environments.blind[before:])
    made = Made(
        shard=shard,
        rows=written.rows,
        blind=blind,
        alike=environments.alike - like,
        repeated=distinct.repeated,
        seeds=dict(distinct.seeds),
    )
    return made.model_dump_json()


class _Distinct:
    """Rows whose request has not been seen in this shard."""

    def __init__(self) -> None:
        self.repeated = 0
        self.seeds: Counter[str] = Counter()
        self._seen: set[bytes] = set()

    def of(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Each request once."""
        for row in rows:
            assert row.play is not None
            digest = bytes.fromhex(row.play.request_hash)[:8]
            if digest in self._seen:
                self.repeated += 1
                continue
            self._seen.add(digest)
            self.seeds[row.lineage.seed] += 1
            yield row
