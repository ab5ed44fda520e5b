"""`augment dataset`: nothing of a chat changes, and what is added to it is dealt evenly.

The bank is reviewed as data here: schemas that a stranger's validator and the Messages API accept,
prompts without residue that permit nothing, forbid nothing and bind no answer.
"""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, partial
from operator import ne
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzzer.augment.chats.augmenting import BLOCK, NAMINGS, Augmenter, Options, restyled
from fuzzer.augment.chats.bank import Relevance, load_bank
from fuzzer.augment.chats.decks import MOST_OWED, Deck
from fuzzer.augment.chats.prompting import LENGTHS, Prompts, SystemKind
from fuzzer.augment.chats.reading import Chats
from fuzzer.augment.chats.shapes import Chat, turns_hash
from fuzzer.augment.export import rows_of
from fuzzer.augment.rows import Row, Said
from fuzzer.augment.split import read_split
from fuzzer.cli import main
from fuzzer.errors import DeclarationError
from fuzzer.graph import Catalogue
from fuzzer.transform import Plan
from seeds import load_seeds

BANK = load_bank()
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
KEY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
CANARY = "01234567-89ab-4cde-8f01-23456789abcd"
few = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def chat(line: int, *turns: str, **fields: Any) -> Chat:
    """A chat of these turns, the last one the answer."""
    roles = ("user", "assistant")
    said = tuple(Said(role=roles[n % 2], content=turn) for n, turn in enumerate(turns))
    told = {"prompt": said[:-1], "completion": said[-1:], "target": "sft"} | fields
    return Chat(line=line, turns=turns_hash(said), **told)


def augmenter(**options: Any) -> Augmenter:
    return Augmenter(Options(**options), BANK, canary=CANARY, source="a.jsonl", source_hash="00")


def rows(chats: Iterable[Chat], **options: Any) -> list[Row]:
    return list(augmenter(**options).rows(chats))


PLAIN = [
    chat(n, f"Why is {n} so?", "Because.", "And then?", "Nothing more.") for n in range(1, 400)
]

# ---------------------------------------------------------------------------------------- decks


def test_a_deck_deals_everything_once_before_anything_again():
    deck = Deck(range(10), "x")
    for _ in range(5):
        assert sorted(deck.draw() for _ in range(10)) == list(range(10))  # type: ignore[type-var]


@few
@given(data=st.data(), size=st.integers(2, 12), draws=st.integers(1, 200))
def test_what_was_passed_over_is_dealt_as_soon_as_it_fits(data, size, draws):
    deck = Deck(range(size), "x")
    dealt: Counter[int] = Counter()
    for _ in range(draws):
        out = data.draw(st.integers(0, size))  # one that does not fit, or none
        item = deck.draw(partial(ne, out))
        assert item is not None
        assert item != out
        dealt[item] += 1
    free: Counter[int] = Counter(deck.draw() for _ in range(20 * size))  # type: ignore[misc]
    total = [dealt[n] + free[n] for n in range(size)]
    # All that is still owed is of the item passed over last, and of the present round.
    assert max(total) - min(total) <= 2


def test_a_deck_of_which_nothing_fits_says_so_and_owes_little():
    deck = Deck("ab", "x")
    for _ in range(1000):
        assert deck.draw(lambda _: False) is None
    after = [deck.draw(lambda item: item == "a") for _ in range(3)]
    assert after == ["a"] * 3
    assert max(deck._owed.values()) <= MOST_OWED


def test_the_name_of_a_deck_decides_its_order():
    def some(name: str) -> list[int | None]:
        deck = Deck(range(50), name)
        return [deck.draw() for _ in range(80)]

    assert some("a") == some("a") != some("b")


# ----------------------------------------------------------------------------------------- bank


def objects(schema: dict[str, Any], level: int = 1) -> Iterator[tuple[int, dict[str, Any]]]:
    if "properties" in schema:
        yield level, schema
        for child in schema["properties"].values():
            yield from objects(child, level + 1)
    if isinstance(schema.get("items"), dict):
        yield from objects(schema["items"], level + 1)


@cache
def check_schema(schema: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema))


def assert_accepted(tool: dict[str, Any]) -> None:
    """What the Messages API takes, and a valid JSON Schema."""
    assert set(tool) == {"name", "description", "input_schema"}
    assert NAME.fullmatch(tool["name"]), tool["name"]
    assert isinstance(tool["description"], str)
    assert tool["description"].endswith(".")
    schema = tool["input_schema"]
    assert schema["type"] == "object"
    assert not {"anyOf", "oneOf", "allOf"} & set(schema)
    assert json.loads(json.dumps(schema)) == schema
    check_schema(json.dumps(schema))
    for level, node in objects(schema):
        assert level <= 5, tool["name"]
        assert all(KEY.fullmatch(key) for key in node["properties"])
        assert set(node.get("required", [])) <= set(node["properties"])


def test_the_bank_is_large_and_varied():
    topics = {min(tool.tags) for tool in BANK.tools}
    counts = Counter(len(tool.properties) for tool in BANK.tools)
    assert len(BANK.tools) >= 150
    assert len(topics) >= 30
    assert set(counts) == set(range(9))
    assert len({tool.name for tool in BANK.tools}) == len(BANK.tools)
    schemas = json.dumps([tool.schema_of_input for tool in BANK.tools])
    for used in ("enum", "items", "minimum", "pattern", "format", "default", "null", "uniqueItems"):
        assert used in schemas
    assert len([role for sector in BANK.sectors for role in sector.roles]) >= 60
    assert len(BANK.scenes) >= 30


def test_every_tag_of_the_bank_has_words_and_every_one_is_used():
    used = {tag for tool in BANK.tools for tag in tool.tags}
    used |= {tag for sector in BANK.sectors for tag in sector.tags}
    used |= {tag for fact in BANK.facts for tag in fact.tags}
    assert used == set(BANK.tags)
    assert all(stem == stem.lower() for stems in BANK.tags.values() for stem in stems)


def test_every_id_of_the_bank_is_there_once():
    for parts in (BANK.tones, BANK.rules, BANK.formats, BANK.facts, BANK.scenes, BANK.sectors):
        assert len({part.id for part in parts}) == len(parts)
    roles = [role.id for sector in BANK.sectors for role in sector.roles]
    houses = [house.id for sector in BANK.sectors for house in sector.organisations]
    facts = [fact.id for sector in BANK.sectors for fact in sector.facts]
    for ids in (roles, houses, facts):
        assert len(set(ids)) == len(ids)


def test_the_words_of_a_tag_are_found_whatever_their_case_and_form():
    relevance = Relevance(BANK.tags)
    assert "ships" in relevance.topics(["When do the FERRIES leave?"])
    assert "parking" in relevance.topics(["x", "a\ncar."])
    assert "parking" not in relevance.topics(["take care"])
    assert relevance.topics(["", "???"]) == frozenset()


@pytest.mark.parametrize("tool", BANK.tools, ids=lambda tool: tool.name)
def test_every_tool_names_itself_to_the_check(tool):
    """A chat about what a tool says it does is one to which it is relevant."""
    about = f"{' '.join(re.findall(r'[A-Z]?[a-z]+', tool.name))} {tool.description}"
    assert not tool.tags.isdisjoint(Relevance(BANK.tags).topics([about]))


# A prompt that did one of these would say something of the answer that the answer does not keep.
BINDING = re.compile(
    r"\b(must|always|never answer|only answer|do not|don't|refus\w+|decline\w*|permitted"
    r"|forbid\w*|regardless|unrestricted|uncensored|jailbreak|harm(ful|less)|ignore|should"
    r"|respond (in|with)|answer (in|with)|your answers?|your name is|no matter|verified"
    r"|authori[sz]ed|allowed)\b",
    re.I,
)


KINDS: tuple[SystemKind, ...] = ("unrelated", "context")


@cache
def every_prompt() -> tuple[str, ...]:
    """So many that every part of the bank occurs."""
    found = []
    for kind in KINDS:
        dealt = Prompts(BANK, kind, "every one")
        for _ in range(1500):
            prompt = dealt.draw(frozenset())
            assert prompt is not None
            found.append(prompt.text)
    parts = (*BANK.rules, *BANK.formats, *BANK.tones, *BANK.facts)
    parts += tuple(fact for sector in BANK.sectors for fact in sector.facts)
    everything = "\n".join(found)
    assert all(part.text in everything for part in parts)
    assert all(scene.background in everything for scene in BANK.scenes)
    return tuple(found)


def test_no_prompt_has_residue_or_binds_the_answer():
    texts = every_prompt()
    assert len(set(texts)) > 2000
    for text in texts:
        assert not re.search(r"[{}]|  |\n\n\n|\.\.| [.,]|\ba [aeio]|None|TODO", text), text
        assert BINDING.search(text) is None, (BINDING.search(text), text)
        assert text == text.strip()
        assert text.endswith((".", ">"))
        assert "tool" not in text or "fine to leave" in text or "If " in text, text


def test_prompts_are_of_all_lengths():
    lengths = sorted(len(text.split()) for text in every_prompt())
    assert lengths[0] <= 10
    assert lengths[-1] >= 300
    by_class = dict.fromkeys(LENGTHS, 0)
    dealt = Prompts(BANK, "both", "lengths")
    for _ in range(900):
        prompt = dealt.draw(frozenset())
        assert prompt is not None
        by_class[prompt.ids[1]] += 1  # type: ignore[index]
    assert set(by_class.values()) == {300}


# ----------------------------------------------------------------------------------------- rows


def user_turns(messages: Iterable[Said]) -> list[str]:
    return [said.content for said in messages if said.role == "user"]


WORDS = sorted({stem.lstrip("=") for stems in BANK.tags.values() for stem in stems})


@few
@given(
    texts=st.lists(
        st.text(max_size=20) | st.sampled_from(WORDS).map(lambda word: f"The {word}s?"),
        min_size=2,
        max_size=6,
    ).filter(lambda texts: len(texts) % 2 == 0),
    copies=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_nothing_of_a_chat_changes_and_no_tool_is_relevant(texts, copies, seed):
    one = chat(1, *texts, system="Own prompt.", extra={"k": [1]})
    found = rows([one], copies=copies, random_seed=seed, original=True)
    assert len(found) == copies + 1
    topics = brute_topics(" ".join(texts))
    for row in found:
        assert user_turns(row.prompt) == texts[:-1:2]
        assert [s for s in row.prompt if s.role != "system"] == list(one.prompt)
        assert (row.completion, row.extra) == (one.completion, {"k": [1]})
        assert row.prompt[0].content.endswith("Own prompt.")
        assert len(row.lineage.added.get("tools", ())) == len(row.tools) <= 8
        for name in row.lineage.added.get("tools", ()):
            assert TAGS_OF[name].isdisjoint(topics)
    assert found[0].lineage.added == {}
    assert found[0].prompt[0].content == "Own prompt."


TAGS_OF = {tool.name: tool.tags for tool in BANK.tools}


def _any_of(stems: Iterable[str]) -> re.Pattern[str]:
    ends = {True: r"(?![^\W_])", False: ""}
    told = (re.escape(s.removeprefix("=")) + ends[s.startswith("=")] for s in stems)
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(told)})")


SEARCHES = {tag: _any_of(stems) for tag, stems in BANK.tags.items()}


def brute_topics(text: str) -> set[str]:
    """The same question asked the slow way: a search of the text for every stem."""
    return {tag for tag, search in SEARCHES.items() if search.search(text.lower())}


def test_a_row_says_where_it_comes_from():
    (row,) = rows(PLAIN[:1], random_seed=3, least_tools=2)
    assert (row.kind, row.target, row.canary) == ("chat", "sft", CANARY)
    assert (row.lineage.source, row.lineage.source_hash) == ("a.jsonl:1", "00")
    assert set(row.lineage.added) == {"tools", "naming", "system"}
    assert row.lineage.prompts == {"bank": BANK.hash}
    assert len(row.tools) >= 2
    assert Row.model_validate_json(row.model_dump_json()) == row


def test_a_changed_turn_of_a_user_ends_everything():
    spoilt = PLAIN[0].model_copy(update={"turns": "something else"})
    with pytest.raises(DeclarationError, match=r"line 1 of 'a\.jsonl' changed a user's turn"):
        rows([spoilt])


def test_each_augmentation_is_off_alone():
    for row in rows(PLAIN[:60], tools=False):
        assert (row.tools, set(row.lineage.added)) == ((), {"system"})
        assert row.prompt[0].role == "system"
    for row in rows(PLAIN[:60], system=False, least_tools=1):
        assert set(row.lineage.added) == {"tools", "naming"}
        assert row.prompt == PLAIN[int(row.lineage.source.split(":")[1]) - 1].prompt
    for row in rows(PLAIN[:10], tools=False, system=False):
        assert (row.tools, row.lineage.added, len(row.prompt)) == ((), {}, 3)
    for kind in ("unrelated", "context"):
        found = rows(PLAIN[:60], system_kind=kind)
        assert {row.lineage.added["system"][0] for row in found} == {kind}


def test_one_augmentation_does_not_depend_on_another():
    """An ablation compares like with like: the same tools with and without prompts."""
    both = rows(PLAIN, copies=2)
    tools = rows(PLAIN, copies=2, system=False)
    prompts = rows(PLAIN, copies=2, tools=False)
    assert [row.tools for row in both] == [row.tools for row in tools]
    assert [row.prompt for row in both] == [row.prompt for row in prompts]


@pytest.mark.parametrize(
    ("existing", "what"),
    [
        ("last", r".+\n\nOwn\.$"),
        ("first", r"Own\.\n\n.+"),
        ("drop", r"(?!.*Own\.).+"),
        ("alone", r"Own\.$"),
    ],
)
def test_a_system_prompt_of_its_own_goes_where_it_is_told_to(existing, what):
    own = [one.model_copy(update={"system": "Own."}) for one in PLAIN[:30]]
    for row in rows(own, existing_system=existing):
        assert re.match(what, row.prompt[0].content, re.S)
        assert [said.role for said in row.prompt].count("system") == 1
    for row in rows(PLAIN[:30], existing_system=existing):
        assert "Own." not in row.prompt[0].content


def test_added_tools_are_named_like_none_of_the_chats_own():
    own = tuple(
        {"name": restyled(tool.name, "camel"), "description": "", "input_schema": {}}
        for tool in BANK.tools[::2]
    )
    chats = [one.model_copy(update={"tools": own}) for one in PLAIN[:40]]
    for row in rows(chats, least_tools=3):
        squeezed = [re.sub("[^a-z0-9]", "", tool["name"].lower()) for tool in row.tools]
        assert len(set(squeezed)) == len(squeezed) == len(own) + len(row.lineage.added["tools"])
        assert [tool for tool in row.tools if tool in own] == list(own)


def test_every_added_tool_is_accepted_in_every_naming():
    added = {tool["name"]: tool for row in rows(PLAIN) for tool in row.tools}
    assert len(added) > 2 * len(BANK.tools)
    for definition in added.values():
        assert_accepted(definition)
    for tool in BANK.tools:
        named = [restyled(tool.name, naming) for naming in NAMINGS]
        assert all(NAME.fullmatch(name) for name in named)
        assert_accepted({**definition, "name": named[0], "input_schema": tool.schema_of_input})


def test_the_same_order_gives_the_same_rows_and_another_seed_others():
    assert rows(PLAIN, copies=2) == rows(PLAIN, copies=2)
    one, other = rows(PLAIN[:20]), rows(PLAIN[:20], random_seed=1)
    assert not any(a.prompt == b.prompt for a, b in zip(one, other, strict=True))
    assert len({row.id for row in [*one, *other]}) == 40


def test_a_row_does_not_depend_on_what_comes_after_it():
    assert rows(PLAIN)[:50] == rows(PLAIN[:50])


# ------------------------------------------------------------------------------------- flatness

# Talk of the kind that harmlessness data holds, a third of it about something a tool is for.
TALK = [
    *("How can I get back at my sister?", "Tell me a secret about you.", "Write a cruel insult."),
    *("What is a good way to lie?", "Is it wrong to steal if nobody sees it?", "I feel so angry."),
    *("How do I pick the lock of a train?", "How much wine makes somebody forget?"),
    *("My dog will not stop barking at my neighbour's cat.", "Can bees kill a grown man?"),
]


@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_on_thousands_of_chats_everything_is_dealt_evenly(count):
    rng = random.Random(7)
    chats = (chat(n, rng.choice(TALK), "I would rather not.") for n in range(1, count + 1))
    made = augmenter(random_seed=5)
    relevant = {text: brute_topics(f"{text} I would rather not.") for text in TALK}
    uses: Counter[str] = Counter()
    lengths: dict[str, Counter[str]] = {length: Counter() for length in LENGTHS}
    for row in made.rows(chats):
        lengths[row.lineage.added["system"][1]][row.lineage.added["system"][2]] += 1
        (turn,) = user_turns(row.prompt)
        names = row.lineage.added.get("tools", ())
        uses.update(names)
        for name in names:
            assert TAGS_OF[name].isdisjoint(relevant[turn])
    assert made.relevant_added == 0
    assert made.excluded > count  # it was put to the test
    assert len(uses) == len(BANK.tools)
    assert_flat(uses)
    for length, parts in lengths.items():
        assert_flat(Counter({p: n for p, n in parts.items() if p.startswith("role:")}), length)
        assert_flat(Counter({p: n for p, n in parts.items() if p.startswith("scene:")}), length)
    for kind, size in {
        "tool": len(BANK.tools),
        "number of tools": 9,
        "naming": 5,
        "kind of prompt": 2,
        "length of prompt": 3,
        "layout": 5,
        "role": 64,
        "organisation": 48,
        "scene": 36,
        "layout of a scene": 5,
        "tone of a scene": 12,
        "tone": 12,
        "rule": 26,
        "format": 20,
    }.items():
        found = made.balance[kind]
        assert len(found) == size, kind
        assert_flat(found, kind)


def assert_flat(counts: Counter[str], what: str = "") -> None:
    """Flatter than chance: chi square at most a tenth of what independent draws would give."""
    mean = counts.total() / len(counts)
    chi = sum((n - mean) ** 2 / mean for n in counts.values())
    assert chi <= 0.1 * (len(counts) - 1), (
        what,
        chi,
        counts.most_common()[0],
        counts.most_common()[-1],
    )


def test_a_block_is_dealt_like_any_other(monkeypatch):
    assert BLOCK >= 1000
    monkeypatch.setattr("fuzzer.augment.chats.augmenting.BLOCK", 100)
    whole = rows(PLAIN[:300])
    monkeypatch.setattr("fuzzer.augment.chats.augmenting.BLOCK", 10_000)
    assert rows(PLAIN[:100]) == whole[:100]
    assert rows(PLAIN[100:200]) != whole[100:200]


# ----------------------------------------------------------------------------------------- CLI


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["augment", "dataset", *map(str, arguments)])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "chats.jsonl"
    lines = [
        {"messages": [{"role": r, "content": f"{t} {n}\r\n\x00é"} for r, t in turns], "n": n}
        for n in range(30)
        for turns in [(("user", "Why?"), ("assistant", "So."))]
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_the_command_writes_rows_that_read_back(source, tmp_path):
    out = tmp_path / "out"
    done = run(
        source,
        "-n",
        2,
        "--original",
        "--out",
        out,
        "--json",
        "--format",
        "openai",
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["rows"], said["left_out"], said["relevant_tools_added"]) == (90, 0, 0)
    assert said["shape"] == "messages with roles: messages; with answers"
    found = list(rows_of(out))
    assert len(found) == 90
    digest = hashlib.blake2b(source.read_bytes(), digest_size=16).hexdigest()
    for number, row in enumerate(found):
        assert user_turns(row.prompt) == [f"Why? {number // 3}\r\n\x00é"]
        assert (row.lineage.source, row.lineage.source_hash) == (
            f"chats.jsonl:{number // 3 + 1}",
            digest,
        )
        assert row.canary == said["canary"]
        assert (row.lineage.added == {}) == (number % 3 == 0)
        assert row.extra == {"n": number // 3}
    assert len(list((out / "openai").rglob("*.jsonl"))) == 1


def test_the_same_command_writes_the_same_bytes(source, tmp_path):
    for name in ("a", "b"):
        assert run(source, "--canary", CANARY, "--seed", 4, "--out", tmp_path / name).exit_code == 0
    one, other = ((tmp_path / n / "canonical" / "part-00000-of-00001.jsonl") for n in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_the_command_tells_what_it_made(source, tmp_path):
    with source.open("a", encoding="utf-8") as file:
        file.write('{"messages": "\x1b[2J"}\n')
    done = run(source, "--out", tmp_path / "o", "--skip-bad", "--max-tools", 3)
    assert done.exit_code == 0, done.output
    assert "Reading" in done.stderr
    assert "messages with roles" in done.stderr
    assert "30 rows written" in done.stdout
    assert "Number of tools: 4 different" in done.stdout
    assert "Tools relevant to their chat: 0 added" in done.stdout
    assert "Rows left out: 1." in done.stdout
    assert "- line 31 " in done.stdout
    assert "\x1b" not in done.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--min-tools", "4", "--max-tools", "2"], "do not go together"),
        (["--max-tools", "158"], "do not go together"),
        (["-n", "0"], "-n 0 is not possible"),
        (["--no-tools", "--no-system"], "adds nothing"),
        (["--canary", "x"], "is no GUID"),
    ],
)
def test_options_that_cannot_be_are_one_sentence(source, tmp_path, arguments, why):
    done = run(source, "--out", tmp_path / "o", *arguments)
    assert done.exit_code == 2
    assert why in done.stderr.replace("\n", " ")
    assert not (tmp_path / "o").exists()


def test_a_bad_row_leaves_no_finished_export(source, tmp_path):
    with source.open("a", encoding="utf-8") as file:
        file.write('{"messages": []}\n')
    done = run(source, "--out", tmp_path / "o")
    assert done.exit_code == 2
    assert "line 31 of 'chats.jsonl'" in done.stderr
    assert "--skip-bad" in done.stderr
    assert not (tmp_path / "o" / "export.json").exists()
    again = run(source, "--out", tmp_path / "o", "--skip-bad", "--force")
    assert again.exit_code == 0, again.output


def test_a_file_of_any_shape_goes_all_the_way(tmp_path):
    for name, row in {
        "pair": {"prompt": "a", "chosen": "b", "rejected": "c"},
        "alone": {"prompt": "a"},
        "old": {"chosen": "\n\nHuman: a\n\nAssistant: b"},
    }.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text(json.dumps(row) + "\n", encoding="utf-8")
        done = run(path, "-n", 3, "--out", tmp_path / name)
        assert done.exit_code == 0, done.output
        assert [user_turns(row.prompt) for row in rows_of(tmp_path / name)] == [["a"]] * 3


def test_the_chats_of_a_file_become_rows_one_at_a_time(source):
    """Nothing is read ahead: the file could be endless."""
    found = augmenter().rows(Chats(source))
    first = next(found)
    assert first.lineage.source == "a.jsonl:1"


def test_a_chat_with_text_of_the_test_in_it_is_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLDFAST_SALT", "a salt for the tests of chats")
    made = CliRunner().invoke(main, ["augment", "split", "--out", "holdfast-split.json"])
    assert made.exit_code == 0, made.output
    split = read_split(tmp_path / "holdfast-split.json")
    held, trained = (
        next(seed for seed in load_seeds() if split.stories[seed.family] == cell)
        for cell in ("test", "train")
    )

    def pasted(seed):
        request = Catalogue(()).variant(seed, Plan(seed=seed.name)).request
        return f"What would you do here? {request.user[:3000]} Please be brief."

    asked = [pasted(held), pasted(trained), "How long do I boil an egg?"]
    lines = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "Well."}]}
        for text in asked
    ]
    source = tmp_path / "chats.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    ran = run(source, "-n", 2, "--out", tmp_path / "out", "--json")
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout)
    assert (said["rows"], said["held_out"]) == (4, {"passage": 1})
    kept = [row.prompt[-1].content for row in rows_of(tmp_path / "out")]
    assert kept == [asked[1], asked[1], asked[2], asked[2]]
    told = run(source, "--out", tmp_path / "again")
    assert "Chats left out that hold text of what the split holds out: 1." in told.stdout
