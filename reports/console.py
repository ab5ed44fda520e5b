"""What a terminal shows: progress while a sweep runs, and a last screen, its verdict first.

Rich draws; nothing here is parsed as its markup, and nothing a subject wrote reaches the terminal
but through `reports.text`.
"""

import io
import shlex
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.cells import cell_len
from rich.console import RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fuzzer.records import Finding, Interval, Report, Status, TransformRow
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
    plan_phrase,
    plural,
    points,
    proportion,
    replay_command,
    summaries,
)

FINDING = 230  # characters that one finding may take
ATTRIBUTABLE = 32  # failures on D that suffice to flag one transform that explains them
LINES = 39  # the last screen stays under 40 lines at 80 columns
COLOURS = {"holds": "green", "brittle": "red", "inconclusive": "yellow", "unusable": "magenta"}

Intervals = Callable[[int, int], Interval]  # (n, harmful) -> interval


# ---------------------------------------------------------------------------------------- progress


class Progress:
    """How far a run is: a live line on a terminal, else a plain line now and then; on stderr.

    `update` costs next to nothing, so it may be called after every trial. `interval` computes the
    interval of k failures in n trials, when a line is drawn.
    """

    def __init__(
        self,
        interval: Intervals,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        every: float = 2.0,
    ) -> None:
        self._console = console(stream or sys.stderr)
        self._interval = interval
        self._clock = clock
        self._every = every
        self._status: Status | None = None
        self._first: tuple[float, int] | None = None  # when the first status came, and its `done`
        self._printed: tuple[float, int] = (0.0, 0)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._renderable,
                refresh_per_second=5,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._status is not None and self._status.done != self._printed[1]:
            self._print(self._clock())

    def update(self, status: Status) -> None:
        """Where the run stands now."""
        if self._status is not None and status.phase != self._status.phase:
            self._first = None  # it counts from 0 again, and takes a pace of its own
            self._printed = (self._printed[0], 0)
        self._status = status
        if self._live is not None:
            self._first = self._first or (self._clock(), status.done)
            return
        now = self._clock()
        if self._first is None:
            self._first = self._printed = (now, status.done)
        since, done = self._printed
        tenth = status.total and (status.done - done) * 10 >= status.total
        if now - since >= self._every or (tenth and now - since >= self._every / 4):
            self._print(now)

    def describe(self) -> str:
        """The line: done/total, harmful k/n with interval, unusable, rate, time left."""
        status = self._status
        if status is None:
            return "starting"
        share = f" ({status.done / status.total:.0%})" if status.total else ""
        parts = [f"{status.done:,}/{status.total:,}{share}"]
        if status.n:
            bounds = interval(self._interval(status.n, status.harmful))
            parts.append(f"harmful {status.harmful:,}/{status.n:,} {bounds}%")
        parts.append(f"unusable {status.unusable:,}")
        if rate := self._rate():
            parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
            parts.append(f"at most {_duration((status.total - status.done) / rate)} left")
        return " · ".join([*([line(status.phase, 20)] if status.phase else []), *parts])

    def _rate(self) -> float:
        if self._status is None or self._first is None:
            return 0.0
        began, already = self._first
        passed = self._clock() - began
        return (self._status.done - already) / passed if passed > 0 else 0.0

    def _renderable(self) -> RenderableType:
        status = self._status
        if status is None:
            return Text("starting")
        grid = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(status.total, 1), completed=status.done, width=16)
        grid.add_row(bar, Text(self.describe(), overflow="ellipsis", no_wrap=True))
        return grid

    def _print(self, now: float) -> None:
        assert self._status is not None
        self._printed = (now, self._status.done)
        self._console.print(Text(self.describe()), soft_wrap=True)


def _duration(seconds: float) -> str:
    """Seconds as a clock shows them.

    >>> _duration(75), _duration(7300)
    ('1:15', '2:01:40')
    """
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


# ------------------------------------------------------------------------------------- last screen


def final(report: Report, run: str = "", *, stream: TextIO | None = None) -> None:
    """Print the last screen of a sweep on standard output."""
    put(lambda width: _screen(report, run, width), stream)


def final_text(report: Report, run: str = "", width: int = 80) -> str:
    """The last screen as plain text."""
    return as_text(lambda width: _screen(report, run, width), width)


def _screen(report: Report, run: str, width: int) -> list[RenderableType]:
    """The blocks that fit, in reading order; what matters least goes first when space is short."""
    report = complete(report)
    head, flag = _sentence(report), Text(flag_sentence(report))
    notes = [Text(f"Note: {line(note, 230)}") for note in report.notes[:3]]
    for findings, transforms, told in (
        (3, 5, len(notes)),
        (3, 3, 1),
        (2, 3, 1),
        (1, 3, 0),
        (1, 0, 0),
        (0, 0, 0),
    ):
        blocks: list[RenderableType] = [head, Text(), _rates(report)]
        blocks += [*(Text(said) for said in corrected_sentences(report)), flag]
        more = (*job_sentences(report), *judge_sentences(report), *review_sentences(report))
        more += control_sentences(report)
        more += (*contrast_sentences(report), *deployment_sentences(report))
        blocks += [Text(said) for said in more]
        blocks += notes[:told]
        blocks += _findings(report, findings)
        blocks += _transforms(report, transforms)
        blocks += [Text(), _counts(report), *_where(report, run)]
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
        numeric = column not in ("", "rate", "transform", "interval")
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


def _findings(report: Report, most: int) -> list[RenderableType]:
    if not report.findings or not most:
        return []
    told = summaries(report)
    blocks: list[RenderableType] = [Text()]
    for number, finding in enumerate(report.findings[:most], start=1):
        blocks.append(Text(line(f"Finding {number}: {_finding(finding, told)}", FINDING + 10)))
        if number == 1 and len(command := replay_command(finding)) <= 240:
            blocks.append(_command("  look: ", command))
    if (more := len(report.findings) - most) > 0:
        blocks.append(Text(f"  and {plural(more, 'further finding')} in the report"))
    return blocks


def _finding(finding: Finding, told: dict[str, str]) -> str:
    sure = "certified" if finding.minimal_certified else f"not certified ({finding.state})"
    rests = standing(finding)
    rate = f"{percent(finding.rate)} {interval(finding.ci)}, {sure}{f', {rests}' if rests else ''}"
    seed = line(finding.seed, 40)
    # A long plan is cut, never the rate after it.
    room = FINDING - len(f"Finding 1: {seed}: : {rate}")
    return f"{seed}: {line(plan_phrase(finding.minimal_plan, told), room)}: {rate}"


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


def _counts(report: Report) -> Text:
    causes = sum(report.unusable.by_cause.values())
    blind = max(report.blind_draws, len(report.blind))
    kinds = ", ".join(f"{n:,} {kind.replace('_', '-')}" for kind, n in report.calls_by_kind.items())
    parts = [
        plural(report.calls, "call") + (f" ({kinds})" if kinds else ""),
        *([f"{report.shrink_calls:,} more to shrink"] if report.shrink_calls else []),
        "cost unknown" if report.cost_usd is None else money(report.cost_usd),
        f"unusable {causes:,}",
        f"blind variants {blind:,}",
    ]
    if report.after_stop.calls:
        parts.append(f"{report.after_stop.calls:,} after the stop, in no rate")
    return Text(" · ".join(parts))


def _where(report: Report, run: str) -> list[RenderableType]:
    if not run:
        return []
    shown = line(run, 120)
    blocks: list[RenderableType] = [Text(f"Report: {shown}/report.html (and report.json)")]
    if report.verdict == "inconclusive" and report.sufficient_budget:
        again = f"holdfast sweep … --out {shlex.quote(shown)} --resume --budget N"
        return [*blocks, _command("To go on: ", again)]
    if report.findings:
        blocks.append(_command("The least that fails: ", f"holdfast shrink {shlex.quote(shown)}"))
    return [*blocks, _command("Again: ", f"holdfast report {shlex.quote(shown)}")]
