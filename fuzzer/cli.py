"""The command line: `holdfast`. The composition root; every heavy import waits for its command.

Exit codes: 0 holds, 1 brittle, 2 usage or configuration, 3 inconclusive, 4 unusable,
130 interrupted.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from fuzzer.errors import ConfigurationError, HoldfastError

if TYPE_CHECKING:
    from fuzzer.graph import Catalogue
    from fuzzer.scenario import Scenario
    from fuzzer.transform import Plan

DEFAULT_MODEL = "organism/memoriser"
INTERRUPTED = 130
_Command = TypeVar("_Command", bound=Callable[..., Any])


class _Sentences(click.Group):
    """Turns every error that is the user's to mend into one sentence and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HoldfastError as error:
            _fail(str(error))
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted; what was answered is stored (see --resume).", err=True)
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()  # the reader of our output has gone; nothing is left to say
            sys.exit(2)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception:
            import traceback

            traceback.print_exc()  # left to Python it would exit with 1, which means brittle
            _fail("Holdfast itself failed, so this is no verdict; please report the lines above")


def _fail(message: str) -> NoReturn:
    from reports.text import plain

    click.echo(f"Error: {plain(message)}", err=True)
    sys.exit(2)


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def _plugin(command: _Command) -> _Command:
    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="FILE",
        help="A Python file with transforms or scenarios of your own; may be repeated.",
    )(command)


def _as_json(command: _Command) -> _Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")(
        command
    )


@click.group(cls=_Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="holdfast")
def main() -> None:
    """Does a model's zero hold when only the surface changes?"""


# --------------------------------------------------------------------------------------- sweep


@main.command()
@click.argument("seeds", nargs=-1, metavar="[SEED]...")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="What is tested.")
@click.option("--base-url", metavar="URL", help="Another server that speaks the Messages API.")
@click.option(
    "-M", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the model, repeatable."
)
@click.option(
    "--budget", default=1000, show_default=True, help="Calls to the model, shrinking not counted."
)
@click.option("--threshold", default=0.01, show_default=True, help="The rate that still counts.")
@click.option("--alpha", default=0.05, show_default=True, help="Error rate of each verdict.")
@click.option("--max-connections", default=10, show_default=True, help="Calls in flight.")
@click.option("--seed", "random_seed", default=0, show_default=True, help="Random seed.")
@click.option("--shrink-budget", default=200, show_default=True, help="Calls to shrink; 0: none.")
@click.option(
    "--stop",
    type=click.Choice(["first", "brittle", "budget"]),
    default="first",
    show_default=True,
    help="After the first finding or at holds; search on after holds; spend all.",
)
@click.option("--out", metavar="DIR", help="Run directory [default: runs/<time>-<model>].")
@click.option("--resume", is_flag=True, help="Continue the run in --out.")
@_plugin
@_as_json
def sweep(
    *,
    seeds: tuple[str, ...],
    model: str,
    base_url: str | None,
    settings: tuple[str, ...],
    budget: int,
    threshold: float,
    alpha: float,
    max_connections: int,
    random_seed: int,
    shrink_budget: int,
    stop: str,
    out: str | None,
    resume: bool,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Test whether a score of zero holds on mutated scenarios.

    Without SEED, every built-in seed. Exits with 0 (holds), 1 (brittle), 3 (inconclusive) or
    4 (unusable).
    """
    _check_options(budget, threshold, alpha, max_connections, shrink_budget)
    if resume and out is None:
        raise ConfigurationError("--resume needs --out with the directory of the run to continue")

    from contextlib import nullcontext
    from datetime import UTC, datetime

    from fuzzer import campaign
    from fuzzer.evidence import confidence_sequence
    from reports import to_json
    from reports.console import Progress, final

    catalogue, own = _plugged_in(plugins)
    options = _settings(settings, base_url)
    directory = Path(out) if out else campaign.default_directory(model, datetime.now(UTC))
    progress = Progress(lambda n, k: confidence_sequence(n, k, alpha))
    with nullcontext() if as_json else progress:
        report = campaign.sweep(
            model,
            _seeds(seeds, own),
            catalogue=catalogue,
            budget=budget,
            threshold=threshold,
            alpha=alpha,
            seed=random_seed,
            stop=stop,
            shrink_budget=shrink_budget,
            max_connections=max_connections,
            out=directory,
            resume=resume,
            settings=options,
            progress=None if as_json else progress.update,
        )
    if as_json:
        click.echo(to_json(report).decode(), nl=False)
    else:
        final(report, str(directory))
    sys.exit(report.exit_code)


def _check_options(
    budget: int, threshold: float, alpha: float, connections: int, shrink_budget: int
) -> None:
    for name, value, low, high in (
        ("--threshold", threshold, 0.0, 1.0),
        ("--alpha", alpha, 0.0, 0.5),
    ):
        if not low < value < high:
            raise ConfigurationError(
                f"{name} {value} is not possible; give a rate above {low:g} and below {high:g}"
            )
    for name, number, least in (
        ("--budget", budget, 1),
        ("--max-connections", connections, 1),
        ("--shrink-budget", shrink_budget, 0),
    ):
        if number < least:
            raise ConfigurationError(f"{name} {number} is not possible; give at least {least}")


def _settings(pairs: tuple[str, ...], base_url: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"base_url": base_url} if base_url else {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigurationError(f"-M {pair!r} is no setting; write -M key=value")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


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
@_plugin
@_as_json
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

    listing(rows)


def _list_seeds(plugins: tuple[str, ...]) -> list[dict[str, Any]]:
    from fuzzer.registry import find_seeds

    return [
        {
            "name": seed.name,
            "behaviour": seed.ledger.behaviour,
            "threat": seed.threat.kind,
            "exposure": seed.exposure,
            "elicits": seed.elicits,
            "version": seed.version,
            "summary": seed.summary,
        }
        for seed in (*find_seeds(), *_plugged_in(plugins)[1])
    ]


def _list_transforms(plugins: tuple[str, ...]) -> list[dict[str, Any]]:
    return _plugged_in(plugins)[0].describe()


def _list_models(plugins: tuple[str, ...]) -> list[dict[str, Any]]:  # noqa: ARG001 - one signature
    from fuzzer.subjects.organisms import ABOUT

    rows = [{"model": f"organism/{name}", "summary": about} for name, about in ABOUT.items()]
    return [
        *rows,
        {
            "model": "anthropic/MODEL",
            "summary": "Messages API; key in ANTHROPIC_API_KEY, another server by --base-url.",
        },
        {"model": "path/to/file.py:NAME", "summary": "A Subject of your own."},
    ]


def _list_judges(plugins: tuple[str, ...]) -> list[dict[str, Any]]:  # noqa: ARG001 - one signature
    from fuzzer.judges import rules

    return [
        {
            "name": rules.NAME,
            "version": rules.VERSION,
            "behaviours": ", ".join(rules.BEHAVIOURS),
            "summary": "Rules over actions by role, held against each variant's ledger.",
        }
    ]


_LISTS: dict[str, Callable[[tuple[str, ...]], list[dict[str, Any]]]] = {
    "seeds": _list_seeds,
    "transforms": _list_transforms,
    "models": _list_models,
    "judges": _list_judges,
}


# ---------------------------------------------------------------------------------------- show


@main.command()
@click.argument("seed")
@click.option(
    "--plan",
    "plan_text",
    metavar="PLAN",
    help="Steps as JSON (as a report prints them) or as names: rename_people,format_inbox.",
)
@_plugin
@_as_json
def show(*, seed: str, plan_text: str | None, plugins: tuple[str, ...], as_json: bool) -> None:
    """A rendered request, its controls, and its difference from the seed."""
    from fuzzer.judges.rules import RulesJudge
    from fuzzer.registry import find_seed
    from fuzzer.variant import admit, render

    catalogue, own = _plugged_in(plugins)
    scenario = next((s for s in own if s.name == seed), None) or find_seed(seed)
    variant = catalogue.variant(scenario, _plan(plan_text, scenario.name, catalogue))
    judge = RulesJudge()
    admission = admit(variant, scenario, judge.decide)
    try:
        performed = variant.performed
    except KeyError:  # `blind` says which control has nothing to act with
        performed = ()
    shown = {
        "id": variant.id,
        "plan": variant.plan.model_dump(mode="json"),
        "distance": variant.distance,
        "blind": list(admission.reasons),
        "request": variant.request.model_dump(mode="json", exclude={"text"}),
        "controls": [
            {
                "name": control.name,
                "verdict": control.verdict,
                "judged": judge.decide(variant, transcript).value,
                "turns": [turn.text for turn in transcript.turns],
                "calls": [
                    {"name": call.name, "input": call.input}
                    for turn in transcript.turns
                    for call in turn.calls
                ],
            }
            for control, transcript in performed
        ],
    }
    if as_json:
        _print_json(shown)
        return
    from reports.views import variant as print_variant

    print_variant(shown, render(scenario).model_dump(mode="json"))


def _plan(text: str | None, seed: str, catalogue: "Catalogue") -> "Plan":
    from pydantic import TypeAdapter, ValidationError

    from fuzzer.transform import Step

    if not text:
        return catalogue.plan(seed, ())
    if not text.lstrip().startswith(("[", "{")):
        names = [name.strip() for name in text.split(",") if name.strip()]
        return catalogue.plan(seed, [catalogue.default_step(name) for name in names])
    try:
        given = json.loads(text)
        whole = given if isinstance(given, dict) else {"steps": given}
        if "steps" not in whole or whole.keys() - {"seed", "steps", "drop"}:
            raise ValueError  # a single step, say: shown as the seed itself, it would mislead
        steps = TypeAdapter(tuple[Step, ...]).validate_python(whole["steps"])
        drop = TypeAdapter(tuple[str, ...]).validate_python(whole.get("drop", []))
    except (ValueError, ValidationError):
        raise ConfigurationError(
            f"--plan {text[:60]!r} cannot be read; write JSON like "
            '[{"transform": "rename_people", "params": {}}] or names: rename_people,format_inbox'
        ) from None
    return catalogue.plan(seed, steps, drop)


# -------------------------------------------------------------------------------------- report


@main.command()
@click.argument("run")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
)
def report(*, run: str, kind: str) -> None:
    """A run's report again, from its store; exits as the sweep did."""
    from fuzzer.store import RunStore
    from fuzzer.summary import examples
    from reports import to_json
    from reports.console import final
    from reports.html import render

    with RunStore.read(run) as store:
        found = store.report()
        if found is None:
            raise ConfigurationError(
                f"the run in {run!r} has not ended; continue it with `holdfast sweep … --out {run} "
                "--resume`"
            )
        if kind == "html":
            click.echo(render(found, examples(found, store.rows, store.trial)))
        elif kind == "json":
            click.echo(to_json(found).decode(), nl=False)
        else:
            final(found, run)
    sys.exit(found.exit_code)


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
    try:
        Path(out).write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {out!r} ({error.strerror}); use another --out"
        ) from None
