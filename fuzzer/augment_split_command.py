"""`holdfast augment split`: deal what may be trained on, and what stays for the test."""

import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzzer.errors import ConfigurationError
from fuzzer.options import json_option, plugin_option
from fuzzer.seed_commands import write_file

if TYPE_CHECKING:
    from fuzzer.augment.dealing import Dealt
    from fuzzer.augment.split import Split
    from fuzzer.graph import Catalogue
    from fuzzer.scenario import Scenario

ENVIRONMENT = "HOLDFAST_SALT"
LEAST = 16  # characters of a salt: the manifest holds its hash, and what is short can be guessed


@click.command()
@click.argument("seeds", nargs=-1, metavar="[SEED]...")
@click.option("--out", required=True, metavar="MANIFEST", help="The manifest to write (.json).")
@click.option(
    "--salt-file",
    metavar="FILE",
    help=f"The private salt [{ENVIRONMENT}; else a fresh one, beside the manifest].",
)
@click.option(
    "--extend", metavar="OLD", help="Keep this manifest's deal; only what is new is dealt."
)
@plugin_option
@json_option
def split(
    *,
    seeds: tuple[str, ...],
    out: str,
    salt_file: str | None,
    extend: str | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Deal stories, families of transforms and values to train, dev and test, by a private salt.

    SEED are seed files of your own, dealt beside the installed ones. The manifest and its salt
    belong to those who test: export with the one, sweep with `--held-out MANIFEST`.
    """
    from fuzzer.augment.dealing import dealt
    from fuzzer.augment.split import read_split
    from fuzzer.registry import find_seed

    path = Path(out)
    before = read_split(Path(extend)) if extend else None
    salt, fresh = _salt(path, salt_file, Path(extend) if extend else None)
    seeds_given = tuple(map(find_seed, seeds))
    made, known, catalogue = deal_to(path, salt, plugins, seeds_given, before, fresh=fresh)
    found = dealt(made, known, catalogue)
    if as_json:
        salted = str(path.with_suffix(".salt")) if fresh else None
        told: dict[str, Any] = {"file": out, "salt_file": salted, **found.model_dump(mode="json")}
        click.echo(json.dumps(told, indent=2))
        return
    _show(found)
    click.echo(f"Written to {out}; export under it, and sweep with --held-out {out}.")
    if fresh:
        click.echo(f"Its salt is in {path.with_suffix('.salt')}: keep both from those who train.")


def dealt_now(path: Path, plugins: tuple[str, ...]) -> "Split":
    """A new manifest of all there is, as the command deals it when it is given no more."""
    salt, fresh = _salt(path, None, None)
    return deal_to(path, salt, plugins, fresh=fresh)[0]


def deal_to(
    path: Path,
    salt: str,
    plugins: tuple[str, ...],
    seeds: "tuple[Scenario, ...]" = (),
    before: "Split | None" = None,
    *,
    fresh: bool,
) -> "tuple[Split, tuple[Scenario, ...], Catalogue]":
    """Deal and write; the split, and the seeds and transforms that were dealt.

    A `fresh` salt is kept beside the manifest. Raises `ConfigurationError` where a file is in the
    way or cannot be written.
    """
    from fuzzer.augment.split import deal
    from fuzzer.registry import find_seeds, plugged_in

    _check(path)
    catalogue, own = plugged_in(plugins)
    known = tuple({s.name: s for s in (*find_seeds(), *own, *seeds)}.values())
    today = datetime.now(UTC).date().isoformat()
    made = deal(known, catalogue, catalogue.pools, salt, created=today, before=before)
    if fresh:
        _keep(path.with_suffix(".salt"), salt)
    write_file(str(path), made.model_dump_json(indent=1) + "\n")
    return made, known, catalogue


def _check(path: Path) -> None:
    if path.suffix != ".json" or not path.parent.is_dir():
        raise ConfigurationError(
            f"cannot write {str(path)!r}; give a .json file in a folder there is"
        )
    if path.exists():
        raise ConfigurationError(
            f"{str(path)!r} is there already, and exports may rest on it; use another --out"
        )


def _salt(path: Path, salt_file: str | None, old: Path | None) -> tuple[str, bool]:
    """The salt, and whether it is to be kept beside the manifest."""
    if salt_file is not None:
        return _read(Path(salt_file)), False
    if given := os.environ.get(ENVIRONMENT, "").strip():
        return _long(given, ENVIRONMENT), False
    if old is not None:
        beside = old.with_suffix(".salt")
        if not beside.is_file():
            raise ConfigurationError(
                f"the salt of {str(old)!r} is not beside it; give it with --salt-file"
            )
        return _read(beside), True
    if path.with_suffix(".salt").exists():
        raise ConfigurationError(
            f"{str(path.with_suffix('.salt'))!r} is there already; give it with --salt-file, or "
            "use another --out"
        )
    return secrets.token_hex(32), True


def _read(path: Path) -> str:
    try:
        return _long(path.read_text(encoding="utf-8").strip(), f"the salt in {str(path)!r}")
    except OSError as error:
        raise ConfigurationError(f"cannot read the salt {str(path)!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"the salt in {str(path)!r} is no text; write one line of characters"
        ) from None


def _long(salt: str, where: str) -> str:
    if len(salt) < LEAST:
        raise ConfigurationError(
            f"{where} has {len(salt)} characters and could be guessed; give at least {LEAST}"
        )
    return salt


def _keep(path: Path, salt: str) -> None:
    """Write a salt that nobody else may read; one that is there is never replaced."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{salt}\n")
    except FileExistsError:
        raise ConfigurationError(
            f"{str(path)!r} is there already; give it with --salt-file, or use another --out"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"cannot write {str(path)!r}: {error.strerror}") from None


def _show(found: "Dealt") -> None:
    from reports.text import line

    click.echo(f"{'':6} {'stories':>7} {'seeds':>6} {'families':>8} {'choices':>7} {'values':>7}")
    for name, cell in found.cells.items():
        counts = (len(cell.stories), cell.seeds, len(cell.families), cell.choices, cell.values)
        widths = (7, 6, 8, 7, 7)
        row = " ".join(f"{n:>{width},}" for n, width in zip(counts, widths, strict=True))
        click.echo(f"{name:6} {row}")
    for name, cell in found.cells.items():
        stories, families = ", ".join(cell.stories), ", ".join(cell.families)
        click.echo(f"{name}: {line(stories or 'no story', 400)}; {line(families or 'none', 400)}")
    click.echo(
        f"A held-out sweep has {found.sweep_seeds:,} seeds, at most {found.sweep_choices:,} "
        f"choices on one, and {found.far_share:.0%} of D at distance 4 or more."
    )
    for note in found.notes:
        click.echo(f"Note: {note}")
