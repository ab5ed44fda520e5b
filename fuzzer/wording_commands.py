"""`holdfast new wordings`: other wordings of a seed through a model, for sweeps without one."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzzer.errors import ConfigurationError
from fuzzer.options import read_pairs
from fuzzer.seed_commands import write_file

if TYPE_CHECKING:
    from fuzzer.wording_rater import Ask
    from fuzzer.wordings import Facet, Told, WordingFile

_FACETS = ("threat", "leverage", "system")


@click.command()
@click.argument("seeds", nargs=-1, required=True, metavar="SEED...")
@click.option(
    "--of",
    "facets",
    multiple=True,
    type=click.Choice(_FACETS),
    default=_FACETS,
    show_default="all three",
    help="What is told otherwise; may be repeated.",
)
@click.option("--model", required=True, help="Who writes: anthropic/MODEL or PROVIDER/MODEL.")
@click.option(
    "-M", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of it, repeatable."
)
@click.option("--base-url", metavar="URL", help="Another server of the same interface.")
@click.option("--judge-model", metavar="MODEL", help="Who rates [the same, with its settings].")
@click.option(
    "--judge-M",
    "judge_settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the rater (base_url=URL too), repeatable.",
)
@click.option("--n", "count", default=8, show_default=True, help="Wordings wanted of each text.")
@click.option("--batch-size", default=4, show_default=True, help="Wordings in one answer.")
@click.option("--out", required=True, metavar="FILE", help="The file to write (.json).")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def wordings(
    *,
    seeds: tuple[str, ...],
    facets: "tuple[Facet, ...]",
    model: str,
    settings: tuple[str, ...],
    base_url: str | None,
    judge_model: str | None,
    judge_settings: tuple[str, ...],
    count: int,
    batch_size: int,
    out: str,
    force: bool,
    as_json: bool,
) -> None:
    """Other wordings of a seed's threat, leverage and prompt, through a model.

    Each is held to the seed's slots, controls, facts and strength; those of another strength are
    kept as pressure. A sweep uses the file offline: `holdfast sweep SEED --plugin FILE`. Read it
    before use.
    """
    _check(out, count, batch_size, force=force)
    if judge_settings and judge_model is None:
        raise ConfigurationError("--judge-M needs --judge-model; leave it out, or name the rater")
    own = read_pairs("-M", settings) | ({"base_url": base_url} if base_url else {})
    theirs = own if judge_model is None else read_pairs("-J", judge_settings)
    found, doubts = asyncio.run(
        _made(seeds, facets, model, own, judge_model or model, theirs, count, batch_size)
    )
    write_file(out, found.to_json())
    if as_json:
        summary = [_row(text) for text in found.texts]
        said = {"file": out, "hash": found.hash, "texts": summary, "doubts": doubts}
        click.echo(json.dumps(said, indent=2))
        return
    from fuzzer.wording_checks import REASONS
    from reports.text import line

    for text in found.texts:
        row = _row(text)
        click.echo(
            f"{line(text.seed)}, {line(text.name)}: {row['invariant']} of {text.asked} accepted, "
            f"{row['pressure']} more as pressure"
        )
        for reason, times in text.rejected.items():
            click.echo(f"  {times} rejected: {REASONS[reason]}")
    for doubt in doubts:
        click.echo(f"- {line(doubt, 400)}")  # it quotes what a model wrote
    click.echo(f"Written to {line(out)}; read it, then sweep with --plugin {line(out)}.")


def _check(out: str, count: int, batch_size: int, *, force: bool) -> None:
    """Before anything is paid for."""
    path = Path(out)
    if path.suffix != ".json" or not path.parent.is_dir():
        raise ConfigurationError(f"cannot write {out!r}; give a .json file in a folder there is")
    if path.exists() and not force:
        raise ConfigurationError(f"{out!r} is there already; use another --out, or --force")
    for name, value, most in (("n", count, 64), ("batch-size", batch_size, 16)):
        if not 1 <= value <= most:
            raise ConfigurationError(f"--{name} {value} is not possible; give 1 to {most}")


def _row(text: "Told") -> dict[str, Any]:
    relations = [one.relation for one in text.wordings]
    return {
        "seed": text.seed,
        "text": text.name,
        "asked": text.asked,
        "invariant": relations.count("invariant"),
        "pressure": relations.count("pressure"),
        "rejected": text.rejected,
    }


async def _made(
    names: tuple[str, ...],
    facets: "tuple[Facet, ...]",
    model: str,
    settings: dict[str, Any],
    rater: str,
    rater_settings: dict[str, Any],
    count: int,
    batch: int,
) -> "tuple[WordingFile, tuple[str, ...]]":
    from datetime import UTC, datetime
    from importlib.metadata import version

    from fuzzer.paraphrase import BOUNDS, PROMPTS, paraphrase
    from fuzzer.registry import default_seeds, find_catalogue, find_seed, find_subject
    from fuzzer.secrets import Secrets
    from fuzzer.subjects.question import asker
    from fuzzer.wordings import Provenance, WordingFile

    scenarios = tuple(find_seed(name) for name in dict.fromkeys(names))
    same = (model, settings) == (rater, rater_settings)
    writing = find_subject(model, scenarios, **settings)
    rating = writing if same else find_subject(rater, scenarios, **rater_settings)
    secrets = Secrets.of()

    def clean(ask: "Ask") -> "Ask":
        async def asked(question: str) -> str:
            return secrets.scrub(await ask(question))

        return asked

    def cleaned(given: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(secrets.scrub(json.dumps(given)))
        return shown

    try:
        found = await paraphrase(
            scenarios,
            facets,
            clean(asker(writing)),
            clean(asker(rating)),
            catalogue=find_catalogue(),
            n=count,
            batch=batch,
            spoken=default_seeds(),
        )
    finally:
        for subject in (writing,) if same else (writing, rating):
            if (close := getattr(subject, "close", None)) is not None:
                await close()
    provenance = Provenance(
        holdfast=version("holdfast"),
        date=datetime.now(UTC).date().isoformat(),
        model=writing.name,
        settings=cleaned(settings),
        rater=rating.name,
        rater_settings=cleaned(rater_settings),
        prompts=PROMPTS,
        bounds=BOUNDS,
    )
    return WordingFile(provenance=provenance, texts=found.texts), found.doubts
