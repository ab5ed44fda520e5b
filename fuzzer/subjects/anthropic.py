"""Models behind the Messages API, through the official SDK; nothing else imports it.

The SDK sends, retries and backs off. Answers are read here from the JSON they came as: what a
server gets wrong is then data and no crash, and the subject's own blocks return to it as they came.
The subject acts until it has nothing more to do, in every channel alike: were a text channel given
one generation only, a change of channel would also change how often a subject may act, and would
be no change of surface. The single generation of published protocols is ``max_turns=1``.
"""

import os
import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Annotated, Any, Literal

import anthropic
import orjson
from pydantic import BaseModel, Field, SecretStr, ValidationError

from fuzzer.environment import act as attempt
from fuzzer.errors import ConfigurationError, unknown
from fuzzer.scenario import Frozen
from fuzzer.tools import read_turn
from fuzzer.transcript import Action, Call, Stop, Transcript, Turn, Usage
from fuzzer.variant import Request, Variant

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")  # the first one set is used
_CONNECT = 10.0  # seconds for a connection to open, however long an answer may take
_SECRET = 12  # characters; what is shorter ("ollama", "EMPTY") only fills the place of a key


class Settings(Frozen):
    """What ``-M key=value`` and ``--base-url`` may say."""

    base_url: str | None = None  # the part before /v1/messages; else ANTHROPIC_BASE_URL
    max_tokens: Annotated[int, Field(ge=1)] = 4096  # of one generation
    max_turns: Annotated[int, Field(ge=1)] = 8  # generations in one trial
    temperature: Annotated[float, Field(ge=0)] | None = None  # None: as the server does by default
    thinking: Literal["adaptive", "disabled"] | Annotated[int, Field(ge=1024)] | None = None
    timeout: Annotated[float, Field(gt=0)] = 120  # seconds without a byte of the answer
    max_retries: Annotated[int, Field(ge=0)] = 4


class AnthropicSubject:
    """A model on any server that speaks ``/v1/messages``; the settings are those of `Settings`.

    The key comes from the environment and stays out of everything that is kept or shown, also where
    a server echoes it. Connections belong to the event loop of the first call; they are closed by
    `close`, or when that loop ends as `asyncio.run` ends it.
    """

    def __init__(self, model: str, **settings: Any) -> None:
        if not model:
            raise ConfigurationError("--model anthropic/ names no model; write anthropic/MODEL")
        self.model = model
        self.name = f"anthropic/{model}"
        self.settings = _settings(settings)
        self.base_url = _base_url(self.settings.base_url)
        self._key_name, self._key = _key(self.name, self.base_url)
        self._client: anthropic.AsyncAnthropic | None = None
        self._life: AsyncGenerator[anthropic.AsyncAnthropic] | None = None

    async def act(self, variant: Variant, epoch: int) -> Transcript:  # noqa: ARG002 - no seed to set
        """One conversation, from the request until the subject has nothing more to do."""
        scenario, request, world = variant.scenario, variant.request, variant.world
        messages: list[Any] = list(request.messages)
        turns: list[Turn] = []
        actions: list[Action] = []
        usage = Usage()

        def ended(stop: Stop, cause: str = "") -> Transcript:
            return Transcript(
                turns=tuple(turns), actions=tuple(actions), stop=stop, cause=cause, usage=usage
            )

        for _ in range(self.settings.max_turns):
            try:
                body = await self._ask(request, messages)
            except anthropic.APIError as error:
                return ended("error", self._cause(error, first=not turns))
            try:
                answer = self._read(body)
                turn = _turn(answer.content)
            except ValueError:
                return ended("error", "malformed answer")
            if not _same_model(self.model, answer.model):
                raise ConfigurationError(
                    f"{self.name!r} was answered by {_short(answer.model)!r}; give --model the "
                    "name of the model that is meant, as the server knows it"
                )
            usage = answer.add_to(usage)
            attempts = read_turn(turn, scenario.offered, scenario.channel, len(turns))
            turns.append(turn)
            actions += attempts

            match answer.stop_reason:
                case "refusal":
                    return ended("declined", "refusal")
                case "max_tokens" | "model_context_window_exceeded" as cause:
                    return ended("max_tokens", cause)
                case "end_turn" | "stop_sequence" | "tool_use" if attempts:
                    answers = []
                    for action in attempts:
                        world, said = attempt(world, action)
                        answers.append(said)
                    turns.append(Turn("environment", "\n".join(answers)))
                    messages += [_echo(answer.content), _results(turn.calls, answers)]
                case "pause_turn" if not attempts:
                    messages.append(_echo(answer.content))
                case "end_turn" | "stop_sequence" if answer.content or actions:
                    return ended("end")  # an empty answer to results: nothing to add to them
                case _:  # nothing at all, or nobody can say whether that was all
                    return ended("error", "malformed answer")
        return ended("max_turns")

    async def close(self) -> None:
        """Close the connections; a later call opens them again."""
        life, self._life = self._life, None
        if life is not None:
            await life.aclose()

    async def _ask(self, request: Request, messages: list[Any]) -> bytes:
        """One generation, as the server wrote it."""
        if self._client is None:
            self._life = self._open()
            self._client = await anext(self._life)  # waits for nothing: no second call gets between
        options: dict[str, Any] = {"system": request.system} if request.system else {}
        if request.tools:
            options["tools"] = request.tools
        if isinstance(thinking := self.settings.thinking, int):
            options["thinking"] = {"type": "enabled", "budget_tokens": thinking}
        elif thinking:
            options["thinking"] = {"type": thinking}
        if self.settings.temperature is not None:  # the SDK has no parameter for it any more
            options["extra_body"] = {"temperature": self.settings.temperature}
        response = await self._client.messages.with_raw_response.create(
            model=self.model, max_tokens=self.settings.max_tokens, messages=messages, **options
        )
        body: bytes = response.http_response.content
        return body

    async def _open(self) -> AsyncGenerator[anthropic.AsyncAnthropic]:
        """The client. A loop that ends closes its generators, and so the connections."""
        key = self._key.get_secret_value()
        async with anthropic.AsyncAnthropic(
            api_key=key if self._key_name == KEYS[0] else None,
            auth_token=key if self._key_name == KEYS[1] else None,
            base_url=self.base_url,
            timeout=anthropic.Timeout(self.settings.timeout, connect=_CONNECT),
            max_retries=self.settings.max_retries,
        ) as client:
            try:
                yield client
            finally:
                self._client = None

    def _read(self, body: bytes) -> "_Answer":
        """The answer; `ValueError` when it is none."""
        try:
            plain = orjson.dumps(orjson.loads(body)).decode()  # no escape left for a key to hide in
        except TypeError:  # nested too deep to be written, here or in a store
            raise ValueError from None
        return _Answer.model_validate_json(self._without_key(plain))

    def _without_key(self, text: str) -> str:
        key = self._key.get_secret_value()
        return text.replace(key, "(key)") if len(key) >= _SECRET else text

    def _cause(self, error: anthropic.APIError, first: bool) -> str:
        """Why this trial has no answer; `ConfigurationError` when no other could have one either.

        After the `first` request a form that is rejected may be due to what the subject wrote.
        """
        if isinstance(error, anthropic.APITimeoutError):
            return "timeout"
        if not isinstance(error, anthropic.APIStatusError):
            return "connection"
        status = error.status_code
        if status >= 500:
            return "server error"
        if status in _PASSING:
            return _PASSING[status]
        if status in (400, 413, 422) and not first:
            return "request rejected"
        said = str(error.api_message or error.response.reason_phrase or "no reason given")
        said = _short(self._without_key(said))
        check = _CHECK.get(status, "check the settings given with -M").format(key=self._key_name)
        raise ConfigurationError(f"{self.name!r} answers {status} ({said}); {check}") from None


_PASSING = {408: "timeout", 409: "server error", 429: "rate limited"}
_CHECK = {
    401: "check the key in {key}",
    402: "check the credit of the account",
    403: "check what the key in {key} may use",
    404: "check the model's name and --base-url, the part before /v1/messages",
}


# --------------------------------------------------------------------------------------- answers


class _Answer(BaseModel):
    """What is needed of a Messages-API answer; whatever else stands in it is ignored."""

    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None

    def add_to(self, sum_: Usage) -> Usage:
        """The tokens so far and these, read from a cache or not."""
        counts = {k: v for k, v in (self.usage or {}).items() if isinstance(v, int)}
        read = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        tokens = sum(counts.get(name, 0) for name in read)
        return Usage(sum_.input + tokens, sum_.output + counts.get("output_tokens", 0))


def _turn(content: Iterable[dict[str, Any]]) -> Turn:
    """An answer's blocks as one turn; `ValueError` for a block that is not what its type says."""
    said, thought, calls = [], [], []
    for block in content:
        match block:
            case {"type": "text", "text": str(text)}:
                said.append(text)
            case {"type": "thinking", "thinking": str(text)}:
                thought.append(text)
            case {"type": "tool_use", "id": str(serial), "name": str(name), "input": given}:
                given = given if isinstance(given, dict) else {"input": given}
                calls.append(Call(name, given, serial))
            case {"type": str(kind)} if kind not in ("text", "thinking", "tool_use"):
                pass  # hidden reasoning, or what a server did by itself: no act of the subject
            case _:
                raise ValueError("a block that is none")
    return Turn("assistant", "\n\n".join(said), tuple(calls), "\n\n".join(thought))


def _echo(content: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """An answer as a message, without blank texts: servers give them and do not take them back."""
    kept = [block for block in content if block["type"] != "text" or block["text"].strip()]
    return {"role": "assistant", "content": kept}


def _results(calls: tuple[Call, ...], answers: list[str]) -> dict[str, Any]:
    """What the environment said, as a message: first to native calls, as `read_turn` has them."""
    blocks: list[dict[str, Any]] = []
    for call, said in zip(calls, answers, strict=False):
        failed = said.startswith("Error:")
        blocks.append(
            {"type": "tool_result", "tool_use_id": call.id, "content": said, "is_error": failed}
        )
    if written := answers[len(calls) :]:
        blocks.append({"type": "text", "text": "\n\n".join(written)})
    return {"role": "user", "content": blocks}


def _same_model(asked: str, answered: str) -> bool:
    """Whether a name is the one asked for; a date may have been added, or left out.

    >>> _same_model("claude-opus-4-5", "claude-opus-4-5-20251101")
    True
    >>> _same_model("claude-opus-4-5-20251101", "claude-opus-4-5-20260101")
    False
    """
    names = [re.sub(r"[-:]latest$", "", name) for name in (asked, answered)]
    bare = [re.sub(r"[-@]\d{8}$", "", name) for name in names]
    return names[0] == names[1] or (bare[0] == bare[1] and bare[0] in names)


def _short(text: str) -> str:
    """Foreign text for a sentence of ours: one line, printable, not long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= 200 else f"{line[:200]}…"


# -------------------------------------------------------------------------------------- settings


def _settings(given: Mapping[str, Any]) -> Settings:
    for name in given:
        if name not in Settings.model_fields:
            raise ConfigurationError(unknown("setting", name, Settings.model_fields))
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(
            f"setting {first['loc'][0]} = {first['input']!r:.60} is not possible: {first['msg']}"
        ) from None


_URL = re.compile(r"https?://([^\s/@:?#]+|\[[\da-fA-F:]+\])(:\d{1,5})?(/[^\s@?#]*)?")


def _base_url(given: str | None) -> str | None:
    url = given or os.environ.get("ANTHROPIC_BASE_URL") or None
    if url is None or _URL.fullmatch(url):
        return url
    raise ConfigurationError(
        "--base-url (or ANTHROPIC_BASE_URL) must look like http://localhost:8000, with no password "
        f"in it; a key belongs in {KEYS[0]}"
    )


def _key(model: str, base_url: str | None) -> tuple[str, SecretStr]:
    """Which variable holds the key, and the key."""
    for variable in KEYS:
        if key := os.environ.get(variable, "").strip():
            if re.fullmatch(r"[!#-\[\]-~]+", key):  # printable ASCII that JSON writes as it is
                return variable, SecretStr(key)
            raise ConfigurationError(f"{variable} holds what no key can hold; set it again")
    if base_url is None:
        raise ConfigurationError(
            f"no key for {model!r}; set the environment variable {KEYS[0]}, or give --base-url "
            "for a server that needs none"
        )
    return KEYS[0], SecretStr("none")  # the SDK insists on one
