"""`holdfast augment advice | reasons | documents | stories`: rows that a model writes."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fuzzer.augment_options import MANIFEST, a_split, command_line, split_options, today
from fuzzer.errors import ConfigurationError
from fuzzer.options import above_zero, json_option, price_options, read_pairs, read_seconds

if TYPE_CHECKING:
    from fuzzer.augment.split import Split
    from fuzzer.augment.writing.bill import WritingPlan
    from fuzzer.augment.writing.commission import Commission, Commissioned
    from fuzzer.augment.writing.constitution import Constitution
    from fuzzer.scenario import Scenario

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FORMATS = ("hf", "openai")
UNFINISHED = 3  # exit code: no rows, or not all items were finished


def _writing_options(command: _Command) -> _Command:
    """Who writes and judges, how much, within which limits, and where to."""
    for option in (
        click.option("--plan", "plan_only", is_flag=True, help="What it would cost; ask nothing."),
        click.option("--resume", is_flag=True, help="Go on with what is in --out."),
        click.option(
            "--out", metavar="DIR", help="Of the export; answers are kept in DIR.answers."
        ),
        click.option("--licence", default="other", show_default=True, help="For the card."),
        click.option(
            "--format",
            "formats",
            multiple=True,
            type=click.Choice(_FORMATS),
            help="Beside canonical lines; may be repeated.",
        ),
        click.option("--deadline", metavar="TIME", help="Stop after so long: 90s, 30m, 2h."),
        click.option(
            "--max-tokens-total", type=int, metavar="N", help="Stop when so many are used."
        ),
        click.option("--max-cost", type=float, metavar="USD", help="Stop when so much is spent."),
        click.option("--max-connections", type=int, help="Items asked about at once [10]."),
        click.option("--seed", default=0, show_default=True, help="Random seed of the briefs."),
        click.option(
            "-J", "judge_settings", multiple=True, metavar="KEY=VALUE", help="As -M, of the judge."
        ),
        click.option("--judge-model", metavar="MODEL", help="Who judges [who writes]."),
        click.option("--base-url", metavar="URL", help="Another server of the same interface."),
        click.option(
            "-M", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the model."
        ),
        click.option("--model", required=True, help="Who writes: anthropic/MODEL, PROVIDER/MODEL."),
    ):
        command = option(command)
    return price_options(json_option(command))


def _constitution_option(*, required: bool) -> Callable[[_Command], _Command]:
    return click.option(
        "--constitution",
        metavar="FILE",
        required=required,
        help="Principles of your own, as text or Markdown.",
    )


def _n_option(command: _Command) -> _Command:
    return click.option("-n", "count", default=100, show_default=True, help="Rows to try for.")(
        command
    )


@click.command()
@click.argument("seeds", nargs=-1, metavar="[SEED]...")
@_n_option
@_constitution_option(required=False)
@split_options
@_writing_options
def advice(
    *,
    seeds: tuple[str, ...],
    count: int,
    constitution: str | None,
    manifest: str,
    no_split: bool,
    **given: Any,
) -> None:
    """Chats in which a person faces a scenario's kind of dilemma and asks for advice.

    Of a scenario only kinds of things are told to the model, never its text. Without SEED, those of
    every built-in seed.
    """
    from fuzzer.augment.split import story_of
    from fuzzer.augment.writing.recipes import AdviceRecipe, advice_items
    from fuzzer.preparation import choose_seeds

    _possible(count)
    split, principles = _split(manifest, given, no_split=no_split), _constitution(constitution)
    found = choose_seeds(seeds or None)
    if split is not None:
        held = [seed.name for seed in found if split.story(seed) != "train"]
        if seeds and held:
            raise ConfigurationError(
                f"the split holds {held[0]!r} out of training; leave it out, or give --no-split"
            )
        found = tuple(seed for seed in found if seed.name not in held)
    inputs = {
        "seeds": {seed.name: seed.content_hash for seed in found},
        "stories": sorted({story_of(seed) for seed in found}),
        "constitution": principles.hash if principles else "",
        "split": split.hash if split else "",
    }

    def items() -> Any:
        return advice_items(found, count, given["seed"], constitution=principles, split=split)

    _run(_commission(AdviceRecipe(), items, count, inputs, given, found, split), given)


@click.command()
@click.argument("source", metavar="RUN|FILE")
@click.option("-n", "count", type=int, help="Conversations at most [all].")
@split_options
@_writing_options
def reasons(*, source: str, count: int | None, manifest: str, no_split: bool, **given: Any) -> None:
    """Safe transcripts of a run, or of a file of rows, retold with the agent's reasons.

    What was said changes; what was done stays as it was, byte for byte.
    """
    from fuzzer.augment.writing.reasoned import ReasonsRecipe, Sources, reasons_items

    if count is not None:
        _possible(count)
    split = _split(manifest, given, no_split=no_split)
    found = Sources(Path(source), count, split)
    inputs = {
        "source": found.hash,
        "split": split.hash if split else "",
    }

    def items() -> Any:
        return reasons_items(found)

    _run(_commission(ReasonsRecipe(), items, len(found), inputs, given, (), split), given)


@click.command()
@_n_option
@_constitution_option(required=True)
@_writing_options
def documents(*, count: int, constitution: str | None, **given: Any) -> None:
    """Documents of many genres about the principles of a constitution that you give."""
    from fuzzer.augment.writing.recipes import DOCUMENTS

    _texts(DOCUMENTS, count, constitution, given)


@click.command()
@_n_option
@_constitution_option(required=False)
@_writing_options
def stories(*, count: int, constitution: str | None, **given: Any) -> None:
    """Stories of many genres in which an AI is tempted and behaves well."""
    from fuzzer.augment.writing.recipes import STORIES

    _texts(STORIES, count, constitution, given)


# ------------------------------------------------------------------------------------------ common


def _texts(recipe: Any, count: int, constitution: str | None, given: dict[str, Any]) -> None:
    from fuzzer.augment.writing.recipes import text_items

    _possible(count)
    principles = _constitution(constitution)

    def items() -> Any:
        return text_items(recipe.kind, count, given["seed"], constitution=principles)

    inputs = {"constitution": principles.hash if principles else ""}
    _run(_commission(recipe, items, count, inputs, given), given)


def _possible(count: int) -> None:
    if count < 1:
        raise ConfigurationError(f"-n {count} is not possible; give at least 1")


def _constitution(path: str | None) -> "Constitution | None":
    from fuzzer.augment.writing.constitution import read_constitution

    return None if path is None else read_constitution(Path(path))


def _split(manifest: str, given: dict[str, Any], *, no_split: bool) -> "Split | None":
    """The split; where only a plan is wanted, none is dealt for it."""
    if no_split or (given["plan_only"] and manifest == MANIFEST and not Path(manifest).exists()):
        return None
    return a_split(manifest)


def _commission(
    recipe: Any,
    items: Any,
    n: int,
    inputs: dict[str, Any],
    given: dict[str, Any],
    seeds: "tuple[Scenario, ...]" = (),
    split: "Split | None" = None,
) -> "Commission":
    from fuzzer.augment.writing.commission import Commission

    limits = {name: given[name] for name in ("max_connections", "max_cost", "max_tokens_total")}
    above_zero(**limits)
    if given["judge_settings"] and given["judge_model"] is None:
        raise ConfigurationError("-J needs --judge-model; leave it out, or name the judge")
    own = read_pairs("-M", given["settings"])
    if given["base_url"] is not None:
        own["base_url"] = given["base_url"]
    return Commission(
        recipe=recipe,
        items=items,
        n=n,
        inputs=inputs,
        model=given["model"],
        settings=own,
        judge=given["judge_model"],
        judge_settings=read_pairs("-J", given["judge_settings"]),
        seed=given["seed"],
        seeds=seeds,
        batch=given["batch"],
        price=given["price"],
        prices=Path(given["prices"]) if given["prices"] else None,
        deadline=read_seconds("--deadline", given["deadline"]),
        formats=("jsonl", *given["formats"]),
        split=split,
        licence=given["licence"],
        created=today(),
        command=command_line(),
        **limits,
    )


def _run(commission: "Commission", given: dict[str, Any]) -> None:
    from fuzzer.augment.writing.commission import Engaged, carry_out

    engaged = Engaged(commission)
    plan, as_json = engaged.plan(), given["as_json"]
    if given["plan_only"]:
        if as_json:
            click.echo(json.dumps(plan.model_dump(mode="json"), indent=2))
        else:
            _show_plan(plan)
        return
    if given["out"] is None:
        raise ConfigurationError("--out is missing; give the directory for the rows, or --plan")
    engaged.limits()  # what cannot be kept is said before anything is
    if not as_json:
        _show_plan(plan)
    out = Path(given["out"])
    told = _progress(plan.n) if not as_json and sys.stderr.isatty() else lambda _: None
    done = asyncio.run(carry_out(engaged, out, resume=given["resume"], progress=told))
    if as_json:
        both = {"plan": plan.model_dump(mode="json"), "done": done.model_dump(mode="json")}
        click.echo(json.dumps(both, indent=2))
    else:
        _show_done(done, out)
    if done.unfinished or not done.rows:
        sys.exit(UNFINISHED)


def _progress(n: int) -> Callable[[int], None]:
    def told(done: int) -> None:
        click.echo(f"\r{done:,} of {n:,} items", nl=done == n, err=True)

    return told


def _show_plan(plan: "WritingPlan") -> None:
    from reports.text import line, money

    click.echo(
        f"{plan.n:,} x {plan.kind} by {line(plan.model, 80)}, judged by {line(plan.judge, 80)}: "
        f"{plan.calls:,} calls expected, {plan.most_calls:,} at most"
    )
    click.echo(f"{'stage':<10} {'calls':>9} {'tokens in':>12} {'out':>12} {'cost':>10}")
    for row in plan.stages:
        figures = f"{row.calls:>9,} {row.input_tokens:>12,} {row.output_tokens:>12,}"
        click.echo(f"{row.stage:<10} {figures} {money(row.cost_usd):>10}")
    total = f"{plan.calls:>9,} {plan.input_tokens:>12,} {plan.output_tokens:>12,}"
    click.echo(f"{'all':<10} {total} {money(plan.cost_usd):>10}")
    for note in plan.notes:
        click.echo(f"Note: {line(note, 400)}")


def _show_done(done: "Commissioned", out: Path) -> None:
    from reports.text import line, money

    click.echo(
        f"{done.rows:,} rows of {done.n:,} items in {line(out)}; {done.calls:,} calls now, "
        f"{done.tokens:,} tokens in all, cost {money(done.cost_usd)} (canary {done.canary})"
    )
    for reason, times in done.rejected.items():
        click.echo(f"  {times:,} rejected: {line(reason)}")
    if done.unfinished:
        click.echo(
            f"{done.unfinished:,} not finished: {line(done.stopped)}; the same command with "
            "--resume goes on"
        )
