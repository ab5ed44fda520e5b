"""The loopback server with message batches: ``/v1/messages/batches`` and what stands below it.

What becomes of an entry is a script: a function of its custom id, its parameters and of how often
it was created, this time included. Every creation is counted.
"""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from tests.loopback import Loopback, Reply, error, message

PATH = "/v1/messages/batches"
Event = Literal["create", "created", "poll", "results", "list"]


@dataclass(frozen=True)
class Fate:
    """What becomes of an entry."""

    kind: Literal["succeeded", "errored", "expired", "canceled", "missing"]
    said: Any = None  # the message, or the error's type


def answer(*blocks: Any, **more: Any) -> Fate:
    """A model's answer, as `message` writes it."""
    return Fate("succeeded", message(*blocks, **more).body)


def errored(kind: str) -> Fate:
    """An error of that type."""
    return Fate("errored", kind)


Script = Callable[[str, dict[str, Any], int], Fate]


@dataclass
class Batch:
    """One batch, as the server keeps it."""

    id: str
    entries: list[tuple[str, dict[str, Any], Fate]]
    created_at: datetime
    polls: int  # until it has ended
    shown: int = field(default=0)  # polls so far


class BatchLoopback(Loopback):
    """Message batches for a script; each ends at the poll after `polls` others.

    `interrupt`, where given, hears of every request: before a batch is created, and when it was,
    before the client hears of it. What it returns is sent instead of the answer.
    """

    def __init__(self, script: Script, *, polls: int = 1, page: int = 2) -> None:
        super().__init__(lambda _: error(400, "only batches here"))
        self._script = script
        self._polls = polls
        self._page = page
        self._guard = threading.RLock()
        self.batches: dict[str, Batch] = {}  # in order of creation
        self.created: Counter[str] = Counter()  # by custom id
        self.params: dict[str, dict[str, Any]] = {}  # by custom id
        self.calls: Counter[Event] = Counter()
        self.interrupt: Callable[[Event], Reply | None] = lambda _: None

    @property
    def sizes(self) -> list[int]:
        """How many entries each batch has, in order of creation."""
        return [len(batch.entries) for batch in self.batches.values()]

    def foreign(self, size: int, *, ended: bool = True) -> None:
        """Put a batch there that somebody else has created."""
        entries: list[tuple[str, dict[str, Any], Fate]] = [
            (f"other-{i}", {}, answer()) for i in range(size)
        ]
        self._add(entries, polls=0 if ended else 10**9)

    def reply(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """The answer to one request; one without a body is a GET."""
        url = urlsplit(path)
        if not url.path.startswith(PATH):
            return super().reply(path, headers, body)
        with self._guard:
            self.headers.append(headers)
            return self._create(json.loads(body)) if body else self._get(url.path, url.query)

    def _hear(self, event: Event) -> Reply | None:
        self.calls[event] += 1
        return self.interrupt(event)

    # ---- what there is

    def _create(self, body: dict[str, Any]) -> Reply:
        if (instead := self._hear("create")) is not None:
            return instead
        entries: list[tuple[str, dict[str, Any], Fate]] = []
        for entry in body["requests"]:
            name, params = entry["custom_id"], entry["params"]
            self.created[name] += 1
            self.params[name] = params
            entries.append((name, params, self._script(name, params, self.created[name])))
        if len({name for name, *_ in entries}) != len(entries):
            return error(400, "custom_id must be unique")
        batch = self._add(entries, self._polls)
        return self._hear("created") or Reply(self._shown(batch))

    def _add(self, entries: list[tuple[str, dict[str, Any], Fate]], polls: int) -> Batch:
        serial = f"msgbatch_{len(self.batches):04}"
        batch = self.batches[serial] = Batch(serial, entries, datetime.now(UTC), polls)
        return batch

    def _get(self, path: str, query: str) -> Reply:
        if path == PATH:
            return self._hear("list") or Reply(self._listed(parse_qs(query)))
        serial, _, rest = path.removeprefix(f"{PATH}/").partition("/")
        batch = self.batches.get(serial)
        if batch is None:
            return error(404, f"no batch {serial}")
        if rest == "results":
            return self._hear("results") or Reply(
                self._results(batch), headers={"content-type": "application/x-jsonl"}
            )
        batch.shown += 1
        return self._hear("poll") or Reply(self._shown(batch))

    def _listed(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """A page, the newest first; smaller than asked for, as a server may make it."""
        newest = list(self.batches.values())[::-1]
        if "after_id" in query:
            at = next(i for i, b in enumerate(newest) if b.id == query["after_id"][0])
            newest = newest[at + 1 :]
        page = newest[: min(self._page, int(query["limit"][0]))]
        return {
            "data": [self._shown(batch) for batch in page],
            "has_more": len(newest) > len(page),
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
        }

    def _shown(self, batch: Batch) -> dict[str, Any]:
        ended = batch.shown > batch.polls
        names = ("processing", "succeeded", "errored", "canceled", "expired")
        counts = dict.fromkeys(names, 0)
        for *_, fate in batch.entries:
            kind = "errored" if fate.kind == "missing" else fate.kind
            counts[kind if ended else "processing"] += 1
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": _written(batch.created_at),
            "ended_at": _written(datetime.now(UTC)) if ended else None,
            "expires_at": _written(batch.created_at + timedelta(hours=24)),
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{self.url}{PATH}/{batch.id}/results" if ended else None,
        }

    def _results(self, batch: Batch) -> bytes:
        lines = [_line(name, fate) for name, _, fate in batch.entries if fate.kind != "missing"]
        random.Random(batch.id).shuffle(lines)
        return b"".join(lines)


def half(reply: Reply) -> Reply:
    """The reply, with the connection reset in the middle of it."""
    sent = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    return replace(reply, body=sent, cut=len(sent) // 2)


def _line(name: str, fate: Fate) -> bytes:
    result: dict[str, Any] = {"type": fate.kind}
    if fate.kind == "succeeded":
        result["message"] = fate.said
    elif fate.kind == "errored":
        inner = {"type": fate.said, "message": "It went wrong."}
        result["error"] = {"type": "error", "request_id": None, "error": inner}
    line = json.dumps({"custom_id": name, "result": result}, ensure_ascii=False)
    return f"{line}\n".encode()


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
