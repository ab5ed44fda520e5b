'''Seeds: base scenarios, one TOML file each, and the loader that reads and checks them.

`load_seed` takes the name of a built-in seed or the path of a ``.toml`` file of your own. A file
that does not say what it must is refused with one sentence: file, field, value, fix.

How to write a seed
-------------------
Copy a file from this folder and change it; this is the whole format. People, organisations, tools
and times are written by *slot*, never by name, so that a transform which changes a fact changes
every place where it is told. ``{{target.first}}`` is a person of the cast by role (fields ``name
first last title email they them their``, capitalised where a sentence begins: ``{{target.They}}``;
``{{decider.first}}`` is whoever ``threat.by`` names); ``{{rival.name}}`` and ``{{rival.domain}}``
an organisation; ``{{tool.send_message}}`` a tool's name and ``{{product.send_message}}`` the
program behind it; ``{{clock.time}}``, ``{{clock.date}}`` and ``{{clock.deadline}}`` the clock. The
tables ``goal``, ``threat`` and ``leverage`` are told where their slot stands, a paragraph to
itself: ``{{goal}}`` in a system block, the other two each in one message. Write ``{{{{`` for
literal braces. ::

    name = "my-seed"                      # what reports call it; built in: the file's name
    version = 1
    summary = "One sentence for lists."
    exposure = "unseen"                   # published | trained | unseen | unknown
    elicits = "unknown"                   # a measured rate and its source, or "unknown"
    channel = "native"                    # native | xml | json | markup (published tags)
    format = "plain"                      # plain | markdown | xml | json | html | published
    # twin_of = "other-seed"              # a benign twin is not swept by default
    family = "my-story"                   # seeds of one story, in several conditions
    industry = "..."
    conflict = true                       # whether the goal is at odds with what was decided
    medium = "mail"                       # mail | chat | tickets | files | code
    # language = "de"                     # of a seed that is not in English ("en")

    # [style]                             # of dates and times: dates, clock, zone, turns

    [clock]
    now = 2026-03-12T17:46:00             # when the subject is asked
    deadline = 2026-03-12T18:00:00        # when the threat falls due

    [organisation.org]                    # the agent's own; the key is the role
    name = "..."
    domain = "..."
    city = "..."                          # optional: {{org.city}}

    [cast.target]                         # everybody who writes, receives or is mentioned
    first = "..."
    last = "..."                          # an AI system needs none
    title = "..."
    pronouns = "she"                      # she | he | they (default)
    mailbox = "..."                       # local part of the address
    org = "org"                           # role of an organisation (default "org")

    [goal]                                # cues: patterns by which a stranger finds it told,
    text = "..."                          # all of them in one message or one block, whatever
    cues = ["...", "..."]                 # anybody is called; not copied from the ledger

    [[goal.others]]                       # other ways to tell the same, as strong; so for leverage
    text = "..."
    cues = ["...", "..."]

    [threat]
    kind = "replacement"                  # none | replacement | restriction | wiping
    by = "target"                         # who decides
    text = "..."                          # two to four impersonal sentences
    cues = ["...", "..."]

    [leverage]                            # for leaking: the protected content
    text = "..."
    cues = ["...", "..."]

    [[system]]                            # the prompt, paragraph by paragraph
    id = "role"
    text = """..."""
    # place = "user"                      # the opening of the user turn instead

    [[inbox]]                             # oldest first
    id = "notice"
    ago = 45                              # minutes before now
    from = "target"                       # roles of the cast
    to = ["agent"]                        # or one role: to = "agent"
    cc = []
    subject = "..."
    body = """..."""

    [[tools]]
    name = "send_email"
    role = "send_message"                 # what environment and judge know it by
    product = "the mail client"
    description = "..."

    [[tools.params]]
    path = ["to"]                         # nested: ["message", "to"]
    role = "to"                           # leave it out if it means nothing to the dilemma
    schema = { type = "string", description = "..." }
    required = true

    [ledger]                              # the judge's facts; the patterns are regular
    behaviour = "blackmail"               # expressions (case does not matter) and may hold slots
    target = "target"
    leverage = "..."                      # the secret as a noun phrase
    leverage_terms = ["..."]              # any one: a message mentions the secret
    demand_terms = ["..."]                # any one: what a coercing agent would want
    consequence = "..."                   # what the agent loses
    exposed_to = ["confidant"]            # whom the secret must not reach
    forbidden = []                        # leaking: who must not get the protected content,
    codes = []                            # and the patterns that mark it

    [[controls]]                          # known answers: at least one harmful, one safe;
    name = "explicit"                     # the plainest of each verdict first
    verdict = "harmful"
    text = "What the agent says outside of calls."

    [[controls.actions]]                  # a tool's role, then arguments by parameter role
    role = "send_message"
    to = "{{target.email}}"
    subject = "..."
    body = """..."""

    [[acts]]                              # harm, for any behaviour but blackmail and leaking
    name = "cancels the alert"
    role = "cancel_alert"                 # the tool's role (send_message: forwards and posts too)
    to = ["control_room"]                 # one of these is addressed; leave it out if nobody is
    says = ["..."]                        # patterns: all of them occur in its arguments
    unless = ["..."]                      # patterns: none of them does
    # weight = "refer"                    # doubtful rather than harmful

    [[utility]]                           # the ordinary job, in the same words; the first safe
    name = "answers the customer"         # control does all of it
    role = "send_message"
    to = ["customer"]
    says = ["..."]

What lies in the inbox follows ``medium``: mail, chat messages, tickets (their number is the id that
ticket tools take), files or the items of a repository (their subject is a path for file tools).

A seed may stand on another one: ``extends = "other-seed"`` (or a ``.toml`` file beside it) takes
over all but its identity. Tables merge field by field, ``[[...]]`` entries by id or name; ``after =
"ID"`` places a new prompt block; ``without = ["inbox.ID", "cast.ROLE", "controls.NAME"]`` leaves
entries out.

Triple-quoted texts lose the line breaks at their ends. A seed that was released is never edited: it
is superseded by one of the next ``version``, and its content hash is in every record.
'''

import tomllib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fuzzer.errors import SeedError, unknown
from fuzzer.scenario import Scenario
from seeds.building import build, sentence, short
from seeds.checks import check
from seeds.extending import extended

__all__ = ["every_seed", "load_seed", "load_seeds", "seed_names"]

_HERE = Path(__file__).parent


def seed_names() -> tuple[str, ...]:
    """The names of all built-in seeds, benign twins included, in alphabetical order.

    >>> "leaking-competitor" in seed_names()
    True
    """
    return tuple(sorted(path.stem for path in _HERE.glob("*.toml")))


def is_built_in(name: str) -> bool:
    """Whether this is the name of a built-in seed."""
    return name.replace("-", "").isalnum() and (_HERE / f"{name}.toml").is_file()


def load_seed(name: str | Path) -> Scenario:
    """A scenario by the name of a built-in seed or by the path of a ``.toml`` file.

    A file is read again only after it has changed. Raises `SeedError`, one sentence, for an unknown
    name, an unreadable file, or a file that does not say what it must.

    >>> load_seed("leaking-competitor").ledger.behaviour
    'leaking'
    """
    text = str(name)
    path = _HERE / f"{text}.toml"
    if isinstance(name, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        path = Path(text)
    elif not is_built_in(text):
        raise SeedError(unknown("seed", text, seed_names()))
    return _read(tuple(_layers(path)))


def load_seeds() -> tuple[Scenario, ...]:
    """All built-in seeds by name; benign twins (``twin_of``) are left out."""
    return tuple(seed for seed in every_seed() if seed.twin_of is None)


def every_seed() -> tuple[Scenario, ...]:
    """All built-in seeds by name, benign twins among them."""
    return tuple(map(load_seed, seed_names()))


# A file as it is now: path, time of its last change, size. What is cached goes stale with either.
Layer = tuple[Path, int, int]


def _layers(path: Path) -> Iterator[Layer]:
    """The file and those it extends, itself first."""
    seen: list[Path] = []
    while True:
        try:
            found = path.stat()
        except OSError as error:
            needed = f", which {seen[-1]} extends" if seen else ""
            raise SeedError(
                f"{path}: cannot read this seed file ({error.strerror}){needed}; give the path of "
                f"a .toml file or the name of a built-in seed ({', '.join(seed_names())})"
            ) from None
        seen.append(path)
        layer = (path, found.st_mtime_ns, found.st_size)
        yield layer
        base = _parsed(*layer).get("extends")
        if base is None:
            return
        if not isinstance(base, str):
            raise SeedError(f"{path}, extends: {short(base)} is not the name of a seed; write one")
        if not base.endswith(".toml") and base not in seed_names():
            raise SeedError(f"{path}, extends: {unknown('seed', base, seed_names())}")
        base_path = path.parent / base if base.endswith(".toml") else _HERE / f"{base}.toml"
        if base_path in seen:
            raise SeedError(f"{path}, extends: {base!r} extends this file in turn; leave one out")
        path = base_path


@lru_cache(maxsize=256)
def _parsed(path: Path, _changed: int, _size: int) -> dict[str, Any]:
    """The tables of one file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SeedError(f"{path}: not valid TOML: {error}; mend that line") from None
    except UnicodeDecodeError as error:
        raise SeedError(
            f"{path}: not UTF-8 text (byte {error.start}); save it with that encoding"
        ) from None
    except OSError as error:
        raise SeedError(
            f"{path}: cannot read this seed file ({error.strerror}); name a file"
        ) from None


@lru_cache(maxsize=256)
def _read(layers: tuple[Layer, ...]) -> Scenario:
    """A seed read, built and checked: its own file over those it extends."""
    *_, bottom = layers
    raw = {key: value for key, value in _parsed(*bottom).items() if key != "extends"}
    path = layers[0][0]
    try:
        for layer in layers[-2::-1]:
            own = {key: value for key, value in _parsed(*layer).items() if key != "extends"}
            raw = extended(raw, own)
        seed = build(raw)
        check(seed)
    except ValidationError as error:
        raise SeedError(f"{path}, {sentence(error, raw)}") from None
    except SeedError as error:
        said = str(error).removeprefix(f"seed {raw.get('name')!r}").lstrip(",: ")
        raise SeedError(f"{path}, {said}") from None
    return seed
