"""A file of chats, read as a stream: JSON lines, plain or gzipped, in any of the known shapes.

Texts survive as they are, whatever they hold: NUL, CRLF, odd scripts. What no export can hold makes
a row a bad one, and is named: half a surrogate pair, NaN, an integer beyond 64 bits. Numbers keep
their value, not their spelling (1.0e0), and of a key given twice the last one counts.
"""

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from fuzzer.augment.chats.messages import Misfit, parsed
from fuzzer.augment.chats.shapes import SHAPES, Chat, Shape
from fuzzer.augment.rows import Target
from fuzzer.errors import ConfigurationError

LOOKED_AT = 50  # rows, before the shape is known
LONGEST = 64 * 1024 * 1024  # bytes of one line
SHOWN = 3  # rows left out that are described one by one

_ENDS: dict[Target, str] = {
    "sft": "answers",
    "preference": "a preferred and a rejected answer",
    "rl": "prompts without an answer",
}


class Chats:
    """The chats of a file, in its order; each pass reads the file anew.

    `shape` and `target` are what the first rows have; a row that has another is an error, or with
    `skip_bad` left out: `left_out` counts those of the latest pass, `reasons` describes the first
    few. Raises `ConfigurationError`.
    """

    def __init__(self, path: Path, *, skip_bad: bool = False) -> None:
        self.path = path
        self.skip_bad = skip_bad
        self.left_out = 0
        self.reasons: list[str] = []
        self.hash = _hash(path)
        self.shape, self.target = self._detect()

    @property
    def found(self) -> str:
        """What the file was taken for, for people."""
        return f"{self.shape.title}; with {_ENDS[self.target]}"

    def __iter__(self) -> Iterator[Chat]:
        self.left_out = 0
        self.reasons = []
        for number, line in self._lines():
            try:
                row = _row(line)
                chat = self.shape.read(row, number)
                if chat.target != self.target:
                    raise Misfit(
                        f"has {_ENDS[chat.target]}, where others have {_ENDS[self.target]}"
                    )
            except Misfit as misfit:
                self._leave_out(number, misfit)
                continue
            yield chat

    def _leave_out(self, number: int, misfit: Misfit) -> None:
        if not self.skip_bad:
            raise ConfigurationError(
                f"line {number} of {self.path.name!r} {misfit}; mend it, or leave such rows out "
                "with --skip-bad"
            )
        self.left_out += 1
        if len(self.reasons) < SHOWN:
            self.reasons.append(f"line {number} {misfit}")

    def _detect(self) -> tuple[Shape, Target]:
        rows = []
        for _, line in islice(self._lines(), LOOKED_AT):
            try:
                rows.append(_row(line))
            except Misfit as misfit:
                if not rows and line.lstrip()[:1] == b"[":
                    raise ConfigurationError(
                        f"{self.path.name!r} is one JSON array, not JSON lines; write one row to a "
                        f"line first (jq -c '.[]' {self.path.name})"
                    ) from misfit
        if not rows:
            raise ConfigurationError(
                f"{self.path.name!r} holds no JSON objects; give a file with one to each line"
            )
        fitting = [(shape, _targets(shape, rows)) for shape in SHAPES]
        most = max(targets.total() for _, targets in fitting)
        # The first that fits half as often as any: a prompt and its answer are also a prompt alone.
        shape, targets = next(pair for pair in fitting if 2 * pair[1].total() >= most)
        if not most:
            columns = ", ".join(ascii(str(key))[:30] for key in list(rows[0])[:12]) or "none"
            why = _why(rows[0])
            raise ConfigurationError(
                f"the rows of {self.path.name!r} have no shape that is known (columns: {columns})"
                f"{why}; known are messages, conversations, prompt with completion, response, or "
                "chosen and rejected, instruction with output, question with answer, input with "
                "output"
            )
        return shape, targets.most_common(1)[0][0]

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Lines that are not blank, with their numbers from 1."""
        with _reading(self.path) as file:
            number = 0
            while line := file.readline(LONGEST + 1):
                number += 1
                if len(line) > LONGEST:
                    raise ConfigurationError(
                        f"line {number} of {self.path.name!r} is longer than "
                        f"{LONGEST // 2**20} MiB; is it one row to a line?"
                    )
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    yield number, line


def _targets(shape: Shape, rows: list[dict[str, Any]]) -> Counter[Target]:
    """What can be learned from those rows that have this shape."""
    found: Counter[Target] = Counter()
    for row in rows:
        try:
            found[shape.read(row, 0).target] += 1
        except Misfit:
            continue
    return found


def _why(row: dict[str, Any]) -> str:
    """Why the likeliest shape does not take a row."""
    for shape in SHAPES:
        if shape.known(row):
            try:
                shape.read(row, 0)
            except Misfit as misfit:
                return f"; the first {misfit}"
    return ""


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = parsed(line.decode())
    except UnicodeDecodeError:
        raise Misfit("is not UTF-8") from None
    if not isinstance(row, dict):
        raise Misfit("is no JSON object")
    return row


def _hash(path: Path) -> str:
    found = hashlib.blake2b(digest_size=16)
    with _opening(path) as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


@contextmanager
def _opening(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigurationError(f"cannot read {str(path)!r}: {why}") from None


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    """The file's text as bytes, unpacked if it is packed."""
    with _opening(path) as file:
        if file.peek(2)[:2] != b"\x1f\x8b":  # type: ignore[attr-defined]
            yield file
            return
        try:
            with gzip.open(file) as unpacked:
                yield unpacked  # type: ignore[misc]
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise ConfigurationError(
                f"{path.name!r} is a damaged gzip file; pack it again"
            ) from None
