"""What of a sweep the model may have been trained on: the ground it stands on, and what that costs.

A rule on top of the table of verdicts, which it can only make harder. *Holds* needs unexposed
ground: for a model trained on an export, seeds of held-out stories under transforms of held-out
families alone. Where anything swept is exposed, what would be *holds* is *inconclusive*; *brittle*
stays, for a model that fails even where it was trained fails. Development counts as training here:
whoever chose by it has seen it.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from fuzzer.augment.split import SURFACE, Split, read_split, story_of
from fuzzer.distribution import Distribution
from fuzzer.errors import ConfigurationError
from fuzzer.graph import Catalogue
from fuzzer.reasons import exposed_note, exposed_reason
from fuzzer.records import Exposure, Report
from fuzzer.scenario import Scenario
from fuzzer.store import RunStore

EXPOSURE, SWEPT = "exposure", "swept"  # keys in the store: the record, names of transforms swept


class Ground(NamedTuple):
    """What is swept, and what is known of the model's exposure to it (None: nothing)."""

    seeds: tuple[Scenario, ...]
    catalogue: Catalogue
    exposure: Exposure | None = None

    @property
    def claim(self) -> dict[str, Any]:
        """What a run's claim says of it: the manifests, where any was given."""
        known = self.exposure
        if known is None or not known.manifest:
            return {}
        held_out = known.manifest if known.held_out else ""
        return {"exposure": {"held_out": held_out, "trained_on": list(known.trained_on)}}

    def keep(self, store: RunStore) -> None:
        """Leave in the run what its report needs to be made again."""
        if self.exposure is not None:
            store.put(EXPOSURE, self.exposure.model_dump(mode="json"))
            if self.exposure.held_out:
                store.put(SWEPT, [transform.name for transform in self.catalogue])


def choose_ground(
    seeds: Iterable[Scenario],
    catalogue: Catalogue,
    *,
    held_out: Split | Path | None = None,
    trained_on: Iterable[Split | Path] = (),
    named: bool = True,
) -> Ground:
    """The seeds and transforms of a sweep: all, or what a manifest holds out; and their exposure.

    `named`: the user chose the seeds, so that one which is not held out is an error, not left out.
    Raises `ConfigurationError` for such a seed, a file that is no manifest, and where nothing is
    held out.
    """
    seeds = tuple(seeds)
    kept = None if held_out is None else _read(held_out)
    under = tuple(map(_read, _several(trained_on)))
    if kept is not None:
        if named:
            _refuse_exposed(seeds, kept)
        seeds = kept.seeds(seeds, "test")
        catalogue = kept.held_out(catalogue)
        _refuse_empty(seeds, catalogue)
    return Ground(seeds, catalogue, _exposure(seeds, catalogue, kept, under))


def with_exposure(report: Report, store: RunStore) -> Report:
    """The report of a run with what it exposed; `holds` on exposed ground becomes inconclusive."""
    found = store.get(EXPOSURE)
    return report if found is None else told(report, Exposure.model_validate(found))


def told(report: Report, exposure: Exposure) -> Report:
    """The report with an exposure, and what follows from it (see the module)."""
    update: dict[str, Any] = {"exposure": exposure, "exposed": exposure.any}
    if exposure.any and report.verdict == "holds":
        update |= {
            "verdict": "inconclusive",
            "teaching_to_the_test": "undetermined",  # as of any inconclusive run
            "reason": exposed_reason(exposure, report.threshold),
            "sufficient_budget": None,  # no budget makes the ground another
        }
    elif exposure.any and report.verdict == "inconclusive" and report.exposure is None:
        update["notes"] = (exposed_note(exposure), *report.notes)
    return report.model_copy(update=update)


def swept_of(catalogue: Catalogue, store: RunStore) -> Catalogue:
    """The transforms that a run swept, where a manifest left some of these out."""
    names = store.get(SWEPT)
    if names is None:
        return catalogue
    return Catalogue([t for t in catalogue if t.name in names], catalogue.pools)


def kept_in_words(distribution: Distribution) -> str:
    """What there is to draw from: seeds, stories, and how many choices a seed has at most."""
    scenarios = distribution.scenarios.values()
    known = distribution.catalogue
    choices = max(len(known.choices(seed, "invariant")) for seed in scenarios)
    families = sorted({t.family for t in known if t.relation in SURFACE})
    stories = len(set(map(story_of, scenarios)))
    return (
        f"{len(scenarios)} seeds of {stories} stories, at most {choices} choices on one, of the "
        f"families {', '.join(families)}"
    )


def _read(given: Split | Path) -> Split:
    return given if isinstance(given, Split) else read_split(Path(given))


def _several(given: Iterable[Split | Path] | Split | Path) -> Iterable[Split | Path]:
    return (given,) if isinstance(given, Split | Path) else given


def _refuse_exposed(seeds: Iterable[Scenario], split: Split) -> None:
    for seed in seeds:
        cell = split.stories.get(story_of(seed))
        if cell == "test":
            continue
        was = "was never dealt" if cell is None else f"is dealt to {cell}"
        raise ConfigurationError(
            f"the seed {seed.name!r} is not held out: its story {story_of(seed)!r} {was} in the "
            f"manifest; name seeds of held-out stories ({_held_out(split)}), or none for all"
        )


def _held_out(split: Split) -> str:
    return ", ".join(story for story, cell in split.stories.items() if cell == "test")


def _refuse_empty(seeds: tuple[Scenario, ...], catalogue: Catalogue) -> None:
    if not seeds:
        raise ConfigurationError(
            "the manifest holds out no story of these seeds; deal them with `holdfast augment "
            "split`, or name seeds of a story that it holds out"
        )
    if not any(transform.relation in SURFACE for transform in catalogue):
        raise ConfigurationError(
            "the manifest holds out no family of these transforms; deal them with `holdfast "
            "augment split`"
        )


def _exposure(
    seeds: tuple[Scenario, ...], catalogue: Catalogue, kept: Split | None, under: tuple[Split, ...]
) -> Exposure | None:
    trained = {seed.name for seed in seeds if seed.exposure == "trained"}
    trained |= {seed.name for seed in seeds if _exposed(_stories, story_of(seed), kept, under)}
    families = sorted({t.family for t in catalogue if t.relation in SURFACE})
    if kept is None and not under and not trained:
        return None
    hashes = tuple(dict.fromkeys(split.hash for split in under))
    return Exposure(
        manifest=kept.hash if kept is not None else next(iter(hashes), ""),
        held_out=kept is not None,
        trained_on=hashes,
        exposed_seeds=tuple(seed.name for seed in seeds if seed.name in trained),
        exposed_families=tuple(f for f in families if _exposed(_families, f, kept, under)),
    )


def _exposed(
    dealt: Callable[[Split], dict[str, Any]],
    name: str,
    kept: Split | None,
    under: tuple[Split, ...],
) -> bool:
    """Whether some manifest of the model's training does not hold a thing out.

    What one never dealt was in no export under it, if somebody holds it out by name: `kept`.
    """
    fallback = dealt(kept).get(name) if kept is not None else None
    return any(dealt(split).get(name, fallback) != "test" for split in under)


def _stories(split: Split) -> dict[str, Any]:
    return dict(split.stories)


def _families(split: Split) -> dict[str, Any]:
    return dict(split.families)
