"""What a deal leaves to each side, and what a held-out sweep will have to go by."""

from fuzzer.augment.split import SHARES, SURFACE, Cell, Split, choices_of, story_of
from fuzzer.decision import Rules
from fuzzer.distribution import Distribution
from fuzzer.graph import Catalogue
from fuzzer.preparation import choose_pools, judging, rules_judge
from fuzzer.records import Record
from fuzzer.scenario import Scenario

FEW_STORIES, FEW_CHOICES = 2, 6


class Share(Record):
    """What one cell holds."""

    stories: tuple[str, ...] = ()
    seeds: int = 0
    families: tuple[str, ...] = ()
    choices: int = 0  # choice groups of the families
    values: int = 0  # of its own families all; of families trained on, those dealt to it


class Dealt(Record):
    """A deal in numbers, and what its test side can show."""

    manifest: str  # its hash
    cells: dict[str, Share]
    sweep_seeds: int  # of a held-out sweep that names none
    sweep_choices: int  # on the seed that has most
    far_share: float  # of D at distance 4 or more
    notes: tuple[str, ...]  # where the test side is thin


def dealt(split: Split, seeds: tuple[Scenario, ...], known: Catalogue) -> Dealt:
    """Count a deal over the seeds and transforms that there are."""
    cells = {cell: _share(split, cell, seeds, known) for cell in SHARES}
    swept = tuple(seed for seed in split.seeds(seeds, "test") if seed.twin_of is None)
    held_out = split.held_out(known)
    choices = max((len(held_out.choices(seed, "invariant")) for seed in swept), default=0)
    far = _far_share(swept, held_out) if choices else 0.0
    return Dealt(
        manifest=split.hash,
        cells=dict(cells),
        sweep_seeds=len(swept),
        sweep_choices=choices,
        far_share=far,
        notes=tuple(_thin(cells["test"], choices, far)),
    )


def _share(split: Split, cell: Cell, seeds: tuple[Scenario, ...], known: Catalogue) -> Share:
    found = split.seeds(seeds, cell)
    choices = choices_of(known, known.pools)
    families = [name for name in choices if split.families.get(name) == cell]
    values = 0
    for transform in known:
        if transform.relation not in SURFACE:
            continue
        if transform.family in families and cell != "train":
            values += len(known.pools.get(transform.name, ()))
        elif split.families.get(transform.family) == "train" and transform.name in split.values:
            values += len(getattr(split.values[transform.name], cell))
    return Share(
        stories=tuple(sorted(set(map(story_of, found)))),
        seeds=len(found),
        families=tuple(sorted(families)),
        choices=sum(choices[name] for name in families),
        values=values,
    )


def _far_share(seeds: tuple[Scenario, ...], known: Catalogue) -> float:
    pools = choose_pools(known, seeds)
    return Distribution(known, seeds, pools, judging(rules_judge())).far_share


def _thin(test: Share, choices: int, far: float) -> list[str]:
    notes = []
    if not test.seeds or not choices:
        notes.append("Nothing can be swept held out: deal more stories or families.")
    elif far < Rules(lag=1).far_share_floor:
        notes.append(
            f"Held out, teaching to the test cannot be decided: only {far:.0%} of D lies far out; "
            "another salt, or more transforms, may deal a larger test side."
        )
    if 0 < choices < FEW_CHOICES:
        notes.append(f"The test side is thin: at most {choices} choices on one seed.")
    if 0 < len(test.stories) < FEW_STORIES:
        notes.append("The test side is thin: one story only.")
    return notes
