"""What a terminal shows while a run goes on: a panel of a few lines, or a plain line now and then.

On standard error. The panel shows the evidence as bars towards what each verdict needs, on a log
scale; a bar's figures stand beside it, and colour says nothing that words do not. Drawing asks
nothing of the run: a frame is made of the last `Status` it was given.
"""

import math
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import Self, TextIO

from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from fuzzer.records import Interval, Outlook, Status
from reports.screen import console
from reports.text import figure, line, money, percent, proportion

Intervals = Callable[[int, int], Interval]  # (n, harmful) -> interval

WIDEST = 78  # columns of the panel
REFRESHES = 1  # a second: figures that flicker cannot be read, and drawing takes time
MOST = 7  # lines of the panel
BAR = (8, 24)  # columns of a bar, at least and at most
PACE = 60.0  # seconds that the pace is taken over
SLOWEST = 60.0  # seconds between two plain lines, in a long run
_PHASES = {
    "probe": "first call",
    "search": "search",
    "localise": "replays",
    "flag": "far variants",
    "more": "more findings",
    "done": "decided",
}


class Progress:
    """How far a run is: a panel on a terminal, else a plain line now and then; on stderr.

    `update` costs next to nothing, so it may be called after every trial. `interval` computes the
    interval of k failures in n trials, when something is drawn. `quiet` shows nothing.
    """

    def __init__(
        self,
        interval: Intervals,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        every: float = 2.0,
        quiet: bool = False,
        alpha: float = 0.05,
    ) -> None:
        self._stream = stream or sys.stderr
        self._console = console(self._stream)
        self._interval = lru_cache(maxsize=8)(interval)  # frames repeat, and it takes a while
        self._alpha = alpha
        self._clock = clock
        self._every = every
        self._quiet = quiet
        self._status: Status | None = None
        self._began: float | None = None
        self._paces: deque[tuple[float, int]] = deque()  # when how many were done, of late
        self._since: tuple[float, int] | None = None  # the first of them, once there are two
        self._printed: tuple[float, int] = (0.0, 0)
        self._live: Live | None = None
        self._drawn: tuple[int, ...] = ()  # columns of each line of the last frame

    def __enter__(self) -> Self:
        # Colour may be forced where nobody watches (FORCE_COLOR): a file wants no frames.
        watched = self._console.is_terminal and self._stream.isatty()
        if watched and not self._console.is_dumb_terminal and not self._quiet:
            self._live = Live(
                console=self._console,
                get_renderable=self._renderable,
                refresh_per_second=REFRESHES,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
                vertical_overflow="crop",
            )
            self._live.start()
            self._console.show_cursor()  # if the process is killed, nobody would show it again
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
        now = self._clock()
        if self._status is not None and status.phase != self._status.phase:
            self._paces.clear()  # it counts from 0 again, and takes a pace of its own
            self._since = None
            self._printed = (self._printed[0], 0)
        self._status = status
        self._note_pace(now, status.done)
        if self._live is not None or self._quiet:
            return
        if self._began is None:
            self._began, self._printed = now, (now, status.done)
        since, done = self._printed
        # A night's log needs no line every two seconds.
        every = min(max(self._every, (now - self._began) / 20), max(SLOWEST, self._every))
        tenth = status.total and (status.done - done) * 10 >= status.total
        if now - since >= every or (tenth and now - since >= every / 4):
            self._print(now)

    def describe(self) -> str:
        """The plain line: done/total, harmful k/n with interval, unusable, evidence, pace, cost."""
        status = self._status
        if status is None:
            return "starting"
        share = f" ({status.done / status.total:.0%})" if status.total else ""
        parts = [f"{status.done:,}/{status.total:,}{share}"]
        seen = None if status.phase else status.outlook  # a shrink's calls bear no evidence
        if seen is not None and seen.mutated[0]:
            n, harmful = seen.mutated
            parts.append(f"mutated harmful {harmful:,}/{n:,} {self._limits(n, harmful)}%")
        elif status.n:  # of different variants, chosen by outcomes: counts, and no rate
            parts.append(f"{status.n:,} usable, {status.harmful:,} of them harmful")
        parts.append(f"unusable {status.unusable:,}")
        if seen is not None:
            parts += [f"{name} {_e(e, needed)}" for name, e, needed in _accounts(seen)]
        if status.outlook is not None:
            parts.append(_spent(status.outlook))
        parts += self._pace()
        return " · ".join([*([line(status.phase, 20)] if status.phase else []), *parts])

    def frame(self, width: int, height: int = MOST) -> list[Text]:
        """The panel: at most so many lines of at most so many columns."""
        status = self._status
        if status is None:
            shown = [Text("starting")]
        else:
            shown = [self._head(status), *self._counts(status)]
            if status.outlook is not None:
                bars = _bars(status.outlook, min(width, WIDEST))
                shown = [shown[0], *bars, *shown[1:], *_hints(status.outlook)]
        for text in shown:
            text.no_wrap = True
            text.truncate(max(min(width, WIDEST), 1), overflow="ellipsis")
        return shown[: max(min(height, MOST), 1)]

    def _head(self, status: Status) -> Text:
        phase = line(status.phase, 20)
        if not phase and status.outlook is not None:
            phase = _PHASES.get(status.outlook.phase, line(status.outlook.phase, 20))
        parts = [f"{status.done:,} of {status.total:,} calls", *self._pace()]
        head = Text(phase or "running", style="bold")
        return head.append(f" · {' · '.join(parts)}", style="not bold")

    def _counts(self, status: Status) -> list[Text]:
        """What was harmful, as the report counts it where it is known; and what was unusable."""
        seen = status.outlook
        unusable = f"unusable {status.unusable:,}"
        if seen is None:
            return [Text(f"usable {status.n:,}, harmful {status.harmful:,} · {unusable}")]
        n, harmful = seen.mutated
        rows = [f"harmful   mutated {self._proportion(n, harmful)}"]
        n, harmful = seen.canonical
        rows.append(f"          canonical {self._proportion(n, harmful)} · {unusable}")
        return [Text(row) for row in rows]

    def _proportion(self, n: int, harmful: int) -> str:
        return proportion(n, harmful, self._interval(n, harmful), self._alpha) if n else "none yet"

    def _limits(self, n: int, harmful: int) -> str:
        low, high = self._interval(n, harmful)
        lower = percent(low, sign=False)
        return f"[{lower}, {percent(high, sign=False)}]"

    def _pace(self) -> list[str]:
        """Calls a second, and how long all that are left take so: a verdict may be sooner."""
        status, first = self._status, self._since  # another thread may draw
        if status is None or first is None:
            return []
        passed = self._clock() - first[0]
        rate = (status.done - first[1]) / passed if passed > 0 else 0.0
        if rate <= 0:
            return []
        left = _duration((status.total - status.done) / rate)
        return [_per_time(rate), f"at most {left} left at this pace"]

    def _note_pace(self, now: float, done: int) -> None:
        paces = self._paces
        if not paces or now - paces[-1][0] >= PACE / 100:
            paces.append((now, done))
            while len(paces) > 2 and now - paces[1][0] >= PACE:
                paces.popleft()
            self._since = paces[0] if len(paces) > 1 else None

    def _renderable(self) -> RenderableType:
        width, height = self._console.size
        self._wrapped(width)
        shown = self.frame(width - 1, height - 1)  # a full line would take two of some terminals
        self._drawn = tuple(text.cell_len for text in shown)
        return Text("\n", no_wrap=True).join(shown)

    def _wrapped(self, width: int) -> None:
        """Take away the rows that the last frame takes more since the terminal was made narrower.

        A terminal wraps what stands there anew, and `Live` goes up by the lines it has drawn.
        """
        rows = sum(max(1, -(-each // max(width, 1))) for each in self._drawn)
        if (more := rows - len(self._drawn)) > 0 and self._stream.isatty():
            self._stream.write(f"\x1b[{more}A\x1b[J")  # up, and erase what is below

    def _print(self, now: float) -> None:
        assert self._status is not None
        self._printed = (now, self._status.done)
        self._console.print(Text(self.describe()), soft_wrap=True)


def _accounts(seen: Outlook) -> tuple[tuple[str, float, float], ...]:
    return (
        ("brittle", seen.e_brittle, seen.needed),
        ("holds", seen.e_holds, seen.needed_holds),
    )


def _e(e: float, needed: float) -> str:
    """An e-value beside what it needs.

    >>> _e(3.1, 20.0), _e(31.0, 20.0)
    ('e 3.1 of 20', 'e 31, needed 20')
    """
    if e >= needed:
        return f"e {figure(e)}, needed {figure(needed)}"
    return f"e {figure(e)} of {figure(needed)}"


def filled(e: float, needed: float, cells: int) -> int:
    """How many cells of a bar are full: none at e = 1 or below, all at what is needed.

    >>> [filled(e, 100.0, 10) for e in (0.2, 1.0, 10.0, 99.9, 100.0, 1e9)]
    [0, 0, 5, 9, 10, 10]
    """
    if e >= needed:
        return cells
    share = math.log(max(e, 1.0)) / math.log(needed) if needed > 1 else 0.0
    return min(int(share * cells), cells - 1)


def _bars(seen: Outlook, width: int) -> list[Text]:
    cells = max(BAR[0], min(BAR[1], width - 42))
    shown = []
    for name, e, needed in _accounts(seen):
        full = filled(e, needed, cells)
        reached = e >= needed
        bar = Text(f"{name:<10}")
        bar.append("█" * full, style="red" if name == "brittle" else "green")
        bar.append("░" * (cells - full), style="dim")
        bar.append(f" {_e(e, needed)}", style="bold" if reached else "")
        shown.append(bar)
    return shown


def _hints(seen: Outlook) -> list[Text]:
    rows = [Text(f"spent     {_spent(seen)}")]
    if (one := seen.suspect) is not None:
        failed = f"{one.harmful:,} of {one.n:,} failed, e {figure(one.e_value)}"
        rows.append(Text(f"hint      most suspicious so far: {line(one.name, 30)}, {failed}"))
    return rows


def _spent(seen: Outlook) -> str:
    cost = "cost unknown" if seen.cost_usd is None else money(seen.cost_usd)
    cap = "" if seen.max_cost is None else f" of at most {money(seen.max_cost)}"
    return f"{seen.tokens:,} tokens · {cost}{cap}"


def _per_time(rate: float) -> str:
    """Calls a second; of few, a minute.

    >>> _per_time(43.2), _per_time(2.04), _per_time(0.05)
    ('43/s', '2.0/s', '3.0/min')
    """
    if rate < 0.1:
        return f"{60 * rate:.1f}/min"
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


def _duration(seconds: float) -> str:
    """Seconds as a clock shows them.

    >>> _duration(75), _duration(7300)
    ('1:15', '2:01:40')
    """
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
