"""What `holdfast plan` shows on a terminal: the bill, what it buys, and what was assumed."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.screen import put
from reports.text import at_most, interval, line, money, percent, plural

if TYPE_CHECKING:
    from fuzzer.forecast import Bill, Forecast
    from fuzzer.judge_bill import JudgeBill
    from fuzzer.power import Detection, Wish


def show(forecast: "Forecast", *, stream: TextIO | None = None) -> None:
    """Print a forecast, on standard output unless told otherwise."""
    put(lambda _: _blocks(forecast), stream)


def _blocks(forecast: "Forecast") -> Iterator[RenderableType]:
    yield Text(_head(forecast), style="bold")
    yield Text()
    yield _bills(forecast)
    yield Text()
    yield Text(_requests(forecast))
    if forecast.judging is not None:
        yield Text(_judging(forecast.judging))
    yield Text(_reach(forecast))
    if forecast.detection:
        yield Text(_planted(forecast), style="bold")
        yield _detection(forecast.detection)
    if forecast.wish is not None:
        yield Text(_wish(forecast.wish))
    for note in forecast.notes:
        yield Text.assemble(("Note:", "bold magenta"), f" {line(note, 400)}")
    yield Text("\nAssumed", style="bold")
    for sentence in forecast.assumptions:
        yield Padding(Text(line(sentence, 600)), (0, 0, 0, 2), expand=False)


def _head(forecast: "Forecast") -> str:
    what = f"{line(forecast.model, 80)} on {plural(len(forecast.seeds), 'seed')}"
    if forecast.price is None:
        return f"{what}: cost unknown"
    expected, most = money(forecast.expected.cost_usd), money(forecast.most.cost_usd)
    return f"{what}: {expected} expected, {most} at most ({line(forecast.price.source, 80)})"


def _bills(forecast: "Forecast") -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    columns = ("", "calls", "canonical", "mutated", "shrink", "tokens in", "out", "cost")
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, bill in (("expected", forecast.expected), ("at most", forecast.most)):
        table.add_row(name, *_row(bill))
    return table


def _row(bill: "Bill") -> tuple[str, ...]:
    calls = bill.calls
    counts = (calls.total, calls.canonical, calls.mutated, calls.shrink)
    tokens = (bill.input_tokens, bill.output_tokens)
    return (*(f"{n:,}" for n in counts), *map(_short, tokens), money(bill.cost_usd))


def _short(tokens: int) -> str:
    """Tokens in few characters.

    >>> _short(950), _short(48_200), _short(24_800_400)
    ('950', '48k', '24.8M')
    """
    if tokens < 1_000:
        return str(tokens)
    return f"{tokens / 1_000:.0f}k" if tokens < 1_000_000 else f"{tokens / 1_000_000:,.1f}M"


def _requests(forecast: "Forecast") -> str:
    sizes = (("canonical", forecast.canonical), ("mutated", forecast.mutated))
    told = ", ".join(f"{kind} {size.mean:,.0f} (largest {size.most:,})" for kind, size in sizes)
    counted = sum(size.n for _, size in sizes)
    how = "counted by the provider" if forecast.counted_by == "count_tokens" else "estimated"
    return f"First request, in tokens: {told}; {how} from {plural(counted, 'request')}."


def _judging(bill: "JudgeBill") -> str:
    models = " and ".join(line(name, 60) for name in bill.models)
    if bill.expected_usd is None:
        dollars = "cost unknown"
    else:
        dollars = f"{money(bill.expected_usd)} expected, {money(bill.most_usd)} at most"
    return (
        f"Judged by {models}: {plural(bill.controls, 'call')} to hold them to the controls, "
        f"{bill.expected:,} in all expected, {bill.most:,} at most; {dollars}, beside the above."
    )


def _reach(forecast: "Forecast") -> str:
    reach, sure = forecast.reach, percent(1 - forecast.alpha)
    text = (
        f"The budget of {plural(forecast.budget, 'call')} gives {plural(reach.rows, 'row')} of D: "
        f"without a failure, a mean rate of at most {at_most(reach.rate)} [{sure}]"
    )
    if not reach.reachable or reach.least_budget is None:
        return f"{text}."
    threshold = percent(forecast.threshold)
    return f"{text}. Holds at {threshold} takes {reach.least_budget:,} calls without a failure."


def _planted(forecast: "Forecast") -> str:
    sweeps = forecast.detection[0].replicates
    return (
        f"\nFound within {plural(forecast.budget, 'call')}: planted causes, no model "
        f"({sweeps:,} simulated sweeps each)"
    )


def _detection(detection: "Sequence[Detection]") -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    columns = ("cause", "fails at", "in a draw", "found", "half within", "ends in holds")
    for column in columns:
        left = column in ("cause", "found")
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    for row in detection:
        table.add_row(
            row.kind,
            percent(row.at),
            percent(row.chance),
            f"{percent(row.probability)} {interval(row.ci)}",
            "-" if row.median_calls is None else f"{row.median_calls:,}",
            f"{row.held:,}",
        )
    return table


def _wish(wish: "Wish") -> str:
    if wish.budget is None or wish.ci is None:
        return f"\n{line(wish.reason or '', 400)}"
    low, high = wish.ci
    until = f"more than {wish.most:,}" if high is None else f"{high:,}"
    return (
        f"\nTo find a {wish.kind} that fails at {percent(wish.at)} with probability "
        f"{wish.power:g}: a budget of {plural(wish.budget, 'call')} [{low:,} to {until}]"
    )
