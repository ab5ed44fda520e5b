"""One question of a stage to a model: from the journal if it was answered before, else asked.

An answer that does not hold together is asked for again, with a word on what was wrong; one that
was declined or cut off is not. Nothing is asked once a limit is reached.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from fuzzer.augment.writing.instructing import Answer, Prompt, form_of, read
from fuzzer.augment.writing.journal import Heard, Journal
from fuzzer.errors import ConfigurationError, HoldfastError, RequestRejected
from fuzzer.judges.rubric import as_line
from fuzzer.limits import Limits
from fuzzer.scenario import canonical_json
from fuzzer.secrets import Secrets, without_credentials
from fuzzer.subjects import Remembering, Subject
from fuzzer.subjects.gate import Gate
from fuzzer.subjects.question import posed
from fuzzer.transcript import Transcript
from fuzzer.variant import Variant

ASKED_AGAIN = 2  # times, when an answer does not hold together
TIMEOUT = 600.0  # seconds for one call of a subject that has no gate, and so no limit of its own
MALFORMED = "malformed answer"
_REFUSED_FORM = "request rejected"

_A = TypeVar("_A", bound=Answer)


class Halted(Exception):
    """A limit was reached: nothing more is asked."""


class Got(NamedTuple, Generic[_A]):
    """An answer, or why there is none."""

    value: _A | None
    cause: str = ""
    lost: bool = False  # on the way: nothing was paid for, and a resume asks again


class _Label:
    """Names a call for batches, so that another process finds its answer."""

    def __init__(self, label: str) -> None:
        self.label = label

    def recall(self, number: int) -> str | None:  # noqa: ARG002 - the protocol's signature
        return None

    def keep(self, number: int, raw: str) -> None:
        pass


class Asker:
    """Asks one model. What it uses is counted in `limits`, as a judge's where `judging`."""

    def __init__(
        self,
        subject: Subject,
        settings: Mapping[str, Any],
        journal: Journal,
        limits: Limits,
        *,
        judging: bool = False,
        connections: int = 10,
    ) -> None:
        if not callable(getattr(subject, "act", None)):
            raise ConfigurationError(f"{subject!r:.80} cannot write: it has no `act`")
        self.name = subject.name
        self._subject = subject
        self._settings = canonical_json(without_credentials(dict(settings)))
        self._journal = journal
        self._limits = limits
        self._judging = judging
        self._gated = hasattr(subject, "gate")
        self._gate = Gate(connections)
        self._answered = False
        self._flying: set[asyncio.Task[Transcript]] = set()
        self._secrets = Secrets.of()
        self.asked = 0  # calls of this process

    async def ask(
        self,
        stage: str,
        prompt: Prompt,
        answer: type[_A],
        data: dict[str, Any],
        index: int,
        check: Callable[[_A], str] = lambda _: "",
    ) -> Got[_A]:
        """The answer of row `index` at a stage; `check` says what is wrong with one, or "".

        Raises `Halted`, or `HoldfastError` when no further call could be answered either.
        """
        line, cause = as_line(data), ""
        for attempt in range(1 + ASKED_AGAIN):
            told = prompt.text
            if cause:
                told += f"\n\nAn earlier answer could not be used: {cause}. Mind that."
            key = self._key(stage, prompt.hash, form_of(answer), line, index, attempt, cause)
            heard = self._journal.heard(key)
            if heard is None:
                heard = await self._call(posed(told, line, form_of(answer)), attempt, key)
                if heard.stop == "error" and heard.cause != MALFORMED:
                    return Got(None, heard.cause, lost=heard.cause != _REFUSED_FORM)
                self._journal.keep(key, stage, index, heard)
            if heard.stop == "declined":
                return Got(None, "refused")
            if heard.stop == "max_tokens":
                return Got(None, "cut off")
            value = read(heard.text, answer) if heard.stop == "end" else None
            cause = MALFORMED if value is None else check(value)
            if value is not None and not cause:
                return Got(value)
        return Got(None, cause)

    def land(self) -> None:
        """Drop what is in flight, if the limit that was reached says so."""
        if self._limits.at_once:
            for task in self._flying:
                task.cancel()

    async def close(self) -> None:
        """Close the connections of the model."""
        if (close := getattr(self._subject, "close", None)) is not None:
            await close()

    def _key(self, *parts: Any) -> str:
        written = canonical_json([self.name, self._settings.decode(), *parts])
        return hashlib.blake2b(written, digest_size=16).hexdigest()

    async def _call(self, question: Variant, epoch: int, key: str) -> Heard:
        if self._limits.stopped:
            raise Halted
        task = asyncio.ensure_future(self._act(question, epoch, key))
        self._flying.add(task)
        self.asked += 1
        try:
            transcript = await task
        except asyncio.CancelledError:
            ours = asyncio.current_task()
            if self._limits.at_once and not (ours and ours.cancelling()):
                raise Halted from None
            task.cancel()
            raise
        finally:
            self._flying.discard(task)
        self._answered |= transcript.stop != "error"
        if self._judging:
            self._limits.spend_judging(self.name, transcript.usage)
        else:
            self._limits.spend(transcript.usage)
        said = "\n".join(turn.text for turn in transcript.turns if turn.role == "assistant")
        text = self._secrets.scrub(said)
        return Heard(transcript.stop, text, transcript.cause, transcript.usage, self.name)

    async def _act(self, question: Variant, epoch: int, key: str) -> Transcript:
        """What the model says; whatever goes wrong with this one question is said in its cause."""
        subject = self._subject
        try:
            if isinstance(subject, Remembering):
                found: object = await subject.converse(question, epoch, _Label(key))
            elif self._gated:
                found = await subject.act(question, epoch)
            else:
                async with self._gate, asyncio.timeout(TIMEOUT):
                    found = await subject.act(question, epoch)
        except RequestRejected:
            if not self._answered:
                raise
            return _lost(_REFUSED_FORM)  # others were taken: it is this one, too long or so
        except HoldfastError:
            raise
        except TimeoutError:
            return _lost("timeout")
        except (Exception, SystemExit) as error:
            return _lost(f"it raised {type(error).__name__}")
        if not isinstance(found, Transcript):
            return _lost("no transcript")
        return found


def _lost(cause: str) -> Transcript:
    return Transcript(turns=(), stop="error", cause=cause)
