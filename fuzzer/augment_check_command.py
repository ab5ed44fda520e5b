"""`holdfast augment check`: whether an export gives away what its manifest holds out."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzzer.options import above_zero, json_option, plugin_option

if TYPE_CHECKING:
    from fuzzer.augment.checking import Checked, Likeness, Part


@click.command()
@click.argument("export")
@click.argument("seeds", nargs=-1, metavar="[SEED]...")
@click.option(
    "--split", "manifest", required=True, metavar="MANIFEST", help="The split it was made under."
)
@click.option(
    "--references",
    default=128,
    show_default=True,
    help="Held-out variants to compare with, of each kind.",
)
@plugin_option
@json_option
def check(
    *,
    export: str,
    seeds: tuple[str, ...],
    manifest: str,
    references: int,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Hold an export against the manifest of its split: lineage, near-duplicates, passages.

    EXPORT is the folder of an export, or a canonical .jsonl file; SEED are seed files of your own
    that were dealt beside the installed ones. Exits with 0 (clean) or 1 (a leak was found).
    """
    above_zero(references=references)

    from fuzzer.augment.checking import check as checked
    from fuzzer.augment.contamination import Guard
    from fuzzer.augment.export import rows_of
    from fuzzer.augment.split import read_split
    from fuzzer.registry import find_seed, find_seeds, plugged_in

    split = read_split(Path(manifest))
    catalogue, own = plugged_in(plugins)
    known = (*find_seeds(), *own, *map(find_seed, seeds))
    seeds_known = {seed.name: seed for seed in known}.values()
    trusted = frozenset(seed.name for seed in find_seeds())
    pools = catalogue.pools
    guard = Guard(split, seeds_known, catalogue, pools, draws=references, trusted=trusted)
    found = checked(rows_of(Path(export)), guard)
    if as_json:
        click.echo(json.dumps(found.model_dump(mode="json"), indent=2))
    else:
        _show(found)
    sys.exit(found.exit_code)


def _show(found: "Checked") -> None:
    from reports.text import line

    lineage = found.overlap
    word = "Clean" if found.clean else "Leaks"
    click.echo(
        f"{word}: {found.rows:,} rows against the manifest {found.manifest[:12]}: "
        f"{lineage.leaks:,} made of what is held out, {found.near_duplicates:,} near-duplicates "
        f"(J >= 0.8) of held-out stories, {found.passages:,} with a passage of one."
    )
    for leak in found.leaks:
        click.echo(f"- row {line(leak.row, 80)}: {line(leak.what, 300)}")
    if lineage.unknown:
        click.echo(f"{lineage.unknown:,} rows are made of no seed: only their text was compared.")
    if lineage.other_manifest:
        click.echo(f"{lineage.other_manifest:,} rows were made under another manifest.")
    click.echo(f"Like held-out stories: {_told(found.held_out_stories)}.")
    click.echo(
        "Like held-out transforms on stories trained on, which share the story's text: "
        f"{_told(found.held_out_transforms)}."
    )


def _told(likeness: "Likeness") -> str:
    return (
        f"J >= 0.8 {_part(likeness.near)}, 0.5 to 0.8 {_part(likeness.similar)}, highest "
        f"{likeness.highest:.2f}, of {likeness.near.n:,} rows sampled"
    )


def _part(part: "Part") -> str:
    low, high = part.ci
    return f"{part.share:.1%} [{low:.1%}, {high:.1%}]"
