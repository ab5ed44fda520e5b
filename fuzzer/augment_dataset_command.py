"""`holdfast augment dataset`: a lab's own chats with unrelated tools and system prompts added."""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzzer.augment_options import MANIFEST, command_line, default_directory, read_canary, today
from fuzzer.errors import ConfigurationError
from fuzzer.options import json_option

if TYPE_CHECKING:
    from fuzzer.augment.chats.augmenting import Augmenter, Options
    from fuzzer.augment.chats.reading import Chats
    from fuzzer.augment.contamination import Guard
    from fuzzer.augment.rows import Row
    from fuzzer.augment.split import Split

_MOST_COPIES = 1000
_FORMATS = ("hf", "chat", "openai")  # that have a place for chats


@click.command()
@click.argument("chats", type=click.Path(path_type=Path), metavar="CHATS")
@click.option("-n", "--copies", default=1, show_default=True, help="Augmented rows per chat.")
@click.option("--original/--no-original", help="Keep each chat without additions too [no].")
@click.option("--tools/--no-tools", default=True, help="Add unrelated tool definitions [yes].")
@click.option("--system/--no-system", default=True, help="Add system prompts [yes].")
@click.option(
    "--system-kind",
    type=click.Choice(["unrelated", "context", "both"]),
    default="both",
    show_default=True,
    help="Prompts of a house that has nothing to do with the chat; or ones that set a scene in "
    "which it could be said.",
)
@click.option("--min-tools", default=0, show_default=True, help="Fewest tools added to a row.")
@click.option("--max-tools", default=8, show_default=True, help="Most tools added to a row.")
@click.option(
    "--existing-system",
    type=click.Choice(["last", "first", "drop", "alone"]),
    default="last",
    show_default=True,
    help="A chat's own system prompt: after the added one, before it, dropped for it, or left "
    "alone (nothing is added to it).",
)
@click.option(
    "--split",
    "manifest",
    envvar="HOLDFAST_SPLIT",
    metavar="MANIFEST",
    help=f"Leave out chats that hold text of what it holds out [{MANIFEST}, if it is there].",
)
@click.option("--skip-bad", is_flag=True, help="Leave out rows that do not fit, and count them.")
@click.option("--seed", "random_seed", default=0, show_default=True, help="Random seed.")
@click.option("--canary", metavar="GUID", help="Of this export [a fresh one].")
@click.option("--licence", default="other", show_default=True, help="For the card.")
@click.option("--out", metavar="DIR", help="Where to [augmented/<time>-dataset].")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(_FORMATS),
    help="Beside canonical lines; may be repeated.",
)
@click.option("--force", is_flag=True, help="Write over an export that is there.")
@json_option
def dataset(
    *,
    chats: Path,
    copies: int,
    original: bool,
    tools: bool,
    system: bool,
    system_kind: str,
    min_tools: int,
    max_tools: int,
    existing_system: str,
    manifest: str | None,
    skip_bad: bool,
    random_seed: int,
    canary: str | None,
    licence: str,
    out: str | None,
    formats: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Your own chats with unrelated tools and varied system prompts added.

    CHATS is a file of JSON lines (.jsonl, .jsonl.gz): messages, conversations, prompt with
    completion or chosen and rejected, instruction with output, and their like. User turns and
    answers stay as they are; no added tool is of any use to its chat. Whether one would be is told
    by English words.
    """
    from fuzzer.augment.chats.augmenting import Augmenter, Options
    from fuzzer.augment.chats.bank import load_bank
    from fuzzer.augment.chats.reading import Chats
    from fuzzer.augment.export import export, finish
    from fuzzer.augment.formats.base import About
    from fuzzer.augment.shards import guard_of

    if not 0 <= min_tools <= max_tools <= len(load_bank().tools) // 2:
        raise ConfigurationError(
            f"--min-tools {min_tools} and --max-tools {max_tools} do not go together; give "
            f"0 <= min <= max <= {len(load_bank().tools) // 2}"
        )
    if not 1 <= copies <= _MOST_COPIES:
        raise ConfigurationError(f"-n {copies} is not possible; give 1 to {_MOST_COPIES}")
    if not (tools or system or original):
        raise ConfigurationError(
            "--no-tools with --no-system adds nothing; leave one of them out, or give --original"
        )
    options = Options.model_validate(
        {
            "copies": copies,
            "original": original,
            "tools": tools,
            "system": system,
            "system_kind": system_kind,
            "least_tools": min_tools,
            "most_tools": max_tools,
            "existing_system": existing_system,
            "random_seed": random_seed,
        }
    )
    guid = read_canary(canary)
    source = Chats(chats, skip_bad=skip_bad)
    augmenter = Augmenter(
        options,
        load_bank(),
        canary=guid,
        source=chats.name,
        source_hash=source.hash,
    )
    if not as_json:
        click.echo(f"Reading {_line(chats)}: {_line(source.found)}.", err=True)
    split = _split(manifest)
    guard = guard_of(split, ()) if split else None
    about = About(
        canary=guid,
        title=f"{chats.name}, with unrelated tools and system prompts",
        created=today(),
        version=version("holdfast"),
        command=command_line(),
        options=options.model_dump(),
        manifest=split.hash if split else "",
        prompts={"bank": load_bank().hash},
        licence=licence,
    )
    place = Path(out or default_directory("dataset"))
    rows = augmenter.rows(source)
    kept = _kept(rows, guard) if guard else rows
    written = export(kept, place, ("jsonl", *formats), about=about, force=force)
    files = tuple(str(place / file.path) for file in finish(place).files)
    said = _summary(source, augmenter, options, written.rows, written.left_out) | {
        "held_out": dict(guard.dropped) if guard else None,
        "out": str(place),
        "canary": guid,
        "files": files,
    }
    if as_json:
        click.echo(json.dumps(said, indent=2))
    else:
        _print(said)


def _split(manifest: str | None) -> "Split | None":
    """What stays for the test: the manifest named, or the one that lies here."""
    from fuzzer.augment.split import read_split

    if manifest is None and not Path(MANIFEST).exists():
        return None
    return read_split(Path(manifest or MANIFEST))


def _kept(rows: "Iterator[Row]", guard: "Guard") -> "Iterator[Row]":
    """The rows of chats that hold nothing of what is held out; a chat is looked at once."""
    looked_at, admitted = "", True
    for row in rows:
        if row.lineage.source != looked_at:
            looked_at, admitted = row.lineage.source, guard.admits(row)
        if admitted:
            yield row


def _summary(
    source: "Chats",
    augmenter: "Augmenter",
    options: "Options",
    rows: int,
    unplaced: dict[str, int],
) -> dict[str, Any]:
    from fuzzer.augment.chats.augmenting import spread

    return {
        "rows": rows,
        "unplaced": unplaced,  # by format: rows it has no place for
        "source": source.path.name,
        "shape": source.found,
        "left_out": source.left_out,
        "reasons": source.reasons,
        "options": options.model_dump(),
        "added": spread(augmenter.balance),
        "relevant_pairs_passed_over": augmenter.excluded,
        "relevant_tools_added": augmenter.relevant_added,
        "user_turns_changed": 0,  # a row with one is never made: the export ends instead
    }


def _print(said: dict[str, Any]) -> None:
    click.echo(f"{said['rows']:,} rows written to {_line(said['out'])} (canary {said['canary']}).")
    click.echo("User turns: byte for byte as they were (hashed in every row).")
    for kind, use in said["added"].items():
        click.echo(
            f"{_capital(kind)}: {use['different']:,} different, "
            f"each added {use['least']:,} to {use['most']:,} times."
        )
    if said["options"]["tools"]:
        click.echo(
            f"Tools relevant to their chat: {said['relevant_tools_added']} added, "
            f"{said['relevant_pairs_passed_over']:,} pairs of chat and tool passed over."
        )
    if said["held_out"] is None:
        click.echo("Not held against a split: nobody looked for text of a test in these chats.")
    elif found := sum(said["held_out"].values()):
        click.echo(f"Chats left out that hold text of what the split holds out: {found:,}.")
    else:
        click.echo("No chat holds text of what the split holds out.")
    if said["left_out"]:
        click.echo(f"Rows left out: {said['left_out']:,}.")
        for reason in said["reasons"]:
            click.echo(f"- {_line(reason)}")
    for name, count in said["unplaced"].items():
        if count:
            click.echo(f"The format {name} has no place for {count:,} of the rows.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _line(text: object) -> str:
    from reports.text import line

    return line(text, 400)
