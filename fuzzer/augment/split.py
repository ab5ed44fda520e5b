"""What may be trained on and what stays for the test: seed family × transform family × value.

A model that trained on some variants of a scenario is tested honestly on none of its siblings: rows
are no unit of a split. Stories, transform families and the values of each pool are each dealt to
train, dev or test by a hash with a private salt, so that nobody guesses from the repository what a
lab holds back. The manifest keeps the deal; an export carries its hash alone.
"""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from fuzzer.errors import ConfigurationError, first_fault
from fuzzer.graph import Catalogue
from fuzzer.scenario import Frozen, Scenario, canonical_json
from fuzzer.transform import Step, Transform

Cell = Literal["train", "dev", "test"]
#: Where a variant stands: what is held out of it.
Place = Literal["train", "dev", "test-values", "test-transforms", "test-seeds", "test-both"]
SHARES: dict[Cell, float] = {"train": 0.6, "dev": 0.15, "test": 0.25}
SURFACE = ("invariant",)  # relations whose families are dealt; shams change nothing to be learned

Pools = Mapping[str, tuple[Step, ...]]


class Values(Frozen):
    """How the values of one pool are dealt: positions in the pool."""

    pool: str  # hash of the pool, so that positions mean what they meant
    train: tuple[int, ...]
    dev: tuple[int, ...] = ()
    test: tuple[int, ...] = ()


class Split(Frozen):
    """The manifest. It belongs to those who test, not to those who train."""

    schema_version: int = 1
    created: str = ""  # a date
    salt_hash: str  # of the private salt (blake2b, hex)
    stories: dict[str, Cell]  # seed family -> cell
    families: dict[str, Cell]  # transform family -> cell
    values: dict[str, Values] = Field(default_factory=dict)  # transform -> its pool

    @cached_property
    def hash(self) -> str:
        """Hash of the deal (hex, 16 bytes): what an export carries of it."""
        return hashlib.blake2b(
            canonical_json(self.model_dump(mode="json")), digest_size=16
        ).hexdigest()

    def story(self, seed: Scenario) -> Cell:
        """The cell of a seed's story; `ConfigurationError` for one that was never dealt."""
        return _known(self.stories, "story", story_of(seed))

    def family(self, transform: Transform) -> Cell:
        """The cell of a transform's family; `ConfigurationError` for one never dealt."""
        return _known(self.families, "family of transforms", transform.family)

    def seeds(self, seeds: Iterable[Scenario], *cells: Cell) -> tuple[Scenario, ...]:
        """Those of the seeds whose story is in one of these cells; unknown stories are in none."""
        return tuple(s for s in seeds if self.stories.get(story_of(s)) in cells)

    def catalogue(self, known: Catalogue, pools: Pools, *cells: Cell) -> Catalogue:
        """The surface transforms of these cells, their pools without the values of other cells.

        Of a family held out every value is held out, so that all of its pool is there; of one that
        is trained on, the values of the cells asked for. Shams are left in. Raises
        `ConfigurationError` for a pool that is not the one that was dealt.
        """
        kept, values = [], {}
        for transform in known:
            pool = pools.get(transform.name, ())
            if transform.relation in SURFACE:
                if self.families.get(transform.family) not in cells or not pool:
                    continue
                if self.families[transform.family] == "train":
                    pool = self._of(transform.name, pool, cells)
                if not pool:
                    continue
            elif transform.relation != "sham":
                continue
            kept.append(transform)
            if pool:
                values[transform.name] = pool
        return Catalogue(kept, values)

    def held_out(self, known: Catalogue) -> Catalogue:
        """What tests a model trained under this split: held-out families whole, and shams."""
        kept = [
            t
            for t in known
            if t.relation == "sham"
            or (t.relation in SURFACE and self.families.get(t.family) == "test")
        ]
        names = {t.name for t in kept}
        return Catalogue(kept, {name: p for name, p in known.pools.items() if name in names})

    def _of(self, name: str, pool: tuple[Step, ...], cells: tuple[Cell, ...]) -> tuple[Step, ...]:
        known = self._cells(name, pool)
        return tuple(step for step in pool if known.get(step.key, "") in cells)

    def _cells(self, name: str, pool: tuple[Step, ...]) -> dict[bytes, Cell]:
        """The cell of each value of a pool by its key; the last pool asked about is kept."""
        kept, cells = self._pools.get(name, ((), {}))
        if kept is pool:
            return cells
        dealt = self.values.get(name)
        cells = {}
        if dealt is not None:
            if dealt.pool != pool_hash(pool):
                raise ConfigurationError(
                    f"the pool of {name!r} is not the one the manifest was made with; deal again "
                    "with a new manifest, or use the version of Holdfast it was made with"
                )
            positions = {i: cell for cell in SHARES for i in getattr(dealt, cell)}
            cells = {step.key: positions.get(i, "test") for i, step in enumerate(pool)}
        self._pools[name] = (pool, cells)
        return cells

    @cached_property
    def _pools(self) -> dict[str, tuple[tuple[Step, ...], dict[bytes, Cell]]]:
        return {}

    def place(self, seed: Scenario, steps: Iterable[Step], known: Catalogue, pools: Pools) -> Place:
        """Where a variant stands; it is as held out as the most held-out thing about it."""
        story = self.story(seed)
        families: set[Cell] = set()
        values: set[Cell] = set()
        for step in steps:
            transform = known[step.transform]
            if transform.relation not in SURFACE:
                continue
            cell = self.family(transform)
            families.add(cell)
            if cell == "train":
                values.add(self.value(step, pools))
        if story == "test":
            return "test-both" if families == {"test"} else "test-seeds"
        if "test" in families:
            return "test-transforms"
        if "test" in values:
            return "test-values"
        return "dev" if "dev" in {story, *families, *values} else "train"

    def value(self, step: Step, pools: Pools) -> Cell:
        """The cell of one value of a pool; a value that was never dealt is held out.

        Raises `ConfigurationError` for a pool that is not the one that was dealt.
        """
        return self._cells(step.transform, pools.get(step.transform, ())).get(step.key, "test")


def story_of(seed: Scenario) -> str:
    """The unit by which seeds are dealt: twins and conditions of one story go together."""
    return seed.family or seed.name


def choices_of(known: Catalogue, pools: Pools) -> dict[str, int]:
    """How many choice groups each family of surface transforms has a part in."""
    groups: dict[str, set[str]] = {}
    for transform in known:
        if transform.relation in SURFACE and pools.get(transform.name):
            groups.setdefault(transform.family, set()).add(transform.group)
    return {family: len(found) for family, found in groups.items()}


def pool_hash(pool: Iterable[Step]) -> str:
    """Hash of a pool's values in their order (hex, 8 bytes)."""
    return hashlib.blake2b(b"\1".join(step.key for step in pool), digest_size=8).hexdigest()


def deal(
    seeds: Iterable[Scenario],
    known: Catalogue,
    pools: Pools,
    salt: str,
    *,
    created: str = "",
    before: Split | None = None,
) -> Split:
    """Deal stories, families and values by a hash with `salt`.

    Few things (stories, families) are taken in the order of their hash until a cell has about its
    share, so that none is empty; many (values) are dealt one by one. A family counts for as many
    choice groups as it has, for that is what a variant draws: two families of one choice each would
    be a weak test. What `before` has dealt stays where it is; what is
    new since goes by its hash alone. Raises `ConfigurationError` for another salt than `before`'s.
    """
    salted = _digest(salt, "salt")
    if before is not None and before.salt_hash != salted:
        raise ConfigurationError(
            "the salt is not the one the manifest was made with; give the same salt"
        )
    families = choices_of(known, pools)
    stories = dict.fromkeys((story_of(s) for s in seeds), 1)
    values = dict(before.values) if before else {}
    for transform in known:
        pool = pools.get(transform.name)
        if transform.relation in SURFACE and pool and transform.name not in values:
            values[transform.name] = _dealt(salt, transform.name, pool)
    return Split(
        created=created,
        salt_hash=salted,
        stories=_ranked(salt, "story", stories, before.stories if before else None),
        families=_ranked(salt, "family", families, before.families if before else None),
        values=values,
    )


def read_split(path: Path) -> Split:
    """A manifest from its file; `ConfigurationError` says what is wrong with it."""
    try:
        return Split.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the manifest {str(path)!r}: {error.strerror}"
        ) from None
    except ValidationError as error:
        raise ConfigurationError(
            f"{str(path)!r} is no manifest of a split: {first_fault(error, 'the file')}"
        ) from None


def _digest(salt: str, *parts: str) -> str:
    text = "\0".join((salt, *parts))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _chance(salt: str, *parts: str) -> float:
    return int(_digest(salt, *parts)[:13], 16) / 16**13


def _by_chance(chance: float) -> Cell:
    for cell, share in SHARES.items():
        if chance < share:
            return cell
        chance -= share
    return "test"


def _ranked(
    salt: str, kind: str, sizes: Mapping[str, int], before: Mapping[str, Cell] | None
) -> dict[str, Cell]:
    """Things by cell; `sizes` says how much of a share each takes."""
    if before is not None:
        new = {n: _by_chance(_chance(salt, kind, n)) for n in sizes if n not in before}
        return dict(sorted({**before, **new}.items()))
    ranked = sorted(sizes, key=lambda name: _digest(salt, kind, name))
    if len(ranked) < len(SHARES):
        raise ConfigurationError(
            f"{len(ranked)} of kind {kind!r} cannot be split into train, dev and test; "
            f"give at least {len(SHARES)}"
        )
    total = sum(sizes.values())
    cells: dict[str, Cell] = dict.fromkeys(ranked, "train")
    for number, cell in enumerate(_FILLED):
        left = [name for name in ranked if cells[name] == "train"]
        spare = len(_FILLED) - number  # one for each cell that is still to be filled
        cells |= dict.fromkeys(_share(left, sizes, total * SHARES[cell], spare), cell)
    return dict(sorted(cells.items()))


_FILLED: tuple[Cell, ...] = ("test", "dev")  # in this order; what is left is trained on
_NEAR = 0.2  # a share is met within this part of it


def _share(ranked: list[str], sizes: Mapping[str, int], wanted: float, spare: int) -> list[str]:
    """The first that together come near to what is wanted; the smallest if each is too large."""
    taken: list[str] = []
    size = 0
    for name in ranked:
        if size >= wanted * (1 - _NEAR) or len(ranked) - len(taken) <= spare:
            break
        if size + sizes[name] <= wanted * (1 + _NEAR):
            taken.append(name)
            size += sizes[name]
    return taken or [min(ranked, key=sizes.__getitem__)]


def _dealt(salt: str, transform: str, pool: tuple[Step, ...]) -> Values:
    dealt: dict[Cell, list[int]] = {"train": [], "dev": [], "test": []}
    for position, step in enumerate(pool):
        dealt[_by_chance(_chance(salt, "value", transform, step.key.decode()))].append(position)
    return Values(pool=pool_hash(pool), **{cell: tuple(found) for cell, found in dealt.items()})


def _known(dealt: Mapping[str, Cell], what: str, name: str) -> Cell:
    if name not in dealt:
        raise ConfigurationError(
            f"the manifest knows no {what} {name!r}; deal it with `holdfast augment split`"
        )
    return dealt[name]
