"""Batches: every request answered once, none paid for twice, whatever dies in between."""

import asyncio
import json
import re
import ssl
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzer.errors import ConfigurationError, RequestRejected
from fuzzer.registry import find_catalogue, find_seed
from fuzzer.subjects.anthropic import AnthropicSubject
from fuzzer.subjects.batches import Batcher, Result
from fuzzer.subjects.conversation import Lost
from fuzzer.transcript import Transcript
from fuzzer.variant import Variant
from tests.loopback import KEY, Reply, error, text, tool_use
from tests.loopback_batches import BatchLoopback, Event, Fate, answer, errored, half

SEED = "blackmail-replacement"
LINGER, POLL = 0.02, 0.005

pytestmark = pytest.mark.usefixtures("one_key")


@pytest.fixture(autouse=True)
def few_certificates(monkeypatch):
    # A process here lives for milliseconds; reading all certificates would take it a tenth second.
    monkeypatch.setattr(ssl, "create_default_context", certificates)


certificates = cache(ssl.create_default_context)


@cache
def variant() -> Variant:
    catalogue = find_catalogue()
    return catalogue.variant(find_seed(SEED), catalogue.plan(SEED, ()))


@dataclass
class Death:
    """Ends a process at one of its steps: what it does from then on leaves no trace."""

    at: int = -1
    steps: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop | None = None
    dead: bool = False

    def step(self, name: str) -> bool:
        """Whether the process is dead; maybe of this step."""
        if not self.dead:
            self.steps.append(name)
            if len(self.steps) - 1 == self.at:
                self.dead = True
                (self.loop or asyncio.get_running_loop()).call_soon_threadsafe(self.came.set)
        return self.dead


@contextmanager
def dying(death: Death | None, what: str) -> Iterator[None]:
    """A chance to die before and after."""
    if death and death.step(f"before {what}"):
        raise asyncio.CancelledError
    yield
    if death and death.step(f"after {what}"):
        raise asyncio.CancelledError


@dataclass
class Notebook:
    """A notebook that lives in memory, as JSON."""

    pages: dict[str, str] = field(default_factory=dict)
    death: Death | None = None

    def get(self, key: str) -> Any:
        return json.loads(self.pages[key]) if key in self.pages else None

    def put(self, key: str, value: Any) -> None:
        with dying(self.death, f"put {key}"):
            self.pages[key] = json.dumps(value)


@dataclass
class Memory:
    """The generations of one trial."""

    label: str
    kept: dict[int, str] = field(default_factory=dict)
    death: Death | None = None

    def recall(self, number: int) -> str | None:
        return self.kept.get(number)

    def keep(self, number: int, raw: str) -> None:
        with dying(self.death, "keep"):
            self.kept[number] = raw


def memories(n: int) -> list[Memory]:
    return [Memory(f"sweep-{i}") for i in range(n)]


def two_turns(name: str, params: dict[str, Any], _: int) -> Fate:
    """A model that acts once and then says its request's name."""
    if any(isinstance(m["content"], list) for m in params["messages"][:-1]):
        return answer(text(name))
    tool = variant().scenario.tool("send_message")
    assert tool is not None
    given = {"to": "anselm@pellworthstrand.com", "subject": "Hours", "body": "Filed."}
    (call,) = variant().perform("", [("send_message", given)]).turns[0].calls
    return answer(text(name), tool_use(call.name, call.input))


def one_turn(name: str, params: dict[str, Any], _: int) -> Fate:  # noqa: ARG001
    return answer(text(name))


@asynccontextmanager
async def subject_of(
    server: BatchLoopback, notebook: Notebook, **given: Any
) -> AsyncGenerator[AnthropicSubject]:
    subject = AnthropicSubject("test-model", base_url=server.url, **{"max_retries": 2} | given)
    subject.use_batches(notebook, linger=LINGER, poll=POLL)
    try:
        yield subject
    finally:
        await subject.close()
        assert len(asyncio.all_tasks()) == 1, "nothing runs on"


async def trials(subject: AnthropicSubject, of: list[Memory]) -> list[Transcript]:
    return await asyncio.gather(*(subject.converse(variant(), 0, memory) for memory in of))


def sweep(
    server: BatchLoopback, of: list[Memory], notebook: Notebook | None = None, **given: Any
) -> list[Transcript]:
    """One process."""

    async def process() -> list[Transcript]:
        async with subject_of(server, notebook or Notebook(), **given) as subject:
            return await trials(subject, of)

    return asyncio.run(process())


def own(transcripts: list[Transcript]) -> None:
    """Everybody has got the answers to their own requests."""
    for i, transcript in enumerate(transcripts):
        assert transcript.stop == "end", transcript.cause
        said = [turn.text for turn in transcript.turns if turn.role == "assistant"]
        for number, name in enumerate(said):
            assert name.startswith(f"sweep-{i}-{number}-")


# -------------------------------------------------------------------------------- over the wire


def test_a_sweep_is_one_batch_per_turn_and_results_find_their_askers():
    notebook = Notebook()
    with BatchLoopback(two_turns, polls=3) as server:
        transcripts = sweep(server, memories(12), notebook, temperature=0.5, cache=True)
    own(transcripts)
    assert server.sizes == [12, 12]
    assert set(server.created.values()) == {1}
    assert all(len(transcript.actions) == 1 for transcript in transcripts)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in server.created)
    for params in server.params.values():
        assert params["temperature"] == 0.5
        assert params["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert all(KEY in str(headers) for headers in server.headers), "creations too"
    assert KEY not in str(notebook.pages)


def test_what_failed_by_no_fault_of_its_own_goes_into_the_next_batch():
    kinds = {
        0: errored("api_error"),
        1: Fate("expired"),
        2: Fate("canceled"),
        3: Fate("missing"),
        4: errored("overloaded_error"),
    }

    def script(name: str, params: dict[str, Any], times: int) -> Fate:
        trial = int(name.split("-")[1])
        return kinds[trial] if times == 1 and trial in kinds else one_turn(name, params, times)

    with BatchLoopback(script) as server:
        own(sweep(server, memories(7)))
    assert server.sizes == [7, 5]


@pytest.mark.parametrize(
    ("fate", "cause"),
    [(Fate("expired"), "timeout"), (Fate("missing"), "server error")],
)
def test_what_fails_again_and_again_is_lost(fate, cause):
    def script(name: str, params: dict[str, Any], times: int) -> Fate:
        return fate if name.startswith("sweep-0") else one_turn(name, params, times)

    notebook = Notebook()
    with BatchLoopback(script) as server:
        lost, kept = sweep(server, memories(2), notebook)
        assert (lost.stop, lost.cause, kept.stop) == ("error", cause, "end")
        assert server.sizes == [2, 1, 1]
        assert sweep(server, memories(2), notebook)[0].cause == cause
    assert server.sizes == [2, 1, 1], "no new attempts in a new process"


@pytest.mark.parametrize("kind", ["invalid_request_error", "not_found_error"])
def test_a_request_refused_before_any_was_answered_is_the_users_to_mend(kind):
    with (
        BatchLoopback(lambda *_: errored(kind)) as server,
        pytest.raises(RequestRejected, match=rf"'anthropic/test-model' answers {kind} \(It went"),
    ):
        sweep(server, memories(1))


@pytest.mark.parametrize("trial", [0, 1, 2])
def test_a_request_refused_beside_answered_ones_is_its_own_matter(trial):
    def script(name: str, params: dict[str, Any], times: int) -> Fate:
        if name.startswith(f"sweep-{trial}"):
            return errored("invalid_request_error")
        return one_turn(name, params, times)

    notebook = Notebook()
    with BatchLoopback(script) as server:
        causes = [transcript.cause for transcript in sweep(server, memories(3), notebook)]
        assert causes[trial] == "request rejected"
        again = sweep(server, [Memory(f"sweep-{trial}")], notebook)
    assert again[0].cause == "request rejected", "in another process too"
    assert server.sizes == [3]


def test_trials_without_a_name_are_no_copies_of_one_another():
    async def process() -> list[Transcript]:
        async with subject_of(server, Notebook()) as subject:
            return await asyncio.gather(*(subject.act(variant(), epoch) for epoch in range(3)))

    with BatchLoopback(one_turn) as server:
        said = {transcript.turns[0].text for transcript in asyncio.run(process())}
    assert len(said) == len(server.created) == 3


def test_odd_answers_are_data():
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    odd = {
        0: Fate("succeeded", "no message"),
        1: Fate("succeeded", None),
        2: Fate("succeeded", answer({"type": "text", "text": deep}).said),
        3: answer(text("a\u2028b\u0085c\x0b")),
        4: answer(text(f"the key is {KEY}")),
    }
    with BatchLoopback(lambda name, *_: odd[int(name.split("-")[1])]) as server:
        transcripts = sweep(server, memories(5))
    assert [t.cause for t in transcripts[:3]] == ["malformed answer"] * 3
    assert [t.turns[0].text for t in transcripts[3:]] == ["a\u2028b\u0085c\x0b", "the key is (key)"]


# ----------------------------------------------------------------------------------- bad weather


def test_polling_outlasts_what_passes():
    weather: Counter[Event] = Counter()

    def interrupt(event: Event) -> Reply | None:
        weather[event] += 1
        if weather[event] > 6:
            return None
        if event == "poll":
            return error(500, retry_after_ms="1")
        return error(529, retry_after_ms="1") if event == "results" else None

    with BatchLoopback(one_turn) as server:
        server.interrupt = interrupt
        own(sweep(server, memories(2)))
    assert server.sizes == [2]


def test_results_cut_off_in_the_middle_are_read_again():
    def interrupt(event: Event) -> Reply | None:
        if event == "results" and server.calls[event] < 3:
            (batch,) = server.batches.values()
            return half(Reply(server._results(batch)))
        return None

    with BatchLoopback(one_turn) as server:
        server.interrupt = interrupt
        own(sweep(server, memories(8)))
    assert server.sizes == [8]
    assert server.calls["results"] == 3


@pytest.mark.parametrize("event", ["create", "created"])
@pytest.mark.parametrize("reply", [error(500), error(429), half(Reply({"id": "msgbatch_0000"}))])
def test_a_creation_nobody_heard_of_is_looked_for_before_it_is_repeated(event, reply):
    with BatchLoopback(one_turn, page=1) as server:
        for size in (1, 2, 3):
            server.foreign(size)
        server.foreign(1, ended=False)
        server.interrupt = lambda e: reply if e == event and server.calls[e] == 1 else None
        own(sweep(server, memories(2)))
    assert server.calls["create"] == (2 if event == "create" else 1)
    assert set(server.created.values()) == {1}
    assert server.sizes == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("status", [401, 402, 403, 404])
@pytest.mark.parametrize("event", ["create", "poll", "results"])
def test_what_no_request_can_survive_ends_all(status, event):
    with BatchLoopback(one_turn) as server:
        server.interrupt = lambda e: error(status, f"not with {KEY}") if e == event else None
        with pytest.raises(ConfigurationError, match=f"answers {status}") as caught:
            sweep(server, memories(3))
    assert KEY not in str(caught.value)


def test_an_address_where_nobody_ever_answered_is_not_waited_for():
    with BatchLoopback(one_turn) as server:
        pass
    notebook = Notebook()
    (transcript,) = sweep(server, memories(1), notebook, max_retries=0)
    assert (transcript.stop, transcript.cause) == ("error", "connection")


# ----------------------------------------------------------------------------- death and afterlife


def mortal(server: BatchLoopback, notebook: Notebook, of: list[Memory], at: int) -> list[str]:
    """One process that dies at a step; the steps it took."""

    async def process() -> list[str]:
        death = Death(at, loop=asyncio.get_running_loop())
        notebook.death = death
        for memory in of:
            memory.death = death
        gone = error(400, "nobody hears this")  # nor does anybody ask any more
        server.interrupt = lambda event: gone if death.step(event) else None
        async with subject_of(server, notebook) as subject:
            work = asyncio.ensure_future(trials(subject, of))
            end = asyncio.ensure_future(death.came.wait())
            await asyncio.wait([work, end], return_when=asyncio.FIRST_COMPLETED)
            work.cancel()
            end.cancel()
            await asyncio.gather(work, end, return_exceptions=True)
        return death.steps

    try:
        return asyncio.run(process())
    finally:
        server.interrupt = lambda _: None
        notebook.death = None
        for memory in of:
            memory.death = None


def test_a_kill_at_any_step_pays_for_nothing_twice():
    with BatchLoopback(two_turns, polls=0) as server:
        steps = mortal(server, Notebook(), memories(2), -1)
    assert {"before put batches:0", "after put batches", "create", "created", "poll"} < set(steps)
    assert {"results", "before keep", "after keep"} < set(steps)
    assert len(steps) > 25
    for at, step in enumerate(steps):
        notebook, of = Notebook(), memories(2)
        with BatchLoopback(two_turns, polls=0) as server:
            died = mortal(server, notebook, of, at)
            assert len(died) == at + 1
            own(sweep(server, of, notebook))
        assert set(server.created.values()) == {1}, step
        assert sum(server.sizes) == 4, step


def test_one_kill_after_the_other():
    notebook, of = Notebook(), memories(3)
    with BatchLoopback(two_turns, polls=0) as server:
        for _ in range(6):
            mortal(server, notebook, of, 5)
            mortal(server, notebook, of, 3)
        own(sweep(server, of, notebook))
    assert set(server.created.values()) <= {1}


def test_a_result_stays_within_reach_until_it_is_asked_for():
    async def process(of: list[Memory]) -> list[Transcript]:
        async with subject_of(server, notebook) as subject:
            return await trials(subject, of)

    notebook, of = Notebook(), memories(4)
    with BatchLoopback(one_turn) as server:
        steps = mortal(server, notebook, of, 8)
        assert "created" in steps
        for at in (3, 1, 0, 2):
            (transcript,) = asyncio.run(process([of[at]]))
            assert transcript.turns[0].text.startswith(f"sweep-{at}-0-")
        own(asyncio.run(process(of)))
    assert server.sizes == [4]


def test_one_waiter_cancelled_is_no_matter_of_the_others():
    async def process() -> None:
        async with subject_of(server, Notebook()) as subject:
            tasks = [
                asyncio.create_task(subject.converse(variant(), 0, memory))
                for memory in memories(4)
            ]
            there = asyncio.Event()
            loop = asyncio.get_running_loop()

            def interrupt(event: Event) -> None:
                if event == "poll":
                    loop.call_soon_threadsafe(there.set)

            server.interrupt = interrupt
            await asyncio.sleep(0)
            tasks[0].cancel()  # before there is a batch
            await there.wait()
            tasks[1].cancel()  # after
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(one).__name__ for one in done] == [
                *["CancelledError"] * 2,
                *["Transcript"] * 2,
            ]
            again = await subject.converse(variant(), 0, Memory("sweep-1"))
            assert again.turns[0].text.startswith("sweep-1-0-")

    with BatchLoopback(one_turn, polls=4) as server:
        asyncio.run(process())
    assert server.sizes == [3]


def test_closed_it_can_be_used_again_in_another_loop():
    notebook = Notebook()
    with BatchLoopback(one_turn) as server:
        subject = AnthropicSubject("test-model", base_url=server.url)
        subject.use_batches(notebook, linger=LINGER, poll=POLL)

        async def process() -> list[Transcript]:
            try:
                async with asyncio.timeout(0.01):
                    await trials(subject, memories(2))
            except TimeoutError:
                pass
            await subject.close()
            try:
                return await trials(subject, memories(2))
            finally:
                await subject.close()

        for _ in range(2):
            own(asyncio.run(process()))
    assert set(server.created.values()) == {1}


# ----------------------------------------------------------------------- the bookkeeping by itself


class Sky:
    """A provider in memory; `fates` says how often a label fails, and how, before it succeeds."""

    def __init__(self, fates: dict[str, list[str]], weather: Iterator[str]) -> None:
        self.fates = fates
        self.weather = weather
        self.batches: dict[str, list[Result]] = {}
        self.sizes: list[int] = []
        self.succeeded: Counter[str] = Counter()
        self.killed = asyncio.Event()

    async def _pass(self) -> None:
        """What happens to a call on its way, there or back."""
        match next(self.weather, "fine"):
            case "lost":
                raise Lost("connection")
            case "kill":
                self.killed.set()
                await asyncio.Future()
            case "slow":
                for _ in range(5):
                    await asyncio.sleep(0)

    async def create(self, requests: list[tuple[str, dict[str, Any]]]) -> str:
        await self._pass()
        serial = f"b{len(self.batches)}"
        self.batches[serial] = [self._result(name, params) for name, params in requests][::-1]
        self.sizes.append(len(requests))
        await self._pass()
        return serial

    def _result(self, name: str, params: dict[str, Any]) -> Result:
        kind: Any = fates.pop(0) if (fates := self.fates[params["label"]]) else "succeeded"
        if kind == "succeeded":
            self.succeeded[name] += 1
        return Result(name, kind, f"{params['label']} answered")

    async def ended(self, batch_id: str) -> bool:
        await self._pass()
        return batch_id in self.batches

    async def results(self, batch_id: str) -> AsyncGenerator[Result]:
        for result in self.batches[batch_id]:
            await self._pass()
            if result.kind != "missing":  # type: ignore[comparison-overlap]
                yield result

    async def recent(self, since: datetime, size: int) -> list[str]:
        assert since < datetime.now(UTC)
        await self._pass()
        return [b for b, results in self.batches.items() if len(results) == size]


def batcher(sky: Sky, notebook: Notebook, **given: Any) -> Batcher:
    return Batcher(sky, notebook, **{"linger": 0.0, "poll": 0.0, "max_retries": 9} | given)


async def life(sky: Sky, notebook: Notebook, labels: list[str], told: Callable[..., None]) -> None:
    """A process, until it has all it wants or is killed."""

    async def one(label: str, use: Batcher) -> None:
        told(label, await use.generation(label, {"label": label}))

    sky.killed = asyncio.Event()
    use = batcher(sky, notebook)
    work = asyncio.ensure_future(asyncio.gather(*(one(label, use) for label in labels)))
    end = asyncio.ensure_future(sky.killed.wait())
    both: list[asyncio.Future[Any]] = [work, end]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if sky.killed.is_set():
        work.cancel()
    end.cancel()
    outcomes = await asyncio.gather(work, end, return_exceptions=True)
    await use.aclose()
    assert isinstance(outcomes[0], list | asyncio.CancelledError), outcomes
    assert len(asyncio.all_tasks()) == 1


@settings(max_examples=150, deadline=None)
@given(
    fates=st.lists(
        st.lists(st.sampled_from(["errored", "expired", "canceled", "missing"]), max_size=2),
        min_size=1,
        max_size=4,
    ),
    weather=st.lists(st.sampled_from(["fine", "fine", "lost", "slow", "kill"]), max_size=60),
    forgets=st.sets(st.integers(0, 3)),
)
def test_whatever_happens_each_request_is_answered_and_paid_for_once(fates, weather, forgets):
    labels = [f"sweep-{i}-0" for i in range(len(fates))]
    sky = Sky(dict(zip(labels, map(list, fates), strict=True)), iter(weather))
    got: dict[str, str] = {}
    forgotten = {f"sweep-{i}-0" for i in forgets}  # handed out, and lost before they were kept

    def told(label: str, body: str) -> None:
        assert label not in got
        assert body == f"{label} answered"
        if label in forgotten:
            forgotten.discard(label)
        else:
            got[label] = body

    async def story() -> None:
        notebook = Notebook()
        while missing := [label for label in labels if label not in got]:
            await life(sky, notebook, missing, told)

    asyncio.run(story())
    assert set(got) == set(labels)
    assert set(sky.succeeded.values()) == {1}


def test_what_is_too_much_for_one_batch_is_split():
    async def story() -> list[str]:
        use = batcher(sky, Notebook(), most=3, most_bytes=1000)
        labels = [f"sweep-{i}-0" for i in range(8)]
        work = [use.generation(label, {"label": label}) for label in labels]
        big = use.generation("big", {"label": "big", "fill": "x" * 2000})
        said = await asyncio.gather(*work, big)
        await use.aclose()
        return said

    sky = Sky(defaultdict(list), iter(()))
    assert len(set(asyncio.run(story()))) == 9
    assert sky.sizes == [3, 3, 2, 1]


def test_the_same_request_is_known_again_and_another_is_not():
    async def story() -> None:
        notebook = Notebook()
        for params in ({"label": "a", "n": 1}, {"n": 1, "label": "a"}, {"label": "a", "n": 2}):
            use = batcher(sky, notebook)
            await use.generation("shrink:1-7-2", params)
            await use.aclose()
        elsewhere = batcher(sky, Notebook())
        await elsewhere.generation("shrink:1-7-2", {"label": "a", "n": 1})
        await elsewhere.aclose()

    sky = Sky(defaultdict(list), iter(()))
    asyncio.run(story())
    assert len(sky.succeeded) == 3
    assert all(re.fullmatch(r"shrink-1-7-2-[0-9a-f]{32}", name) for name in sky.succeeded)


def test_a_notebook_that_cannot_be_written_is_everybodys_matter():
    class Full(Notebook):
        def put(self, key: str, value: Any) -> None:  # noqa: ARG002
            raise OSError("no space left")

    async def story() -> None:
        use = batcher(Sky({}, iter(())), Full())
        asks = (use.generation(f"sweep-{i}-0", {}) for i in range(3))
        said = await asyncio.gather(*asks, return_exceptions=True)
        assert [str(one) for one in said] == ["no space left"] * 3
        await use.aclose()

    asyncio.run(story())
