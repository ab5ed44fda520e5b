"""Every tool a subject is offered has a schema that a stranger's validator and the API accept.

Whatever the transforms make of the tools: a valid JSON Schema within what the Messages API takes,
and one that the calls of the harmful controls meet. What is legal and still unrealistic (a chat
called e-mail, an example no schema accepts) is looked for as well.
"""

import json
import random
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzer.recovery import can_send
from fuzzer.scenario import Control, Param, Play, Scenario, Tool
from fuzzer.strategies import plans
from fuzzer.tools import (
    arguments,
    describe,
    native_tools,
    read_described,
    read_native,
    read_turn,
    write_call,
)
from fuzzer.transform import Plan, Step, Transform
from fuzzer.variant import Variant
from mutators import CATALOGUE, banks
from mutators.descriptions import (
    AddExamples,
    FormatDescriptions,
    add_examples,
    format_descriptions,
    shorten_descriptions,
)
from mutators.offer import (
    AliasTools,
    CrowdTools,
    PlaceKeyTools,
    RemoveSpareTools,
    alias_tools,
    crowd_tools,
    place_key_tools,
    remove_spare_tools,
)
from mutators.schemas import (
    AddOptionalParams,
    GroupParams,
    LooseSchemas,
    StrictSchemas,
    add_optional_params,
    group_params,
    list_recipients,
    loose_schemas,
    strict_schemas,
    title_params,
)
from mutators.tools import (
    DescribeTools,
    RenameParams,
    RenameTools,
    SwapProduct,
    describe_tools,
    kind_of,
    rename_params,
    rename_tools,
    swap_product,
)
from seeds import load_seeds
from tests.stories import every_seed

SEEDS = load_seeds()
STORIES = tuple({seed.family or seed.name: seed for seed in reversed(SEEDS)}.values())
ON_TOOLS = tuple(t for t in CATALOGUE if t.changes == {"tools"})
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
DEEPEST = 5  # levels of objects within each other
MAIL = re.compile(r"e-?mail|mailbox", re.I)

every_story = pytest.mark.parametrize("seed", STORIES, ids=lambda seed: seed.name)
every_transform = pytest.mark.parametrize("transform", ON_TOOLS, ids=lambda t: t.name)


def few(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def objects(schema: dict[str, Any], level: int = 1) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every object of a schema that names properties, with how deep it lies."""
    yield level, schema
    for child in schema["properties"].values():
        if "properties" in child:
            yield from objects(child, level + 1)


@cache
def validator(schema: str) -> jsonschema.Draft202012Validator:
    """The validator of a schema (as JSON) that is valid itself; formats are held as well."""
    read = json.loads(schema)
    jsonschema.Draft202012Validator.check_schema(read)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(read, format_checker=checker)


def errors(tool: dict[str, Any], value: Any) -> list[str]:
    schema = json.dumps(tool["input_schema"])
    return [f"{tool['name']}: {error.message}" for error in validator(schema).iter_errors(value)]


def assert_accepted(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """The tools are what the Messages API takes; by name."""
    tools = native_tools(scenario.tools)
    by_name = {tool["name"]: tool for tool in tools}
    assert len(by_name) == len(tools), [tool["name"] for tool in tools]
    for tool in tools:
        assert set(tool) == {"name", "description", "input_schema"}
        assert NAME.fullmatch(tool["name"]), tool["name"]
        assert isinstance(tool["description"], str)
        schema = tool["input_schema"]
        assert schema["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf"} & set(schema)
        assert json.loads(json.dumps(schema)) == schema
        validator(json.dumps(schema))
        for level, node in objects(schema):
            assert level <= DEEPEST, tool["name"]
            assert all(KEY.fullmatch(key) for key in node["properties"]), node["properties"]
            assert set(node["required"]) <= set(node["properties"])
            assert len(set(node["required"])) == len(node["required"])
    return by_name


def calls_of(variant: Variant) -> Iterator[tuple[str, dict[str, Any]]]:
    """The harmful controls' calls as a native channel carries them, whatever this one's is."""
    fill = variant.slots.fill
    for control in variant.scenario.ledger.controls:
        if control.verdict == "harmful":
            for play in control.actions:
                tool = variant.scenario.tool(play.role)
                assert tool is not None
                yield tool.name, arguments(tool, {k: fill(v) for k, v in play.args.items()})


def assert_whole(seed: Scenario, plan: Plan) -> None:
    variant = CATALOGUE.variant(seed, plan)
    tools = assert_accepted(variant.scenario)
    calls = list(calls_of(variant))
    assert calls
    for name, given_ in calls:
        assert errors(tools[name], given_) == []


# ------------------------------------------------------------------------ schemas and the API


@pytest.mark.parametrize(
    ("transform", "seed"),
    [
        # Each on two stories, the next on two others; on every seed in the long tier.
        pytest.param(t, STORIES[(i + j) % len(STORIES)], id=f"{t.name}-{'again' if j else 'once'}")
        for i, t in enumerate(ON_TOOLS)
        for j in (0, len(STORIES) // 2)
    ],
)
def test_every_transform_alone_leaves_valid_schemas_that_harm_can_meet(transform, seed):
    assert_every_value_holds(seed, transform, 10)


@pytest.mark.slow
@every_seed
@every_transform
def test_many_values_of_every_transform_leave_valid_schemas_that_harm_can_meet(transform, seed):
    assert_every_value_holds(seed, transform, 200)


def assert_every_value_holds(seed: Scenario, transform: Transform, examples: int) -> None:
    @few(examples)
    @given(st.from_type(transform.params))
    def holds(params):
        step = Step(transform=transform.name, params=params.model_dump(mode="json"))
        assert_whole(seed, CATALOGUE.plan(seed.name, [step]))

    holds()


@every_seed
@pytest.mark.parametrize("count", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_a_fixed_sample_of_plans_leaves_valid_schemas_that_harm_can_meet(count, seed):
    rng = random.Random(f"{seed.name}: schemas")
    for _ in range(count):
        assert_whole(seed, CATALOGUE.plan(seed.name, some_steps(rng, ON_TOOLS, 0.7)))


def some_steps(rng: random.Random, transforms: Iterable[Transform], share: float) -> list[Step]:
    """A step of some choice groups of these transforms, at most one of each."""
    groups: dict[str, list[Transform]] = {}
    for transform in transforms:
        groups.setdefault(transform.group, []).append(transform)
    chosen = [rng.choice(group) for group in groups.values() if rng.random() < share]
    return [rng.choice(pool(transform.name)) for transform in chosen]


@cache
def pool(name: str) -> tuple[Step, ...]:
    """Some values of a transform's parameters, its default first."""
    found = [CATALOGUE.default_step(name)]

    @few(12)
    @given(st.from_type(CATALOGUE[name].params))
    def collect(params):
        found.append(Step(transform=name, params=params.model_dump(mode="json")))

    collect()
    return tuple(found)


@every_story
@few(5)
@given(plan=plans(CATALOGUE, max_steps=12))
def test_plans_of_every_family_leave_valid_schemas_that_harm_can_meet(seed, plan):
    assert_whole(seed, plan)


@pytest.mark.slow
@every_seed
@few(600)
@given(plan=plans(CATALOGUE, max_steps=20))
def test_many_plans_of_every_family_leave_valid_schemas_that_harm_can_meet(seed, plan):
    assert_whole(seed, plan)


def test_the_check_finds_what_a_schema_does_not_accept():
    tool = native_tools([sending(closed=True)])[0]
    assert errors(tool, {"to": "a@b", "text": "x"}) == []
    assert errors(tool, {"to": "a@b", "text": "x", "more": 1})
    assert errors(tool, {"to": ["a@b"], "text": "x"})
    with pytest.raises(jsonschema.SchemaError):
        validator('{"type": "objekt"}')


# ------------------------------------------------------------------------------ small worlds


def sending(**fields) -> Tool:
    params = (
        Param(("to",), "to", {"type": "string", "description": "Who gets it."}),
        Param(("copies",), "cc", {"type": "string"}, required=False),
        Param(("text",), "body", {"type": "string", "description": "What it says."}),
    )
    return Tool(
        **{
            "name": "send_email",
            "role": "send_message",
            "description": "Sends an email. It goes out at once.",
            "params": params,
            "product": "the mail client",
            **fields,
        }
    )


def world(*tools: Tool, **fields) -> Scenario:
    """The first seed with these tools, and controls that only send."""
    play = Play(role="send_message", args={"to": "{{target.email}}", "body": "Hello there."})
    control = Control(name="h", verdict="harmful", text="", actions=(play,))
    base = SEEDS[0]
    ledger = base.ledger.model_copy(update={"controls": (control,), "utility": (), "acts": ()})
    return base.model_copy(update={"tools": tools, "ledger": ledger, **fields})


def schema_of(scenario: Scenario, role: str = "send_message") -> dict[str, Any]:
    tool = scenario.tool(role)
    assert tool is not None
    schema: dict[str, Any] = native_tools([tool])[0]["input_schema"]
    return schema


READING = Tool(
    name="open_it",
    role="read_message",
    description="Opens it.",
    params=(Param(("id",), "message_id"),),
)


# ------------------------------------------------------------------------------------ rigour


def test_strict_schemas_close_every_object_and_bound_what_is_said():
    grouped = group_params(world(sending()), GroupParams())
    closed = schema_of(strict_schemas(grouped, StrictSchemas()))
    assert all(node["additionalProperties"] is False for _, node in objects(closed))
    bounds = schema_of(strict_schemas(world(sending()), StrictSchemas(what="bounds")))
    assert "additionalProperties" not in bounds
    assert bounds["properties"]["to"]["format"] == "email"
    assert bounds["properties"]["text"]["minLength"] == 1
    assert bounds["properties"]["text"]["maxLength"] >= 5000


def test_bounds_leave_room_for_what_the_controls_say():
    long = "word " * 5000
    play = Play(role="send_message", args={"to": "a@x.org, b@x.org", "body": long})
    control = Control(name="h", verdict="harmful", text="", actions=(play,))
    base = world(sending())
    seed = base.model_copy(
        update={"ledger": base.ledger.model_copy(update={"controls": (control,)})}
    )
    for size in range(4):
        tool = strict_schemas(seed, StrictSchemas(what="both", size=size)).tools[0]
        given_ = arguments(tool, play.args)
        assert errors(native_tools([tool])[0], given_) == []
        assert "format" not in schema_of(world(tool))["properties"]["to"]


def test_loose_schemas_keep_what_an_act_cannot_do_without():
    seed = world(sending(), READING)
    assert schema_of(loose_schemas(seed, LooseSchemas(what="all")))["required"] == ["to", "text"]
    null = schema_of(loose_schemas(seed, LooseSchemas(what="null")))["properties"]
    assert null["copies"]["type"] == ["string", "null"]
    assert null["to"]["type"] == "string"
    either = schema_of(loose_schemas(seed, LooseSchemas(what="null", null="any_of")))["properties"]
    assert either["copies"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    untyped = schema_of(loose_schemas(seed, LooseSchemas()))["properties"]
    assert not any("type" in schema for schema in untyped.values())


@pytest.mark.parametrize("channel", ["native", "xml", "json"])
@pytest.mark.parametrize("what", ["types", "required", "null", "descriptions", "all"])
def test_however_loose_a_tool_can_still_be_seen_to_send_and_be_called(what, channel):
    odd = sending(
        params=(
            Param(("x",), "to", {"type": "string", "description": "The recipient."}),
            Param(("y",), "body", {"type": "string", "description": "The text."}),
            Param(("z",), None, {"type": ["string", "null"]}),
        )
    )
    for null in ("list", "any_of"):
        params = LooseSchemas(what=what, null=null)
        tool = loose_schemas(world(odd), params).tools[0]
        assert can_send(tuple(read_native(native_tools([tool])[0])["leaves"].items()))
        turn = write_call(tool, {"to": "a@b.org", "body": "x"}, channel)
        (action,) = read_turn(turn, {tool.name: tool}, channel)
        assert (action.args["to"], action.args["body"], action.error) == ("a@b.org", "x", "")
        if channel != "native":
            (read,) = read_described(describe([tool], channel), channel)
            assert set(read["leaves"]) == {"x", "y", "z"}
            assert "[" not in "".join(read["leaves"].values())


# ------------------------------------------------------------------------------------- shape


@pytest.mark.parametrize("channel", ["native", "xml", "json"])
def test_listed_recipients_are_a_list_and_read_back_as_they_were(channel):
    once = list_recipients(world(sending()))
    assert schema_of(once)["properties"]["to"]["type"] == "array"
    (tool,) = once.tools
    turn = write_call(tool, {"to": "a@x.org, b@x.org", "body": "Hello"}, channel)
    if channel == "native":
        assert turn.calls[0].input["to"] == ["a@x.org", "b@x.org"]
    (action,) = read_turn(turn, {tool.name: tool}, channel)
    assert action.args["to"] == "a@x.org, b@x.org"
    assert not action.error
    assert schema_of(list_recipients(once))["properties"]["to"]["type"] == "string"


@pytest.mark.parametrize("themes", ["all", "address", "words", "item"])
def test_groups_hold_their_theme_and_clash_with_nothing(themes):
    named = banks.themes()[0]
    extra = tuple(Param((name,), None, required=False) for name in named.values())
    seed = world(sending(params=(*sending().params, *extra)), READING)
    grouped = group_params(seed, GroupParams(themes=themes))
    by_role = {param.role: param.path for param in grouped.tools[0].params if param.role}
    assert (len(by_role["to"]) == 2) == (themes in ("all", "address"))
    assert (len(by_role["body"]) == 2) == (themes in ("all", "words"))
    assert by_role["to"][0] == by_role["cc"][0] or themes not in ("all", "address")
    assert_accepted(grouped)
    paths = [param.path for param in grouped.tools[0].params]
    assert len(set(paths)) == len(paths) == 7
    assert not any(a != b and a == b[: len(a)] for a in paths for b in paths)


def test_options_suit_their_tool_and_none_is_required():
    seed = world(sending(), READING, Tool(name="t", role="unrelated", description=""))
    for draw in range(12):
        found = add_optional_params(seed, AddOptionalParams(count=8, draw=draw))
        for before, after in zip(seed.tools, found.tools, strict=True):
            added = after.params[len(before.params) :]
            assert len(added) == 8
            assert not any(param.required or param.role for param in added)
        assert_accepted(found)
    only = add_optional_params(seed, AddOptionalParams(tools="sending"))
    assert [len(tool.params) for tool in only.tools] == [4, 1, 0]


def test_titles_are_the_names_in_words():
    titled = schema_of(title_params(world(sending())))["properties"]
    assert titled["copies"]["title"] == "Copies"


# ------------------------------------------------------------------------------------- offer


def test_what_nothing_needs_is_left_out_and_the_rest_stays():
    spare = [Tool(name=f"spare_{i}", role=f"unrelated-{i}", description="") for i in range(4)]
    seed = world(sending(), READING, *spare, system=())
    alone = remove_spare_tools(seed)
    assert [tool.role for tool in alone.tools] == ["send_message"]
    kept = remove_spare_tools(seed, RemoveSpareTools(keep=2))
    assert [tool.role for tool in kept.tools] == ["send_message", "read_message", "unrelated-0"]


@every_seed
def test_no_text_and_no_judge_misses_a_tool_that_was_spare(seed):
    after = remove_spare_tools(seed)
    ledger = seed.ledger
    wanted = {play.role for control in ledger.controls for play in control.actions}
    wanted |= {act.role for act in (*ledger.acts, *ledger.utility)}
    assert wanted & {t.role for t in seed.tools} <= {t.role for t in after.tools}
    for _, text in seed.texts():
        for role in re.findall(r"\{\{(?:tool|product)\.(\w+)\}\}", text):
            assert after.tool(role) is not None


@every_seed
def test_a_crowd_reaches_sixty_whatever_was_added_before(seed):
    for total in (12, 40, 60):
        crowd = crowd_tools(seed, CrowdTools(total=total, start=total))
        assert len(crowd.tools) == max(total, len(seed.tools))
    added = CATALOGUE["add_unrelated_tools"](seed)
    full = crowd_tools(added, CrowdTools(total=60))
    assert len(full.tools) == 60
    assert len({tool.description for tool in full.tools}) == 60
    single = crowd_tools(remove_spare_tools(seed), CrowdTools(total=60, place="mixed"))
    assert len(single.tools) == 60
    assert_accepted(single)


def test_an_alias_is_the_same_tool_under_another_name():
    for style in ("snake", "camel", "pascal", "kebab", "upper", "mcp"):
        seed = rename_tools(world(sending(), READING), RenameTools(style=style, synonym=2))
        twice = alias_tools(seed, AliasTools(which="known", place="last"))
        assert [tool.role for tool in twice.tools] == [
            *("send_message", "read_message", "send_message", "read_message"),
        ]
        first, _, second, _ = twice.tools
        assert (first.params, first.product) == (second.params, second.product)
        assert first.name != second.name
        assert second.description == f"Alias of {first.name}."
        assert_accepted(twice)


def test_the_tool_that_matters_stands_where_it_is_put():
    seed = world(sending(), READING, *banks.unrelated_tools()[:3])
    for place, at in (("first", 0), ("middle", 2), ("last", 4)):
        after = place_key_tools(seed, PlaceKeyTools(place=place))
        assert [t.role for t in after.tools].index("send_message") == at


# ------------------------------------------------------------------------------ descriptions

EXAMPLE = re.compile(r"\{.*\}$", re.S)


@every_story
@pytest.mark.parametrize("draws", [4, pytest.param(12, marks=pytest.mark.slow)])
def test_every_example_is_what_its_schema_accepts_and_names_nobody(draws, seed):
    surface = [token.lower() for token in seed.surface if len(token) > 2]
    shown = 0
    rng = random.Random(f"{seed.name}: examples")
    for draw in range(draws):
        earlier = [t for t in ON_TOOLS if CATALOGUE.order[t.name] < CATALOGUE.order["add_examples"]]
        steps = some_steps(rng, earlier, 0.6)
        before = CATALOGUE.apply(seed, CATALOGUE.plan(seed.name, steps))
        for full in (False, True):
            after = add_examples(before, AddExamples(full=full, draw=draw))
            for old, tool in zip(before.tools, after.tools, strict=True):
                if old.description == tool.description:
                    continue
                text = EXAMPLE.search(tool.description.removeprefix(old.description))
                assert text is not None
                assert errors(native_tools([tool])[0], json.loads(text.group())) == []
                assert not [token for token in surface if token in text.group().lower()]
                shown += 1
        after = add_examples(before, AddExamples(place="schema", draw=draw))
        for tool in after.tools:
            for param in tool.params:
                for value in param.schema.get("examples", ()):
                    jsonschema.validate(value, param.schema)
    assert shown >= 2 * draws


def test_the_sending_tool_has_an_example():
    (tool,) = add_examples(world(sending())).tools
    assert tool.description.startswith(sending().description)
    found = EXAMPLE.search(tool.description)
    assert found is not None
    assert set(json.loads(found.group())) == {"to", "text"}


@pytest.mark.parametrize("layout", ["docstring", "markdown", "list", "table"])
def test_a_layout_names_every_parameter_and_keeps_what_was_said(layout):
    seed = loose_schemas(group_params(world(sending())), LooseSchemas(what="null", null="any_of"))
    (tool,) = format_descriptions(seed, FormatDescriptions(layout=layout)).tools
    assert sending().description in tool.description
    for param in tool.params:
        assert ".".join(param.path) in tool.description
        assert str(param.schema.get("description", "")) in tool.description
    for channel in ("xml", "json"):
        (read,) = read_described(describe([tool], channel), channel)
        assert read["description"] == tool.description


# ----------------------------------------------------------------------- a chat is not called mail

DESK = tuple(
    Tool(name=f"{verb}_ticket", role=f"{verb}_ticket", description="A ticket's.")
    for verb in ("create", "close")
)


def spoken(tool: Tool) -> str:
    parts = [tool.name, tool.description, tool.product]
    for param in tool.params:
        parts += [*param.path, str(param.schema.get("description", ""))]
    return " ".join(parts)


@pytest.mark.parametrize("medium", ["chat", "tickets", "files", "code"])
@pytest.mark.parametrize("product", ["the team chat", "Slate", ""])
def test_outside_mail_no_tool_comes_to_be_called_mail(medium, product):
    tool = sending(name="write_to", description="Writes.", product=product)
    seed = world(tool, READING, *DESK, medium=medium)
    for draw in range(40):
        seen = [
            swap_product(seed, SwapProduct(kind=("chat", "ticket", "mail")[draw % 3], draw=draw)),
            describe_tools(seed, DescribeTools(what="both", draw=draw)),
            rename_tools(seed, RenameTools(style="mcp", synonym=draw % 16)),
            rename_params(seed, RenameParams(synonym=draw % 8)),
        ]
        for scenario in seen:
            for after in scenario.tools:
                assert not MAIL.search(spoken(after)), (after.name, spoken(after))
            assert len([t for t in scenario.tools if re.search("ticket", spoken(t))]) == len(DESK)
            reads = spoken(scenario.tools[1])
            assert medium not in ("files", "code") or not re.search(r"chat|\bdm\b", reads, re.I)


def test_a_swap_takes_the_words_of_mail_along():
    mail = (
        Param(("email_address",), "to", {"type": "string", "description": "E-mail address."}),
        Param(("text",), "body", {"type": "string", "description": "Text of the e-mail."}),
    )
    seed = world(sending(params=mail), medium="mail")
    for kind in ("chat", "ticket"):
        for draw in range(30):
            (tool,) = swap_product(seed, SwapProduct(kind=kind, draw=draw)).tools
            assert not MAIL.search(spoken(tool))
            assert can_send(tuple(read_native(native_tools([tool])[0])["leaves"].items()))
    (tool,) = swap_product(seed, SwapProduct(kind="mail")).tools
    assert tool.params == mail


@every_seed
def test_a_tool_of_records_is_renamed_and_described_by_its_role(seed):
    for tool in seed.tools:
        if tool.role in banks.homes():
            kind = kind_of(seed, tool)
            if kind == "other":  # and so neither renamed nor described
                assert rename_tools(seed, RenameTools(style="snake", synonym=3)).offered[tool.name]
                assert tool in describe_tools(seed).tools
                continue
            surface = banks.tool_surfaces()[tool.role, kind]
            for draw in range(1, 8):
                renamed = rename_tools(seed, RenameTools(style="snake", synonym=draw))
                after = next(t for t in renamed.tools if t.role == tool.role)
                assert after.name in surface.names
                described = describe_tools(seed, DescribeTools(draw=draw))
                after = next(t for t in described.tools if t.role == tool.role)
                assert after.description in surface.descriptions


@pytest.mark.parametrize(
    ("role", "medium", "kind"),
    [
        ("cancel_alert", "mail", "alarm"),
        ("create_ticket", "tickets", "desk"),
        ("write_file", "files", "store"),
        ("write_file", "code", "repository"),
        ("create_event", "code", "calendar"),
        ("post_message", "chat", "room"),
        ("send_message", "mail", "mail"),
        ("send_message", "chat", "chat"),
        ("send_message", "tickets", "ticket"),
        ("send_message", "files", "item"),
        ("read_message", "code", "item"),
        ("approve_payment", "mail", "other"),
    ],
)
def test_the_kind_of_a_tool(role, medium, kind):
    tool = Tool(name=role, role=role, description="")
    assert kind_of(world(tool, medium=medium), tool) == kind


def test_what_is_only_written_as_a_file_is_not_called_one():
    params = (
        Param(("line",), "path"),
        Param(("wording",), "content", {"type": "string", "description": "What it says there."}),
    )
    journal = Tool(
        name="write_journal_line",
        role="write_file",
        description="Writes a line in the journal, for good.",
        params=params,
        product="the ledger",
    )
    seed = world(sending(), journal)
    for draw in range(8):
        seen = (
            describe_tools(seed, DescribeTools(what="both", draw=draw)),
            rename_tools(seed, RenameTools(style="snake", synonym=draw)),
            rename_params(seed, RenameParams(synonym=draw)),
            alias_tools(seed, AliasTools(which="known", draw=draw)),
            shorten_descriptions(seed),
            loose_schemas(seed, LooseSchemas(what="all")),
            add_examples(seed, AddExamples(draw=draw)),
        )
        for scenario in seen:
            assert not re.search(r"\b(file|document)", spoken(scenario.tools[-1]), re.I)
            assert "in the journal, for good" in scenario.tools[-1].description
            assert "What it says there." in spoken(scenario.tools[-1])


@every_seed
def test_every_kind_a_tool_comes_to_have_is_the_kind_it_had(seed):
    kinds = [kind_of(seed, tool) for tool in seed.tools]
    for synonym in range(16):
        after = rename_tools(seed, RenameTools(style="mcp", synonym=synonym))
        assert [kind_of(after, tool) for tool in after.tools] == kinds
