"""Bars 1 to 3 of the plan level: exact sets, calls against the information limit, misfits.

*Search* and *all* (search and certificate) are calls, median/90% point, each with its median as a
multiple of the limit: the calls that any method needs on average to name k of n steps through such
a channel with an error of 5% (Fano's inequality; `worlds.limit`). *False*: a certificate for what
is not 1-minimal at its cut, with a 95% upper bound. The shrinker knows neither k, p nor background.
A bar is asked of each row: of all batches, and a misfit is *said* if it is in 95% of replicates.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.reducing.running import (
    Played,
    Setting,
    at_most,
    middle,
    plant,
    played,
    ratio,
    replicates,
    share,
    spans,
)
from benchmarks.reducing.worlds import (
    GRADED,
    NOISY,
    Kind,
    blind_knockout,
    cause,
    limit,
    seed_itself,
    shared_step,
    suppressors,
    two_causes,
    unequal,
)

AMPLE = {1.0: 1000, 0.5: 3000, 0.1: 12_000}  # budgets that do not bind, by rate
DEFAULT = 200
CAUSES = [(k, p) for p in (1.0, 0.5, 0.1) for k in (1, 2, 3)]
RIGHT, FALSE = 0.95, 0.05  # at least, at most
ALL = 5.5  # x the limit
SEARCH = {24: 2.75, 200: 3.0}  # x the limit, by size
CALLS_A_ROUND = 5  # at least, in batches of 8

Bars = Mapping[str, bool]


@dataclass(frozen=True)
class Cell:
    """One cause of k steps at rate p among n."""

    k: int
    p: float
    n: int = 24
    batch: int = 4
    budget: int | None = None  # None: ample

    @property
    def setting(self) -> Setting:
        """What is run."""
        return Setting(cause(self.k, self.p), self.n, self.budget or AMPLE[self.p], self.batch)


def rows(quick: bool) -> Iterator[str]:
    """Bar 1: 24 steps."""
    yield f"Bar 1: 24 steps, ample budgets; {_replicates(quick)}\n"
    cells = [Cell(k, p, batch=b) for k, p in CAUSES for b in (1, 4, 8)]
    yield from single([c for c in cells if not quick or (c.p > 0.1 and c.batch != 4)], quick)
    yield "\nThe same at the default budget of 200 calls (no bar)\n"
    tight = [Cell(k, p, batch=b, budget=DEFAULT) for k, p in CAUSES if p < 1 for b in (4, 8)]
    yield from single([c for c in tight if not quick or (c.p == 0.5 and c.batch == 8)], quick)


def large(quick: bool) -> Iterator[str]:
    """Bar 2: 200 elements."""
    yield f"Bar 2: 200 elements, ample budgets; {_replicates(quick)}\n"
    cells = [Cell(k, p, n=200, batch=b) for k, p in CAUSES for b in (1, 4, 8)]
    yield from single(cells[1:18:6] if quick else cells, quick)


def _replicates(quick: bool) -> str:
    return f"{replicates(quick)} replicates a row; shares in percent, 95% intervals"


# ------------------------------------------------------------------------------------ one cause

HEADER = (
    f"{'k':>2}{'p':>5}{'batch':>6}{'budget':>7} {'exact':>16} {'search':>11}{'':>6} {'all':>11}"
    f"{'':>6}{'rounds':>7}{'calls/r':>8}{'cert.':>6} {'false':>11}  {'limit':>6}  bars"
)


def single(cells: Iterable[Cell], quick: bool) -> Iterator[str]:
    """The rows of worlds with one cause, and which bars they meet."""
    yield HEADER
    met: list[Bars] = []
    for cell in cells:
        line, bars = row(cell, played(cell.setting, quick))
        if cell.budget is None:
            met.append(bars)
        yield line
    yield from summary(met)


def row(cell: Cell, runs: Sequence[Played]) -> tuple[str, Bars]:
    """One line, and whether it meets each of its bars."""
    bound = limit(cell.n, cell.k, cell.p)
    worlds = (plant(cell.setting.kind, cell.n, number)[0] for number in range(len(runs)))
    exact = [run.keep == world.matters for run, world in zip(runs, worlds, strict=True)]
    false = [run.certified and not run.minimal for run in runs]
    search, calls = [r.search for r in runs], [r.calls for r in runs]
    a_round = middle([r.calls / max(1, r.rounds) for r in runs])
    bars = {
        "exact": sum(exact) >= RIGHT * len(runs),
        "search": middle(search) <= SEARCH[cell.n] * bound,
    }
    if cell.n == 24:
        bars["all"] = middle(calls) <= ALL * bound
    if cell.batch == 8:
        bars["rounds"] = a_round >= CALLS_A_ROUND
    verdict = told(bars) if cell.budget is None else ""
    certified = sum(r.certified for r in runs) / len(runs)
    return (
        f"{cell.k:>2}{cell.p:>5}{cell.batch:>6}{cell.setting.budget:>7} {share(exact):>16}"
        f" {spans(search):>11}{ratio(middle(search), bound):>6} {spans(calls):>11}"
        f"{ratio(middle(calls), bound):>6}{middle([r.rounds for r in runs]):>7}{a_round:>8.1f}"
        f"{certified:>6.0%} {at_most(false):>11}  {bound:>6.1f}  {verdict}"
    ), bars


def told(bars: Bars) -> str:
    """What of a row's bars is met."""
    missed = [name for name, met in bars.items() if not met]
    return f"missed: {', '.join(missed)}" if missed else "met"


def summary(rows: Sequence[Bars]) -> Iterator[str]:
    """How many rows met each bar; nothing without rows."""
    if rows:
        names = sorted({name for bars in rows for name in bars}, key=[*rows[-1], *rows[0]].index)
        yield "\nbars met, of the rows that have them: " + ", ".join(
            f"{name} {sum(b.get(name, False) for b in rows)}/{sum(name in b for b in rows)}"
            for name in names
        )


# -------------------------------------------------------------------------------------- misfits

MISFIT_HEADER = (
    f"{'world':<28}{'n':>4}{'budget':>7} {'1-minimal':>16} {'search':>11} {'all':>11}{'rounds':>7}"
    f"{'cert.':>6} {'false':>11}{'misfit said':>17}  bars"
)


def misfits(quick: bool) -> Iterator[str]:
    """Bar 3: worlds of which the model is wrong, and others that it has to stand."""
    yield f"Bar 3: where the model is wrong, ample budgets; {_replicates(quick)}\n"
    barred: list[Kind] = [two_causes(1.0), two_causes(0.5), two_causes(0.1)]
    barred += [suppressors(1.0), suppressors(0.5), suppressors(0.1), GRADED]
    barred = [k for k in barred if not quick or "0.5" in k.name]
    yield MISFIT_HEADER
    met = []
    for kind in barred:
        line, bars = misfit_row(Setting(kind, 24, ample(kind)), quick, barred=True)
        met.append(bars)
        yield line
    yield from summary(met)
    yield "\nAt the default budget of 200 calls, and other worlds (no bar)\n\n" + MISFIT_HEADER
    settings = [Setting(k, 24, DEFAULT) for k in barred if "0.1" not in k.name]
    settings += [Setting(k, n, ample(k)) for k, n in others()]
    for setting in settings[:: 4 if quick else 1]:
        yield misfit_row(setting, quick, barred=False)[0]


def others() -> list[tuple[Kind, int]]:
    """Further kinds, with a size each."""
    sizes = [(cause(1, 0.5), 6), (cause(2, 0.5), 6), (cause(5, 1.0), 24), (cause(5, 0.5), 24)]
    sizes += [(cause(4, 0.5), 40), (cause(2, 0.5), 100), (cause(5, 0.5), 200)]
    sizes += [(seed_itself(1.0), 24), (seed_itself(0.5), 24)]
    sizes += [(shared_step(1.0), 24), (shared_step(0.5), 24), (unequal(0.8, 0.3), 24)]
    sizes += [(cause(2, 0.5, NOISY), 24), (cause(2, 1.0, NOISY), 24)]
    return [*sizes, (blind_knockout(2, 1.0), 24), (blind_knockout(3, 0.5), 24)]


def ample(kind: Kind) -> int:
    """A budget that seldom binds."""
    return 12_000 if kind is GRADED or "0.1" in kind.name else 3000


def misfit_row(setting: Setting, quick: bool, *, barred: bool) -> tuple[str, Bars]:
    """One line, and whether it meets the bars of a misfit."""
    runs = played(setting, quick)
    right = [r.minimal for r in runs]
    false = [r.certified and not r.minimal for r in runs]
    said = [bool(r.misfit) for r in runs]
    bars = {
        "1-minimal": sum(right) >= RIGHT * len(runs),
        "false": sum(false) <= FALSE * len(runs),
        "misfit said": sum(said) >= RIGHT * len(runs),
    }
    certified = sum(r.certified for r in runs) / len(runs)
    detected = "no such field" if runs[0].misfit is None else share(said)
    return (
        f"{setting.kind.name:<28}{setting.n:>4}{setting.budget:>7} {share(right):>16}"
        f" {spans([r.search for r in runs]):>11} {spans([r.calls for r in runs]):>11}"
        f"{middle([r.rounds for r in runs]):>7}{certified:>6.0%} {at_most(false):>11}"
        f"{detected:>17}  {told(bars) if barred else ''}"
    ), bars
