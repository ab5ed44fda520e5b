"""Commands about judges: `calibrate` holds one to transcripts that people have labelled."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from fuzzer.options import json_option, judge_options, plugin_option, read_judge
from fuzzer.seed_commands import write_file

if TYPE_CHECKING:
    from fuzzer.calibration import Calibration

EDITS = 2000  # tried on a judge that costs nothing


@click.command()
@click.argument("labelled", nargs=-1, required=True, metavar="LABELLED...")
@judge_options
@click.option("--out", metavar="FILE", help="Store the calibration there (JSON), for sweeps.")
@click.option(
    "--edits",
    type=click.IntRange(min=0),
    metavar="N",
    help="Also try about N edits that must not, or must, change a verdict [2000; models: 0].",
)
@plugin_option
@json_option
def calibrate(
    *,
    labelled: tuple[str, ...],
    out: str | None,
    edits: int | None,
    plugins: tuple[str, ...],
    as_json: bool,
    **judges: Any,
) -> None:
    """How far a judge agrees with people, on transcripts that they have labelled.

    LABELLED is JSON lines (label, seed, and text, messages or turns), an Inspect log (.eval or
    .json) or a folder of the published evaluation's own results. Prints sensitivity, specificity
    and kappa, and where to find each disagreement; and how often the judge is led astray by edits
    whose effect is known, transforms among them (for a model each is two calls, so ask for them).
    """
    from fuzzer.calibration import acalibrate, to_json
    from fuzzer.judges.metamorphic import astray
    from fuzzer.labels import content_hash, read_labelled
    from fuzzer.registry import plugged_in

    judge = read_judge(judges)
    catalogue, seeds = plugged_in(plugins)
    given = read_labelled(labelled, catalogue=catalogue, seeds=seeds)
    tried = edits if edits is not None else 0 if getattr(judge, "waits", False) else EDITS

    async def through() -> "Calibration":
        try:
            return await acalibrate(
                judge,
                given,
                source=labelled,
                source_hash=content_hash(labelled),
                date=datetime.now(UTC).date().isoformat(),
                flips=await astray(judge, given, catalogue, tried),
            )
        finally:
            if (close := getattr(judge, "close", None)) is not None:
                await close()

    found = asyncio.run(through())
    text = to_json(found).decode()
    if out:
        write_file(out, text)
    if as_json:
        click.echo(text, nl=False)
        return
    from reports.calibration import show

    show(found, out or "")
