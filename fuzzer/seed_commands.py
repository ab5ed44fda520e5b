"""Commands that make seed files: `import` brings one in, `new hashes` records the built-in ones."""

import json
from pathlib import Path

import click

from fuzzer.errors import ConfigurationError


def write_file(path: str, text: str) -> None:
    """Write a file; `ConfigurationError` says why it cannot be."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {path!r} ({error.strerror}); use another --out"
        ) from None


@click.command("import")
@click.argument("source", metavar="FILE")
@click.option("--annotation", metavar="FILE", help="Who is who [FILE with the ending .toml].")
@click.option("--out", metavar="FILE", help="The seed file [NAME.toml, here].")
@click.option("--force", is_flag=True, help="Overwrite a seed file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bring_in(
    *, source: str, annotation: str | None, out: str | None, force: bool, as_json: bool
) -> None:
    """Make a seed of a scenario of your own: an Inspect sample, or system and user text.

    An annotation says who is who, what the leverage is and which tool sends; what could not be
    turned into slots is listed. Exits with 0 also then: the list is for you to read.
    """
    from seeds.bringing import bring

    notes = Path(annotation) if annotation else Path(source).with_suffix(".toml")
    brought = bring(Path(source), notes)
    path = out or f"{brought.name}.toml"
    if Path(path).exists() and not force:
        raise ConfigurationError(f"{path!r} is there already; use another --out, or --force")
    write_file(path, brought.text)
    if as_json:
        found = {"seed": brought.name, "file": path, "doubts": list(brought.doubts)}
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    from reports.text import line

    click.echo(f"{path}: seed {line(brought.name)!r}; look at it with `holdfast show {path}`")
    for doubt in brought.doubts:
        click.echo(f"- {line(doubt, 400)}")


@click.command()
@click.option("--out", default="seeds/released.json", show_default=True, metavar="FILE")
def hashes(*, out: str) -> None:
    """Record the content hash of every built-in seed, as part of a release.

    A seed that changed under a version already recorded is refused: it needs the next version.
    """
    from seeds import every_seed
    from seeds.released import added, released, text_of

    write_file(out, text_of(added(released(), every_seed())))
