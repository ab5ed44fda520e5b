"""What model judges would be asked in a sweep, and what that costs, before anything is spent."""

import math
from collections.abc import Mapping

from pydantic import Field

from fuzzer.distribution import Distribution
from fuzzer.holding import tried
from fuzzer.judges import Judge
from fuzzer.judges.model import ASKED_AGAIN
from fuzzer.judges.panel import HELD, Panel
from fuzzer.prices import Price, cost
from fuzzer.records import Record
from fuzzer.transcript import Usage
from fuzzer.transform import Plan

REFERRED = 0.2  # share of transcripts assumed to be referred; 18% of the labelled ones are
ANSWER_TOKENS = 400  # of one verdict, reasoning not included
BYTES_PER_TOKEN = 3.0  # as in `fuzzer.forecast`


class JudgeBill(Record):
    """Calls to the models that judge, all of them together.

    `controls` are made before the run's first call. `expected` assumes a share of `REFERRED`; at
    `most` every transcript is referred and every answer asked for again.
    """

    models: tuple[str, ...]
    controls: int
    expected: int
    most: int
    tokens_a_call: int  # read
    expected_usd: float | None = None  # None: a price is not known
    most_usd: float | None = None
    assumptions: tuple[str, ...] = Field(default=())


def judge_bill(
    judge: Judge | None,
    distribution: Distribution,
    *,
    expected: int,
    most: int,
    prices: Mapping[str, Price],
) -> JudgeBill | None:
    """The bill for so many trials, expected and at most; None where no model judges."""
    if not isinstance(judge, Panel):
        return None
    plans = [*(Plan(seed=name) for name in distribution.seeds), *tried(distribution)]
    played = [len(distribution.variant(p.seed, p).performed) for p in plans]
    votes = sum(model.votes for model in judge.judges)
    controls = sum(played) * votes
    mean = sum(played) / len(played)
    again = 1 + judge.audit
    asked = REFERRED + (1 - REFERRED) * judge.rated
    held = HELD * mean * votes
    usual = controls + math.ceil(expected * (asked * votes * again + held))
    worst = controls + math.ceil(most * votes * again * (1 + ASKED_AGAIN)) + math.ceil(most * held)
    tokens = _tokens(judge, distribution)
    known = all(model.name in prices for model in judge.judges)
    return JudgeBill(
        models=tuple(model.name for model in judge.judges),
        controls=controls,
        expected=usual,
        most=worst,
        tokens_a_call=tokens,
        expected_usd=_dollars(judge, prices, usual, tokens) if known else None,
        most_usd=_dollars(judge, prices, worst, tokens) if known else None,
        assumptions=(
            f"Judges: {REFERRED:.0%} of transcripts are referred by the rules, and "
            f"{judge.rated:.0%} of the others asked about too; {tokens:,} tokens read and "
            f"{ANSWER_TOKENS} written a call.",
        ),
    )


def _tokens(judge: Panel, distribution: Distribution) -> int:
    """About the tokens of a question, from the seeds' controls."""
    sizes = []
    for name in distribution.seeds:
        variant = distribution.variant(name, Plan(seed=name))
        told, data = judge.judges[0].question(variant, variant.controls.harmful[0])
        sizes.append(len(told.encode()) + len(data.encode()))
    return math.ceil(sum(sizes) / len(sizes) / BYTES_PER_TOKEN)


def _dollars(judge: Panel, prices: Mapping[str, Price], calls: int, tokens: int) -> float:
    """Each model is asked as often as its votes say."""
    votes = sum(model.votes for model in judge.judges)
    used = Usage(input=calls * tokens, output=calls * ANSWER_TOKENS)
    return sum(cost(used, prices[m.name]) * m.votes / votes for m in judge.judges)
