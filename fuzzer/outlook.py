"""What a watcher sees of a run: calls counted as they come, and where a sweep's evidence stands.

It only looks. What it shows is what the accounts hold (`fuzzer.accounts`), so a last look is what
the report will say; nothing here is read by a search. A trial costs it next to nothing: rows are
noted as they come, and e-values computed when a look is due, once a second.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from time import monotonic

from fuzzer.distribution import Distribution
from fuzzer.evidence import Presence, presence_e_of
from fuzzer.limits import Limits
from fuzzer.proposal import D_STRATA, Proposal
from fuzzer.records import Outlook, Status, Suspect, Verdict
from fuzzer.search import Search
from fuzzer.summary import BLIND_LIMIT

Progress = Callable[[Status], None]

EVERY = 1.0  # seconds between two looks at the evidence


class Counting:
    """Counts the calls it is told of, and shows it; `watch` adds where the evidence stands."""

    def __init__(
        self,
        progress: Progress | None,
        total: int,
        phase: str = "",
        watch: "Watch | None" = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._progress = progress
        self._total = total
        self._phase = phase
        self._watch = watch
        self._clock = clock
        self._looked = -math.inf
        self._outlook: Outlook | None = None
        self._done = self._n = self._harmful = self._unusable = 0

    def __call__(self, proposal: Proposal, verdict: Verdict) -> None:
        """Count one call."""
        if self._progress is None:
            return
        self._done += 1
        self._harmful += verdict.value == "harmful"
        if verdict.value in ("harmful", "safe"):
            self._n += 1
        else:
            self._unusable += 1
        if self._watch is not None:
            if not self._phase:  # a phase of its own, after the sweep, is in no account
                self._watch.saw(proposal, verdict)
            if (now := self._clock()) - self._looked >= EVERY:
                self._looked = now
                self._outlook = self._watch.outlook()
        self._show(self._progress)

    def last(self) -> None:
        """Show it once more, with all that is known by now."""
        if self._progress is not None and self._done:
            self._outlook = self._watch.outlook() if self._watch else None
            self._show(self._progress)

    def _show(self, progress: Progress) -> None:
        progress(
            Status(
                self._done,
                self._total,
                self._n,
                self._harmful,
                self._unusable,
                self._phase,
                self._outlook,
            )
        )


class Watch:
    """A running sweep, as its accounts hold it."""

    def __init__(self, search: Search, distribution: Distribution, limits: Limits) -> None:
        self._search = search
        self._distribution = distribution
        self._limits = limits
        self._waiting: dict[int, tuple[Proposal, bool]] = {}  # rows of D, not yet in the accounts
        self._rows = 0
        self._with: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # rows, and failed ones
        self._bets: dict[str, Counter[Presence]] = defaultdict(Counter)  # in rows that failed
        self._invariant = {t.name for t in distribution.catalogue if t.relation == "invariant"}
        self._suspect: Suspect | None = None

    def saw(self, proposal: Proposal, verdict: Verdict) -> None:
        """Note a call. It counts once the accounts have it: in index order, as in the report."""
        if proposal.stratum in D_STRATA and verdict.value in ("harmful", "safe"):
            stands = verdict.value == "harmful" and verdict.reviewed != "safe"
            self._waiting[proposal.index] = (proposal, stands)

    def outlook(self) -> Outlook:
        """Where the evidence stands, and what was used."""
        search, limits = self._search, self._limits
        accounts, rules = search.accounts, search.rules
        if self._enter(accounts.absorbed):
            self._suspect = self._most_suspicious()
        known = limits.price is not None and limits.judge_dollars is not None
        return Outlook(
            e_brittle=accounts.claim.e_value("brittle"),
            needed=rules.needed,
            e_holds=accounts.held.e if accounts.held else accounts.holds.e,
            needed_holds=rules.needed_holds,
            calls=accounts.absorbed,
            tokens=limits.tokens,
            cost_usd=limits.dollars if known else None,
            max_cost=limits.max_cost,
            suspect=None if self._much_blind else self._suspect,
            phase=search.phase,
            canonical=(accounts.all_canonical.n, accounts.all_canonical.harmful),
            mutated=(accounts.all_mutated.n, accounts.all_mutated.harmful),
        )

    def _enter(self, absorbed: int) -> bool:
        """Count the rows that the accounts have by now; whether there were any."""
        ready = [index for index in self._waiting if index < absorbed]
        for index in ready:
            self._count(*self._waiting.pop(index))
        return bool(ready)

    def _count(self, row: Proposal, failed: bool) -> None:
        self._rows += 1
        for step in row.plan.steps:
            counts = self._with[step.transform]
            counts[0] += 1
            counts[1] += failed
        if not failed:
            return
        for group in self._distribution.presences(row.seed, row.stratum, row.plan):
            for name, present, chance in group:
                self._bets[name][Presence(True, present, chance)] += 1

    def _most_suspicious(self) -> Suspect | None:
        """The invariant transform with the largest e-value, as attribution will compute it."""
        e_values = {
            name: presence_e_of(self._bets[name])
            for name, (_, harmful) in self._with.items()
            if harmful and name in self._invariant
        }
        if not e_values:
            return None
        name = max(e_values, key=lambda name: (e_values[name], self._with[name][1], name))
        n, harmful = self._with[name]
        return Suspect(name, n, harmful, e_values[name])

    @property
    def _much_blind(self) -> bool:
        """So many draws were blind that the report attributes nothing."""
        rejected = sum(
            len(found) for (kind, _), found in self._distribution.rejected.items() if kind == "draw"
        )
        return rejected > BLIND_LIMIT * (self._rows + rejected)
