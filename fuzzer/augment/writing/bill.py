"""What written rows would cost, before anything is spent: calls, tokens and dollars by stage."""

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Literal

from fuzzer.augment.writing.asking import ASKED_AGAIN
from fuzzer.augment.writing.stages import GATE, Item, Recipe, prompts_of
from fuzzer.judges.rubric import as_line
from fuzzer.prices import Price, cost
from fuzzer.records import Record
from fuzzer.transcript import Usage

BYTES_PER_TOKEN = 3.0  # as in `fuzzer.forecast`
GATE_TOKENS = 200  # of one verdict, reasoning not included
SAMPLE = 40  # items whose size is looked at


class StageBill(Record):
    """One stage over all items. Tokens are estimates."""

    stage: str
    model: str
    prompt: str  # its file's name, without the ending
    prompt_version: int
    prompt_hash: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None  # None: the price is not known


class WritingPlan(Record):
    """What a command would ask.

    Expected: every answer can be used and every item goes through all stages. At most: every answer
    is asked for again as often as one may be.
    """

    schema_version: Literal[1] = 1
    kind: str
    model: str
    judge: str
    same_judge: bool  # who writes is who judges
    n: int
    stages: tuple[StageBill, ...]
    calls: int
    most_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    most_usd: float | None
    price: Price | None
    batch: bool
    notes: tuple[str, ...] = ()


def bill(
    recipe: Recipe,
    items: Sequence[Item],
    n: int,
    *,
    model: str,
    judge: str,
    prices: Mapping[str, Price],
    batch: bool = False,
) -> WritingPlan:
    """The plan of `n` items; `items` are the first of them."""
    sample = list(islice(items, SAMPLE))
    prompts = prompts_of(recipe)
    rows = []
    for name, prompt in prompts.items():
        sizes = [_tokens(recipe, name, len(prompt.text.encode()), item) for item in sample]
        read = round(n * math.fsum(size[0] for size in sizes) / len(sizes))
        written = round(n * math.fsum(size[1] for size in sizes) / len(sizes))
        who = judge if name == GATE else model
        price = prices.get(who)
        in_batch = batch and who == model
        rows.append(
            StageBill(
                stage=name,
                model=who,
                prompt=prompt.name,
                prompt_version=prompt.version,
                prompt_hash=prompt.hash,
                calls=n,
                input_tokens=read,
                output_tokens=written,
                cost_usd=None
                if price is None
                else cost(Usage(read, written), price, batch=in_batch),
            )
        )
    dollars = _sum([row.cost_usd for row in rows])
    return WritingPlan(
        kind=recipe.kind,
        model=model,
        judge=judge,
        same_judge=model == judge,
        n=n,
        stages=tuple(rows),
        calls=n * len(rows),
        most_calls=n * len(rows) * (1 + ASKED_AGAIN),
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        cost_usd=dollars,
        most_usd=None if dollars is None else dollars * (1 + ASKED_AGAIN),
        price=prices.get(model),
        batch=batch,
        notes=tuple(_notes(model, judge, prices, batch=batch)),
    )


def _tokens(recipe: Recipe, name: str, prompt_bytes: int, item: Item) -> tuple[float, float]:
    """About what one call reads and writes."""
    sizes = {stage.name: stage.tokens(item.brief) for stage in recipe.stages}
    if name == GATE:
        told = as_line({"wanted": recipe.wanted, "given": item.brief.get("given")})
        earlier, written = sum(sizes[kept] for kept in recipe.kept), GATE_TOKENS
    else:
        stage = next(stage for stage in recipe.stages if stage.name == name)
        shown = stage.shows or tuple(item.brief)
        told = as_line({key: item.brief[key] for key in shown if key in item.brief})
        earlier, written = sum(sizes[read] for read in stage.reads), sizes[name]
    return (prompt_bytes + len(told.encode())) / BYTES_PER_TOKEN + earlier, written


def _sum(costs: Sequence[float | None]) -> float | None:
    known = [one for one in costs if one is not None]
    return math.fsum(known) if len(known) == len(costs) else None


def _notes(model: str, judge: str, prices: Mapping[str, Price], *, batch: bool) -> list[str]:
    notes = [
        f"No price is known for {name!r}, so no cost either; give one with "
        + ("--price in=3,out=15 (dollars per million tokens) or " if name == model else "")
        + "a table with --prices FILE."
        for name in dict.fromkeys((model, judge))
        if name not in prices
    ]
    if batch and model != judge:
        notes.append(f"The judge {judge!r} is not asked in batches, and costs its full price.")
    if model == judge:
        notes.append(
            f"{model!r} judges what it writes itself; another judge with --judge-model sees more."
        )
    return [
        *notes,
        f"Tokens are estimated, one for every {BYTES_PER_TOKEN:g} bytes read, without reasoning. "
        "Items that are rejected on the way cost less, and are not replaced.",
    ]
