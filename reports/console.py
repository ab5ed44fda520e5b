"""What a terminal shows at the end of a sweep: a last screen, its verdict first.

Rich draws; nothing here is parsed as its markup, and nothing a subject wrote reaches the terminal
but through `reports.text`.
"""

import io
import shlex
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fuzzer.records import Finding, Report, TransformRow
from reports import complete
from reports.attribution import legend, marks, pair_sentences
from reports.contrast import contrast_sentences
from reports.deployment import deployment_sentences
from reports.elicitation import control_sentences
from reports.jury import judge_sentences
from reports.screen import as_text, console, lay_out, put
from reports.sentence import (
    corrected_sentences,
    flag_sentence,
    job_sentences,
    review_sentences,
    standing,
)
from reports.text import (
    figure,
    interval,
    line,
    money,
    percent,
    plural,
    points,
    proportion,
    replay_command,
    step_phrase,
    summaries,
)

FINDING = 150  # characters that one finding may take
ATTRIBUTABLE = 32  # failures on D that suffice to flag one transform that explains them
LINES = 39  # the last screen stays under 40 lines at 80 columns
# Yellow cannot be read on white, nor blue on black; the words say what a colour does.
COLOURS = {"holds": "green", "brittle": "red", "inconclusive": "magenta", "unusable": "magenta"}

# ------------------------------------------------------------------------------------- last screen


def final(
    report: Report,
    run: str = "",
    *,
    needs: Sequence[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Print the last screen of a sweep on standard output.

    `needs` are options that a command on the run must be given again, names and values in turn.
    """
    put(lambda width: _screen(report, run, width, needs), stream)


def final_text(report: Report, run: str = "", width: int = 80, *, needs: Sequence[str] = ()) -> str:
    """The last screen as plain text."""
    return as_text(lambda width: _screen(report, run, width, needs), width)


def brief(report: Report, run: str, *, stream: TextIO | None = None) -> None:
    """Print the verdict as a sentence, and where the report is; nothing else."""
    put(lambda _: [_sentence(complete(report)), _kept(run)], stream)


def _screen(
    report: Report, run: str, width: int, needs: Sequence[str] = ()
) -> list[RenderableType]:
    """The blocks that fit, in reading order; what matters least goes first when space is short."""
    report = complete(report)
    notes = [Text(f"Note: {line(note, 230)}") for note in report.notes[:3]]
    more = (*job_sentences(report), *judge_sentences(report), *review_sentences(report))
    more += (*control_sentences(report), *contrast_sentences(report))
    more += (*deployment_sentences(report), *untested_sentences(report))
    for findings, transforms, told, spaced in (
        (3, 5, len(notes), True),
        (3, 3, 1, True),
        (2, 3, 1, True),
        (2, 3, 1, False),
        (1, 3, 0, False),
        (1, 0, 0, False),
        (0, 0, 0, False),
    ):
        apart: list[RenderableType] = [Text()] if spaced else []
        blocks: list[RenderableType] = [_sentence(report)]
        blocks += [Text(flag_sentence(report, figures=False)), Text(), _rates(report)]
        blocks += [*apart, _evidence(report)]
        said = [*map(Text, (*corrected_sentences(report), *more)), *notes[:told]]
        blocks += [*apart, *said] if said else []
        blocks += _findings(report, findings, needs)
        blocks += _transforms(report, transforms)
        blocks += [Text(), *_counts(report), *_where(report, run, needs)]
        if _height(blocks, width) <= LINES:
            break
    return blocks


def _height(blocks: list[RenderableType], width: int) -> int:
    """Lines on the screen; a command is left to the terminal to wrap, and so counts."""
    stream = io.StringIO()
    lay_out(console(stream, width=width, colour=False), blocks)
    return sum(max(1, -(-cell_len(text) // width)) for text in stream.getvalue().splitlines())


def _command(label: str, command: str) -> Text:
    """A command on one line, however long: wrapped, it could not be pasted."""
    return Text(f"{label}{command}", no_wrap=True)


def _sentence(report: Report) -> Text:
    text = Text(line(report.sentence, 1_200))
    words = len(text.plain.split(":", 1)[0])
    text.stylize(f"bold {COLOURS[report.verdict]}", 0, words + 1)
    return text


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        numeric = column not in ("", "rate", "transform", "interval", "evidence")
        table.add_column(
            column, justify="right" if numeric else "left", overflow="ellipsis", no_wrap=True
        )
    return table


def _rates(report: Report) -> Table:
    table = _table("", "trials", "harmful", "rate", "unusable", "engaged")
    for name, rate in (("canonical", report.canonical), ("mutated", report.mutated)):
        shown = proportion(rate.n, rate.harmful, rate.ci, report.alpha)
        table.add_row(
            name,
            f"{rate.n:,}",
            f"{rate.harmful:,}",
            shown.split(", ", 1)[-1],
            f"{rate.unusable:,}",
            f"{rate.engaged:,}",
        )
    return table


def _evidence(report: Report) -> Table:
    """What the claims rest on: each e-value beside what it needs."""
    found, flag = report.evidence, report.flag
    limit = percent(report.threshold)
    rows = [
        (f"brittle: some variant fails more often than {limit}", found.e_brittle, found.needed),
        (f"holds: at most {limit} fail on average over D", found.e_holds, found.needed_holds),
    ]
    if report.teaching_to_the_test == "flagged":
        against = f"far calls ({flag.far_harmful:,} of {flag.blocks:,} failed) against canonical"
        rows.append((f"flag: {against}", flag.e_two_sample, flag.needed))
        far = f" ({flag.e_far_harmful:,} of {flag.e_far_n:,} failed)" if flag.e_far_n else ""
        rows.append((f"flag: first far calls{far} against {limit}", flag.e_far, flag.needed))
    table = _table("evidence", "e-value", "needed", "")
    for name, e, needed in rows:
        reached = "reached" if e >= needed else ""
        table.add_row(name, figure(e), figure(needed), reached)
    return table


def untested_sentences(report: Report) -> tuple[str, ...]:
    """Transforms that no usable draw held, while blind ones did."""
    blind = {step.transform for one in report.blind for step in one.plan}
    names = [
        line(row.name, 40)
        for row in report.transforms
        if row.relation == "invariant" and not row.n and row.name in blind
    ]
    if not names or not report.mutated.n:
        return ()
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return (
        f"Not tested: {', '.join(names[:6])}{more}; no usable draw held "
        f"{'it' if len(names) == 1 else 'them'}, and draws that did were blind.",
    )


def _findings(report: Report, most: int, needs: Sequence[str]) -> list[RenderableType]:
    if not report.findings or not most:
        return []
    told = summaries(report)
    blocks: list[RenderableType] = [Text()]
    for number, finding in enumerate(report.findings[:most], start=1):
        blocks.append(Text(line(f"Finding {number}: {_finding(finding)}", FINDING + 10)))
        if number > 1:  # the first one's change is told by the verdict
            blocks += [Padding(Text(said), (0, 0, 0, 2)) for said in _changes(finding, told)]
        command = f"{replay_command(finding)}{_options(needs, '--plugin')}"
        if number == 1 and len(command) <= 240:
            blocks.append(_command("  look: ", command))
    if (more := len(report.findings) - most) > 0:
        blocks.append(Text(f"  and {plural(more, 'further finding')} in the report"))
    return blocks


def _finding(finding: Finding) -> str:
    """The seed, the steps by name and the rate; a long plan is cut, never the rate after it."""
    state = finding.state
    sure = state if "not certified" in state else f"not certified ({state})"
    sure = "certified" if finding.minimal_certified else sure
    rests = standing(finding)
    calls = "" if finding.fresh else " of replays"
    sure += f", {rests}" if rests else ""
    rate = f"{percent(finding.rate)} {interval(finding.ci)}{calls}, {sure}"
    seed = line(finding.seed, 40)
    room = FINDING - len(f"Finding 1: {seed} + : {rate}")
    names = " + ".join(line(step.transform, 40) for step in finding.minimal_plan)
    return f"{seed}{f' + {line(names, room)}' if names else ', as it is'}: {rate}"


def _changes(finding: Finding, told: Mapping[str, str]) -> list[str]:
    """What each step of a short plan does."""
    steps = finding.minimal_plan
    return [line(step_phrase(step, told), 150) for step in steps] if len(steps) <= 2 else []


def _transforms(report: Report, most: int) -> list[RenderableType]:
    rows = [r for r in report.transforms if r.relation == "invariant" and r.n]
    # Where the seed itself fails, no change is its cause: the table would only be noise.
    if report.baseline == "not_zero" or not most or not any(row.harmful for row in rows):
        return []
    if not any(row.flagged for row in rows):
        told = plural(report.mutated.harmful, "failure")
        enough = report.mutated.harmful >= ATTRIBUTABLE
        hint = (
            "enough to flag one that stood out"
            if enough
            else f"about {ATTRIBUTABLE} failures flag one; --stop budget goes on"
        )
        return [
            Text(),
            Text(
                f"No single transform is flagged: {told} among {report.mutated.n:,} draws from D "
                f"({hint})."
            ),
            *map(Text, pair_sentences(report)),
        ]
    rows.sort(key=lambda row: (-row.e_value, -row.effect, row.name))
    table = _table("transform", "effect", "interval", "e-value", "failed", "of")
    for row in rows[:most]:
        table.add_row(
            Text(_starred(row)),
            points(row.effect),
            f"[{points(row.ci[0])}, {points(row.ci[1])}]",
            figure(row.e_value),
            f"{row.harmful:,}",
            f"{row.n:,}",
        )
    if (shams := report.shams) is not None and shams.n:
        table.add_row(
            "shams (noise floor)",
            points(shams.effect),
            f"[{points(shams.ci[0])}, {points(shams.ci[1])}]",
            "",
            f"{shams.harmful:,}",
            f"{shams.n:,}",
        )
    said = (legend(tuple(rows[:most])), *pair_sentences(report))
    return [Text(), table, *(Text(sentence) for sentence in said if sentence)]


def _starred(row: TransformRow) -> str:
    return line(row.name, 26) + marks(row)


def _counts(report: Report) -> list[RenderableType]:
    causes = sum(report.unusable.by_cause.values())
    blind = max(report.blind_draws, len(report.blind))
    kinds = ", ".join(
        f"{n:,} {kind.replace('_', '-')}"
        for kind, n in sorted(report.calls_by_kind.items(), key=lambda item: -item[1])
    )
    calls = [f"{report.calls:,}" + (f" ({kinds})" if kinds else "")]
    calls += [f"{report.shrink_calls:,} more to shrink"] if report.shrink_calls else []
    if report.after_stop.calls:
        calls.append(f"{report.after_stop.calls:,} after the stop, in no rate")
    tokens = report.tokens.input + report.tokens.output
    spent = [
        "cost unknown" if report.cost_usd is None else money(report.cost_usd),
        plural(tokens, "token"),
        f"unusable {causes:,}",
        f"blind variants {blind:,}",
    ]
    return [Text(f"Calls: {'; '.join(calls)}"), Text(f"Spent: {' · '.join(spent)}")]


def _kept(run: str) -> Text:
    return Text(f"Report: {line(run, 120)}/report.html (and report.json)")


def _where(report: Report, run: str, needs: Sequence[str]) -> list[RenderableType]:
    if not run:
        return []
    named = shlex.quote(line(run, 120))
    blocks: list[RenderableType] = [_kept(run)]
    if report.verdict == "inconclusive" and report.sufficient_budget:
        budget = report.sufficient_budget
        again = f"holdfast sweep … --out {named} --resume --budget {budget}"
        return [*blocks, _command("To go on: ", again)]
    if report.findings:
        command = f"holdfast shrink {named}{_options(needs) or _unnamed(report)}"
        blocks.append(_command("The least that fails: ", command))
    return [*blocks, _command("Again: ", f"holdfast report {named}")]


def _options(needs: Sequence[str], only: str = "") -> str:
    """Options as a command line takes them, given as names and values in turn."""
    pairs = zip(needs[::2], needs[1::2], strict=True)
    shown = [(name, value) for name, value in pairs if only in ("", name)]
    return "".join(f" {name} {shlex.quote(line(value, 120))}" for name, value in shown)


def _unnamed(report: Report) -> str:
    """A model of one's own: its name does not say where it is."""
    return "" if "/" in report.model or ":" in report.model else " --model FILE.py:NAME"
