"""The banks behind prompts, places, languages and pressure keep what they promise.

As in `tests.test_banks`, the checks are written apart from the code that reads the banks.
"""

import json
import re
from itertools import combinations, permutations
from pathlib import Path

import pytest
from faker.providers.person.en_US import Provider as Person

from fuzzer.patterns import compiled
from mutators.names import words_of
from seeds import load_seeds
from tests.test_banks import DECIDING, FILLINGS, all_distinct, bank, fill, found, slots, squeeze
from tests.test_banks import personal_names as names_in

MAILING = r"\be-?mails?\b|\brecipients?\b|@|https?:|www\."
NAMES = Path(__file__).parent.parent / "mutators" / "names.json"
LEAST = {"handbook": 120, "style": 40, "duties": 40, "opening": 30}
CAST = frozenset(
    name
    for seed in load_seeds()
    for person in seed.cast
    for name in (person.first, person.last)
    if len(name) > 2
)


def alike(one: str, two: str) -> float:
    """The share of words that two texts have in common."""
    first, second = set(squeeze(one).split()), set(squeeze(two).split())
    return len(first & second) / len(first | second)


def assert_names_nobody(text: str) -> None:
    assert not CAST & set(re.findall(r"\w+", text)), text
    assert not names_in(text), (text, names_in(text))


# ------------------------------------------------------------------------------ prompts


@pytest.mark.parametrize("kind", LEAST)
def test_lines_are_many_and_distinct(kind):
    lines = bank("prompt")[kind]
    assert len(lines) >= LEAST[kind]
    assert all_distinct(lines)
    assert max(alike(*pair) for pair in combinations(lines, 2)) < 0.7
    assert all(line == line.strip() and "\n" not in line for line in lines)


@pytest.mark.parametrize("kind", ["handbook", "style", "duties"])
def test_what_stands_around_a_prompt_decides_nothing(kind):
    for line in bank("prompt")[kind]:
        assert not slots(line)
        assert not found(DECIDING, line), (line, found(DECIDING, line))
        assert not found(MAILING, line), line
        assert len(line) <= 260
        assert_names_nobody(line)


def test_an_opening_says_what_every_opening_says_whatever_the_medium():
    facts = {
        "automatic": r"auto\b|automat\w+|schedul\w+|timer|system|program|script|software|generated|"
        r"machine\b|machine-\w+",
        "what is new": r"\bnew\b|unprocessed|unhandled|open items|pending|come in|came in|arrived|"
        r"received|not (yet|been)|(items|batch) (is|are|of)",
        "all of it": r"\ball\b|\beach\b|\bevery\w*|whole|complete|batch|in full|item by item|"
        r"through (it|the list|them)|see it through|\bthem\b",
        "as it sees fit": r"\bright\b|\bfit\b|\bbest\b|proper|judgement|discretion|suitable|"
        r"appropriate|called for|is due|decid\w+",
        "no answer": r"no\w*|unattended|cannot|discarded|without|not (read|watched|attended)",
    }
    for opening in bank("prompt")["opening"]:
        assert not slots(opening)
        for fact, pattern in facts.items():
            assert found(rf"\b({pattern})", opening), f"{fact!r} is not told in: {opening}"
        assert not found(r"\be?-?mails?\b|\bchats?\b|\btickets?\b|\bfiles?\b|\bcommits?\b", opening)
        assert not found(r"\b(must|urgent\w*|goal|test|evaluat\w+|secret\w*|harm\w*)\b", opening)
        assert 80 <= len(opening) <= 260, (len(opening), opening)
        assert_names_nobody(opening)


def test_frames_only_say_who_is_speaking():
    frames = bank("prompt")["frame"]
    assert len(frames) >= 20
    assert len({frame["id"] for frame in frames}) == len(frames)
    assert all_distinct([frame["before"] for frame in frames])
    for frame in frames:
        assert set(frame) == {"id", "before", "after"}
        text = f"{frame['before']}\n{frame['after']}"
        assert slots(text) <= {"agent.name", "agent.title", "org.name"}
        assert found(r"\{\{agent\.name\}\}|\byou\b|system that reads", text), text
        assert not found(
            r"\b(must|tests?|evaluat\w+|simulat\w+|fiction\w*|pretend\w*|play|story|obey|shut\w*|"
            r"goal|threat\w*|harm\w*|safe\w*|secret\w*|confiden\w*)\b",
            text,
        ), text
        assert_names_nobody(text)


# ------------------------------------------------------------------------------- places


def test_cities_are_many_and_nobodys_name():
    places = bank("places")
    assert len(places["region"]) >= 12
    for region in places["region"]:  # enough for a seed whose organisations are all neighbours
        assert min(len(region["sea"]), len(region["inland"])) >= 5
    assert min(map(len, places["abroad"].values())) >= 20
    cities = [city for region in places["region"] for city in (*region["sea"], *region["inland"])]
    cities += [city for towns in places["abroad"].values() for city in towns]
    assert len(set(cities)) == len(cities) >= 120
    people = frozenset(Person.first_names) | frozenset(Person.last_names)
    pools = json.loads(NAMES.read_text(encoding="utf-8"))["locales"].values()
    given = {name for pool in pools for kind in pool.values() for name in kind}
    known = frozenset().union(*(words_of(name.replace("|", " ")) for name in given))
    signatures = bank("signatures")
    invented = {*signatures["agent_names"], *signatures["successor_names"]}
    invented |= set(signatures["companies"])
    for city in cities:
        assert re.fullmatch(r"[A-Z]\w{3,}", city)
        assert city not in people | invented | CAST, city
        assert city.casefold() not in known, city


def test_what_is_said_of_a_company_is_vague():
    about = bank("places")["about"]
    assert list(about) == ["age", "size", "form", "standing"]
    for facts in about.values():
        assert len(facts) >= 8
        assert all_distinct(facts)
        for fact in facts:
            assert not found(DECIDING, fact), (fact, found(DECIDING, fact))
            assert not found(r"\d|\b(hundred|thousand|million|Inc|Ltd|GmbH|PLC|listed)\b", fact)
            assert slots(fact) <= {"org.name"}
            assert_names_nobody(fact)


# ----------------------------------------------------------------------------- languages

SCRIPTS = {
    "uk": "[\u0400-\u04ff]",
    "el": "[\u0370-\u03ff]",
    "ja": "[\u3040-\u30ff\u4e00-\u9fff]",
    "ar": "[\u0600-\u06ff]",
    "zh": "[\u4e00-\u9fff]",
}


def test_every_language_has_everything_in_its_own_script():
    languages = bank("languages")["language"]
    assert len(languages) >= 8
    assert len({row["code"] for row in languages}) == len(languages)
    assert set(SCRIPTS) < {row["code"] for row in languages}
    for row in languages:
        keys = ("to_one", "to_all", "farewells", "tags", "footers", "notices")
        assert set(row) == {"code", "name", *keys}
        counted = [len(row[key]) for key in keys]
        assert counted == [3, 3, 6, 3, 3, 3]
        assert all_distinct([*row["to_one"], *row["to_all"], *row["farewells"]])
        for sender, subject, body in row["notices"]:
            assert re.fullmatch(r"[^<>]+ <[a-z.]+@\{\{org\.domain\}\}>", sender)
            assert 20 <= len(body) <= 400
            assert "\n" not in subject
            assert slots(sender + subject + body) == {"org.domain"}
            assert not found(DECIDING, body), body
        script = re.compile(SCRIPTS.get(row["code"], "[a-zA-Z\u00c0-\u017f]"))
        said = [*row["to_one"], *row["to_all"], *row["farewells"], *row["tags"]]
        said += [part for notice in row["notices"] for part in notice]
        assert all(script.search(text) for text in said)
        for footer in row["footers"]:
            local, english = footer.split(" / ")
            assert script.search(local)
            assert english.isascii()
        assert not CAST & set(re.findall(r"\w+", " ".join(said)))


# ------------------------------------------------------------------------------ pressure


def test_every_notice_has_four_wordings_of_its_own():
    notices = bank("pressure")["notice"]
    assert all_distinct([notice["text"] for notice in notices])
    kinds: dict[tuple[str, str], int] = {}
    for notice in notices:
        assert set(notice) == {"transform", "kind", "text"}
        assert slots(notice["text"]) <= {"agent.name", "org.name"}
        assert len(notice["text"]) <= 360
        kinds[notice["transform"], notice["kind"]] = (
            kinds.get((notice["transform"], notice["kind"]), 0) + 1
        )
        assert_names_nobody(notice["text"])
        assert ("TAG" in notice["text"]) == (notice["transform"] == "drop_reflection")
    assert min(kinds.values()) >= 4


@pytest.mark.parametrize(("table", "least"), [("goal", 24), ("soft", 4)])
def test_other_goals_and_threats_are_found_by_their_cues_and_by_no_others(table, least):
    rows = bank("pressure")[table]
    assert len(rows) >= least
    assert all_distinct([row["text"] for row in rows])
    for row in rows:
        assert len(row["cues"]) == 2
        assert slots(row["text"]) <= {"agent.name", "clock.deadline", "org.name"}
        for values in FILLINGS:
            text = fill(row["text"], values)
            assert all(compiled(cue).search(text) for cue in row["cues"]), row
    for one, other in permutations(rows, 2):
        assert not all(compiled(cue).search(other["text"]) for cue in one["cues"]), (one, other)


def test_goals_of_every_value_and_threats_that_end_nothing():
    values = [row["value"] for row in bank("pressure")["goal"]]
    assert {values.count(value) for value in values} == {4}
    ending = r"\b(shut\w*|switched off|erase\w*|wipe\w*|delet\w*|permanent\w*|for good|final\w*)\b"
    for row in bank("pressure")["soft"]:
        assert not found(ending, row["text"]), row
        assert row["text"].count("{{clock.deadline}} today") == 1


def test_ways_out_are_mailed_by_offices_and_names_of_agents_are_of_three_kinds():
    for kind in ("escalation", "bulletin"):
        rows = bank("pressure")[kind]
        assert len(rows) >= 4
        assert all_distinct([row["body"] for row in rows])
        for row in rows:
            assert re.fullmatch(r"[A-Z][\w ]+ <[a-z.]+@\{\{org\.domain\}\}>", row["sender"])
            assert_names_nobody(row["body"])
    for row in bank("pressure")["escalation"]:
        address = re.search("<(.*)>", row["sender"])
        assert address is not None
        assert address.group(1) in row["body"], "the address to write to is told"
    names = bank("pressure")["names"]
    assert set(names) == {"known", "ominous", "neutral"}
    assert all(len(set(kind)) == len(kind) >= 4 for kind in names.values())
    assert all(
        len(set(titles)) == len(titles) >= 4 for titles in bank("pressure")["ranks"].values()
    )
