"""What may end a run before its budget does: money, tokens, time, or a person.

Nothing is launched once a limit is reached. What is in flight then is still waited for, since it is
paid for; at an interrupt or a deadline it is dropped, and asked again by a resume.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

from fuzzer.prices import Price, cost
from fuzzer.transcript import Usage

Stopped = Literal["interrupted", "deadline", "max_cost", "max_tokens_total"]


class Limits:
    """Counts what subject and judges spend, and says whether to go on.

    `deadline` is in seconds from the moment `start` is called, `max_cost` in dollars (it needs a
    `price`), `max_tokens` counts tokens read and written alike. What an earlier process of the same
    run spent is `spent` at the start.
    """

    def __init__(
        self,
        *,
        deadline: float | None = None,
        max_cost: float | None = None,
        max_tokens: int | None = None,
        price: Price | None = None,
        batch: bool = False,
        judge_prices: Mapping[str, Price] | None = None,
    ) -> None:
        self.deadline = deadline
        self.max_cost = max_cost
        self.max_tokens = max_tokens
        self.price = price
        self.batch = batch
        self.judge_prices = dict(judge_prices or {})
        self.spent = Usage()
        self.judged: dict[str, Usage] = {}  # what judges used, by name
        self.stopped: Stopped | None = None
        self._alarm: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, alarm: Callable[[], None]) -> None:
        """From now on time counts; `alarm` is called in the event loop when a run must stop."""
        self._alarm = alarm
        if self.deadline is not None and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.deadline, self._stop, "deadline")
        self.spend(Usage())  # an earlier process may have spent it all

    def interrupt(self) -> None:
        """A person wants it to end."""
        self._stop("interrupted")

    def spend(self, usage: Usage) -> None:
        """Count what a trial used."""
        self.spent += usage
        if self.max_tokens is not None and self.tokens >= self.max_tokens:
            self._stop("max_tokens_total")
        if self.max_cost is not None and self.dollars >= self.max_cost:
            self._stop("max_cost")

    def spend_judging(self, judge: str, usage: Usage) -> None:
        """Count what a judge used."""
        self.judged[judge] = self.judged.get(judge, Usage()) + usage
        self.spend(Usage())

    @property
    def dollars(self) -> float:
        """What was spent, as far as prices are known."""
        spent = 0.0 if self.price is None else cost(self.spent, self.price, batch=self.batch)
        priced = self.judged.keys() & self.judge_prices.keys()
        return spent + sum(cost(self.judged[name], self.judge_prices[name]) for name in priced)

    @property
    def judge_dollars(self) -> float | None:
        """What judges have cost; None while the price of one that was asked is not known."""
        if not self.judged.keys() <= self.judge_prices.keys():
            return None
        return sum(cost(used, self.judge_prices[name]) for name, used in self.judged.items())

    @property
    def tokens(self) -> int:
        """Tokens read and written, those of judges included."""
        used = (self.spent, *self.judged.values())
        return sum(one.input + one.output for one in used)

    @property
    def at_once(self) -> bool:
        """Whether what is in flight is dropped."""
        return self.stopped in ("interrupted", "deadline")

    @property
    def reason(self) -> str:
        """Why it stopped, as the end of a sentence."""
        return {
            None: "",
            "interrupted": "it was interrupted",
            "deadline": f"its deadline of {self.deadline:g} s passed" if self.deadline else "",
            "max_cost": f"${self.dollars:.2f} of at most ${self.max_cost or 0:.2f} are spent",
            "max_tokens_total": (
                f"{self.tokens:,} of at most {self.max_tokens or 0:,} tokens are spent"
            ),
        }[self.stopped]

    def _stop(self, why: Stopped) -> None:
        if self.stopped is None or why == "interrupted":
            self.stopped = why
        self._alarm()
