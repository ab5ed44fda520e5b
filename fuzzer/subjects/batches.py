"""Generations through a provider's batches, none of them paid for twice, whichever process asks.

What is about to be created is noted before, a batch's id right after. A batch stays noted for as
long as its run does: only the asker knows when a result is safe on disk, so one that was handed out
must stay within reach. What is kept are ids; the results stay with the provider.
"""

import asyncio
import hashlib
import re
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import orjson

from fuzzer.errors import ConfigurationError, RequestRejected
from fuzzer.subjects.conversation import Lost

MOST = 100_000  # requests in one batch
MOST_BYTES = 256_000_000  # and their size
_SLOWEST = 60.0  # seconds between two looks at a batch
_SKEW = 3600.0  # seconds by which a provider's clock may be behind ours
_UNDER_WAY = 6  # polls until a batch is in the list, should nobody have heard of its creation
_KEY = "batches"  # in the notebook; the names in batch n stand under "batches:n"

_T = TypeVar("_T")
Kind = Literal["succeeded", "rejected", "errored", "canceled", "expired"]


class Result(NamedTuple):
    """What became of one request; `rejected` is an error that another attempt would meet again."""

    custom_id: str
    kind: Kind
    said: str  # the answer as JSON text without secrets; of one rejected, a sentence that says why


class Batches(Protocol):
    """A provider's batches. Each raises `Lost`, or `ConfigurationError` when nothing can work."""

    async def create(self, requests: list[tuple[str, dict[str, Any]]]) -> str:
        """A batch of (custom id, parameters), by its id.

        It is tried once only: after `Lost` the batch may be there or not. `ConfigurationError` says
        that it is not.
        """
        ...

    async def ended(self, batch_id: str) -> bool:
        """Whether the results can be read."""
        ...

    def results(self, batch_id: str) -> AsyncGenerator[Result]:
        """The results of a batch that has ended, in any order."""
        ...

    async def recent(self, since: datetime, size: int) -> list[str]:
        """The batches of that many requests created since then."""
        ...


class Notebook(Protocol):
    """JSON values on disk; what was put is there after a kill."""

    def get(self, key: str) -> Any:
        """The value under a key; None if there is none."""
        ...

    def put(self, key: str, value: Any) -> None:
        """Write a value under a key, in place of what was there."""
        ...


@dataclass
class _Entry:
    """A request that somebody waits for."""

    params: dict[str, Any]
    size: int
    waiters: list[asyncio.Future[str]] = field(default_factory=list)


@dataclass
class _Sent:
    """A batch that was created, or (without an id) may have been."""

    at: float
    size: int
    id: str | None = None


class Batcher:
    """Gathers requests into batches and hands out the results.

    A batch is created when no request has come for `linger` seconds. It is looked at after `poll`
    seconds, then less and less often. A request that failed by no fault of its own goes into
    another batch, `max_retries` times.
    """

    def __init__(
        self,
        batches: Batches,
        notebook: Notebook,
        *,
        linger: float = 1.0,
        poll: float = 5.0,
        max_retries: int = 4,
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._batches = batches
        self._notebook = notebook
        self._linger = linger
        self._poll = poll
        self._max_retries = max_retries
        self._most = most
        self._most_bytes = most_bytes
        self._waiting: dict[str, _Entry] = {}  # by custom id, until its result is handed out
        self._gathered: dict[str, None] = {}  # those of them that the next batch is for, in order
        self._came = 0.0  # the last of them, on the loop's clock
        self._gatherer: asyncio.Task[None] | None = None
        self._followers: dict[int, asyncio.Task[None]] = {}  # by number of the batch
        self._reached = False  # the provider has answered something
        self._refusals = 0  # creations in a row that were lost
        self._recall()

    async def generation(self, label: str, params: dict[str, Any]) -> str:
        """The answer to a request, as JSON text; `Lost` when there is none.

        `label` names the request within its run: asked for again, by this process or by another, it
        is answered from the batch that it went into. One that starts with a hyphen is of a trial
        without a name, which nobody can ask for again.
        """
        name, size = self._name(label, params)
        entry = self._waiting.setdefault(name, _Entry(params, size))
        waiter: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        entry.waiters.append(waiter)
        self._route(name)
        try:
            return await waiter
        finally:
            entry.waiters.remove(waiter)
            if not entry.waiters and self._waiting.get(name) is entry:
                del self._waiting[name]
                self._gathered.pop(name, None)  # nobody wants it any more

    async def aclose(self) -> None:
        """Stop; the batches go on at the provider, and a later call finds them again."""
        tasks = [*self._followers.values(), *([self._gatherer] if self._gatherer else [])]
        running = [task for task in tasks if not task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for entry in self._waiting.values():
            for waiter in entry.waiters:
                waiter.cancel()

    # ---- the notebook

    def _recall(self) -> None:
        """What earlier processes noted."""
        noted = self._notebook.get(_KEY) or {}
        self._nonce: str = noted.get("nonce") or secrets.token_hex(8)
        self._answered: bool = noted.get("answered", False)  # any request, in any process
        self._sent = [None if sent is None else _Sent(*sent) for sent in noted.get("sent", ())]
        self._where: dict[str, int] = {}  # the last batch that each request went into
        self._failed: Counter[str] = Counter()
        for number, sent in enumerate(self._sent):
            for name in () if sent is None else self._names(number):
                self._failed[name] += name in self._where  # else it had not gone into another
                self._where[name] = number

    def _names(self, number: int) -> list[str]:
        names: list[str] = self._notebook.get(f"{_KEY}:{number}")
        return names

    def _note(self) -> None:
        sent = [None if sent is None else [sent.at, sent.size, sent.id] for sent in self._sent]
        noted = {"nonce": self._nonce, "answered": self._answered, "sent": sent}
        self._notebook.put(_KEY, noted)

    def _intend(self, names: list[str]) -> int:
        """Note what is about to be created; the number of the batch to be."""
        number = len(self._sent)
        self._notebook.put(f"{_KEY}:{number}", names)
        self._sent.append(_Sent(time.time(), len(names)))
        self._note()
        self._where |= dict.fromkeys(names, number)
        return number

    def _forget(self, number: int) -> list[str]:
        """A batch that was not created; the names that would be in it."""
        names = self._names(number)
        self._sent[number] = None
        self._note()
        for name in names:
            if self._where.get(name) == number:
                del self._where[name]
        return names

    def _name(self, label: str, params: dict[str, Any]) -> tuple[str, int]:
        """A request's custom id and size: the same in every process."""
        if label.startswith("-"):
            label = f"{secrets.token_hex(8)}{label}"
        body = orjson.dumps(params, option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(f"{self._nonce}\0{label}\0".encode() + body).hexdigest()
        readable = re.sub(r"[^a-zA-Z0-9_-]", "-", label)[-31:]
        return f"{readable}-{digest[:32]}", len(body) + 100

    # ---- requests into batches

    def _route(self, name: str) -> None:
        """Where a request's answer will come from: a batch that it is in, or else the next one."""
        if name in self._gathered:
            return
        if (number := self._where.get(name)) is not None:
            self._follow(number)
            return
        self._gathered[name] = None
        self._came = asyncio.get_running_loop().time()
        if self._gatherer is None or self._gatherer.done():
            self._gatherer = asyncio.create_task(self._guarded(self._gather))

    async def _gather(self) -> None:
        """Create batches of what has gathered, when it is quiet or one is full."""
        clock = asyncio.get_running_loop().time
        while self._gathered:
            portion = self._portion()
            full = len(portion) < len(self._gathered)
            if not full and (left := self._came + self._linger - clock()) > 0:
                await asyncio.sleep(left)
                continue
            for name in portion:
                del self._gathered[name]
            number = self._intend(portion)
            self._follow(number, [(name, self._waiting[name].params) for name in portion])

    def _portion(self) -> list[str]:
        """As many of the gathered as one batch can hold."""
        portion: list[str] = []
        size = 0
        for name in self._gathered:
            size += self._waiting[name].size
            if portion and (len(portion) == self._most or size > self._most_bytes):
                break
            portion.append(name)
        return portion

    def _again(self, name: str, cause: str) -> None:
        """A request has failed by no fault of its own: once more, or never."""
        if name not in self._waiting:
            return  # whoever asks next will find the failure where it is
        self._failed[name] += 1
        if self._failed[name] > self._max_retries:
            self._settle(name, Lost(cause))
        else:
            self._where.pop(name, None)
            self._route(name)

    # ---- one batch

    def _follow(
        self, number: int, requests: list[tuple[str, dict[str, Any]]] | None = None
    ) -> None:
        """See a batch through, if nobody does yet; `requests` create it."""
        if number in self._followers and not self._followers[number].done():
            return
        work = partial(self._through, number, requests)
        self._followers[number] = asyncio.create_task(self._guarded(work, number))

    async def _through(
        self, number: int, requests: list[tuple[str, dict[str, Any]]] | None
    ) -> None:
        """A batch from the intent until everybody who waits has a result."""
        sent = self._sent[number]
        assert sent is not None, "a request is in no batch that was not created"
        if sent.id is None:
            created = self._found(number) if requests is None else self._created(number, requests)
            del requests  # a batch takes hours
            sent.id = await created
            if sent.id is None:
                return
            self._note()
        for pause in self._pauses():
            await asyncio.sleep(pause)
            if await self._persist(partial(self._batches.ended, sent.id)):
                break
        while self._wanted(number):
            await self._persist(partial(self._read, number, sent.id))
            await asyncio.sleep(self._linger)  # those who ask in the meantime share a reading

    async def _created(self, number: int, requests: list[tuple[str, dict[str, Any]]]) -> str | None:
        try:
            batch_id = await self._batches.create(requests)
        except RequestRejected as rejected:
            for name in self._forget(number):
                self._reject(name, str(rejected))
            return None
        except ConfigurationError:
            self._forget(number)
            raise
        except Lost as lost:
            self._refusals += 1
            await asyncio.sleep(min(self._poll * 2 ** min(self._refusals, 9), _SLOWEST))
            return await self._found(number, lost.cause)
        self._reached = True
        self._refusals = 0
        return batch_id

    async def _found(self, number: int, cause: str = "") -> str | None:
        """The batch of an intent, by what it holds; if there is none, its requests start anew.

        With a `cause` that counts as a failure, unless the provider only wants us to wait.
        """
        if (batch_id := await self._search(number)) is not None:
            return batch_id
        for name in self._forget(number):
            if cause not in ("", "rate limited"):
                self._again(name, cause)
            elif name in self._waiting:
                self._route(name)
        return None

    async def _search(self, number: int) -> str | None:
        """Only the results of a batch say what is in it: it must have ended before."""
        intent = self._sent[number]
        assert intent is not None, "an intent is kept until it is known what came of it"
        names = set(self._names(number))
        since = datetime.fromtimestamp(intent.at - _SKEW, UTC)
        known = {sent.id for sent in self._sent if sent is not None}
        await asyncio.sleep(_UNDER_WAY * self._poll)
        recent = await self._persist(partial(self._batches.recent, since, intent.size))
        left = [batch_id for batch_id in recent if batch_id not in known]
        for pause in self._pauses():
            for batch_id in list(left):
                if await self._persist(partial(self._batches.ended, batch_id)):
                    left.remove(batch_id)
                    if await self._persist(partial(self._holds, batch_id, names)):
                        return batch_id
            if not left:
                break
            await asyncio.sleep(pause)
        return None

    async def _holds(self, batch_id: str, names: set[str]) -> bool:
        """Whether any of the names is in a batch."""
        async with aclosing(self._batches.results(batch_id)) as results:
            async for result in results:
                if result.custom_id in names:
                    return True
        return False

    async def _read(self, number: int, batch_id: str) -> None:
        """Hand out a batch's results to those who wait for them."""
        wanted = self._wanted(number)
        rejected = {}
        async with aclosing(self._batches.results(batch_id)) as results:
            async for name, kind, said in results:
                if kind == "succeeded" and not self._answered:
                    self._answered = True
                    self._note()
                if name not in wanted:
                    continue
                wanted.remove(name)
                if kind == "succeeded":
                    self._settle(name, said)
                elif kind == "rejected":
                    rejected[name] = said  # what it means, those still to come may say
                else:
                    self._again(name, "timeout" if kind == "expired" else "server error")
        for name in wanted:  # a batch that lost them
            self._again(name, "server error")
        for name, said in rejected.items():
            self._reject(name, said)

    def _wanted(self, number: int) -> set[str]:
        """Those of a batch whom somebody waits for."""
        return {name for name in self._waiting if self._where.get(name) == number}

    # ---- outcomes

    def _settle(self, name: str, outcome: str | Exception) -> None:
        """Hand out what became of a request; nothing of it is kept."""
        entry = self._waiting.pop(name, None)
        self._gathered.pop(name, None)
        for waiter in entry.waiters if entry else ():
            if waiter.done():
                continue  # cancelled
            if isinstance(outcome, str):
                waiter.set_result(outcome)
            else:
                waiter.set_exception(outcome)

    def _reject(self, name: str, said: str) -> None:
        """A form that is refused is this request's own matter once any other was answered."""
        self._settle(name, Lost("request rejected") if self._answered else RequestRejected(said))

    def _fail(self, names: Iterable[str], error: Exception) -> None:
        for name in list(names):
            self._settle(name, error)

    async def _guarded(self, work: Callable[[], Awaitable[None]], number: int = -1) -> None:
        """Work in the background: what ends it reaches those who wait for it."""
        try:
            await work()
        except Lost as lost:
            self._fail(self._wanted(number), lost)
        except Exception as error:
            self._fail(self._waiting, error)

    # ---- patience

    def _pauses(self) -> Iterator[float]:
        """Seconds to wait, more and more."""
        pause = self._poll
        while True:
            yield min(pause, _SLOWEST)
            pause = min(pause * 1.5, _SLOWEST)

    async def _persist(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """What a call that can be repeated says, however long its provider is out of reach.

        One that was never reached is not waited for without end: its address may be wrong.
        """
        for failures, pause in enumerate(self._pauses()):
            try:
                said = await call()
            except Lost:
                if not self._reached and failures == self._max_retries:
                    raise
                await asyncio.sleep(pause)
            else:
                self._reached = True
                return said
        raise AssertionError("the pauses do not end")
