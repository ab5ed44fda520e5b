"""What models answered, on disk as it comes: a kill costs only what was in flight.

One file of JSON lines, only ever appended to. Each answer stands under a key that holds everything
it depends on, so that the same command finds it again. What is torn off by a kill is the last line
alone; it is cut away when the file is opened to be written. The lock is the operating system's.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import orjson

from fuzzer.errors import StoreError
from fuzzer.secrets import Secrets, without_credentials
from fuzzer.transcript import Usage

NAME = "journal.jsonl"


class Heard(NamedTuple):
    """One answered call."""

    stop: str
    text: str = ""
    cause: str = ""
    usage: Usage = Usage()
    model: str = ""


class Journal:
    """The file, open for one writer; also a `Notebook` for batches."""

    def __init__(self, file: BinaryIO, path: Path, claim: dict[str, Any]) -> None:
        self.path = path
        self.claim = claim
        self._file = file
        self._answers: dict[str, int] = {}  # key -> where its line begins
        self._notes: dict[str, Any] = {}
        self._secrets = Secrets.of()
        self.used: dict[str, Usage] = {}  # by model, over all processes

    @classmethod
    def open(cls, directory: Path, claim: Mapping[str, Any], *, resume: bool) -> Self:
        """Begin a journal, or go on with one; `StoreError` says why that cannot be.

        `claim` is everything that answers depend on; values under keys that look like credentials
        are not written. A ``canary`` in it is no condition: a resume goes on with the first one.
        """
        path = directory / NAME
        told = json.loads(json.dumps(without_credentials(dict(claim))))
        if resume and not path.exists():
            raise StoreError(f"nothing to resume in {str(directory)!r}; leave out --resume")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        except OSError as error:
            raise StoreError(
                f"cannot write in {str(directory)!r} ({error.strerror}); choose another --out"
            ) from None
        try:
            journal = cls(file, path, told)
            journal._begin(resume=resume)
        except BaseException:
            file.close()
            raise
        return journal

    def _begin(self, *, resume: bool) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(
                f"{str(self.path)!r} is in use by another process; wait until it ends, or use "
                "another --out"
            ) from None
        head, end = self._load()
        if (self._answers or self._notes) and not resume:
            raise StoreError(
                f"{str(self.path.parent)!r} holds answers already; add --resume to go on with "
                "them, or use another --out"
            )
        if head is not None and resume:
            self._same(head)
            os.truncate(self.path, end)
            return
        os.truncate(self.path, 0)
        self._append({"claim": self.claim})

    def _load(self) -> tuple[dict[str, Any] | None, int]:
        """What is there: the claim, and where the last whole line ends."""
        self._file.seek(0)
        head, end = None, 0
        for line in self._file:
            entry = _entry(line)
            if entry is None:
                break  # torn by a kill: nothing stands behind it
            if head is None:
                head = entry.get("claim")
            if "answer" in entry:
                self._answers[entry["answer"]] = end
                self._count(_heard(entry))
            elif "note" in entry:
                self._notes[entry["note"]] = entry["value"]
            end += len(line)
        return head, end

    def _same(self, head: dict[str, Any]) -> None:
        mine = {name: value for name, value in self.claim.items() if name != "canary"}
        theirs = {name: value for name, value in head.items() if name != "canary"}
        if differing := sorted(k for k in mine | theirs if mine.get(k) != theirs.get(k)):
            raise StoreError(
                f"{str(self.path.parent)!r} was begun with another {', '.join(differing)}; give "
                "the same command, or use another --out"
            )
        self.claim = head

    # ---- answers

    def heard(self, key: str) -> Heard | None:
        """The answer under a key, if there is one."""
        at = self._answers.get(key)
        if at is None:
            return None
        self._file.seek(at)
        entry = _entry(self._file.readline())
        assert entry is not None, "it was whole when it was written"
        return _heard(entry)

    def keep(self, key: str, stage: str, index: int, heard: Heard) -> None:
        """Write an answer; it outlives this process when this returns."""
        text = self._secrets.scrub(heard.text)
        self._answers[key] = self._append(
            {
                "answer": key,
                "stage": stage,
                "item": index,
                "model": heard.model,
                "stop": heard.stop,
                "cause": heard.cause,
                "usage": [getattr(heard.usage, name) for name in _TOKENS],
                "text": text.encode("utf-8", "replace").decode(),
            }
        )
        self._count(heard)

    def _count(self, heard: Heard) -> None:
        self.used[heard.model] = self.used.get(heard.model, Usage()) + heard.usage

    # ---- notes

    def get(self, key: str) -> Any:
        """The value under a key; None if there is none."""
        return self._notes.get(key)

    def put(self, key: str, value: Any) -> None:
        """Write a value under a key, in place of what was there."""
        self._notes[key] = value
        self._append({"note": key, "value": value})

    def _append(self, entry: dict[str, Any]) -> int:
        at = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(orjson.dumps(entry) + b"\n")
            self._file.flush()
        except OSError as error:
            raise StoreError(
                f"cannot write {str(self.path)!r} ({error.strerror}); make room and go on with "
                "--resume"
            ) from None
        return at

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


_TOKENS = ("input", "output", "cache_read", "cache_write")


def _entry(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        entry = orjson.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _heard(entry: dict[str, Any]) -> Heard:
    usage = Usage(*entry["usage"])
    return Heard(entry["stop"], entry["text"], entry["cause"], usage, entry["model"])
