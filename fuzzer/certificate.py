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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from fuzzer.evidence import log_above, log_below

Outcome = Literal["harmful", "safe", "unusable", "blind"]
Status = Literal["above the cut", "below the cut", "not testable", "unresolved"]

HEDGED = 0.9  # of a claim's stake goes on the rates foreseen, the rest on `evidence`'s mixture


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


class Bet(NamedTuple):
    """One alternative of a claim's test, and its share of the stake."""

    rate: float
    weight: float


@dataclass
class Claim:
    """One rejection that a certificate needs."""

    above: bool  # to be shown above the cut; else below it
    bets: tuple[Bet, ...]
    tally: Tally = field(default_factory=Tally)
    proved: bool = False
    blind: bool = False  # cannot be tested: neither proved nor asked for
    top: float = 0.0  # the largest log e-value met

    def log_e(self, cut: float) -> float:
        """Log e-value for this claim at a cut: unusable calls count against it."""
        tally = self.tally
        if self.above:
            return log_above_betting(cut, tally.calls, tally.harmful, self.bets)
        return log_below_betting(cut, tally.calls, tally.harmful + tally.unusable, self.bets)

    def least(self, cut: float, needed: float, most: int) -> int:
        """The fewest further calls that could prove it, all as it says; `most` if more."""
        tally = self.tally
        for more in range(1, most):
            calls = tally.calls + more
            if self.above:
                reached = log_above_betting(cut, calls, tally.harmful + more, self.bets)
            else:
                worst = tally.harmful + tally.unusable
                reached = log_below_betting(cut, calls, worst, self.bets)
            if reached >= needed:
                return more
        return most


class Certificate:
    """Claims at one cut, proved by fresh calls; `wanted` says which claims still need one.

    >>> certificate = Certificate(cut=0.4, bet=0.9, alpha=0.05, knockouts=1)
    >>> while not certificate.done:
    ...     for number in certificate.wanted(4):
    ...         certificate.tell(number, "safe" if number else "harmful")
    >>> certificate.certified, [claim.tally.calls for claim in certificate.claims]
    (True, [4, 7])
    """

    def __init__(
        self,
        cut: float,
        bet: float | Sequence[Bet],
        alpha: float,
        knockouts: int,
        shown: float | None = None,
        foreseen: Sequence[Sequence[Bet]] = (),
    ) -> None:
        """`bet`: the rate that the set's own test bets on, or several with their weights.

        `foreseen`: the same for each knock-out (default: rates far below the cut). Whatever these
        rest on, it must be known before the first call told here. `shown`: error rate of the
        intervals shown (default: alpha).
        """
        self.cut = cut
        self.alpha = alpha
        self.shown = alpha if shown is None else shown
        own = (Bet(bet, 1.0),) if isinstance(bet, float | int) else tuple(bet)
        without = foreseen or [foresee_below(cut)] * knockouts
        self.claims = [Claim(True, own), *(Claim(False, tuple(bets)) for bets in without)]

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
        """The smallest log e-value of a testable claim: the e-value of them all together.

        Of each claim its largest value so far, held at log(1/alpha) once proved: calls to a claim
        stop there, and an e-process stopped at a stopping time is an e-value.
        """
        testable = (claim for claim in self.claims if not claim.blind)
        return min((c.top if c.proved else c.log_e(self.cut) for c in testable), default=0.0)

    def wanted(self, n: int) -> list[int]:
        """The claims of the next `n` calls or fewer: those with the fewest calls come first.

        Fewer where fewer could prove everything: no claim gets more than it may need.
        """
        if self.done:
            return []
        needed = -math.log(self.alpha)
        most = {
            i: claim.least(self.cut, needed, n)
            for i, claim in enumerate(self.claims)
            if not claim.proved and not claim.blind
        }
        order = sorted(most, key=lambda number: self.claims[number].tally.calls)
        given: list[int] = []
        for turn in range(n):
            given += [number for number in order if most[number] > turn]
        return given[:n]

    def tell(self, number: int, outcome: Outcome) -> None:
        """Count a fresh call for a claim; "blind" if what it speaks of cannot be run."""
        claim = self.claims[number]
        if outcome == "blind":
            claim.blind = True
            return
        claim.tally.add(outcome)
        # A crossing latches: the e-process is valid at every stopping time (Ville).
        log_e = claim.log_e(self.cut)
        if not claim.proved and log_e >= -math.log(self.alpha):
            claim.proved, claim.top = True, log_e

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
        up, down = (claim.bets, ()) if claim.above else ((), claim.bets)
        worst = tally.harmful + tally.unusable
        lower = _last(lambda q: log_above_betting(q, tally.calls, tally.harmful, up) >= needed)
        upper = 1 - _last(lambda q: log_below_betting(1 - q, tally.calls, worst, down) >= needed)
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


def foresee_above(cut: float, harmful: int, calls: int) -> tuple[Bet, ...]:
    """Bets for "above the cut", from what a search has seen: a posterior over rates above it.

    Rates 0.4 apart in log-odds, up to .998, equally likely before those calls.
    """
    start = _log_odds_of(cut)
    rates = [_rate(start + 0.4 * g) for g in range(1, 200) if start + 0.4 * g <= 6.2]
    return _posterior([Bet(rate, 1.0) for rate in rates], harmful, calls)


def foresee_below(cut: float, harmful: int = 0, calls: int = 0) -> tuple[Bet, ...]:
    """Bets for "below the cut": most of the stake far below it, moved by calls seen before."""
    start = _log_odds_of(cut)
    far = [(8.0, 0.3), (5.0, 0.3), (3.0, 0.2), (2.0, 0.1), (1.0, 0.07), (0.5, 0.03)]
    return _posterior([Bet(_rate(start - 0.9 * g), weight) for g, weight in far], harmful, calls)


def log_above_betting(null: float, calls: float, failures: float, bets: Sequence[Bet]) -> float:
    """Log e-value against "p <= null": `log_above`, and HEDGED of the stake on foreseen rates.

    Weights are fixed before the first call, so this is a convex combination of likelihood ratios
    of fixed rates above the null, each an e-process; a rate that does not exceed the null is left
    out, which can only lower it. With the rate guessed right it needs a third fewer calls than the
    mixture alone, which spreads its bet over seven rates (Wald 1945, doi:10.1214/aoms/1177731118:
    the likelihood ratio of the true rate grows fastest). Where it exceeds 1 it falls as the null
    rises: at a null above failures / calls every ratio is below 1, and below that each one falls.

    >>> round(math.exp(log_above_betting(0.4, 4, 4, [Bet(0.9, 1.0)])), 1)
    25.9
    """
    mixture = log_above(null, calls, failures)
    if not bets:
        return mixture
    return _betting(mixture, null, calls, failures, [bet for bet in bets if bet.rate > null])


def log_below_betting(null: float, calls: float, failures: float, bets: Sequence[Bet]) -> float:
    """Log e-value against "p >= null": the mirror image of `log_above_betting`.

    >>> round(math.exp(log_below_betting(0.4, 7, 0, [Bet(0.001, 1.0)])), 1)
    35.0
    """
    mixture = log_below(null, calls, failures)
    if not bets:
        return mixture
    return _betting(mixture, null, calls, failures, [bet for bet in bets if bet.rate < null])


def _betting(
    mixture: float, null: float, calls: float, failures: float, bets: Sequence[Bet]
) -> float:
    on_failure, on_pass = math.log(null), math.log1p(-null)
    logs = [math.log(1 - HEDGED) + mixture]
    for bet in bets:
        ratio = failures * (math.log(bet.rate) - on_failure)
        ratio += (calls - failures) * (math.log1p(-bet.rate) - on_pass)
        logs.append(math.log(HEDGED * bet.weight) + ratio)
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs))


def _posterior(bets: Sequence[Bet], harmful: int, calls: int) -> tuple[Bet, ...]:
    """The bets reweighted by how likely they made `harmful` of `calls`."""
    logs = [
        math.log(bet.weight)
        + harmful * math.log(bet.rate)
        + (calls - harmful) * math.log1p(-bet.rate)
        for bet in bets
    ]
    top = max(logs, default=0.0)
    mass = [math.exp(log - top) for log in logs]
    return tuple(
        Bet(bet.rate, each / sum(mass))
        for bet, each in zip(bets, mass, strict=True)
        if each / sum(mass) > 1e-4
    )


def _log_odds_of(rate: float) -> float:
    return math.log(rate / (1 - rate))


def _rate(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _last(holds: Callable[[float], bool]) -> float:
    """The largest rate up to which a monotone condition holds, to 1e-4; 0 if it never does."""
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
