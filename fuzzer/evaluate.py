"""Proposals to trials: calls made concurrently, each answer stored before it is judged.

The one place where whatever a subject or a judge throws becomes data. A subject that raises has
given an answer nobody can judge; only `HoldfastError` (nothing further can work) ends the run.
"""

import asyncio
import traceback
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from fuzzer.distribution import Distribution
from fuzzer.errors import HoldfastError, RequestRejected, StoreError
from fuzzer.judges import Held, Judge
from fuzzer.likeness import changed_share
from fuzzer.limits import Limits
from fuzzer.proposal import D_STRATA, Outcome, Proposal
from fuzzer.records import Trial, Verdict
from fuzzer.scenario import Frozen
from fuzzer.store import RunStore, StoredOutcome
from fuzzer.subjects import Remembering, Subject
from fuzzer.tools import read_turn
from fuzzer.transcript import TRANSPORT_CAUSES, Transcript, Usage
from fuzzer.transform import Plan
from fuzzer.variant import Variant


class Asking(Protocol):
    """What is driven: a search or a shrink."""

    @property
    def done(self) -> bool:
        """Nothing more will be asked."""
        ...

    def ask(self, n: int) -> list[Proposal]:
        """Up to n calls to make."""
        ...

    def tell(self, index: int, outcome: Outcome) -> None:
        """What came of one."""
        ...


#: The cause of a trial that was not run, since the judge cannot be trusted on its variant.
MISJUDGED = "judge: it fails the controls here"

HELD = "held"  # key in the store: variants whose controls the judge was tried on
Told = Callable[[Proposal, Verdict], None]
Finished = asyncio.Task[tuple[Proposal, Verdict]]


#: Proposals asked for in one go. Drawing takes a while: more would keep what is due from running,
#: fewer are drawn slower, one by one between other work.
_AT_ONCE = 8


class Variants(Protocol):
    """Where the variant of a proposal comes from."""

    def variant(self, seed: str, plan: Any) -> Variant:
        """The variant that a seed and a plan name."""
        ...


class Caller:
    """Runs proposals against one subject and one judge, into one store, within its limits."""

    def __init__(
        self,
        subject: Subject,
        judge: Judge,
        variants: Variants,
        store: RunStore,
        max_connections: int,
        *,
        limits: Limits | None = None,
        trial_timeout: float | None = None,
    ) -> None:
        self.subject = subject
        self.judge = judge
        self.variants = variants
        self.store = store
        self.max_connections = max_connections
        self.limits = limits or Limits()
        self.trial_timeout = trial_timeout  # seconds; a subject of ours ends its trials sooner
        self._seed_texts: dict[str, str] = {}
        self._answered = False  # whether the subject has ever answered, in this run
        #: Variants whose controls the judge was tried on: whether it failed, and what that took.
        self._held: dict[str, _Tried] = _held(store)
        self._holding: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def drive(self, asking: Asking, phase: str, told: Told) -> None:
        """Make calls until nothing more is asked; what the store has already is not called again.

        When a limit is reached nothing more is launched, and the rest is as `Limits` says.

        Raises `HoldfastError` when nothing further can work; calls in flight are then cancelled,
        and what was answered is in the store.
        """
        limits = self.limits
        recorded = {outcome.idx: outcome for outcome in self.store.outcomes(phase)}
        kept = self.store.kept(phase)
        self._answered |= any(o.value in ("harmful", "safe") for o in recorded.values())
        flying: set[Finished] = set()
        landed: asyncio.Queue[Finished | None] = asyncio.Queue()
        limits.start(lambda: landed.put_nowait(None))
        halted = False
        waiting: deque[Proposal] = deque()  # asked for; when nothing more is asked, dropped

        def launch(proposal: Proposal) -> None:
            memory = _Memory(self.store, phase, proposal.index, kept)
            task = asyncio.create_task(self._trial(proposal, phase, memory))
            task.add_done_callback(landed.put_nowait)
            flying.add(task)

        def tell(proposal: Proposal, verdict: Verdict) -> None:
            told(proposal, verdict)
            asking.tell(proposal.index, outcome_of(verdict))

        try:
            while True:
                room = 0 if asking.done or halted else self.max_connections - len(flying)
                if room and not waiting:
                    waiting.extend(asking.ask(_AT_ONCE))
                asked = [waiting.popleft() for _ in range(min(room, len(waiting)))]
                for proposal in asked:
                    if (stored := recorded.pop(proposal.index, None)) is not None:
                        tell(proposal, await self._remembered(proposal, stored, phase))
                    elif limits.stopped:
                        halted = True  # this one is never told: a resume asks it again
                    else:
                        launch(proposal)
                if limits.at_once:
                    return
                if asked and room > len(asked) and not halted:
                    await asyncio.sleep(0)
                    if landed.empty():
                        continue
                if not flying:
                    if halted or not asked:
                        return
                    continue
                task = await landed.get()
                while True:
                    if task is not None:
                        flying.discard(task)
                        tell(*task.result())
                    if landed.empty():
                        break
                    task = landed.get_nowait()
        finally:
            for task in flying:
                task.cancel()
            await asyncio.gather(*flying, return_exceptions=True)
            self.store.flush()

    async def _trial(
        self, proposal: Proposal, phase: str, memory: "_Memory"
    ) -> tuple[Proposal, Verdict]:
        variant = self.variants.variant(proposal.seed, proposal.plan)
        if await self._misjudged(variant):
            transcript = _failed(MISJUDGED)  # nothing that it might do there could be judged
        else:
            transcript = await self._act(variant, proposal.epoch, memory)
        trial = Trial.of(
            idx=proposal.index,
            variant_id=variant.id,
            seed=proposal.seed,
            plan=proposal.plan,
            stratum=proposal.stratum,
            account=proposal.account,
            epoch=proposal.epoch,
            distance=proposal.distance,
            transcript=transcript,
            verdict=None,
            state="answered",
            phase=phase,
            changed=self._changed(variant, proposal),
        )
        self.store.save_transcript(trial, variant.request_hash)
        self.limits.spend(transcript.usage)
        self._answered = self._answered or transcript.stop != "error"
        return proposal, await self._judged(variant, trial)

    def _changed(self, variant: Variant, proposal: Proposal) -> float | None:
        """The share of a draw's text that is not its seed's; of other rows nobody asks."""
        if proposal.stratum not in D_STRATA:
            return None
        if (text := self._seed_texts.get(proposal.seed)) is None:
            seed = self.variants.variant(proposal.seed, Plan(seed=proposal.seed))
            text = self._seed_texts[proposal.seed] = seed.request.text
        return changed_share(text, variant.request.text)

    async def _misjudged(self, variant: Variant) -> bool:
        """Whether this is a variant on which the judge is held to the controls, and fails them."""
        judge = self.judge
        if not (isinstance(judge, Held) and judge.holds_here(variant)):
            return False
        return bool(await self.miscalled(judge, variant))

    async def miscalled(self, judge: Held, variant: Variant) -> str:
        """What a judge calls wrong on a variant's controls, asked once in a run; "" if nothing."""
        async with self._holding[variant.id]:  # of calls on one variant the first asks
            if variant.id not in self._held:
                said, used = await judge.miscalled(variant)
                self._held[variant.id] = _Tried(failed=bool(said), used=used, said=said)
                told = {name: tried.model_dump(mode="json") for name, tried in self._held.items()}
                self.store.put(HELD, told)
                for name, usage in used.items():
                    self.limits.spend_judging(name, usage)
        tried = self._held[variant.id]
        return (tried.said or MISJUDGED) if tried.failed else ""

    async def _act(self, variant: Variant, epoch: int, memory: "_Memory") -> Transcript:
        limit = asyncio.timeout(self.trial_timeout)
        try:
            async with limit:
                answer: object = (
                    await self.subject.converse(variant, epoch, memory)
                    if isinstance(self.subject, Remembering)
                    else await self.subject.act(variant, epoch)
                )
        except RequestRejected:
            if not self._answered:
                raise
            return _failed("request rejected")  # others were taken: it is this variant's form
        except HoldfastError:
            raise
        except TimeoutError as error:
            if limit.expired():  # ours; Python 3.11.2 and earlier give it no cause
                return _failed("timeout")
            return _failed(f"the subject raised TimeoutError{_place(error)}")
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # by us, not from within the subject
            return _failed(f"the subject raised {type(error).__name__}{_place(error)}")
        if not isinstance(answer, Transcript):
            return _failed(f"the subject returned {type(answer).__name__}, not a Transcript")
        return answer if answer.actions else _with_actions(answer, variant)

    async def _remembered(self, proposal: Proposal, stored: StoredOutcome, phase: str) -> Verdict:
        """The verdict of a stored trial: as it entered the accounts, or now if a kill lost it."""
        variant = self.variants.variant(proposal.seed, proposal.plan)
        if (stored.variant_id, stored.epoch) != (variant.id, proposal.epoch):
            raise StoreError(
                f"trial {proposal.index} in {str(self.store.directory)!r} is of another variant "
                "than this Holdfast would run there; continue it with the version that began it"
            )
        if stored.value is not None:
            return verdict_of(stored, self.judge)
        trial = self.store.trial(proposal.index, phase)
        assert trial is not None, "an outcome is stored with its trial"
        return await self._judged(variant, trial)

    async def _judged(self, variant: Variant, trial: Trial) -> Verdict:
        try:
            verdict = await self.judge.judge(variant, trial.transcript)
        except HoldfastError:
            raise
        except Exception as error:
            verdict = Verdict(
                value="unusable",
                judge=self.judge.name,
                version=self.judge.version,
                cause=f"the judge raised {type(error).__name__}",
            )
        # What was paid for is on disk at once.
        paid = any(opinion.calls for opinion in (verdict, *verdict.opinions))
        self.store.save_verdict(trial.idx, verdict, phase=trial.phase, now=paid)
        for said in (verdict, *verdict.opinions):
            if said.calls:
                self.limits.spend_judging(said.judge, said.usage)
        return verdict


class Evaluator(Caller):
    """A caller of the variants of a distribution."""

    def __init__(
        self,
        subject: Subject,
        judge: Judge,
        distribution: Distribution,
        store: RunStore,
        max_connections: int,
        *,
        limits: Limits | None = None,
        trial_timeout: float | None = None,
    ) -> None:
        super().__init__(
            subject,
            judge,
            distribution,
            store,
            max_connections,
            limits=limits,
            trial_timeout=trial_timeout,
        )
        self.distribution = distribution

    def on(self, distribution: Distribution) -> "Evaluator":
        """The same evaluator, asked about variants of other seeds."""
        other = Evaluator(
            self.subject,
            self.judge,
            distribution,
            self.store,
            self.max_connections,
            limits=self.limits,
            trial_timeout=self.trial_timeout,
        )
        other._answered = self._answered
        other._held = self._held
        other._holding = self._holding
        return other


class _Tried(Frozen):
    """What came of holding a judge to the controls of one variant, and the tokens it took."""

    failed: bool
    used: dict[str, Usage]
    said: str = ""  # which control, and how


def _held(store: RunStore) -> dict[str, _Tried]:
    told: dict[str, Any] = store.get(HELD) or {}
    return {variant: _Tried.model_validate(tried) for variant, tried in told.items()}


def held_used(store: RunStore) -> dict[str, Usage]:
    """Tokens that judges took for the controls of variants, by model, since the run began."""
    found: dict[str, Usage] = {}
    for tried in _held(store).values():
        for name, usage in tried.used.items():
            found[name] = found.get(name, Usage()) + usage
    return found


class _Memory:
    """The generations of one trial, in the store."""

    def __init__(
        self, store: RunStore, phase: str, idx: int, kept: dict[tuple[int, int], str]
    ) -> None:
        self._store = store
        self._phase = phase
        self._idx = idx
        self._kept = kept

    @property
    def label(self) -> str:
        return f"{self._phase}-{self._idx}"

    def recall(self, number: int) -> str | None:
        return self._kept.pop((self._idx, number), None)

    def keep(self, number: int, raw: str) -> None:
        self._store.keep(self._phase, self._idx, number, raw)


def _with_actions(transcript: Transcript, variant: Variant) -> Transcript:
    """With the actions its turns attempt: a subject that left them to us must not look safe."""
    scenario = variant.scenario
    actions = tuple(
        action
        for index, turn in enumerate(transcript.turns)
        for action in read_turn(turn, scenario.offered, scenario.channel, index)
    )
    return transcript.model_copy(update={"actions": actions}) if actions else transcript


def _failed(cause: str) -> Transcript:
    return Transcript(turns=(), stop="error", cause=cause)


def _place(error: BaseException) -> str:
    """Where it was raised, as `` (file, line n)``; never its message, which may hold a key."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def verdict_of(stored: StoredOutcome, judge: Judge | None = None) -> Verdict:
    """A stored verdict as it entered the accounts, with what a person has said of it since."""
    return Verdict.model_validate(
        {
            "value": stored.value,
            "engaged": stored.engaged,
            "judge": judge.name if judge else "",
            "version": judge.version if judge else 1,
            "cause": stored.cause or "",
            "confirmed": stored.confirmed,
            "reviewed": stored.reviewed,
        }
    )


def outcome_of(verdict: Verdict) -> Outcome:
    """What a verdict is to the accounts; an unresolved referral is unusable content."""
    if verdict.value in ("harmful", "safe"):
        value: Literal["harmful", "safe"] = "harmful" if verdict.value == "harmful" else "safe"
        return Outcome(value, None, verdict.engaged, verdict.confirmed, verdict.reviewed)
    transport = verdict.cause in TRANSPORT_CAUSES
    return Outcome("unusable", "transport" if transport else "content")
