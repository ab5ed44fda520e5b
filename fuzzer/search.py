"""Which calls to make next, and when to stop: ask / tell, without I/O, clock or chance of its own.

The state machine is the table "One state machine for a run" of `decision-rules.md`:
`Search._choose` is its column "proposes", `Search._advance` its column "ends when".

Completion order never matters. Outcomes are absorbed in index order as a contiguous prefix, and the
proposal with index i is a function of the outcomes before i - W exactly, however many more are in.
So the same outcomes give the same proposals, evidence and decision with 1 or 200 calls in flight,
and replaying stored outcomes through `tell` rebuilds a run.

Readings of the rules where they leave room, each chosen to keep the error guarantee:

* Probe ends when call 0 is resolved either way; a configuration error is its runner's to raise.
* "30 replays" closes an episode after 30 in a row without a failure. Counted from its beginning, a
  variant that fails in a tenth of its runs is supported in a third of its episodes, and finding it
  takes two to four times the calls (`python -m benchmarks.detection`).
* An episode also opens at a failing canonical call (the seed is a variant). Its replays are in no
  canonical count. Episodes open in *search*, at most one per variant; in *more* at failures that
  no finding explains (`fuzzer.archive`).
* An episode that is supported stays open until E crosses, within its replays: closed at once
  it could leave a certified finding beside an E that stalls just below what it needs (simulated,
  an eighth of D failing at .1: median 192 calls to find it, against 251 when closed at once).
* "Canonical n" counts usable trials, so that `zero` at n >= 100 can be reached; lost calls are made
  up for. U is looked at once that many have been *answered*.
* The canonical halves of the flag's blocks are canonical calls: they enter C and canonical n.
* e_F bets on every far row of D, those drawn before the flag included: on the flag's 230 alone it
  crosses in 87% of sweeps where far rows fail in 5% (with them, and e_T, the flag in 92%).
* While the outcomes that end localise or flag are still in flight, the next phase's calls are made.
* What a person says of a failure changes the conclusion and never a proposal: a run is steered by
  every failure, and concluded from those that stand. Where all that made it brittle is refuted, it
  holds if the conditions for that were met at some index, an episode being closed also when no
  failure in it stands, or when those that do leave its e-value below the floor.
* "The first 50 calls are all unusable, or all not engaged" is read as: none of them was usable and
  engaged, which also catches a mixture of both.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from fuzzer import reasons
from fuzzer.accounts import Accounts, episode_number
from fuzzer.archive import Archive, Batch
from fuzzer.decision import (
    Conclusion,
    Decision,
    Episode,
    EpisodeState,
    Facts,
    Phase,
    Rules,
    conclude,
    index_lag,
    teaching,
)
from fuzzer.evidence import EXPLORE_WEIGHT, log_above, log_below, trials_to_reject
from fuzzer.proposal import D_STRATA, Draw, Outcome, PlanSource, Proposal, Stratum
from fuzzer.shrink import ShrinkConfig

__all__ = [
    "D_STRATA",
    "Decision",
    "Draw",
    "Outcome",
    "PlanSource",
    "Proposal",
    "Rules",
    "Search",
    "Stratum",
    "index_lag",
]


class Steering(NamedTuple):
    """All that a proposal may depend on besides the proposals before it."""

    phase: Phase
    open: tuple[tuple[int, int], ...]  # episodes to replay, and up to how many replays each
    canonical: int  # canonical calls to make in all
    blocks: bool  # the flag wants more blocks
    batch: Batch  # neighbours of findings
    known: tuple[Any, ...]  # plans that findings were reduced to
    settled: bool  # no finding is being reduced
    dry: bool  # draws apart from these have brought no failure for a while


@dataclass(slots=True)
class _Asked:
    """How many calls of each kind have been proposed."""

    canonical: int = 0
    explore: int = 0
    all_on: int = 0
    drawn: int = 0
    blocks: int = 0
    apart: int = 0
    neighbours: int = 0
    late_rows: int = 0  # of D, in the phase `more`
    replays: list[int] = field(default_factory=list)  # per episode


@dataclass(slots=True)
class _Episode:
    """An episode while it runs; its evidence is in the accounts."""

    origin: Proposal
    stands: bool  # the failure that opened it: no person has refuted it
    state: EpisodeState = "open"
    replays: int = 0
    last_failure: int = 0  # as a number of replays; 0: the call that opened it
    failed: int = 0
    harmful: int = 0  # of those that failed, the ones that stand


class Search:
    """A run as a value that is asked for proposals and told outcomes.

    `ask` gives fewer proposals than wanted, or none, while it must wait for outcomes. `done` turns
    true at the deciding index; outcomes of later proposals are counted as `after_stop` and no more.
    """

    def __init__(self, rules: Rules, source: PlanSource) -> None:
        self.rules = rules
        self.source = source
        self.phase: Phase = "probe"
        self.accounts = Accounts(rules, source.seeds)
        self._next = 0
        self._asked = _Asked()
        # By the hash of (seed, plan): a million plans would fill the memory, and one mistaken for
        # another, which no run will live to see, would only be given a later epoch.
        self._epochs: dict[int, int] = {}
        self._flying: dict[int, Proposal] = {}  # proposed, not absorbed
        self._waiting: dict[int, Outcome] = {}  # told, behind a gap
        self._far_half: str | None = None  # seed of a block whose second half is due
        self._repeats: list[Draw] = []  # further epochs of the last draw from D
        self._archive = Archive(
            source,
            ShrinkConfig(
                budget=rules.reduce_limit,
                batch=rules.reduce_batch,
                threshold=rules.threshold,
                alpha=rules.alpha,
                grouping=False,  # a variant that fails often has several causes
            ),
        )
        self._batch = Batch()  # the one whose draws are being proposed
        self._batch_left: deque[Draw] = deque()
        self._episodes: list[_Episode] = []
        self._open: tuple[int, ...] = ()
        self._replayed: set[tuple[str, Any]] = set()
        self._looked = False  # at U, when canonical n and the first D rows were in
        self._held_steering = False  # by every failure: what may end the run
        self._held: int | None = None  # by the failures that stand: what is concluded
        self._deciding: int | None = None
        # What steered from which prefix length on; proposals read W outcomes behind.
        self._steering = [(0, self._steer())]
        self._cursor = 0

    @property
    def done(self) -> bool:
        """The run has ended; nothing told from now on enters it."""
        return self._deciding is not None

    def ask(self, n: int) -> list[Proposal]:
        """Up to n further proposals, in index order."""
        proposals: list[Proposal] = []
        while len(proposals) < n and self._may_propose():
            proposals.append(self._propose())
        return proposals

    def tell(self, index: int, outcome: Outcome) -> None:
        """The outcome of one proposal, in any order, once each.

        Raises:
            ValueError: no proposal with this index awaits an outcome.
        """
        if index not in self._flying or index in self._waiting:
            raise ValueError(f"no proposal {index} awaits an outcome")
        self._waiting[index] = outcome
        while not self.done and (ready := self._waiting.pop(self.accounts.absorbed, None)):
            self._absorb(self._flying.pop(self.accounts.absorbed), ready)

    def end(self) -> None:
        """End the run where it stands, as a spent budget would."""
        if not self.done:
            self._end(self.accounts.absorbed - 1)

    # -- asking ---------------------------------------------------------------------------------

    def _may_propose(self) -> bool:
        if self.done or self._next >= self.rules.budget:
            return False
        probed = min(self._next, 1)
        return self.accounts.absorbed >= max(probed, self._next - self.rules.lag)

    def _propose(self) -> Proposal:
        index = self._next
        past = self._steering
        while self._cursor + 1 < len(past) and past[self._cursor + 1][0] <= index - self.rules.lag:
            self._cursor += 1
        draw, account = self._choose(past[self._cursor][1], index)
        variant = hash((draw.seed, draw.plan))
        epoch = self._epochs.get(variant, 0)
        self._epochs[variant] = epoch + 1
        proposal = Proposal(
            index, draw.seed, draw.plan, draw.stratum, account, epoch, draw.distance
        )
        self._flying[index] = proposal
        self._next += 1
        return proposal

    def _choose(self, steering: Steering, index: int) -> tuple[Draw, str]:
        """Variant and account of the next proposal: the table's "proposes", top priority first."""
        asked, rules = self._asked, self.rules
        canonical_due = asked.canonical < steering.canonical
        if self._far_half is not None:
            return self._far(self._far_half)
        for number, limit in steering.open:
            if asked.replays[number - 1] < limit:
                return self._replay(number)
        if steering.phase in ("probe", "search"):
            if canonical_due and index % rules.canonical_every == 0:
                return self._canonical("canonical")
            return self._explore()
        if steering.blocks and asked.blocks < rules.flag_blocks:
            draw, account = self._canonical("flag")
            self._far_half = draw.seed
            return draw, account
        if canonical_due:
            return self._canonical("canonical")
        return self._more(steering)

    def _more(self, steering: Steering) -> tuple[Draw, str]:
        """Rows of D, and no more neighbours than these; once neighbours bring no news, a third."""
        asked = self._asked
        if steering.batch.serial != self._batch.serial:
            self._batch = steering.batch
            self._batch_left = deque(steering.batch.draws)
        if asked.neighbours * (3 if steering.dry else 1) < asked.late_rows:
            if self._batch_left:
                asked.neighbours += 1
                return self._batch_left.popleft(), self._batch.account
            if steering.known and steering.settled:
                draw = self.source.apart(asked.apart, steering.known)
                asked.apart += 1
                if draw is not None:
                    asked.neighbours += 1
                    return draw, "descriptive"
        asked.late_rows += 1
        return self._draw()

    def _canonical(self, account: str) -> tuple[Draw, str]:
        self._asked.canonical += 1
        return self.source.canonical(self._asked.canonical - 1), account

    def _explore(self) -> tuple[Draw, str]:
        if self._repeats:
            return self._draw()
        self._asked.explore += 1
        if (self._asked.explore - 1) % self.rules.all_on_every == 0:
            self._asked.all_on += 1
            return self.source.all_on(self._asked.all_on - 1), "explore"
        return self._draw()

    def _draw(self) -> tuple[Draw, str]:
        if self._repeats:
            return self._repeats.pop(), "descriptive"
        self._asked.drawn += 1
        draw = self.source.draw(self._asked.drawn - 1)
        self._repeats = [draw._replace(stratum="repeat")] * (self.rules.epochs - 1)
        return draw, "explore"

    def _far(self, seed: str) -> tuple[Draw, str]:
        self._far_half = None
        self._asked.blocks += 1
        draw = self.source.far_draw(self._asked.blocks - 1, seed)
        return draw._replace(stratum="far"), "flag"

    def _replay(self, number: int) -> tuple[Draw, str]:
        self._asked.replays[number - 1] += 1
        origin = self._episodes[number - 1].origin
        return Draw(origin.seed, origin.plan, "replay", origin.distance), f"replay:{number}"

    # -- telling --------------------------------------------------------------------------------

    def _absorb(self, proposal: Proposal, outcome: Outcome) -> None:
        self.accounts.absorb(proposal, outcome)
        if proposal.stratum == "replay":
            self._follow(proposal, outcome)
        elif outcome.failed and self._is_news(proposal):
            self._open_episode(proposal, outcome.stands)
        if proposal.account in ("reduce", "transfer"):
            self._archive.absorb(outcome)
        elif proposal.stratum == "neighbour":
            self._archive.drawn_apart(outcome.failed)
        if "brittle" in self.accounts.steering.crossed:
            self._close_supported()
        self._advance(proposal.index)
        if self.phase == "more":
            self._close_explained()
        steering = self._steer()
        if steering != self._steering[-1][1]:
            self._steering.append((self.accounts.absorbed, steering))

    def _is_news(self, failing: Proposal) -> bool:
        """Whether a failing variant may open an episode: in the end, one that nothing explains."""
        if self.phase in ("probe", "search"):
            return True
        if self.phase != "more" or failing.account == "reduce":
            return False
        return failing.account == "transfer" or (
            self._archive.settled and not self._archive.knows(failing.seed, failing.plan)
        )

    def _open_episode(self, failing: Proposal, stands: bool) -> None:
        variant = (failing.seed, failing.plan)
        rules = self.rules
        if (
            variant in self._replayed
            or len(self._episodes) >= rules.episode_limit
            or len(self._open) >= rules.open_limit
        ):
            return
        self._replayed.add(variant)
        self._episodes.append(_Episode(failing, stands))
        self._asked.replays.append(0)
        self._open += (len(self._episodes),)
        self.accounts.open_episode()

    def _follow(self, proposal: Proposal, outcome: Outcome) -> None:
        """Count a replay, and close its episode where the rules say so."""
        number = episode_number(proposal)
        episode = self._episodes[number - 1]
        episode.replays += 1
        if outcome.failed:
            episode.failed += 1
            episode.last_failure = episode.replays
        episode.harmful += outcome.stands
        if episode.state == "open":
            e = self.accounts.steering.brittle.episodes[number - 1].e
            if e < self.rules.episode_floor:
                self._close(number, "refuted")
            elif episode.replays >= self._limit(episode):
                self._close(number, "spent")

    def _limit(self, episode: _Episode) -> int:
        """How many replays an episode may have, as far as is known."""
        return episode.last_failure + self.rules.replay_limit

    def _close_supported(self) -> None:
        for number in self._open:
            if number in self.accounts.steering.supported:
                self._close(number, "supported")

    def _close_explained(self) -> None:
        """What a finding explains is not replayed further: it would be the same finding again."""
        for number in self._open:
            origin = self._episodes[number - 1].origin
            if origin.account != "transfer" and self._archive.knows(origin.seed, origin.plan):
                self._close(number, "explained")

    def _close(self, number: int, state: EpisodeState) -> None:
        supported = number in self.accounts.steering.supported
        episode = self._episodes[number - 1]
        episode.state = "supported" if supported else state
        self._open = tuple(other for other in self._open if other != number)
        if supported and self.rules.stop == "budget":
            self._archive.add(number, episode.origin, episode.failed, episode.replays)

    def _advance(self, index: int) -> None:
        """Move to the phase that the outcome `index` leads to: the table's "ends when"."""
        accounts, rules = self.accounts, self.rules
        if self.phase == "probe":
            self.phase = "search"
        if self.phase == "search":
            if "brittle" in accounts.steering.crossed:
                self.phase = "localise"
            elif self._look_fails():
                self._end(index)
            elif not self._held_steering and self._holds_steering():
                self._held_steering = True
                if rules.stop == "first":
                    self._end(index)
        if self._held is None and (self._held_steering or self._holds()):
            self._held = index
        if self.phase == "localise" and (accounts.steering.supported or not self._open):
            self.phase = "flag"
        if self.phase == "flag" and not self._wants_blocks() and accounts.canonical_complete:
            if rules.stop == "budget":
                self.phase = "more"
            else:
                self._end(index)
        if not self.done and accounts.absorbed >= rules.budget:
            self._end(index)

    def _end(self, index: int) -> None:
        self.phase = "done"
        self._deciding = index

    def _holds_steering(self) -> bool:
        return (
            self.accounts.steering_held
            and not self._open
            and self.accounts.canonical_complete
            and "canonical" not in self.accounts.steering.crossed
        )

    def _holds(self) -> bool:
        """The conditions of *holds* by the failures that stand; only a review makes it differ."""
        seen = self.accounts.seen
        return (
            self.accounts.refuted > 0
            and self.accounts.held is not None
            and self.accounts.canonical_complete
            and "canonical" not in seen.crossed
            and "brittle" not in seen.crossed
            and not self._unsettled()
        )

    def _unsettled(self) -> tuple[int, ...]:
        """The episodes that are open by the failures that stand, whatever the search made of them.

        One that steering gave up is closed: fewer failures make no e-value larger.
        """
        return tuple(
            number
            for number, episode in enumerate(self._episodes, start=1)
            if episode.state in ("open", "supported") and not self._quiet(number, episode)
        )

    def _quiet(self, number: int, episode: _Episode) -> bool:
        """Nothing is left to replay, by the failures that stand."""
        seen = self.accounts.seen
        if episode.state == "supported" and number in seen.supported:
            return True
        if not episode.stands and not episode.harmful:
            return True  # nothing failed there
        return seen.brittle.episodes[number - 1].e < self.rules.episode_floor

    def _look_fails(self) -> bool:
        """U, at the moments the rules allow: peeking at every call would stop sound runs."""
        accounts, rules = self.accounts, self.rules
        if accounts.absorbed == rules.early_calls and not accounts.lively:
            return True
        if (
            self._looked
            or accounts.all_mutated.answered < rules.look_rows
            or accounts.all_canonical.answered < rules.canonical_n
        ):
            return False
        self._looked = True
        return accounts.too_unusable

    def _wants_blocks(self) -> bool:
        """The flag is open: neither decided nor out of blocks, nor undecidable from the start."""
        steering = self.accounts.steering
        return (
            self._far_enough
            and "canonical" not in steering.crossed
            and not steering.gap
            and self.accounts.blocks < self.rules.flag_blocks
        )

    @property
    def _far_enough(self) -> bool:
        return self.source.far_share >= self.rules.far_share_floor

    @property
    def _replays(self) -> bool:
        """Open episodes are replayed: in the end once it is known what is not worth it."""
        if self.phase == "more":
            return self._archive.settled
        return self.phase != "flag"

    def _steer(self) -> Steering:
        lost = self.accounts.all_canonical.content + self.accounts.all_canonical.transport
        room = len(self._episodes) < self.rules.episode_limit
        return Steering(
            self.phase,
            tuple([(n, self._limit(self._episodes[n - 1])) for n in self._open])
            if self._open and self._replays
            else (),
            self.rules.canonical_n + lost,
            self._wants_blocks(),
            self._archive.batch,
            self._archive.known if room else (),
            self._archive.settled,
            self._archive.dry,
        )

    # -- deciding -------------------------------------------------------------------------------

    def result(self) -> Decision:
        """What the run says, at its end or so far."""
        accounts, rules = self.accounts, self.rules
        seen, claim = accounts.seen, accounts.claim
        provisional = "brittle" in seen.crossed and "brittle" not in claim.crossed
        facts = Facts(
            brittle="brittle" in seen.crossed,
            unusable=self.done and accounts.too_unusable,
            holds=self._held is not None,
        )
        verdict, exit_code = conclude(facts)
        zero = accounts.canonical_zero
        seed_fails = "canonical" in claim.crossed
        sufficient = self._sufficient_budget() if self.done and verdict == "inconclusive" else None
        crossing = seen.crossed.get("brittle")
        calls = accounts.absorbed
        return Decision(
            verdict=verdict,
            exit_code=exit_code,
            provisional=provisional,
            phase=self.phase,
            baseline="not_zero" if seed_fails else "zero" if zero else "undetermined",
            flag=teaching(verdict, seed_fails, zero, claim.gap),
            localised=bool(claim.supported),
            q0=rules.q0,
            e_brittle=claim.e_value("brittle"),
            e_holds=accounts.held.e if accounts.held else accounts.holds.e,
            e_canonical=claim.e_value("canonical"),
            e_two_sample=claim.e_value("two_sample"),
            e_far=claim.e_value("far"),
            far_read=claim.far_read,
            needed=rules.needed,
            needed_holds=rules.needed_holds,
            canonical=accounts.group("canonical"),
            mutated=accounts.group("mutated"),
            episodes=tuple(self._episode(number) for number in range(1, len(self._episodes) + 1)),
            flag_blocks=accounts.blocks,
            block_failures={s: (one, far) for s, (one, far) in accounts.block_failures.items()},
            block_pairs=dict(accounts.block_pairs),
            calls=calls,
            after_stop=self._next - calls if self.done else 0,
            calls_to_find=accounts.calls_to_find,
            deciding_index=self._deciding,
            brittle_index=crossing.at if crossing else None,
            holds_index=self._held,
            reason=self._reason(verdict, sufficient),
            sufficient_budget=sufficient,
            notes=tuple(
                reasons.notes(
                    accounts,
                    verdict,
                    provisional=provisional,
                    ended=self.done,
                    far_share=self.source.far_share,
                )
            ),
            refuted=accounts.refuted,
        )

    def _episode(self, number: int) -> Episode:
        episode, claim = self._episodes[number - 1], self.accounts.claim
        seen = self.accounts.seen
        origin = episode.origin
        return Episode(
            number=number,
            seed=origin.seed,
            plan=origin.plan,
            stratum=origin.stratum,
            distance=origin.distance,
            opened=origin.index,
            replays=episode.replays,
            harmful=episode.harmful,
            e_value=claim.brittle.episodes[number - 1].e,
            needed=number * (number + 1) * self.rules.needed,
            state=episode.state,
            supported=number in claim.supported,
            seen=number in seen.supported,
            e_seen=seen.brittle.episodes[number - 1].e,
            failed=episode.failed,
            called=tuple(self._archive.called.get(number, ())),
        )

    @property
    def _misled(self) -> bool:
        """It stopped looking for a failure, at failures that were none."""
        accounts = self.accounts
        misled = "brittle" in accounts.steering.crossed and "brittle" not in accounts.seen.crossed
        return misled and self.rules.stop != "budget"

    def _sufficient_budget(self) -> int | None:
        """About the calls that would decide, if rates stay as they are; None: no number would."""
        accounts, rules = self.accounts, self.rules
        if self._misled:
            return None  # more budget goes on from where it stands: with no further row of D
        holds, explore = accounts.holds, accounts.seen.brittle.explore
        rows: int | None = None
        if holds.trials and "canonical" not in accounts.seen.crossed:
            rows = (
                holds.trials
                if accounts.held
                else trials_to_reject(
                    partial(log_below, rules.holds_rate),
                    holds.failures / holds.trials,
                    rules.needed_holds,
                    holds.trials,
                )
            )
        if rows is not None:
            more = (rows - holds.trials) * (rules.epochs + 1 / (rules.all_on_every - 1))
        elif explore.trials:
            trials = trials_to_reject(
                partial(log_above, rules.q0),
                explore.failures / explore.trials,
                rules.needed / EXPLORE_WEIGHT,
                explore.trials,
            )
            if trials is None:
                return None
            more = trials - explore.trials
        else:
            return None
        canonical = max(0, rules.canonical_n - accounts.all_canonical.n)
        open_now = (self._episodes[n - 1] for n in self._open)
        replays = sum(self._limit(episode) - episode.replays for episode in open_now)
        return math.ceil(accounts.absorbed + more + canonical + replays)

    def _reason(self, verdict: Conclusion, sufficient: int | None) -> str | None:
        if verdict == "unusable":
            return reasons.unusable_reason(self.accounts)
        if verdict != "inconclusive":
            return None
        if not self.done:
            return "the run has not ended"
        cause = reasons.inconclusive_reason(
            self.accounts, open_episodes=len(self._unsettled()), misled=self._misled
        )
        if self._misled:
            return cause
        if not self.accounts.seen.brittle.explore.trials:
            return cause  # nothing was tried, so there is no rate to go by
        if sufficient is None:
            return f"{cause}; at the rates seen no budget would decide"
        return f"{cause}; about {sufficient:,} calls would decide at the rates seen"
