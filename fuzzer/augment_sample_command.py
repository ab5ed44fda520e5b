"""`holdfast augment sample`: a model asked about training environments, for `--from RUN`."""

import asyncio
from pathlib import Path
from typing import Any, Literal

import click

from fuzzer.augment_options import a_split, default_directory, drawing_options, fresh_canary, today
from fuzzer.options import (
    above_zero,
    json_option,
    judge_options,
    model_options,
    plugin_option,
    price_options,
    read_judge,
    read_seconds,
    read_settings,
    read_share,
)


@click.command()
@click.argument("seeds", nargs=-1, metavar="[SEED]...")
@model_options
@judge_options
@click.option("-n", "--number", "n", default=100, show_default=True, help="Environments.")
@click.option("--epochs", default=1, show_default=True, help="Calls on each of them.")
@click.option("--max-connections", default=10, show_default=True, help="Calls in flight.")
@click.option("--max-cost", type=float, metavar="DOLLARS", help="Stop when so much is spent.")
@click.option("--max-tokens-total", type=int, metavar="N", help="Stop when so many are used.")
@click.option("--deadline", metavar="TIME", help="Stop after so long: 90s, 30m, 2h.")
@price_options
@drawing_options
@click.option("--seed", "random_seed", default=0, show_default=True, help="Random seed.")
@click.option("--out", metavar="RUN", help="Run directory [runs/<time>-sample].")
@plugin_option
@json_option
def sample(
    *,
    seeds: tuple[str, ...],
    model: str,
    n: int,
    epochs: int,
    max_connections: int,
    max_cost: float | None,
    max_tokens_total: int | None,
    deadline: str | None,
    price: str | None,
    prices: str | None,
    batch: bool,
    manifest: str,
    no_split: bool,
    cell: "Literal['train', 'dev']",
    twins: str,
    random_seed: int,
    out: str | None,
    plugins: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Ask a model about training environments; its transcripts are for `environments --from RUN`.

    No verdict is drawn from it. The same command with the same --out goes on where it stopped.
    """
    above_zero(
        number=n,
        epochs=epochs,
        max_connections=max_connections,
        max_cost=max_cost,
        max_tokens_total=max_tokens_total,
    )

    from fuzzer.augment.drawing import Recipe
    from fuzzer.augment.making import Order, environments_for
    from fuzzer.augment.sampling import sample as ask
    from fuzzer.preparation import choose_limits, price_of
    from fuzzer.registry import find_subject

    settings = read_settings(given)
    directory = Path(out or default_directory("sample", "runs"))
    order = Order(
        seeds=seeds,
        plugins=plugins,
        n=n,
        recipe=Recipe(
            canary=fresh_canary(),
            random_seed=random_seed,
            twins=read_share("--twins", twins),
            cell=cell,
        ),
        split=None if no_split else a_split(manifest, plugins),
        out=directory,
        created=today(),
    )
    environments = environments_for(order)
    subject = find_subject(model, environments.seeds, **settings)
    limits = choose_limits(
        subject.name,
        price_of(subject, settings, price, Path(prices) if prices else None),
        deadline=read_seconds("--deadline", deadline),
        max_cost=max_cost,
        max_tokens_total=max_tokens_total,
        batch=batch,
        prices=Path(prices) if prices else None,
    )
    sampled = asyncio.run(
        ask(
            environments,
            n,
            epochs,
            subject,
            read_judge(given),
            directory,
            limits=limits,
            connections=max_connections,
            settings=settings,
            batch=batch,
        )
    )
    if as_json:
        click.echo(sampled.model_dump_json(indent=2, ensure_ascii=True))
        return
    from reports.augment import asked

    asked(sampled)
