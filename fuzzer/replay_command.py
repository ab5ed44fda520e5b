"""`replay`: a corpus of findings run again, cheaply, as a regression test with an exit code."""

import sys
from pathlib import Path
from typing import Any

import click

from fuzzer.errors import ConfigurationError
from fuzzer.options import (
    above_zero,
    json_option,
    judge_options,
    model_options,
    plugin_option,
    quiet_option,
    rate_options,
    read_judge,
    read_settings,
    read_spending,
    spending_options,
)

INTERRUPTED = 130


@click.command()
@click.argument("corpus")
@model_options
@judge_options
@click.option("--budget", default=1000, show_default=True, help="Calls, of all entries together.")
@click.option(
    "--per-entry", type=int, metavar="N", help="Calls of one entry [3 x what shows it clean]."
)
@click.option("--threshold", default=0.01, show_default=True, help="The rate that still counts.")
@click.option(
    "--cut",
    type=float,
    metavar="RATE",
    help="Fails no more when it fails less often [each entry's own: half its rate].",
)
@click.option("--alpha", default=0.05, show_default=True, help="Error rate of a verdict.")
@spending_options
@rate_options
@click.option("--out", metavar="DIR", help="Run directory [default: runs/<time>-replay-<model>].")
@click.option("--resume", is_flag=True, help="Continue the run in --out.")
@plugin_option
@quiet_option
@json_option
def replay(
    *,
    corpus: str,
    model: str,
    budget: int,
    per_entry: int | None,
    threshold: float,
    cut: float | None,
    alpha: float,
    price: str | None,
    prices: str | None,
    out: str | None,
    resume: bool,
    plugins: tuple[str, ...],
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Does what once failed still fail? CORPUS is a file that `shrink --save` wrote.

    Every entry is run as it was stored, with a sequential test of its own, and what has changed
    since is said. Exits with 1 (something still fails), 0 (every entry fails less often than its
    cut), 3 (undecided, or not testable) or 4 (unusable); with 130 when interrupted.
    """
    above_zero(budget=budget, per_entry=per_entry)
    spending = read_spending(given)
    if resume and out is None:
        raise ConfigurationError("--resume needs --out with the directory of the run to continue")

    from datetime import UTC, datetime

    from fuzzer.campaign import default_directory
    from fuzzer.evidence import confidence_sequence
    from fuzzer.registry import plugged_in
    from fuzzer.replay_run import replay as replayed
    from reports.live import Progress
    from reports.replay import brief, show, to_json

    catalogue, own = plugged_in(plugins)
    directory = Path(out) if out else default_directory(f"replay-{model}", datetime.now(UTC))
    silent = as_json or quiet
    with Progress(
        lambda n, k: confidence_sequence(n, k, alpha), alpha=alpha, quiet=silent
    ) as progress:
        found = replayed(
            corpus,
            model,
            catalogue=catalogue,
            seeds=own,
            judge=read_judge(given),
            budget=budget,
            per_entry=per_entry,
            cut=cut,
            threshold=threshold,
            alpha=alpha,
            **spending,
            price=price,
            prices=Path(prices) if prices else None,
            out=directory,
            resume=resume,
            settings=read_settings(given),
            progress=None if silent else progress.update,
            graceful=True,
        )
    if as_json:
        click.echo(to_json(found), nl=False)
    elif quiet:
        brief(found, str(directory))
    else:
        show(found, str(directory))
    if found.stopped == "interrupted":
        click.echo(
            "Interrupted; what was answered is stored (the same command with --resume goes on).",
            err=True,
        )
        sys.exit(INTERRUPTED)
    sys.exit(found.exit_code)
