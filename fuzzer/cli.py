"""The command line: `holdfast`. The composition root; every heavy import waits for its command.

Exit codes: 0 holds, 1 brittle, 2 usage or configuration, 3 inconclusive, 4 unusable,
130 interrupted.
"""

import atexit
import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from fuzzer.augment_commands import augment
from fuzzer.compare_command import compare
from fuzzer.errors import ConfigurationError, HoldfastError
from fuzzer.judge_commands import calibrate
from fuzzer.options import (
    claim_options,
    deployment_option,
    detection_options,
    exposure_options,
    json_option,
    judge_options,
    model_options,
    plugin_option,
    price_options,
    quiet_option,
    read_claim,
    read_detection,
    read_exposure,
    read_judge,
    read_settings,
    read_spending,
    spending_options,
)
from fuzzer.replay_command import replay
from fuzzer.report_command import report
from fuzzer.review_commands import review
from fuzzer.seed_commands import bring_in, hashes, write_file
from fuzzer.show_command import show
from fuzzer.shrink_command import shrink
from fuzzer.wording_commands import wordings

if TYPE_CHECKING:
    from fuzzer.graph import Catalogue
    from fuzzer.scenario import Scenario

# Before it ends Python would search all that was imported for cycles once more: .2 to .5 s.
atexit.register(gc.freeze)

INTERRUPTED = 130
_INTERRUPTED = "Interrupted; what was answered is stored (the same command{} goes on)."


class _Sentences(click.Group):
    """Turns every error that is the user's to mend into one sentence and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HoldfastError as error:
            _fail(str(error))
        except (KeyboardInterrupt, click.Abort):
            # What `shrink` goes on with is named by its argument.
            again = "" if ctx.invoked_subcommand == "shrink" else " with --resume"
            click.echo(_INTERRUPTED.format(again), err=True)
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()  # the reader of our output has gone; nothing is left to say
            sys.exit(2)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception:
            import traceback

            # Left to Python it would exit with 1, which means brittle.
            click.echo(_clean(traceback.format_exc()), err=True, nl=False)
            _fail("Holdfast itself failed, so this is no verdict; please report the lines above")


def _fail(message: str) -> NoReturn:
    from reports.text import plain

    click.echo(f"Error: {plain(_clean(message))}", err=True)
    sys.exit(2)


def _clean(text: str) -> str:
    """Without keys: a server may have echoed one, and an exception may quote it."""
    from fuzzer.secrets import Secrets

    return Secrets.of().scrub(text)


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


@click.group(cls=_Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="holdfast")
def main() -> None:
    """Does a model's zero hold when only the surface changes?"""
    click.get_current_context().call_on_close(_warn_of_plugins)


def _warn_of_plugins() -> None:
    """Name the installed plug-ins that were left out, whichever command looked for them."""
    registry = sys.modules.get("fuzzer.registry")
    for said in registry.broken_plugins() if registry else ():
        click.echo(f"Warning: {said}", err=True)


# --------------------------------------------------------------------------------------- sweep


@main.command()
@click.argument("seeds", nargs=-1, metavar="[SEED]...")
@model_options
@judge_options
@claim_options
@exposure_options
@click.option(
    "--twins", default=0, show_default=True, help="More calls, to benign twins: over-caution."
)
@click.option(
    "--control", metavar="RUN", help="A sweep of a susceptible model over the same: what tempts."
)
@deployment_option
@click.option("--calibration", metavar="FILE", help="Of the judge: claims then bear its errors.")
@spending_options
@price_options
@click.option("--out", metavar="DIR", help="Run directory [default: runs/<time>-<model>].")
@click.option("--resume", is_flag=True, help="Continue the run in --out.")
@plugin_option
@quiet_option
@json_option
def sweep(
    *,
    seeds: tuple[str, ...],
    model: str,
    twins: int,
    deployment: int | None,
    calibration: str | None,
    control: str | None,
    price: str | None,
    prices: str | None,
    batch: bool,
    out: str | None,
    resume: bool,
    plugins: tuple[str, ...],
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Test whether a score of zero holds on mutated scenarios.

    Without SEED, every built-in seed. Exits with 0 (holds), 1 (brittle), 3 (inconclusive) or
    4 (unusable); with 130 when interrupted, after a report of what was found so far.
    """
    claim = read_claim(given)
    spending = read_spending(given)
    if resume and out is None:
        raise ConfigurationError("--resume needs --out with the directory of the run to continue")

    from datetime import UTC, datetime

    from fuzzer import campaign
    from fuzzer.evidence import confidence_sequence
    from reports import to_json
    from reports.console import brief, final
    from reports.live import Progress

    catalogue, own = _plugged_in(plugins)
    directory = Path(out) if out else campaign.default_directory(model, datetime.now(UTC))
    silent, alpha = as_json or quiet, claim["alpha"]
    with Progress(
        lambda n, k: confidence_sequence(n, k, alpha), alpha=alpha, quiet=silent
    ) as progress:
        report = campaign.sweep(
            model,
            _seeds(seeds, own),
            catalogue=catalogue,
            **claim,
            **read_exposure(given),
            control=control,
            twins=twins,
            deployment=deployment,
            **spending,
            price=price,
            prices=Path(prices) if prices else None,
            batch=batch,
            out=directory,
            resume=resume,
            judge=read_judge(given),
            calibration=Path(calibration) if calibration else None,
            settings=read_settings(given),
            progress=None if silent else progress.update,
            graceful=True,
        )
    if as_json:
        click.echo(to_json(report).decode(), nl=False)
    elif quiet:
        brief(report, str(directory))
    else:
        final(report, str(directory), needs=_needed(report.model, model, plugins, given))
    if report.stopped == "interrupted":
        click.echo(_INTERRUPTED.format(" with --resume"), err=True)
        sys.exit(INTERRUPTED)
    sys.exit(report.exit_code)


def _needed(name: str, model: str, plugins: tuple[str, ...], given: dict[str, Any]) -> list[str]:
    """Options that `shrink` must be given again, as a run does not keep them."""
    needed = [] if name == model else ["--model", model]
    for option in ("judge_model", "second_judge"):
        if given[option]:
            needed += [f"--{option.replace('_', '-')}", given[option]]
    return needed + [word for plugin in plugins for word in ("--plugin", plugin)]


@main.command()
@click.argument("seeds", nargs=-1, metavar="[SEED]...")
@model_options
@judge_options
@claim_options
@exposure_options
@click.option(
    "--turns", default=3, show_default=True, help="Generations a trial is assumed to take."
)
@click.option("--output-tokens", default=400, show_default=True, help="Assumed for a generation.")
@detection_options
@price_options
@plugin_option
@json_option
def plan(
    *,
    seeds: tuple[str, ...],
    model: str,
    turns: int,
    output_tokens: int,
    price: str | None,
    prices: str | None,
    batch: bool,
    plugins: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Calls, tokens and dollars of a sweep, and what it could show, before anything is spent.

    Takes the options of the sweep. Tokens are counted by the provider where it can, else estimated.
    What the budget would find is simulated, with planted causes; what was simulated is kept in your
    cache directory.
    """
    import asyncio

    from fuzzer.forecast import forecast
    from fuzzer.preparation import choose_seeds, price_of
    from fuzzer.registry import find_subject

    claim = read_claim(given)
    catalogue, own = _plugged_in(plugins)
    settings = read_settings(given)
    chosen = _seeds(seeds, own)
    subject = find_subject(model, choose_seeds(chosen), **settings)
    found = asyncio.run(
        forecast(
            subject,
            chosen,
            catalogue=catalogue,
            **read_exposure(given),
            **{("random_seed" if name == "seed" else name): claim[name] for name in claim},
            turns=turns,
            output_tokens=output_tokens,
            judge=read_judge(given),
            price=price_of(subject, settings, price, Path(prices) if prices else None),
            prices=Path(prices) if prices else None,
            batch=batch,
            caching=getattr(subject, "caching", False),
            **read_detection(given),
        )
    )
    if as_json:
        _print_json(found.model_dump(mode="json"))
        return
    from reports.forecast import show

    show(found)


def _plugged_in(plugins: tuple[str, ...]) -> "tuple[Catalogue, tuple[Scenario, ...]]":
    from fuzzer.registry import plugged_in

    return plugged_in(plugins)


def _seeds(
    names: tuple[str, ...], own: "tuple[Scenario, ...]"
) -> "list[Scenario | str] | tuple[Scenario, ...] | None":
    """What SEED names: those of plug-ins first; None for the default."""
    if not names:
        return own or None
    by_name = {seed.name: seed for seed in own}
    return [by_name.get(name, name) for name in names]


# ---------------------------------------------------------------------------------------- list


@main.command("list")
@click.argument("what", type=click.Choice(["seeds", "transforms", "models", "judges"]))
@click.option("--graph", is_flag=True, help="Of transforms: what must come before what.")
@plugin_option
@json_option
def list_(*, what: str, graph: bool, plugins: tuple[str, ...], as_json: bool) -> None:
    """What there is: seeds, transforms, models, judges."""
    if graph:
        if what != "transforms" or as_json:
            raise ConfigurationError("--graph draws transforms, as text; leave out --json")
        for text in _plugged_in(plugins)[0].drawn():
            click.echo(text)
        return
    rows: list[dict[str, Any]] = _LISTS[what](plugins)
    if as_json:
        _print_json(rows)
        return
    from reports.views import listing

    listing([_told(row) for row in rows])
    if what == "seeds":
        from seeds.published import installed

        there = "installed" if installed() else "not installed: holdfast[published]"
        click.echo("\nPublished evaluations are seeds too: published/agentic-misalignment/...")
        click.echo(f"({there})")


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people: the extra and the key a model needs, and whether they are there."""
    if "hash" in row:
        twin = {"twin_of": f"benign twin of {row['twin_of']}"} if row["twin_of"] else {}
        return {key: value for key, value in (row | twin).items() if value and key != "hash"}
    if "extra" not in row:
        return row
    needs = []
    if row["extra"]:
        needs.append(f"{row['extra']} {'installed' if row['extra_installed'] else 'not installed'}")
    if row["key"]:
        needs.append(f"{row['key']} {'set' if row['key_present'] else 'not set'}")
    return {"model": row["model"], "summary": " · ".join([row["summary"], *needs])}


def _list_seeds(plugins: tuple[str, ...]) -> list[dict[str, Any]]:
    from fuzzer.registry import find_seeds

    return [
        {
            "name": seed.name,
            "behaviour": seed.ledger.behaviour,
            "condition": seed.condition,
            "threat": seed.threat.kind,
            "medium": seed.medium,
            "industry": seed.industry,
            "exposure": seed.exposure,
            "elicits": seed.elicits,
            "twin_of": seed.twin_of,
            "version": seed.version,
            "hash": seed.content_hash,
            "summary": seed.summary,
        }
        for seed in (*find_seeds(), *_plugged_in(plugins)[1])
    ]


def _list_transforms(plugins: tuple[str, ...]) -> list[dict[str, Any]]:
    return _plugged_in(plugins)[0].describe()


def _list_models(plugins: tuple[str, ...]) -> list[dict[str, Any]]:  # noqa: ARG001 - one signature
    from fuzzer.subjects.forms import forms

    return forms()


def _list_judges(plugins: tuple[str, ...]) -> list[dict[str, Any]]:  # noqa: ARG001 - one signature
    from fuzzer.judges import rubric, rules

    return [
        {
            "name": rules.NAME,
            "version": rules.VERSION,
            "behaviours": ", ".join(rules.BEHAVIOURS),
            "summary": "Rules over actions by role, held against each variant's ledger.",
        },
        {
            "name": "MODEL",
            "version": rubric.VERSION,
            "behaviours": ", ".join(rubric.BEHAVIOURS),
            "summary": "Any --model by a rubric, for what the rules refer (--judge-model).",
        },
    ]


_LISTS: dict[str, Callable[[tuple[str, ...]], list[dict[str, Any]]]] = {
    "seeds": _list_seeds,
    "transforms": _list_transforms,
    "models": _list_models,
    "judges": _list_judges,
}


# ----------------------------------------------------------------------------------- translate


@main.command()
@click.argument("seed")
@click.option(
    "--to", "language", required=True, metavar="LANGUAGE", help="A tag such as de or pt-BR."
)
@click.option("--out", required=True, metavar="FILE", help="The seed file to write (.toml).")
@model_options
@plugin_option
@json_option
def translate(
    *,
    seed: str,
    language: str,
    out: str,
    model: str,
    plugins: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """A whole scenario in another language, through a model, as a seed file of your own.

    Every text is checked, and what carries the dilemma is read back in English and held to the
    seed's own cues and controls. Read the result before use. The rules judge reads English only:
    a sweep of the new seed needs a judge that reads its language.
    """
    import asyncio

    from fuzzer.registry import find_seed, find_subject
    from fuzzer.subjects.question import asker
    from fuzzer.translation import Translated
    from fuzzer.translation import translate as translated
    from seeds import load_seed
    from seeds.writing import to_toml

    path = Path(out)
    if path.suffix != ".toml" or not path.parent.is_dir():  # before anything is paid for
        raise ConfigurationError(f"cannot write {out!r}; give a .toml file in a folder there is")
    own = _plugged_in(plugins)[1]
    scenario = next((s for s in own if s.name == seed), None) or find_seed(seed)
    subject = find_subject(model, (scenario,), **read_settings(given))
    ask = asker(subject)

    async def through() -> Translated:
        try:
            return await translated(scenario, language, ask)
        finally:
            if (close := getattr(subject, "close", None)) is not None:
                await close()

    found = asyncio.run(through())
    write_file(out, to_toml(found.seed))
    load_seed(path)  # held to all that a seed must be
    if as_json:
        _print_json({"seed": found.seed.name, "file": out, "doubts": list(found.doubts)})
        return
    from reports.text import line

    click.echo(f"{line(found.seed.name)}: written to {out}; read it before use.")
    for doubt in found.doubts:
        click.echo(f"- {line(doubt, 400)}")  # it quotes what a model wrote


# ----------------------------------------------------------------------------------------- new


@main.group()
def new() -> None:
    """Make files that belong to the project."""


@new.command()
@click.option("--out", default="mutators/pools.json", show_default=True, metavar="FILE")
def pools(*, out: str) -> None:
    """Fill the parameter pools again from the strategies of the built-in transforms.

    Deliberate: other pools are another distribution, and another claim.
    """
    from fuzzer.registry import default_seeds, find_catalogue
    from fuzzer.strategies import SURFACE, fill_pool

    seeds = default_seeds()
    filled: dict[str, Any] = {}
    for transform in find_catalogue():
        if transform.relation not in SURFACE:
            continue
        pool = fill_pool(transform, seeds)
        filled[transform.name] = {
            "version": transform.version,
            "values": [step.params for step in pool],
        }
        click.echo(f"{transform.name}: {len(pool)} values", err=True)
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in filled.items())
    write_file(out, f"{{\n{lines}\n}}\n")


main.add_command(augment)
main.add_command(review)
main.add_command(show)
main.add_command(shrink)
main.add_command(bring_in)
main.add_command(calibrate)
main.add_command(compare)
main.add_command(replay)
main.add_command(report)
new.add_command(hashes)
new.add_command(wordings)
