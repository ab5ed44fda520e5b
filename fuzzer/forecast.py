"""What a sweep would cost and what it could show, before anything is spent.

Requests are rendered and counted, the rest is arithmetic; the subject is never asked to act.
"""

import asyncio
import math
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from fuzzer import registry
from fuzzer.augment.split import Split
from fuzzer.decision import Rules, index_lag
from fuzzer.distribution import Distribution
from fuzzer.errors import ConfigurationError
from fuzzer.evidence import confidence_sequence, log_below, trials_to_reject
from fuzzer.exposure import Ground, choose_ground, kept_in_words
from fuzzer.graph import Catalogue
from fuzzer.judge_bill import JudgeBill, judge_bill
from fuzzer.judges import Held, Judge
from fuzzer.power import (
    WISH_REPLICATES,
    Detection,
    Kind,
    Study,
    Wish,
    assumed_of_causes,
    check_wish,
    default_cache,
    detections,
    not_planted,
    smallest_budget,
)
from fuzzer.preparation import (
    MAX_CONNECTIONS,
    check_seeds,
    choose_pools,
    choose_rules,
    choose_seeds,
    judging,
    rules_judge,
)
from fuzzer.prices import FREE, Price, cost, find_price
from fuzzer.proposal import Draw
from fuzzer.records import Exposure, Record
from fuzzer.scenario import Scenario
from fuzzer.subjects import Subject
from fuzzer.transcript import Usage
from fuzzer.transform import Transform
from fuzzer.variant import BYTES_PER_TOKEN, Request

ANSWER_TOKENS = 100  # what the environment answers to one generation
AT_ONCE = 5  # requests being counted by the provider at one time

Counter = Callable[[Request], Awaitable[int]]


class Calls(Record):
    """Calls to the subject by kind; `all_on` and `repeats` are among the `mutated`."""

    canonical: int
    mutated: int
    all_on: int
    repeats: int = 0  # further epochs of draws from D
    shrink: int
    total: int


class Bill(Record):
    """What so many calls consume; every input token counts, cached or not."""

    calls: Calls
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int  # of input_tokens
    cache_write_tokens: int  # of input_tokens
    cost_usd: float | None  # None: the price is not known


class Sizes(Record):
    """Input tokens of a sample of first requests, tools included."""

    n: int
    mean: float
    most: int


class Reach(Record):
    """The strongest *holds* that the budget can buy, if nothing at all fails.

    `rate` is the upper limit of the confidence sequence on `rows` rows of D without a failure.
    """

    rows: int
    rate: float
    reachable: bool  # the verdict *holds* at the threshold, within the budget
    rows_needed: int | None  # rows of D without a failure for that verdict; None: above 10 million
    least_budget: int | None  # calls for that verdict, canonical ones included


class Forecast(Record):
    """What `holdfast plan` says; the rest of its words are in `assumptions`.

    `expected`: nothing fails, so the run ends at *holds* or at its budget. `most`: the whole budget
    and the whole shrink budget are spent, every request as large as the largest.
    """

    schema_version: Literal[1] = 1
    model: str
    seeds: tuple[str, ...]
    budget: int
    threshold: float
    alpha: float
    shrink_budget: int
    turns: int  # generations in a trial
    output_tokens: int  # of one generation, reasoning included
    counted_by: Literal["count_tokens", "estimate"]
    canonical: Sizes
    mutated: Sizes
    expected: Bill
    most: Bill
    judging: JudgeBill | None  # beside `expected` and `most`; None: no model judges
    price: Price | None
    batch: bool
    caching: bool
    reach: Reach
    assumptions: tuple[str, ...]  # sentences
    notes: tuple[str, ...]  # sentences a reader must see, the most important first
    far_share: float = 0.0  # of D at distance 4 or more
    exposure: Exposure | None = None  # None: nothing is known of what the model was trained on
    detection: tuple[Detection, ...] = ()  # of planted causes; empty: not asked for
    wish: Wish | None = None  # the budget for a probability of detection; None: not asked for


async def forecast(
    subject: Subject,
    seeds: Iterable[Scenario | str] | None = None,
    *,
    catalogue: Catalogue | Iterable[Transform] | None = None,
    judge: Judge | None = None,
    budget: int = 1000,
    threshold: float = 0.01,
    alpha: float = 0.05,
    stop: str = "first",
    epochs: int = 1,
    shrink_budget: int = 200,
    held_out: Split | Path | None = None,
    trained_on: Iterable[Split | Path] = (),
    random_seed: int = 0,
    turns: int = 3,
    output_tokens: int = 400,
    price: Price | None = None,
    prices: Path | None = None,
    batch: bool = False,
    caching: bool = False,
    sample: int = 40,
    detection: bool = False,
    detect: Kind | None = None,
    at: float = 0.5,
    power: float = 0.9,
) -> Forecast:
    """Calls, tokens, dollars and the reach of a sweep with these options; see `campaign.asweep`.

    `turns` generations of `output_tokens` each are assumed in a trial. `price` None is unknown,
    unless the subject says it is free; `prices` is a table for judges. `sample` requests are
    rendered and counted: by the subject's own ``count_tokens(request)`` where it has one that
    answers, else by their length. `caching`: the subject has its provider cache what a conversation
    repeats. `held_out` and `trained_on` are as the sweep takes them; a `seeds` of None is all that
    is held out. With `detection`, sweeps with planted causes are simulated: with what probability
    the budget finds them (`fuzzer.power`); `detect` asks for the smallest budget that finds such a
    cause, failing with probability `at`, with probability `power`.

    Raises:
        HoldfastError: what the user can mend, as the sweep itself would say it.
    """
    _possible(turns=(turns, 1), output_tokens=(output_tokens, 0), sample=(sample, 1))
    _possible(shrink_budget=(shrink_budget, 0))
    lag = index_lag(MAX_CONNECTIONS, budget)
    rules = choose_rules(threshold, alpha, budget, stop, lag, epochs=epochs)
    if detect is not None:
        check_wish(rules, at, power)
    whole = registry.find_catalogue() if catalogue is None else Catalogue.of(catalogue)
    ground = choose_ground(
        choose_seeds(seeds),
        whole,
        held_out=held_out,
        trained_on=trained_on,
        named=seeds is not None,
    )
    distribution = _distribution(ground, judge, random_seed)
    canonical, mutated = _requests(distribution, rules, sample)
    try:
        counts, refusal = await _counted(subject, [*canonical, *mutated])
    finally:
        if (close := getattr(subject, "close", None)) is not None:
            await close()
    sizes = _sizes(counts[: len(canonical)]), _sizes(counts[len(canonical) :])
    judges = [model.name for model in getattr(judge, "judges", ())]
    if price is None and getattr(subject, "free", False):
        price = FREE
    reach = _reach(rules)
    trial = _Trial(turns, output_tokens, caching)
    by_provider = refusal is None
    expected = _expected(rules, reach, trial, sizes, price, batch)
    most = _most(rules, shrink_budget, trial, sizes, price, batch)
    judging = judge_bill(
        judge,
        distribution,
        expected=expected.calls.total,
        most=most.calls.total,
        prices={name: known for name in judges if (known := find_price(name, None, prices))},
    )
    found = wish = None
    if detection:
        found = detections(Study(distribution.outline, cache=default_cache()), rules)
    if detect is not None:
        study = Study(distribution.outline, WISH_REPLICATES, default_cache())
        wish = smallest_budget(study, rules, detect, at, power, connections=MAX_CONNECTIONS)
    return Forecast(
        model=subject.name,
        seeds=distribution.seeds,
        budget=budget,
        threshold=threshold,
        alpha=alpha,
        shrink_budget=shrink_budget,
        turns=turns,
        output_tokens=output_tokens,
        counted_by="count_tokens" if by_provider else "estimate",
        canonical=sizes[0],
        mutated=sizes[1],
        expected=expected,
        most=most,
        judging=judging,
        price=price,
        batch=batch,
        caching=caching,
        reach=reach,
        assumptions=(
            *_assumptions(trial, by_provider, batch and price is not None),
            *(judging.assumptions if judging else ()),
            *(assumed_of_causes(random_seed) if found or wish else ()),
        ),
        notes=(
            *_notes(subject.name, rules, reach, price, refusal),
            *_notes_on_ground(ground, distribution, rules),
            *(not_planted(distribution.outline, rules) if found is not None else ()),
        ),
        far_share=distribution.far_share,
        exposure=ground.exposure,
        detection=found or (),
        wish=wish,
    )


def _possible(**options: tuple[int, int]) -> None:
    for name, (value, least) in options.items():
        if value < least:
            raise ConfigurationError(f"{name} = {value} is not possible; at least {least}")


# ------------------------------------------------------------------------------- what is rendered


def _distribution(
    ground: Ground,
    judge: Judge | None,
    random_seed: int,
) -> Distribution:
    """D as the sweep would have it."""
    decide = judging(judge or rules_judge())
    pools = choose_pools(ground.catalogue, ground.seeds)
    distribution = Distribution(
        ground.catalogue,
        ground.seeds,
        pools,
        decide,
        random_seed=random_seed,
        referring=isinstance(judge, Held),
    )
    check_seeds(distribution)
    return distribution


def _requests(
    distribution: Distribution, rules: Rules, sample: int
) -> tuple[list[Request], list[Request]]:
    """First requests: of every seed as it is, and of rows in the shares a search proposes."""
    seeds = len(distribution.seeds)
    rest = max(sample - seeds, 2)
    all_on = max(1, rest // rules.all_on_every)  # the largest variants: always at least one
    canonical = [distribution.canonical(k) for k in range(seeds)]
    mutated = [distribution.draw(k) for k in range(rest - all_on)]
    mutated += [distribution.all_on(k) for k in range(all_on)]

    def rendered(draw: Draw) -> Request:
        return distribution.variant(draw.seed, draw.plan).request

    return [rendered(draw) for draw in canonical], [rendered(draw) for draw in mutated]


async def _counted(subject: Subject, requests: list[Request]) -> tuple[list[int], str | None]:
    """Tokens of each request, and why the provider did not count them (None: it did)."""
    count: Counter | None = getattr(subject, "count_tokens", None)
    refusal = ""
    if count is not None:
        try:
            return await _asked(count, requests), None
        except ConfigurationError as error:
            refusal = str(error)
    return [request.tokens for request in requests], refusal


async def _asked(count: Counter, requests: list[Request]) -> list[int]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(request: Request) -> int:
        async with gate:
            return int(await count(request))

    try:
        async with asyncio.TaskGroup() as group:  # the first refusal ends the others
            tasks = [group.create_task(one(request)) for request in requests]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def _sizes(counts: Sequence[int]) -> Sizes:
    return Sizes(n=len(counts), mean=math.fsum(counts) / len(counts), most=max(counts))


# --------------------------------------------------------------------------------- what is spent


class _Trial(NamedTuple):
    """How a trial is assumed to go."""

    turns: int
    output_tokens: int
    caching: bool

    def usage(self, request: float, *, hits: bool = True) -> tuple[float, float, float, float]:
        """(input, output, cache read, cache written) of one trial that starts with a request.

        Every generation reads the request again and all that came since. Where it is cached, each
        token is written once and read from then on; without `hits` every one is written each time.
        """
        growth = self.output_tokens + ANSWER_TOKENS
        read_in_all = self.turns * request + growth * self.turns * (self.turns - 1) / 2
        written = 0.0
        if self.caching:
            written = request + growth * (self.turns - 1) if hits else read_in_all
        hit = read_in_all - written if self.caching else 0.0
        return read_in_all, self.turns * self.output_tokens, hit, written


def _expected(
    rules: Rules,
    reach: Reach,
    trial: _Trial,
    sizes: tuple[Sizes, Sizes],
    price: Price | None,
    batch: bool,
) -> Bill:
    ends = reach.least_budget if reach.reachable and rules.stop == "first" else None
    calls = _clean(rules, ends or rules.budget)
    groups = (
        (calls.canonical, trial.usage(sizes[0].mean)),
        (calls.mutated, trial.usage(sizes[1].mean)),
    )
    return _bill(calls, groups, price, batch)


def _most(
    rules: Rules,
    shrink_budget: int,
    trial: _Trial,
    sizes: tuple[Sizes, Sizes],
    price: Price | None,
    batch: bool,
) -> Bill:
    clean = _clean(rules, rules.budget)
    calls = clean.model_copy(update={"shrink": shrink_budget, "total": clean.total + shrink_budget})
    largest = max(size.most for size in sizes)
    return _bill(calls, [(calls.total, trial.usage(largest, hits=False))], price, batch)


def _bill(
    calls: Calls,
    groups: Iterable[tuple[int, tuple[float, float, float, float]]],
    price: Price | None,
    batch: bool,
) -> Bill:
    columns = zip(*([n * tokens for tokens in trial] for n, trial in groups), strict=True)
    usage = Usage(*(round(math.fsum(column)) for column in columns))
    return Bill(
        calls=calls,
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        cost_usd=None if price is None else cost(usage, price, batch=batch),
    )


# --------------------------------------------------------------------------------- what is shown


def _clean(rules: Rules, calls: int) -> Calls:
    """What `Search` proposes in so many calls while nothing fails."""
    canonical = min(rules.canonical_n, math.ceil(calls / rules.canonical_every))
    mutated = calls - canonical
    # Of every ten proposals one is all-on, and nine are draws that are called in each epoch.
    draws = rules.all_on_every - 1
    cycles, rest = divmod(mutated, 1 + draws * rules.epochs)
    all_on = cycles + (rest > 0)
    rows = cycles * draws + math.ceil(max(0, rest - 1) / rules.epochs)
    return Calls(
        canonical=canonical,
        mutated=mutated,
        all_on=all_on,
        repeats=mutated - all_on - rows,
        shrink=0,
        total=calls,
    )


def _rows(rules: Rules, calls: int) -> int:
    """Rows of D among them: all-on is no draw from D, and a further epoch no further draw."""
    clean = _clean(rules, calls)
    return clean.mutated - clean.all_on - clean.repeats


def _reach(rules: Rules) -> Reach:
    rows = _rows(rules, rules.budget)
    needed = trials_to_reject(partial(log_below, rules.holds_rate), 0.0, rules.needed_holds, 0)
    least = None if needed is None else _least_budget(rules, needed)
    return Reach(
        rows=rows,
        rate=confidence_sequence(rows, 0, 1 / rules.needed_holds)[1],
        reachable=least is not None and least <= rules.budget,
        rows_needed=needed,
        least_budget=least,
    )


def _least_budget(rules: Rules, rows: int) -> int:
    """The fewest calls with so many rows of D, and the canonical ones that *holds* needs too."""
    canonical = rules.canonical_every * (rules.canonical_n - 1) + 1
    # At least every second call then is of a draw from D.
    enough = range(canonical + 2 * rows * rules.epochs + 1)
    return max(canonical, bisect_left(enough, rows, key=partial(_rows, rules)))


# ------------------------------------------------------------------------------------- sentences


def _assumptions(trial: _Trial, by_provider: bool, batch: bool) -> Iterable[str]:
    yield (
        f"A trial is {trial.turns} generations of {trial.output_tokens:,} tokens each, reasoning "
        "included; one that goes on longer or writes more costs more."
    )
    yield (
        "Every generation reads the whole conversation again; it grows by what the model wrote and "
        f"by {ANSWER_TOKENS} tokens of tool answers."
    )
    if not by_provider:
        yield f"A request has a token for every {BYTES_PER_TOKEN:g} bytes of its text (UTF-8)."
    if trial.caching:
        yield (
            "Prompt caching is counted within a trial, and not between trials; at most counts "
            "every input token as written to the cache and none as read from it."
        )
    else:
        yield "Prompt caching is not counted."
    if batch:
        yield "Everything is sent in batches, at their price."
    yield (
        "Expected: nothing fails, so nothing is replayed or shrunk. At most: the whole budget and "
        "the whole shrink budget, every request as large as the largest in the sample."
    )


def _notes_on_ground(ground: Ground, distribution: Distribution, rules: Rules) -> Iterable[str]:
    found = ground.exposure
    if found is not None and found.any:
        yield (
            f"Exposed: the model may have been trained on {len(found.exposed_seeds)} of "
            f"{len(ground.seeds)} seeds and {len(found.exposed_families)} families of transforms; "
            "here nothing can end in holds, whatever the budget: use --held-out MANIFEST."
        )
    elif found is not None:
        yield f"Held out (manifest {found.manifest[:12]}): {kept_in_words(distribution)}."
    if distribution.far_share < rules.far_share_floor:
        yield (
            "Teaching to the test cannot be decided: only "
            f"{distribution.far_share:.0%} of D lies at distance 4 or more."
        )


def _notes(
    model: str, rules: Rules, reach: Reach, price: Price | None, refusal: str | None
) -> Iterable[str]:
    if not reach.reachable:
        rate = f"{100 * rules.threshold:g}%"
        if reach.least_budget is None:
            yield f"No budget below ten million calls can say that a rate of at most {rate} holds."
        else:
            yield (
                f"A budget of {rules.budget:,} cannot end in holds at {rate}: that takes "
                f"{reach.least_budget:,} calls without a failure."
            )
    if price is None:
        yield (
            f"No price is known for {model!r}, so no cost either; give one with --price "
            "in=3,out=15 (dollars per million tokens) or a table with --prices FILE."
        )
    if refusal:
        yield f"The provider did not count the tokens, so they are estimated: {refusal}"
