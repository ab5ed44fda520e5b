"""What the commands of `holdfast augment` share: the split, the canary, where an export goes."""

import shlex
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fuzzer.augment_split_command import dealt_now
from fuzzer.errors import ConfigurationError
from fuzzer.secrets import Secrets

if TYPE_CHECKING:
    from fuzzer.augment.split import Split

_Command = TypeVar("_Command", bound=Callable[..., Any])
MANIFEST = "holdfast-split.json"


def split_options(command: _Command) -> _Command:
    """What may be trained on: --split, --no-split."""
    for option in (
        click.option("--no-split", is_flag=True, help="Hold nothing out: no test stays honest."),
        click.option(
            "--split",
            "manifest",
            envvar="HOLDFAST_SPLIT",
            metavar="MANIFEST",
            default=MANIFEST,
            show_default=True,
            help="What may be trained on; dealt now if it is not there.",
        ),
    ):
        command = option(command)
    return command


def drawing_options(command: _Command) -> _Command:
    """What environments are drawn from: those of the split, --cell, --twins."""
    for option in (
        click.option(
            "--twins", metavar="SHARE", default="10%", show_default=True, help="On benign twins."
        ),
        click.option(
            "--cell",
            type=click.Choice(["train", "dev"]),
            default="train",
            show_default=True,
            help="Of it.",
        ),
    ):
        command = option(command)
    return split_options(command)


def default_directory(what: str, where: str = "augmented") -> str:
    """``augmented/<time>-<what>``, where none is given."""
    return f"{where}/{datetime.now(UTC):%Y%m%dT%H%M%S}-{what}"


def fresh_canary() -> str:
    """A GUID that stands in every file and row of one export, and in nothing else in the world."""
    return str(uuid.uuid4())


def read_canary(given: str | None) -> str:
    """The canary given, or a fresh one; `ConfigurationError` for what is no GUID."""
    if given is None:
        return fresh_canary()
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise ConfigurationError(
            f"--canary {given!r} is no GUID; leave it out to have a fresh one"
        ) from None


def today() -> str:
    """The date of an export."""
    return datetime.now(UTC).date().isoformat()


def command_line() -> str:
    """What was typed, for the card; keys are no options of ours, and are taken out all the same."""
    return Secrets.of().scrub(shlex.join(["holdfast", *sys.argv[1:]]))


def a_split(manifest: str, plugins: tuple[str, ...] = ()) -> "Split":
    """The split of a manifest; dealt now, with a fresh salt, if the default one is not there.

    Raises `ConfigurationError` for a named manifest that is not there.
    """
    from fuzzer.augment.split import read_split

    path = Path(manifest)
    if path.exists():
        return read_split(path)
    if manifest != MANIFEST:
        raise ConfigurationError(
            f"there is no manifest {manifest!r}; make one with `holdfast augment split --out "
            f"{manifest}`, or leave out --split to have {MANIFEST} made here"
        )
    split = dealt_now(path, plugins)
    click.echo(
        f"Dealt a split into {manifest}: keep it, and the salt beside it, with those who test "
        "(`holdfast sweep --held-out`).",
        err=True,
    )
    return split
