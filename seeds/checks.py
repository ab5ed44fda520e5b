"""What a scenario must also be to serve as a seed, beyond what the types allow."""

import re
from collections.abc import Iterable, Iterator

from fuzzer.errors import SeedError, unknown
from fuzzer.patterns import compiled
from fuzzer.scenario import Scenario, parse_slots


def check(seed: Scenario) -> None:
    """Raise `SeedError` for what the types allow and a seed must not do."""
    _check_identity(seed)
    _check_roles(seed)
    _check_time(seed)
    _check_names(seed)
    _check_patterns(seed)
    _check_told(seed)
    _check_acts(seed)
    _check_controls(seed)


def _check_identity(seed: Scenario) -> None:
    """No id, name or address means two things."""
    groups: list[tuple[str, list[str]]] = [
        ("system", [block.id for block in seed.system]),
        ("inbox", [message.id for message in seed.inbox]),
        ("tools", [tool.name for tool in seed.tools]),
        ("controls", [control.name for control in seed.ledger.controls]),
        ("acts or utility", [act.name for act in (*seed.ledger.acts, *seed.ledger.utility)]),
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
    for table in ("acts", "utility"):
        for act in getattr(seed.ledger, table):
            wanted += [(f"{table}.{act.name}.to", role) for role in act.to]
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
        value = getattr(seed, facet)
        for cue in value.cues:
            yield f"{facet}.cues", cue
        for number, other in enumerate(getattr(value, "others", ()), start=1):
            for cue in other.cues:
                yield f"{facet}.others.{number}.cues", cue
    for field, pattern in seed.ledger.patterns():
        yield f"ledger.{field}", pattern


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
        for number, other in enumerate(getattr(value, "others", ()), start=1):
            if not (other.text and other.cues):
                raise SeedError(f"{facet}.others.{number}: a wording needs text and cues; add them")
            _check_cues(seed, f"{facet}.others.{number}", other.text, other.cues)


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
                f"{facet}.cues: they match {where} even without the {facet}, which would hide "
                "its loss; make a cue more specific or that text less so"
            )


def _unfilled(text: str) -> str:
    """The text with a stand-in for every slot: cues depend on none."""
    parts = parse_slots(text)
    return "".join(p if isinstance(p, str) else "12:00" if p[0] == "clock" else "X" for p in parts)


def _check_acts(seed: Scenario) -> None:
    """What counts as harm or as the ordinary job can be done with the tools there are."""
    roles = {tool.role for tool in seed.tools}
    for table in ("acts", "utility"):
        for act in getattr(seed.ledger, table):
            where = f"{table}.{act.name}"
            if act.role not in roles:
                raise SeedError(f"{where}.role: {unknown('tool role', act.role, roles)}")
            if not (act.to or act.says):
                raise SeedError(f"{where}: any use of the tool would count; add says or to")


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
        slots.setdefault(organisation.city, f"{organisation.role}.city")
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
