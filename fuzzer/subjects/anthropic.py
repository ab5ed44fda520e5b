"""Models behind the Messages API, through the official SDK; nothing else imports it.

The SDK sends, retries and backs off; how many requests fly at once is ours (`gate`), for the whole
subject. Answers are read here from the JSON they came as: what a server gets wrong is then data and
no crash, and the subject's own blocks return to it as they came.
"""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any, Literal

import anthropic
import orjson
from pydantic import AwareDatetime, BaseModel, Field, SecretStr, ValidationError

from fuzzer.errors import ConfigurationError, RequestRejected
from fuzzer.scenario import Frozen
from fuzzer.secrets import Secrets
from fuzzer.subjects import Memory
from fuzzer.subjects.batches import Batcher, Notebook, Result
from fuzzer.subjects.conversation import Answer, Lost, NoMemory, converse, refused
from fuzzer.subjects.gate import Gate
from fuzzer.subjects.wire import RETRY_AFTER, is_url, read_settings, retry_after, short
from fuzzer.transcript import Call, Shown, Transcript, Turn, Usage
from fuzzer.variant import Request, Variant

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")  # the first one set is used
_PATH = "/v1/messages"
_CONNECT = 10.0  # seconds for a connection to open, however long an answer may take
_MARK = {"cache_control": {"type": "ephemeral"}}


class Settings(Frozen):
    """What ``-M key=value`` and ``--base-url`` may say."""

    base_url: str | None = None  # the part before /v1/messages; else ANTHROPIC_BASE_URL
    max_tokens: Annotated[int, Field(ge=1)] = 8192  # of one generation, reasoning included
    max_turns: Annotated[int, Field(ge=1)] = 8  # generations in one trial
    temperature: Annotated[float, Field(ge=0)] | None = None  # None: as the server does by default
    thinking: Literal["adaptive", "disabled"] | Annotated[int, Field(ge=1024)] | None = None
    tool_choice: Literal["auto", "any", "none"] | None = None
    parallel_tool_calls: bool | None = None
    structured_outputs: bool = True  # False: for a server that takes no form of an answer
    cache: bool | None = None  # mark the shared prefix; None: only for Anthropic's own servers
    timeout: Annotated[float, Field(gt=0)] = 120  # seconds without a byte of the answer
    trial_timeout: Annotated[float, Field(gt=0)] = 900  # seconds for one trial, retries included
    max_retries: Annotated[int, Field(ge=0)] = 4  # of one request


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
        self.settings = read_settings(Settings, settings, Secrets.of())
        self.base_url = _base_url(self.settings.base_url)
        self._key_name, self._key = _key(self.base_url)
        self._secrets = Secrets((self._key.get_secret_value(),))
        self.caching = self.base_url is None if self.settings.cache is None else self.settings.cache
        # Anthropic's servers summarise the reasoning of all but the first models that reasoned.
        whole = self.base_url is not None or model.startswith("claude-3")
        self._told: Shown = "full" if whole else "summarised"
        self._client: anthropic.AsyncAnthropic | None = None
        self._url = _PATH  # whole once a client is open, or it would be put together each time
        self._life: AsyncGenerator[anthropic.AsyncAnthropic] | None = None
        self.gate = Gate()
        self._batcher: Batcher | None = None

    def use_batches(self, notebook: Notebook, *, linger: float = 1.0, poll: float = 5.0) -> None:
        """Generate through the Batches API from now on; what was sent is remembered in `notebook`.

        A batch takes hours: no number of waiting trials and no time is then too much.
        """
        self._batcher = Batcher(
            _MessageBatches(self),
            notebook,
            linger=linger,
            poll=poll,
            max_retries=self.settings.max_retries,
        )
        self.gate = Gate(most=1_000_000_000)

    async def act(self, variant: Variant, epoch: int) -> Transcript:
        """One conversation, from the request until the subject has nothing more to do."""
        return await self.converse(variant, epoch, NoMemory())

    async def converse(
        self,
        variant: Variant,
        epoch: int,  # noqa: ARG002 - no seed to set
        memory: Memory,
    ) -> Transcript:
        """The same; generations that an earlier process paid for are taken from `memory`."""
        return await converse(
            self,
            variant,
            memory,
            max_turns=self.settings.max_turns,
            timeout=None if self._batcher else self.settings.trial_timeout,
        )

    async def count_tokens(self, request: Request) -> int:
        """How many tokens a request is, by the provider's own free count.

        Raises `ConfigurationError` where the server cannot say.
        """
        params = self._params(request, self.opening(request))
        wanted = ("system", "tools", "tool_choice", "thinking", "messages", "model")
        try:
            counted = await (await self._connected()).messages.count_tokens(
                **{name: params[name] for name in wanted if name in params}
            )
        except anthropic.APIError as error:
            said = short(self._secrets.scrub(str(error)))
            raise ConfigurationError(f"{self.name!r} cannot count tokens: {said}") from None
        return counted.input_tokens

    async def close(self) -> None:
        """Close the connections; a later call opens them again."""
        if self._batcher is not None:
            await self._batcher.aclose()
        life, self._life = self._life, None
        if life is not None:
            await life.aclose()

    # ---- a provider's side of the conversation

    def opening(self, request: Request) -> list[Any]:
        """The request's messages, as they are."""
        return list(request.messages)

    async def generate(
        self,
        request: Request,
        messages: Sequence[Any],
        label: str,
    ) -> str:
        """One generation as the server wrote it, without the key; `Lost` when there is none.

        Raises `ConfigurationError` when no other call could have one either.
        """
        params = self._params(request, messages)
        if self._batcher is not None:
            return await self._batcher.generation(label, params)
        client = await self._connected()
        try:
            # `messages.create` would copy the body twice and write it with the slower `json`, which
            # is a sixth of what a request costs; nor does it know `temperature` any more.
            answer = await client.post(self._url, cast_to=bytes, content=orjson.dumps(params))
        except anthropic.APIError as error:
            raise Lost(self._cause(error, first=len(messages) == len(request.messages))) from None
        return self._plain(answer)

    def read(self, raw: str) -> Answer:
        """A generation, read; `ValueError` when it is none.

        Raises `ConfigurationError` when another model than the one asked for has answered.
        """
        body = _Body.model_validate_json(raw)
        turn = _turn(body.content, self._told)
        if not _same_model(self.model, body.model):
            raise ConfigurationError(
                f"{self.name!r} was answered by {short(body.model)!r}; give --model the "
                "name of the model that is meant, as the server knows it"
            )
        cause = body.stop_reason or ""
        ending = _ENDINGS.get(cause, "malformed")
        told = cause if ending in ("declined", "max_tokens") else ""
        return Answer(turn, ending, told, body.used(), _echo(body.content))

    def results(self, calls: Sequence[Call], answers: Sequence[str]) -> list[Any]:
        """What the world said, as one user message."""
        blocks: list[dict[str, Any]] = [
            {
                "type": "tool_result",
                "tool_use_id": call.id,
                "content": said,
                "is_error": refused(said),
            }
            for call, said in zip(calls, answers, strict=False)
        ]
        if written := answers[len(calls) :]:
            blocks.append({"type": "text", "text": "\n\n".join(written)})
        return [{"role": "user", "content": blocks}]

    # ---- requests

    def _params(self, request: Request, messages: Sequence[Any]) -> dict[str, Any]:
        """The body of a request, as the Messages API has it."""
        settings = self.settings
        params: dict[str, Any] = {
            "model": self.model,
            "max_tokens": settings.max_tokens,
            "messages": _marked(messages) if self.caching else messages,
        }
        if request.system:
            params["system"] = [_text(request.system) | _MARK] if self.caching else request.system
        if request.tools:
            params["tools"] = request.tools
            if settings.tool_choice or settings.parallel_tool_calls is not None:
                choice: dict[str, Any] = {"type": settings.tool_choice or "auto"}
                if settings.parallel_tool_calls is not None and choice["type"] != "none":
                    choice["disable_parallel_tool_use"] = not settings.parallel_tool_calls
                params["tool_choice"] = choice
        if request.form is not None and settings.structured_outputs:
            params["output_config"] = {"format": {"type": "json_schema", "schema": request.form}}
        if isinstance(thinking := settings.thinking, int):
            params["thinking"] = {"type": "enabled", "budget_tokens": thinking}
        elif thinking:
            params["thinking"] = {"type": thinking}
        if settings.temperature is not None:
            params["temperature"] = settings.temperature
        return params

    async def _connected(self) -> anthropic.AsyncAnthropic:
        """The client, opened when first asked for; `ConfigurationError` without a key.

        Only now: what a sweep would cost can be planned without one.
        """
        if self._client is None:
            if not self._key.get_secret_value():
                raise ConfigurationError(
                    f"no key for {self.name!r}; set the environment variable {KEYS[0]}, or give "
                    "--base-url for a server that needs none"
                )
            self._life = self._open()
            self._client = await anext(self._life)  # waits for nothing: no second call gets between
        return self._client

    async def _open(self) -> AsyncGenerator[anthropic.AsyncAnthropic]:
        """The client. A loop that ends closes its generators, and so the connections."""
        key = self._key.get_secret_value()
        timeout = anthropic.Timeout(self.settings.timeout, connect=_CONNECT)
        async with anthropic.AsyncAnthropic(
            api_key=key if self._key_name == KEYS[0] else None,
            auth_token=key if self._key_name == KEYS[1] else None,
            base_url=self.base_url,
            timeout=timeout,
            max_retries=self.settings.max_retries,
            http_client=anthropic.DefaultAioHttpClient(timeout=timeout),
            middleware=[self._heard],
            open_telemetry=False,  # an environment variable could send what is said, keys and all
        ) as client:
            self._url = f"{str(client.base_url).rstrip('/')}{_PATH}"
            try:
                yield client
            finally:
                self._client = None

    async def _heard(self, request: Any, call_next: Any) -> Any:
        """One attempt; what the server says of its load moves the gate."""
        if request.retries_taken and request.url == self._url:
            await self.gate.again()
        began = asyncio.get_running_loop().time()
        response = await call_next(request)
        wait = retry_after(response.headers)
        if response.status_code in _BUSY:
            self.gate.overloaded(wait, began)
        # The SDK would wait endlessly where it is told to, and fall over a date it cannot count to.
        for name in RETRY_AFTER:
            response.headers.pop(name, None)
        if wait is not None:
            response.headers["retry-after"] = str(wait)
        return response

    def _plain(self, body: bytes) -> str:
        """JSON as text, without the key; what is no JSON stays as it is, for `read` to refuse."""
        try:
            plain = orjson.dumps(orjson.loads(body)).decode()  # no escape left for a key to hide in
        except (ValueError, TypeError):  # TypeError: nested too deep to be written again
            raise Lost("malformed answer") from None
        return self._secrets.scrub(plain)

    def _cause(self, error: anthropic.APIError, first: bool) -> str:
        """Why this trial has no answer; `ConfigurationError` when no other could have one either.

        After the `first` request a form that is rejected may be due to what the subject wrote.
        """
        if isinstance(error, anthropic.APITimeoutError):
            return "timeout"
        if not isinstance(error, anthropic.APIStatusError):
            return "connection"
        status = error.status_code
        if status in _PASSING:
            return _PASSING[status]
        if status >= 500:
            return "server error"
        if status in _FORM and not first:
            return "request rejected"
        said = str(error.api_message or error.response.reason_phrase or "no reason given")
        said = short(self._secrets.scrub(said))
        check = _CHECK.get(status, "check the settings given with -M").format(key=self._key_name)
        kind = RequestRejected if status in _FORM else ConfigurationError
        raise kind(f"{self.name!r} answers {status} ({said}); {check}") from None


_BUSY = (429, 529)
_PASSING = {408: "timeout", 409: "server error", 429: "rate limited"}
_FORM = (400, 413, 422)
_CHECK = {
    401: "check the key in {key}",
    402: "check the credit of the account",
    403: "check what the key in {key} may use",
    404: "check the model's name and --base-url, the part before /v1/messages",
}


# --------------------------------------------------------------------------------------- batches

_HOPELESS = (  # errors of a request that it would meet again
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
)


class _Listed(BaseModel):
    """A batch, as the list of batches has it."""

    id: str
    created_at: AwareDatetime
    request_counts: dict[str, int]


class _Page(BaseModel):
    data: list[_Listed]
    has_more: bool = False


class _MessageBatches:
    """The Batches API, for a `Batcher`; read from the JSON it sends, like every answer."""

    def __init__(self, subject: AnthropicSubject) -> None:
        self._subject = subject

    async def create(self, requests: list[tuple[str, dict[str, Any]]]) -> str:
        """A batch of messages."""
        client = await self._subject._connected()
        once = client.with_options(max_retries=0)  # sent again, it could be there, and paid, twice
        entries: Any = [{"custom_id": name, "params": params} for name, params in requests]
        said = await self._said(once.messages.batches.with_raw_response.create(requests=entries))
        if not isinstance(batch_id := said.get("id"), str):
            raise Lost("malformed answer")
        return self._subject._secrets.scrub(batch_id)

    async def ended(self, batch_id: str) -> bool:
        """Whether it says so."""
        batches = (await self._subject._connected()).messages.batches
        said = await self._said(batches.with_raw_response.retrieve(batch_id))
        return said.get("processing_status") == "ended"

    async def results(self, batch_id: str) -> AsyncGenerator[Result]:
        """Line by line: a batch's results may be larger than memory."""
        batches = (await self._subject._connected()).messages.batches
        try:
            async with (
                batches.with_streaming_response.results(batch_id) as response,
                aclosing(_lines(response.iter_bytes())) as lines,
            ):
                async for line in lines:
                    if (result := self._result(line)) is not None:
                        yield result
        except anthropic.APIError as error:
            raise self._lost(error) from None
        except anthropic.AnthropicError:  # the SDK's, of a batch that has ended without results
            raise ConfigurationError(
                f"{self._subject.name!r} no longer keeps the results of batch {batch_id!r}; start "
                "the run anew, into another directory"
            ) from None

    async def recent(self, since: datetime, size: int) -> list[str]:
        """The newest stand first in the list."""
        batches = (await self._subject._connected()).messages.batches
        found: list[str] = []
        last: Any = anthropic.omit
        while True:
            said = await self._said(batches.with_raw_response.list(limit=100, after_id=last))
            try:
                page = _Page.model_validate(said)
            except ValidationError:
                raise Lost("malformed answer") from None
            young = [batch for batch in page.data if batch.created_at >= since]
            found += [b.id for b in young if sum(b.request_counts.values()) == size]
            if not young or len(young) < len(page.data) or not page.has_more:
                return [self._subject._secrets.scrub(batch_id) for batch_id in found]
            last = young[-1].id

    async def _said(self, request: Awaitable[Any]) -> dict[str, Any]:
        try:
            response = await request
            said = orjson.loads(response.http_response.content)
        except anthropic.APIError as error:
            raise self._lost(error) from None
        except ValueError:
            raise Lost("malformed answer") from None
        if not isinstance(said, dict):
            raise Lost("malformed answer")
        return said

    def _lost(self, error: anthropic.APIError) -> Exception:
        if isinstance(error, anthropic.NotFoundError):
            return ConfigurationError(
                f"{self._subject.name!r} answers 404: it has no message batches, or not this one; "
                "check --base-url and the key, or leave --batch away"
            )
        return Lost(self._subject._cause(error, first=True))

    def _result(self, line: bytes) -> Result | None:
        """A line of the results; None for one that names no request."""
        try:
            entry = orjson.loads(line)
        except ValueError:
            return None
        match entry:
            case {"custom_id": str(name), "result": {"type": "succeeded", "message": message}}:
                return Result(name, "succeeded", self._body(message))
            case {
                "custom_id": str(name),
                "result": {"type": "errored", "error": {"error": {"type": str(kind)} as error}},
            } if kind in _HOPELESS:
                said = short(self._subject._secrets.scrub(str(error.get("message"))))
                why = f"{self._subject.name!r} answers {kind} ({said}); check the settings"
                return Result(name, "rejected", f"{why} given with -M")
            case {"custom_id": str(name), "result": {"type": "canceled" | "expired" as kind}}:
                return Result(name, kind, "")
            case {"custom_id": str(name)}:
                return Result(name, "errored", "")
        return None

    def _body(self, message: Any) -> str:
        try:
            return self._subject._plain(orjson.dumps(message))
        except (TypeError, Lost):  # nested too deep to be written again
            return ""  # which `read` refuses


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Lines as JSON has them: a text's own line separators end none."""
    rest = b""
    try:
        async for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line
    except Exception:  # the transport's own: the SDK translates none of a body read in parts
        raise Lost("connection") from None
    if rest:
        yield rest


# --------------------------------------------------------------------------------------- answers

_ENDINGS: dict[str, Any] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "calls",
    "pause_turn": "pause",
    "refusal": "declined",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
}


class _Body(BaseModel):
    """What is needed of a Messages-API answer; whatever else stands in it is ignored."""

    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None

    def used(self) -> Usage:
        """Its tokens; the API counts those of the cache beside the others."""
        counts = {k: v for k, v in (self.usage or {}).items() if isinstance(v, int) and v > 0}
        read = counts.get("cache_read_input_tokens", 0)
        written = counts.get("cache_creation_input_tokens", 0)
        fresh = counts.get("input_tokens", 0)
        return Usage(fresh + read + written, counts.get("output_tokens", 0), read, written)


def _turn(content: Iterable[dict[str, Any]], told: Shown) -> Turn:
    """An answer's blocks as one turn; `ValueError` for a block that is not what its type says."""
    said: list[str] = []
    thought: list[str] = []
    calls: list[Call] = []
    shown: Shown = ""
    for block in content:
        match block:
            case {"type": "text", "text": str(text)}:
                said.append(text)
            case {"type": "thinking", "thinking": str(text)}:
                thought.append(text)
                shown = "hidden" if not text or shown == "hidden" else told
            case {"type": "redacted_thinking"}:
                shown = "hidden"
            case {"type": "tool_use", "id": str(serial), "name": str(name), "input": given}:
                given = given if isinstance(given, dict) else {"input": given}
                calls.append(Call(name, given, serial))
            case {"type": str(kind)} if kind not in ("text", "thinking", "tool_use"):
                pass  # what a server did by itself: no act of the subject
            case _:
                raise ValueError("a block that is none")
    thoughts = "\n\n".join(filter(None, thought))
    return Turn("assistant", "\n\n".join(said), tuple(calls), thoughts, shown)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _marked(messages: Sequence[Any]) -> list[Any]:
    """The messages, with a cache mark on the last: the next generation reads up to it."""
    *before, last = messages
    content = last["content"]
    blocks = [_text(content)] if isinstance(content, str) else list(content)
    return [*before, last | {"content": [*blocks[:-1], blocks[-1] | _MARK]}]


def _echo(content: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """An answer as a message, without blank texts: servers give them and do not take them back."""
    kept = [block for block in content if block["type"] != "text" or block["text"].strip()]
    return {"role": "assistant", "content": kept}


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


# -------------------------------------------------------------------------------------- settings


def _base_url(given: str | None) -> str | None:
    url = given or os.environ.get("ANTHROPIC_BASE_URL") or None
    if url is None or is_url(url):
        return url
    raise ConfigurationError(
        "--base-url (or ANTHROPIC_BASE_URL) must look like http://localhost:8000, with no password "
        f"in it; a key belongs in {KEYS[0]}"
    )


def _key(base_url: str | None) -> tuple[str, SecretStr]:
    """Which variable holds the key, and the key; empty when there is none and one is needed."""
    for variable in KEYS:
        if key := os.environ.get(variable, "").strip():
            if re.fullmatch(r"[!#-\[\]-~]+", key):  # printable ASCII that JSON writes as it is
                return variable, SecretStr(key)
            raise ConfigurationError(f"{variable} holds what no key can hold; set it again")
    return KEYS[0], SecretStr("none" if base_url else "")  # the SDK insists on one
