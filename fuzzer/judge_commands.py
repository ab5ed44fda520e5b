"""Commands about judges: `calibrate` holds one to transcripts that people have labelled."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from fuzzer.errors import ConfigurationError, unknown
from fuzzer.seed_commands import write_file

if TYPE_CHECKING:
    from fuzzer.judges import Judge

JUDGES = ("rules",)


def choose_judge(name: str) -> "Judge":
    """The judge of this name; `ConfigurationError` when there is none."""
    if name == "rules":
        from fuzzer.judges.rules import RulesJudge

        return RulesJudge()
    raise ConfigurationError(unknown("judge", name, JUDGES))


@click.command()
@click.argument("labelled", nargs=-1, required=True, metavar="LABELLED...")
@click.option("--judge", "judge_name", default="rules", show_default=True, help="Who judges.")
@click.option("--out", metavar="FILE", help="Store the calibration there (JSON), for sweeps.")
@click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE",
    help="A Python file with transforms or scenarios of your own; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def calibrate(
    *,
    labelled: tuple[str, ...],
    judge_name: str,
    out: str | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """How far a judge agrees with people, on transcripts that they have labelled.

    LABELLED is JSON lines (label, seed, and text, messages or turns), an Inspect log (.eval or
    .json) or a folder of the published evaluation's own results. Prints sensitivity, specificity
    and kappa, and where to find each disagreement.
    """
    from fuzzer.calibration import acalibrate, to_json
    from fuzzer.labels import content_hash, read_labelled
    from fuzzer.registry import plugged_in

    judge = choose_judge(judge_name)
    catalogue, seeds = plugged_in(plugins) if plugins else (None, ())
    given = read_labelled(labelled, catalogue=catalogue, seeds=seeds)
    found = asyncio.run(
        acalibrate(
            judge,
            given,
            source=labelled,
            source_hash=content_hash(labelled),
            date=datetime.now(UTC).date().isoformat(),
        )
    )
    text = to_json(found).decode()
    if out:
        write_file(out, text)
    if as_json:
        click.echo(text, nl=False)
        return
    from reports.calibration import show

    show(found, out or "")
