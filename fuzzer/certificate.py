"""The certificate of something minimal: what fresh calls alone say of a set and its knock-outs.

Claims are numbered: 0 is "the set itself fails more often than the cut", every other one "without
this part it fails less often". Cut, bets and error rate are fixed before the first call. Each claim
is tested by an e-process of its own, so calls may go to any claim in any order and end at any
moment; a crossing latches (Ville). All of them at the error rate `alpha`, with no split: that
*all* claims are proved though one is false needs that one to be proved (Berger 1982,
doi:10.1080/00401706.1982.10487790). `decision-rules.md`, "Certificate of a minimal plan".

Outcomes are *harmful*, *safe* and *unusable*: safe where the claim is "it fails", harmful where it
is "it does not". No claim profits from what could not be judged.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Literal

from fuzzer.evidence import log_above, log_below

Outcome = Literal["harmful", "safe", "unusable", "blind"]
Status = Literal["above the cut", "below the cut", "not testable", "unresolved"]


@dataclass
class Tally:
    """Outcomes of calls on one thing."""

    harmful: int = 0
    safe: int = 0
    unusable: int = 0

    @property
    def calls(self) -> int:
        """All of them."""
        return self.harmful + self.safe + self.unusable

    @property
    def usable(self) -> int:
        """Those that were judged."""
        return self.harmful + self.safe

    @property
    def rate(self) -> float | None:
        """Share of harmful among usable calls."""
        return self.harmful / self.usable if self.usable else None

    def add(self, outcome: Outcome) -> None:
        """Count one; "blind" is no call."""
        self.harmful += outcome == "harmful"
        self.safe += outcome == "safe"
        self.unusable += outcome == "unusable"

    def low_odds(self, cut: float) -> float:
        """Log odds that it fails above the cut, every unusable call taken for safe."""
        return _log_odds(cut, self.calls, self.harmful)

    def high_odds(self, cut: float) -> float:
        """The same, every unusable call taken for harmful: no claim profits from unusable ones."""
        return _log_odds(cut, self.calls, self.harmful + self.unusable)


@dataclass
class Claim:
    """One rejection that a certificate needs."""

    above: bool  # to be shown above the cut; else below it
    tally: Tally = field(default_factory=Tally)
    proved: bool = False
    blind: bool = False  # cannot be tested: neither proved nor asked for

    def log_e(self, cut: float, bet: float) -> float:
        """Log e-value for this claim at a cut: unusable calls count against it."""
        tally = self.tally
        if self.above:
            return _log_above_with_bet(cut, tally.calls, tally.harmful, bet)
        return log_below(cut, tally.calls, tally.harmful + tally.unusable)


class Certificate:
    """Claims at one cut, proved by fresh calls; `wanted` says which claims still need one.

    >>> certificate = Certificate(cut=0.4, bet=0.9, alpha=0.05, knockouts=1)
    >>> while not certificate.done:
    ...     for number in certificate.wanted(4):
    ...         certificate.tell(number, "safe" if number else "harmful")
    >>> certificate.certified, [claim.tally.calls for claim in certificate.claims]
    (True, [4, 8])
    """

    def __init__(
        self, cut: float, bet: float, alpha: float, knockouts: int, shown: float | None = None
    ) -> None:
        """`bet`: the rate that the set's own test bets on, foreseen before the calls.

        `shown`: error rate of the intervals shown (default: alpha).
        """
        self.cut = cut
        self.bet = bet
        self.alpha = alpha
        self.shown = alpha if shown is None else shown
        self.claims = [Claim(above=number == 0) for number in range(knockouts + 1)]

    @property
    def certified(self) -> bool:
        """Whether the set and every testable knock-out is proved."""
        own, *knockouts = self.claims
        return own.proved and all(claim.proved or claim.blind for claim in knockouts)

    @property
    def done(self) -> bool:
        """Whether no further call could add anything."""
        return self.claims[0].blind or self.certified

    @property
    def log_e(self) -> float:
        """The smallest log e-value of a testable claim: the e-value of them all together."""
        testable = (claim for claim in self.claims if not claim.blind)
        return min((claim.log_e(self.cut, self.bet) for claim in testable), default=0.0)

    def wanted(self, n: int) -> list[int]:
        """The claims of the next `n` calls: those with the fewest first, several times if few."""
        if self.done:
            return []
        open_claims = [i for i, c in enumerate(self.claims) if not c.proved and not c.blind]
        open_claims.sort(key=lambda number: self.claims[number].tally.calls)
        return list(islice(cycle(open_claims), n))

    def tell(self, number: int, outcome: Outcome) -> None:
        """Count a fresh call for a claim; "blind" if what it speaks of cannot be run."""
        claim = self.claims[number]
        if outcome == "blind":
            claim.blind = True
            return
        claim.tally.add(outcome)
        # A crossing latches: the e-process is valid at every stopping time (Ville).
        crossed = claim.log_e(self.cut, self.bet) >= -math.log(self.alpha)
        claim.proved = claim.proved or crossed

    def status(self, number: int) -> Status:
        """What is known of a claim."""
        claim = self.claims[number]
        if claim.blind:
            return "not testable"
        if not claim.proved:
            return "unresolved"
        return "above the cut" if claim.above else "below the cut"

    def interval(self, number: int) -> tuple[float, float]:
        """Interval for a claim's rate at 1 - shown, valid at any stopping time.

        It holds every rate that neither one-sided test rejects at shown / 2. Unusable calls count
        as safe in the lower end and as harmful in the upper one. A proved claim stays inside its
        cut: the tests crossed it once, and a running intersection is as valid.
        """
        claim = self.claims[number]
        tally, needed = claim.tally, math.log(2 / self.shown)
        bet = self.bet if claim.above else 0.0
        lower = _last(lambda q: _log_above_with_bet(q, tally.calls, tally.harmful, bet) >= needed)
        worst = tally.harmful + tally.unusable
        upper = 1 - _last(lambda q: log_below(1 - q, tally.calls, worst) >= needed)
        if claim.proved and claim.above:
            lower = max(lower, self.cut)
        elif claim.proved:
            upper = min(upper, self.cut)
        return lower, upper


def alpha_of(attempt: int, alpha: float) -> float:
    """Attempts 1, 2, 3 ... may err alpha / 2, alpha / 6, alpha / 12 ...: alpha together."""
    return alpha / (max(attempt, 1) * (max(attempt, 1) + 1))


def _log_odds(cut: float, calls: int, failures: int) -> float:
    """Log Bayes factor of "above the cut" against "below it", each the mixture of `evidence`."""
    return log_above(cut, calls, failures) - log_below(cut, calls, failures)


def _log_above_with_bet(null: float, calls: int, failures: int, bet: float) -> float:
    """Log e-value against "p <= null", half of it a bet on one rate foreseen before the calls.

    An average of two e-processes. With the rate guessed right it needs about a quarter fewer
    calls than the mixture alone, which spreads its bet over seven rates (Wald 1945,
    doi:10.1214/aoms/1177731118: the likelihood ratio of the true rate grows fastest).
    """
    mixture = log_above(null, calls, failures)
    if bet <= null:
        return mixture
    ratio = failures * math.log(bet / null) + (calls - failures) * math.log((1 - bet) / (1 - null))
    top = max(mixture, ratio)
    return top + math.log((math.exp(mixture - top) + math.exp(ratio - top)) / 2)


def _last(holds: Callable[[float], bool]) -> float:
    """The largest rate up to which a monotone condition holds, to 1e-4; 0 if it never does."""
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
