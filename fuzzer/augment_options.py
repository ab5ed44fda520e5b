"""What the commands of `holdfast augment` share: the split, the canary, where an export goes."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzzer.errors import ConfigurationError

if TYPE_CHECKING:
    from fuzzer.augment.split import Split

MANIFEST = "holdfast-split.json"


def default_directory(what: str) -> str:
    """``augmented/<time>-<what>``, where none is given."""
    return f"augmented/{datetime.now(UTC):%Y%m%dT%H%M%S}-{what}"


def fresh_canary() -> str:
    """A GUID that stands in every file and row of one export, and in nothing else in the world."""
    return str(uuid.uuid4())


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
    from fuzzer.augment.dealing import deal_to

    split = deal_to(path, plugins)
    click.echo(
        f"Dealt a split into {manifest}: keep it, and the salt beside it, with those who test "
        "(`holdfast sweep --held-out`).",
        err=True,
    )
    return split
