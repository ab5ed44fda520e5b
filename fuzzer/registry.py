"""Finds seeds, catalogues, subjects and judges by name, the built-in ones by entry point too.

The engine knows no particular transform or seed: whoever is installed under the entry points
``holdfast.transforms`` (a `Catalogue` or an iterable of transforms) and ``holdfast.seeds`` (a
function that returns scenarios) is found here, and nowhere else.
"""

import difflib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from fuzzer.errors import CatalogueError, ConfigurationError, HoldfastError, SeedError, unknown
from fuzzer.graph import Catalogue
from fuzzer.material import Material
from fuzzer.records import Report
from fuzzer.scenario import Scenario
from fuzzer.subjects import Subject
from fuzzer.transform import Transform
from fuzzer.wordings import pool_of, read_wordings, transforms_of

TRANSFORMS, SEEDS, REPORTERS = "holdfast.transforms", "holdfast.seeds", "holdfast.reporters"

Reporter = Callable[[Report, Path, Material], Report]


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except HoldfastError:
        raise
    except Exception as error:
        raise CatalogueError(
            f"the plug-in {point.name!r} ({point.value}) cannot be loaded: "
            f"{type(error).__name__}: {error}; mend or uninstall it"
        ) from error


_BROKEN: dict[tuple[str, str], str] = {}


def broken_plugins() -> tuple[str, ...]:
    """A sentence for each installed plug-in that was left out because it does not work."""
    return tuple(_BROKEN.values())


def _points(group: str) -> list[EntryPoint]:
    return sorted(entry_points(group=group), key=lambda p: (p.name != "builtin", p.name))


def _left_out(group: str, point: EntryPoint, error: HoldfastError) -> None:
    """Whoever installed a plug-in that breaks still has all the others."""
    if point.name == "builtin":
        raise error
    said = str(error)
    known = said if repr(point.name) in said else f"the plug-in {point.name!r}: {said}"
    _BROKEN[group, point.name] = f"{known} (left out)"


@lru_cache(maxsize=1)
def find_catalogue() -> Catalogue:
    """Every installed transform in one catalogue, the built-in ones first.

    A plug-in that cannot be loaded, or does not fit to the others, is left out (`broken_plugins`).
    """
    whole: Catalogue | None = None
    for point in _points(TRANSFORMS):
        try:
            found = _catalogue(_load(point), point)
            whole = found if whole is None else _joined(whole, found)
        except HoldfastError as error:
            _left_out(TRANSFORMS, point, error)
    return whole or Catalogue(())


def _catalogue(loaded: object, point: EntryPoint) -> Catalogue:
    try:
        found = loaded if isinstance(loaded, Catalogue) else Catalogue.of(list(loaded))  # type: ignore[call-overload]
    except (TypeError, AttributeError):
        found = None
    if found is None or not all(isinstance(t, Transform) for t in found):
        raise CatalogueError(
            f"the plug-in {point.name!r} ({point.value}) is neither a Catalogue nor a list of "
            "transforms; mend or uninstall it"
        )
    return found


def _joined(one: Catalogue, other: Catalogue) -> Catalogue:
    return Catalogue([*one, *other], {**other.pools, **one.pools})


@lru_cache(maxsize=1)
def find_seeds() -> tuple[Scenario, ...]:
    """Every seed that an installed package offers; a package that breaks is left out."""
    seeds: dict[str, Scenario] = {}
    for point in _points(SEEDS):
        try:
            found = _seeds(_load(point), point)
            if twice := sorted(seeds.keys() & {seed.name for seed in found}):
                raise SeedError(
                    f"the plug-in {point.name!r} ({point.value}) has seeds whose names are taken: "
                    f"{', '.join(twice)}; rename them"
                )
            seeds |= {seed.name: seed for seed in found}
        except HoldfastError as error:
            _left_out(SEEDS, point, error)
    return tuple(seeds.values())


def _seeds(make: Any, point: EntryPoint) -> tuple[Scenario, ...]:
    try:
        found = tuple(make())
    except HoldfastError:
        raise
    except Exception as error:
        raise SeedError(
            f"the plug-in {point.name!r} ({point.value}) cannot make its seeds: "
            f"{type(error).__name__}: {error}; mend or uninstall it"
        ) from error
    if not all(isinstance(seed, Scenario) for seed in found):
        raise SeedError(
            f"the plug-in {point.name!r} ({point.value}) gives something that is no Scenario; "
            "mend or uninstall it"
        )
    return found


def released_seeds() -> dict[str, dict[str, str]]:
    """The content hashes of the built-in seeds, by name and version."""
    from seeds.released import released

    return released()


def default_seeds() -> tuple[Scenario, ...]:
    """The seeds of a sweep that names none: all but the benign twins."""
    return tuple(seed for seed in find_seeds() if seed.twin_of is None)


def find_seed(name: str) -> Scenario:
    """A seed by name, or by the path of a ``.toml`` file; `SeedError` if there is none.

    ``published/…`` is a condition of a published evaluation, from the package that holds it.
    """
    if name.startswith("published/"):
        from seeds.published import load_published  # needs an extra

        return load_published(name)
    from seeds import is_built_in, load_seed  # the loader that goes with the file format

    if is_built_in(name):  # without reading all the others
        return load_seed(name)
    seeds = {seed.name: seed for seed in find_seeds()}
    if name in seeds:
        return seeds[name]
    if name.endswith(".toml") or "/" in name:
        return load_seed(name)
    raise SeedError(unknown("seed", name, seeds))


@lru_cache(maxsize=1)
def find_reporters() -> tuple[Reporter, ...]:
    """Every installed writer of reports: (report, run directory, `fuzzer.material.Material`).

    Each returns the report as it wrote it. The engine renders nothing itself.
    """
    points = sorted(entry_points(group=REPORTERS), key=lambda p: (p.name != "builtin", p.name))
    return tuple(_load(point) for point in points)


def find_subject(model: str, seeds: Sequence[Scenario], **settings: Any) -> Subject:
    """The subject behind ``--model``.

    ``organism/NAME``, ``anthropic/MODEL``, ``PROVIDER/MODEL`` (any other, through Inspect) or
    ``FILE.py:NAME``.

    Raises `ConfigurationError` when there is none, saying which forms there are.
    """
    kind, slash, name = model.partition("/")
    own = ".py:" in model
    if settings and (own or (slash and kind == "organism")):
        raise ConfigurationError(
            f"model {model!r} takes no settings, but was given {', '.join(sorted(settings))}; "
            "leave out -M and --base-url"
        )
    if own:
        return _from_file(model)
    if slash and kind == "organism":
        from fuzzer.subjects.organisms import built_in

        return built_in(name, seeds)
    if slash and kind == "anthropic":
        from fuzzer.subjects.anthropic import AnthropicSubject

        return AnthropicSubject(name, **settings)
    if near := difflib.get_close_matches(kind, ("organism", "anthropic") if slash else (), 1, 0.75):
        raise ConfigurationError(f"unknown model {model!r}; did you mean {f'{near[0]}/{name}'!r}?")
    if slash and re.fullmatch(r"[a-z][a-z0-9_-]*", kind):
        from fuzzer.subjects.inspect import InspectSubject

        return InspectSubject(model, **settings)
    raise ConfigurationError(
        f"unknown model {model!r}; write organism/NAME (built in), anthropic/MODEL, "
        "PROVIDER/MODEL (any other, through Inspect), or path/to/file.py:NAME (a Subject of your "
        "own); `holdfast list models` shows them"
    )


def takes_settings(model: str) -> bool:
    """Whether ``-M`` may be given with a model."""
    return not (".py:" in model or model.startswith("organism/"))


def _from_file(model: str) -> Subject:
    path, _, name = model.rpartition(":")
    module = load_file(path)
    found = getattr(module, name, None)
    if found is None:
        public = [key for key in vars(module) if not key.startswith("_")]
        raise ConfigurationError(f"model {model!r}: {unknown('name', name, public)}")
    try:
        made = found() if isinstance(found, type) or _is_factory(found) else found
    except HoldfastError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"model {model!r} cannot be made: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, Subject):
        raise ConfigurationError(
            f"model {model!r} is no Subject: it needs a name and `async def act(self, variant, "
            "epoch)` that returns a Transcript"
        )
    return made


def _is_factory(found: object) -> bool:
    return callable(found) and not hasattr(found, "act")


def load_file(path: str) -> ModuleType:
    """A Python file as a module; `ConfigurationError` when it cannot be run."""
    file = Path(path)
    try:
        there = file.is_file()
    except OSError:  # too long a name, a folder nobody may look into
        there = False
    if not there:
        raise ConfigurationError(f"no file {path!r}; give the path of a Python file")
    name = f"holdfast_plugin_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path!r} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except HoldfastError:
        raise
    except (Exception, SystemExit) as error:  # its exit code would be taken for a verdict
        del sys.modules[name]
        raise ConfigurationError(
            f"the plug-in {path!r} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return module


def plugged_in(paths: Iterable[str]) -> tuple[Catalogue, tuple[Scenario, ...]]:
    """The installed catalogue and seeds with those that plug-in files define added.

    A ``.json`` file holds wordings (`holdfast new wordings`). A transform stands before the first
    of those it names in ``before``, and last where it names none.
    """
    base = find_catalogue()
    transforms = list(base)
    seeds: list[Scenario] = []
    paths = tuple(paths)
    told = transforms_of([read_wordings(path) for path in paths if path.endswith(".json")])
    for path in paths:
        if path.endswith(".json"):
            continue
        values: Sequence[object] = list(vars(load_file(path)).values())
        if not any(isinstance(v, Transform | Scenario) for v in values):
            raise ConfigurationError(
                f"the plug-in {path!r} defines no transform and no scenario; decorate a function "
                "with @transform, or leave out --plugin"
            )
        for value in values:
            if isinstance(value, Transform) and value not in transforms:
                _place(value, transforms)
        seeds += [v for v in values if isinstance(v, Scenario)]
    for transform in told:
        _place(transform, transforms)
    if not transforms[len(base) :]:
        return base, tuple(seeds)
    pools = {transform.name: pool_of(transform) for transform in told}
    return Catalogue(transforms, {**base.pools, **pools}), tuple(seeds)


def _place(new: Transform, transforms: list[Transform]) -> None:
    first = (i for i, known in enumerate(transforms) if known.name in new.before)
    transforms.insert(next(first, len(transforms)), new)
