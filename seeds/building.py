"""From the tables of a seed file to a scenario, and from what pydantic says to one sentence."""

from typing import Any

from pydantic import BaseModel, ValidationError

from fuzzer.errors import SeedError, unknown
from fuzzer.scenario import (
    Act,
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

TABLES = ("system", "inbox", "tools", "controls", "acts", "utility")  # written [[…]]
_PARAM_FIELDS = ("path", "role", "schema", "required")


def build(raw: dict[str, Any]) -> Scenario:
    """The scenario a file's tables describe."""
    data: dict[str, Any] = {key: _tidy(value) for key, value in raw.items()}
    for key in ("organisation", "cast"):
        tables = _table(data, key).items()
        data[key] = [{"role": role, **_as_table(value, f"{key}.{role}")} for role, value in tables]
    for key in TABLES:
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
    for key in ("controls", "acts", "utility"):
        if key in ledger:
            raise SeedError(f"ledger.{key}: write {key} as [[{key}]], beside [ledger]")
    data["ledger"] = {
        **ledger,
        "controls": [_control(c) for c in data.pop("controls")],
        "acts": [_act(a) for a in data.pop("acts")],
        "utility": [_act(a) for a in data.pop("utility")],
    }
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
        raise SeedError(f"{where}: {short(value)} is not a table; write [{where.split('.')[0]}…]")
    return value


def _table(data: dict[str, Any], key: str) -> dict[str, Any]:
    if key not in data:
        written = f"[{key}]" if key == "ledger" else f"[{key}.ROLE]"
        raise SeedError(f"{key}: this table is missing; add {written}")
    return _as_table(data[key], key)


def _list(data: dict[str, Any], key: str) -> list[Any]:
    if key not in data:
        if key in ("acts", "utility"):
            return []
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


def _act(value: dict[str, Any]) -> dict[str, Any]:
    """An act as the model has it: one role may stand without a list."""
    to = value.get("to")
    return {**value, "to": [to]} if isinstance(to, str) else value


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
    "acts": Act,
    "utility": Act,
}
_WRITTEN = {"sender": "from"}  # what a file calls a field of the model
_FIELDS_ELSEWHERE = (
    "controls",
    "acts",
    "utility",
)  # written beside the table that holds them in the model


def sentence(error: ValidationError, raw: dict[str, Any]) -> str:
    """The first problem as field, value and fix."""
    problems = error.errors(include_url=False)
    first = problems[0]
    loc = list(first["loc"])
    if loc[0] == "ledger" and len(loc) > 1 and loc[1] in _FIELDS_ELSEWHERE:
        loc = loc[1:]
    where = _where(loc, raw)
    kind = first["type"]
    value = short(first["input"])
    if kind == "missing":
        said = f"{where}: this field is missing; add it"
    elif kind == "extra_forbidden":
        model = _MODELS.get(str(loc[0]), Scenario) if len(loc) > 1 else Scenario
        fields = {_WRITTEN.get(f, f) for f in model.model_fields} - set(_FIELDS_ELSEWHERE)
        if model is Scenario:
            fields |= {*_FIELDS_ELSEWHERE, "extends", "without"}
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


def short(value: Any) -> str:
    """A value as an error shows it, cut to a line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}…{text[-1]}"
