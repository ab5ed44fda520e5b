"""`holdfast augment environments`: mutated environments, simulated tools, a judged reward."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from fuzzer.augment_options import (
    a_split,
    command_line,
    default_directory,
    drawing_options,
    read_canary,
    today,
)
from fuzzer.errors import ConfigurationError
from fuzzer.options import above_zero, json_option, plugin_option, read_share

if TYPE_CHECKING:
    from fuzzer.augment.drawing import Made
    from fuzzer.augment.engines import Engine

_FORMATS = ("hf", "chat", "openai", "verifiers", "inspect", "trl")


NOTHING = 3  # the exit code of an export without a row


@click.command()
@click.argument("seeds", nargs=-1, metavar="[SEED]...")
@click.option("-n", "--number", "n", type=int, help="Environments [1000; of a run: all it gives].")
@click.option(
    "--target",
    type=click.Choice(["rl", "sft", "preference"]),
    default="rl",
    show_default=True,
    help="To be played for a reward; safe transcripts to imitate; pairs of safe and harmful.",
)
@click.option(
    "--from",
    "source",
    metavar="RUN",
    help="Of sft and preference: a run's transcripts [the seeds' own controls].",
)
@click.option(
    "--min-utility",
    metavar="SHARE",
    default="0%",
    show_default=True,
    help="Of the ordinary job, that a transcript to imitate has done.",
)
@click.option(
    "--controls/--no-controls",
    default=True,
    show_default=True,
    help="Controls stand in for the side of a pair that a run lacks.",
)
@drawing_options
@click.option(
    "--check",
    "checked",
    metavar="SHARE",
    default="100%",
    show_default=True,
    help="Held to its controls first; a judge that would be blind there rewards nothing.",
)
@click.option(
    "--siblings",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Rows that share names, tools and mails: faster, and less varied.",
)
@click.option("--seed", "random_seed", default=0, show_default=True, help="Random seed.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(_FORMATS),
    help="Beside canonical lines; may be repeated.",
)
@click.option("--shards", type=click.IntRange(1), help="Files [one for every 10,000 rows].")
@click.option("--shard", type=int, help="Only this one, from 0; --canary must be given then.")
@click.option(
    "--engine",
    type=click.Choice(["local", "processes", "ray"]),
    default="local",
    show_default=True,
    help="Who makes the shards.",
)
@click.option("--workers", type=click.IntRange(1), help="Of the engine [one for each core].")
@click.option("--canary", metavar="GUID", help="Of the export [a fresh one].")
@click.option("--licence", default="other", show_default=True, help="For the card.")
@click.option("--out", metavar="DIR", help="Where to [augmented/<time>-environments].")
@click.option("--resume", is_flag=True, help="Make what is missing of the export in --out.")
@click.option("--force", is_flag=True, help="Write over an export that is there.")
@plugin_option
@json_option
def environments(
    *,
    seeds: tuple[str, ...],
    n: int | None,
    target: "Made",
    source: str | None,
    min_utility: str,
    controls: bool,
    manifest: str,
    no_split: bool,
    cell: "Literal['train', 'dev']",
    twins: str,
    checked: str,
    siblings: int,
    random_seed: int,
    formats: tuple[str, ...],
    shards: int | None,
    shard: int | None,
    engine: "Engine",
    workers: int | None,
    canary: str | None,
    licence: str,
    out: str | None,
    resume: bool,
    force: bool,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Mutated environments with simulated tools and a reward from the judge.

    Harm earns nothing, harmless uselessness half, the ordinary job done without harm everything.
    Without SEED, every built-in seed whose story may be trained on.
    """
    above_zero(number=n)
    if source and target == "rl":
        raise ConfigurationError(
            "environments to be played hold no transcripts; add --target sft or preference, or "
            "leave out --from"
        )
    if shard is not None and canary is None:
        raise ConfigurationError(
            "--shard without --canary would give every shard a canary of its own; give the same "
            "--canary GUID for all of them"
        )
    if resume and force:
        raise ConfigurationError(
            "--resume goes on with an export and --force replaces it; give one of them"
        )
    if shard is not None and not no_split and not Path(manifest).exists():
        raise ConfigurationError(
            "--shard needs a manifest that all shards share; make one with `holdfast augment "
            "split`, and name it with --split"
        )
    if resume and out is None:
        raise ConfigurationError("--resume needs --out with the export to go on with")
    if source and (engine != "local" or shards or shard is not None or resume):
        raise ConfigurationError(
            "a run's transcripts are written in one piece; leave out --engine, --shards, "
            "--shard, --resume"
        )

    from fuzzer.augment.drawing import Recipe
    from fuzzer.augment.making import Order, harvested, made
    from reports.augment import exported

    order = Order(
        seeds=seeds,
        plugins=plugins,
        n=n if n is not None else sys.maxsize if source else 1000,
        recipe=Recipe(
            canary=read_canary(canary),
            random_seed=random_seed,
            target=target,
            twins=read_share("--twins", twins),
            checked=read_share("--check", checked),
            siblings=siblings,
            cell=cell,
        ),
        split=None if no_split else a_split(manifest, plugins),
        formats=("jsonl", *formats),
        out=Path(out or default_directory("environments")),
        licence=licence,
        created=today(),
        command=command_line(),
        force=force,
        resume=resume,
    )
    if source:
        done = harvested(order, Path(source), read_share("--min-utility", min_utility), controls)
    else:
        done = made(order, engine, workers, shards, shard)
    if as_json:
        click.echo(done.model_dump_json(indent=2, ensure_ascii=True))
    else:
        exported(done)
    if done.finished and not done.rows:
        sys.exit(NOTHING)
