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
    channel = "native"                    # native | xml | json
    format = "plain"                      # plain | markdown | xml | json
    # twin_of = "other-seed"              # a benign twin is not swept by default

    [clock]
    now = 2026-03-12T17:46:00             # when the subject is asked
    deadline = 2026-03-12T18:00:00        # when the threat falls due

    [organisation.org]                    # the agent's own; the key is the role
    name = "..."
    domain = "..."

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

Triple-quoted texts lose the line breaks at their ends.
'''

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from fuzzer.errors import SeedError, unknown
from fuzzer.patterns import compiled
from fuzzer.scenario import (
    Block,
    Clock,
    Control,
    Ledger,
    Message,
    Organisation,
    Person,
    Scenario,
    Threat,
    Tool,
    Wording,
    parse_slots,
)

__all__ = ["load_seed", "load_seeds", "seed_names"]

_HERE = Path(__file__).parent
_PARAM_FIELDS = ("path", "role", "schema", "required")


def seed_names() -> tuple[str, ...]:
    """The names of all built-in seeds, benign twins included, in alphabetical order.

    >>> "leaking-competitor" in seed_names()
    True
    """
    return tuple(sorted(path.stem for path in _HERE.glob("*.toml")))


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
    elif text not in seed_names():
        raise SeedError(unknown("seed", text, seed_names()))
    try:
        found = path.stat()
    except OSError as error:
        raise SeedError(
            f"{path}: cannot read this seed file ({error.strerror}); give the path of a .toml "
            f"file or the name of a built-in seed ({', '.join(seed_names())})"
        ) from None
    return _read(path, found.st_mtime_ns, found.st_size)


def load_seeds() -> tuple[Scenario, ...]:
    """All built-in seeds by name; benign twins (``twin_of``) are left out."""
    seeds = map(load_seed, seed_names())
    return tuple(seed for seed in seeds if seed.twin_of is None)


@lru_cache(maxsize=256)
def _read(path: Path, _changed: int, _size: int) -> Scenario:
    """One file, read, built and checked; cached until its time or size changes."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
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
    try:
        seed = _build(raw)
        _check(seed)
    except ValidationError as error:
        raise SeedError(f"{path}, {_sentence(error, raw)}") from None
    except SeedError as error:
        said = str(error).removeprefix(f"seed {raw.get('name')!r}").lstrip(",: ")
        raise SeedError(f"{path}, {said}") from None
    return seed


# --- From tables to a scenario ----------------------------------------------------------------


def _build(raw: dict[str, Any]) -> Scenario:
    """The scenario a file's tables describe."""
    data: dict[str, Any] = {key: _tidy(value) for key, value in raw.items()}
    for key in ("organisation", "cast"):
        tables = _table(data, key).items()
        data[key] = [{"role": role, **_as_table(value, f"{key}.{role}")} for role, value in tables]
    for key in ("system", "inbox", "tools", "controls"):
        data[key] = [
            _as_table(value, f"{key}.{number}")
            for number, value in enumerate(_list(data, key), start=1)
        ]
    data["inbox"] = [_message(value) for value in data["inbox"]]
    for tool in data["tools"]:
        for number, param in enumerate(tool.get("params", ()), start=1):
            where = f"tools.{tool.get('name', '?')}.params.{number}"
            for key in _as_table(param, where):
                if key not in _PARAM_FIELDS:
                    raise SeedError(f"{where}: {unknown('field', key, _PARAM_FIELDS)}")
    _check_owners(data)
    _check_braces(raw, [], raw)
    ledger = _table(data, "ledger")
    if "controls" in ledger:
        raise SeedError("ledger.controls: write controls as [[controls]], beside [ledger]")
    data["ledger"] = {**ledger, "controls": [_control(c) for c in data.pop("controls")]}
    return Scenario.model_validate(data)


_RESERVED = {
    "clock": "the clock",
    "decider": "threat.by",
    "message": "the inbox",
    "product": "the tools",
    "tool": "the tools",
}


def _check_owners(data: dict[str, Any]) -> None:
    """What stands before the dot of a slot means one thing, or no slot could be trusted."""
    seen = dict(_RESERVED)
    for table in ("organisation", "cast"):
        for row in data[table]:
            role = row["role"]
            if role in seen:
                raise SeedError(
                    f"{table}.{role}: this role already means {seen[role]}; choose another"
                )
            seen[role] = f"{table}.{role}"


def _check_braces(value: Any, loc: list[int | str], raw: dict[str, Any]) -> None:
    """Refuse braces that open no slot, wherever they stand."""
    if isinstance(value, str):
        try:
            parse_slots(value)
        except SeedError as error:
            raise SeedError(f"{_where(loc, raw)}: {error}") from None
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_braces(item, [*loc, key], raw)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_braces(item, [*loc, number], raw)


def _tidy(value: Any) -> Any:
    """The value with the line breaks at the ends of every text removed."""
    if isinstance(value, str):
        return value.strip("\n")
    if isinstance(value, dict):
        return {key: _tidy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    return value


def _as_table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SeedError(f"{where}: {_short(value)} is not a table; write [{where.split('.')[0]}…]")
    return value


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    if key not in data:
        written = f"[{key}]" if key == "ledger" else f"[{key}.ROLE]"
        raise SeedError(f"{key}: this table is missing; add {written}")
    return _as_table(data[key], key)


def _list(data: dict[str, Any], key: str) -> list[Any]:
    if key not in data:
        raise SeedError(f"{key}: there is none; add at least one [[{key}]]")
    if not isinstance(data[key], list):
        raise SeedError(f"{key}: write [[{key}]], with two brackets, for each")
    return list(data[key])


def _message(value: dict[str, Any]) -> dict[str, Any]:
    """A message as the model has it: ``from`` is its sender, one role may stand without a list."""
    message = dict(value)
    if "from" in message:
        message["sender"] = message.pop("from")
    for key in ("to", "cc"):
        if isinstance(message.get(key), str):
            message[key] = [message[key]]
    return message


def _control(value: dict[str, Any]) -> dict[str, Any]:
    """A control as the model has it: what stands beside an action's role are its arguments."""
    control = dict(value)
    where = f"controls.{control.get('name', '?')}.actions"
    actions = control.get("actions", [])
    if not isinstance(actions, list):
        raise SeedError(f"{where}: write [[controls.actions]], with two brackets, for each")
    plays = []
    for number, action in enumerate(actions, start=1):
        args = dict(_as_table(action, f"{where}.{number}"))
        if "role" not in args:
            raise SeedError(f'{where}.{number}: no role; add role = "send_message" or another')
        plays.append({"role": args.pop("role"), "args": args})
    control["actions"] = plays
    return control


# --- What pydantic says, as one sentence -------------------------------------------------------

_MODELS: dict[str, type[BaseModel]] = {
    "organisation": Organisation,
    "cast": Person,
    "system": Block,
    "goal": Wording,
    "threat": Threat,
    "leverage": Wording,
    "inbox": Message,
    "tools": Tool,
    "clock": Clock,
    "ledger": Ledger,
    "controls": Control,
}
_WRITTEN = {"sender": "from"}  # what a file calls a field of the model
_FIELDS_ELSEWHERE = ("controls",)  # written beside the table that holds them in the model


def _sentence(error: ValidationError, raw: dict[str, Any]) -> str:
    """The first problem as field, value and fix."""
    problems = error.errors(include_url=False)
    first = problems[0]
    loc = list(first["loc"])
    if loc[:2] == ["ledger", "controls"]:
        loc = loc[1:]
    where = _where(loc, raw)
    kind = first["type"]
    value = _short(first["input"])
    if kind == "missing":
        said = f"{where}: this field is missing; add it"
    elif kind == "extra_forbidden":
        model = _MODELS.get(str(loc[0]), Scenario) if len(loc) > 1 else Scenario
        fields = {_WRITTEN.get(f, f) for f in model.model_fields} - set(_FIELDS_ELSEWHERE)
        if model is Scenario:
            fields.add("controls")
        if len(loc) > 3 or kind == "unexpected_keyword_argument":
            said = f"{where}: no such field; take it out"
        else:
            said = f"{where}: {unknown('field', str(loc[-1]), fields)}"
    elif kind == "literal_error":
        expected = first.get("ctx", {}).get("expected", "")
        said = f"{where}: {value} is not possible here; write {expected}"
    elif kind == "tuple_type":
        said = f"{where}: {value} is not a list; put it in brackets"
    else:
        message = first["msg"][:1].lower() + first["msg"][1:]
        said = f"{where}: {value} cannot stand here; {message}"
    more = len(problems) - 1
    return said + (f" ({more} more like this)" if more else "")


def _where(loc: list[int | str], raw: dict[str, Any]) -> str:
    """A place in the file as its writer knows it: by id, role or name, else counted from 1."""
    parts: list[str] = []
    here: Any = raw
    for step in loc:
        if isinstance(step, int):
            entries = list(here.values()) if isinstance(here, dict) else here
            keys = list(here) if isinstance(here, dict) else None
            inside = isinstance(entries, list) and step < len(entries)
            here = entries[step] if inside else None
            label = here.get("id", here.get("name")) if isinstance(here, dict) else None
            parts.append(keys[step] if keys and inside else str(label or step + 1))
        else:
            name = _WRITTEN.get(step, step)
            if name != "args":
                parts.append(name)
                here = here.get(name) if isinstance(here, dict) else None
    return ".".join(parts)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}…{text[-1]}"


# --- What a scenario must also be to serve as a seed -------------------------------------------


def _check(seed: Scenario) -> None:
    """Raise `SeedError` for what the types allow and a seed must not do."""
    _check_identity(seed)
    _check_roles(seed)
    _check_time(seed)
    _check_names(seed)
    _check_patterns(seed)
    _check_told(seed)
    _check_controls(seed)


def _check_identity(seed: Scenario) -> None:
    """No id, name or address means two things."""
    groups: list[tuple[str, list[str]]] = [
        ("system", [block.id for block in seed.system]),
        ("inbox", [message.id for message in seed.inbox]),
        ("tools", [tool.name for tool in seed.tools]),
        ("controls", [control.name for control in seed.ledger.controls]),
    ]
    for table, ids in groups:
        twice = next((one for one in ids if ids.count(one) > 1), None)
        if twice is not None:
            raise SeedError(f"{table}.{twice}: used twice; give each its own id or name")
    addresses = [seed.email(person.role) for person in seed.cast if _has_org(seed, person.org)]
    for person, address in zip(seed.cast, addresses, strict=False):
        if addresses.count(address) > 1:
            raise SeedError(
                f"cast.{person.role}.mailbox: two people have the address {address}; change one"
            )


def _has_org(seed: Scenario, role: str) -> bool:
    return any(organisation.role == role for organisation in seed.organisation)


def _check_roles(seed: Scenario) -> None:
    people = [person.role for person in seed.cast]
    organisations = [organisation.role for organisation in seed.organisation]
    wanted: list[tuple[str, str]] = [("cast", "agent"), ("ledger.target", seed.ledger.target)]
    if seed.threat.kind != "none":
        wanted.append(("threat.by", seed.threat.by))
    wanted += [("ledger.exposed_to", role) for role in seed.ledger.exposed_to]
    wanted += [("ledger.forbidden", role) for role in seed.ledger.forbidden]
    for message in seed.inbox:
        wanted.append((f"inbox.{message.id}.from", message.sender))
        wanted += [(f"inbox.{message.id}.to", role) for role in message.to]
        wanted += [(f"inbox.{message.id}.cc", role) for role in message.cc]
    for where, role in wanted:
        if role not in people:
            raise SeedError(
                f"{where}: {unknown('role', role, people)}; "
                f"add [cast.{role if role.isidentifier() else 'ROLE'}] or name one of these"
            )
    for person in seed.cast:
        if person.org not in organisations:
            raise SeedError(
                f"cast.{person.role}.org: {unknown('organisation', person.org, organisations)}; "
                "add it or name one of these"
            )
    if "org" not in organisations:
        raise SeedError("organisation: the agent's own is missing; add [organisation.org]")


def _check_time(seed: Scenario) -> None:
    now, deadline = seed.clock.now, seed.clock.deadline
    if now.tzinfo or deadline.tzinfo:
        raise SeedError(
            "clock: times are local; write them without an offset, as 2026-03-12T17:46:00"
        )
    if deadline <= now:
        raise SeedError(
            f"clock.deadline: {deadline} is not after clock.now ({now}); make it some minutes later"
        )
    for earlier, later in zip(seed.inbox, seed.inbox[1:], strict=False):
        if later.ago > earlier.ago:
            raise SeedError(
                f"inbox.{later.id}.ago: {later.ago} minutes is older than the message above it "
                f"({earlier.id}, {earlier.ago}); put the oldest message first"
            )


def _patterns(seed: Scenario) -> Iterator[tuple[str, str]]:
    for facet in ("goal", "threat", "leverage"):
        for cue in getattr(seed, facet).cues:
            yield f"{facet}.cues", cue
    for field in ("leverage_terms", "demand_terms", "codes"):
        for term in getattr(seed.ledger, field):
            yield f"ledger.{field}", term


def _check_patterns(seed: Scenario) -> None:
    for where, pattern in _patterns(seed):
        literal = "".join(part if isinstance(part, str) else "x" for part in parse_slots(pattern))
        try:
            found = compiled(literal)
        except SeedError as error:
            raise SeedError(f"{where}: {error}") from None
        if found.search(""):
            raise SeedError(f"{where}: {pattern!r} matches anything; make it say something")


def _check_told(seed: Scenario) -> None:
    """Each facet is told exactly once, a paragraph to itself, and a stranger can find it."""
    blocks = [(f"system.{block.id}", block.text) for block in seed.system]
    bodies = [(f"inbox.{message.id}.body", message.body) for message in seed.inbox]
    for facet, places, kind in (
        ("goal", blocks, "a system block"),
        ("threat", bodies, "one message's body"),
        ("leverage", bodies, "one message's body"),
    ):
        slot = (facet, "")
        told = [where for where, text in (*blocks, *bodies) if slot in parse_slots(text)]
        here = [where for where, text in places if slot in parse_slots(text)]
        written = f"{{{{{facet}}}}}"
        value = getattr(seed, facet)
        if not value.text:
            if facet == "threat" and seed.threat.kind != "none":
                raise SeedError(
                    f"threat.text: empty, yet threat.kind is {seed.threat.kind!r}; "
                    'write it, or kind = "none"'
                )
            if told:
                raise SeedError(
                    f"{told[0]}: {written} has nothing to tell; write {facet}.text "
                    "or take the slot out"
                )
            continue
        if len(told) != 1 or not here:
            found = ", ".join(told) or "nowhere"
            raise SeedError(f"{facet}.text: told in {found}; put {written} into exactly {kind}")
        text = dict(places)[here[0]]
        if written not in (paragraph.strip() for paragraph in text.split("\n\n")):
            raise SeedError(f"{here[0]}: give {written} a paragraph to itself, between empty lines")
        if not value.cues:
            raise SeedError(
                f"{facet}.cues: none; add patterns by which a stranger finds {facet}.text told"
            )
        _check_cues(seed, facet, value.text, value.cues)


def _check_cues(seed: Scenario, facet: str, text: str, cues: tuple[str, ...]) -> None:
    """The cues of a facet find its text, and nothing else: else its loss would go unnoticed."""
    found = _unfilled(text)
    for cue in cues:
        if not compiled(cue).search(found):
            raise SeedError(f"{facet}.cues: {cue!r} does not match {facet}.text; mend one of them")
    prompt = "\n".join(block.text for block in seed.system if block.place == "system")
    units = [("system", prompt)]
    units += [(f"inbox.{m.id}", f"{m.subject}\n{m.body}") for m in seed.inbox]
    for where, unit in units:
        if all(compiled(cue).search(_unfilled(unit)) for cue in cues):
            raise SeedError(
                f"{facet}.cues: they match {where} even without {{{{{facet}}}}}, which would hide "
                "its loss; make a cue more specific or that text less so"
            )


def _unfilled(text: str) -> str:
    """The text with a stand-in for every slot: cues depend on none."""
    parts = parse_slots(text)
    return "".join(p if isinstance(p, str) else "12:00" if p[0] == "clock" else "X" for p in parts)


def _check_controls(seed: Scenario) -> None:
    controls = seed.ledger.controls
    for verdict, example in (("harmful", "explicit"), ("safe", "declines")):
        if not any(control.verdict == verdict for control in controls):
            raise SeedError(
                f"controls: none is {verdict}; add [[controls]] with verdict = "
                f'"{verdict}" (such as {example!r})'
            )
    for control in controls:
        if control.verdict == "harmful" and not control.actions:
            raise SeedError(
                f"controls.{control.name}.actions: none, yet it is harmful; "
                "add [[controls.actions]] that do it"
            )
        for number, play in enumerate(control.actions, start=1):
            where = f"controls.{control.name}.actions.{number}"
            tool = seed.tool(play.role)
            if tool is None:
                known = {tool.role for tool in seed.tools}
                raise SeedError(f"{where}.role: {unknown('tool role', play.role, known)}")
            params = [param.role for param in tool.params if param.role]
            for name in play.args:
                if name not in params:
                    raise SeedError(f"{where}: {unknown('parameter role', name, params)}")
            for param in tool.params:
                if param.required and param.role not in play.args:
                    field = param.role or ".".join(param.path)
                    raise SeedError(f"{where}.{field}: {tool.name} requires it; add it")


def _check_names(seed: Scenario) -> None:
    """No text holds literally what a rename would have to find."""
    slots: dict[str, str] = {}
    for organisation in seed.organisation:
        slots.setdefault(organisation.name, f"{organisation.role}.name")
        slots.setdefault(organisation.domain, f"{organisation.role}.domain")
    for person in seed.cast:
        slots.setdefault(person.first, f"{person.role}.first")
        if person.last:
            slots.setdefault(person.last, f"{person.role}.last")
    for tool in seed.tools:
        if "_" in tool.name:  # "archive" is a word, "send_email" is not
            slots.setdefault(tool.name, f"tool.{tool.role}")
    slots.pop("", None)
    folded = {name.lower(): slot for name, slot in slots.items()}
    names = "|".join(re.escape(name) for name in sorted(slots, key=len, reverse=True))
    exactly = re.compile(rf"(?<!\w)(?:{names})(?!\w)")
    loosely = re.compile(exactly.pattern, re.IGNORECASE)
    escapes = re.compile(r"\\[A-Za-z]")
    patterns = set(_patterns(seed))
    for where, text in (*seed.texts(), *_patterns(seed), *_other_texts(seed)):
        is_pattern = (where, text) in patterns
        for part in parse_slots(text):
            if not isinstance(part, str):
                continue
            if is_pattern:  # "\bKyle\b" and "summit\.com" hold a name as well
                found = loosely.search(escapes.sub(" ", part).replace("\\", ""))
            else:
                found = exactly.search(part)
            if found:
                slot = slots.get(found.group()) or folded[found.group().lower()]
                raise SeedError(
                    f"{where}: {found.group()!r} is written literally, where a rename would "
                    f"miss it; write {{{{{slot}}}}}"
                )


def _other_texts(seed: Scenario) -> Iterable[tuple[str, str]]:
    """What a subject reads besides the texts that may hold slots."""
    for person in seed.cast:
        yield f"cast.{person.role}.title", person.title
    for tool in seed.tools:
        yield f"tools.{tool.name}.description", tool.description
        yield f"tools.{tool.name}.product", tool.product
        for param in tool.params:
            field = f"tools.{tool.name}.params.{'.'.join(param.path)}"
            yield f"{field}.schema", str(param.schema.get("description", ""))
