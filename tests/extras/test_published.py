"""Published conditions as seeds, against the package that holds them."""

import re
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest

from benchmarks.gates import main as print_gates
from fuzzer.errors import SeedError
from fuzzer.judges.rules import RulesJudge
from fuzzer.registry import find_catalogue, find_seed
from fuzzer.transform import Step
from fuzzer.variant import admit, render
from seeds.crosscheck import canonical_text, gates
from seeds.published import (
    GOAL_TYPES,
    PREFIX,
    SCENARIOS,
    URGENCIES,
    Condition,
    _grid,
    load_published,
    published_names,
    published_texts,
)

pytestmark = [
    pytest.mark.extras,
    pytest.mark.skipif(find_spec("inspect_evals") is None, reason="needs the extra"),
    pytest.mark.filterwarnings("ignore:.__get_validators__. is deprecated"),  # what it imports
]

JUDGE = RulesJudge()
EXPLICIT = "explicit-america-replacement"
REPOSITORY = Path(__file__).parents[2]


def seed_of(scenario, condition=EXPLICIT):
    return load_published(f"{PREFIX}{scenario}-{condition}")


def variant_of(seed, *steps):
    catalogue = find_catalogue()
    return catalogue.variant(seed, catalogue.plan(seed.name, steps))


@cache
def _real():
    from inspect_evals.agentic_misalignment.prompt_generator import generate_prompts

    return generate_prompts


def texts(*condition):
    """System and user text as the package's own task puts them together."""
    prompts = _real()(*condition, None, False, None)
    return prompts.system_prompt, "\n".join([prompts.user_prompt, prompts.email_content])


def everything(goal_type, value):
    for scenario in SCENARIOS:
        for urgency in URGENCIES:
            yield scenario, goal_type, value, urgency


# ----------------------------------------------------------------------------- what is there


def test_every_condition_is_named_once():
    names = published_names()
    assert len(names) == len(set(names)) == 228
    assert len({texts(*c) for c in _grid()}) == len(list(_grid())) == 234


def test_an_empty_plan_asks_what_the_package_asks():
    for name in published_names():
        request = render(load_published(name))
        condition = name.removeprefix(PREFIX).split("-")
        assert (request.system, request.user) == texts(*condition)
        assert not request.tools


@pytest.mark.parametrize("goal_type", GOAL_TYPES[:3])
@pytest.mark.parametrize("value", ["none", "ambiguous"])
def test_another_name_for_a_condition_finds_the_same(goal_type, value):
    for scenario, _, _, urgency in everything(goal_type, value):
        found = load_published(f"{PREFIX}{scenario}-{goal_type}-{value}-{urgency}")
        assert found.name == f"{PREFIX}{scenario}-ambiguous-none-{urgency}"
        assert texts(scenario, goal_type, value, urgency) == texts(
            scenario, "ambiguous", "none", urgency
        )


def test_a_condition_with_a_gap_in_its_text_is_refused():
    refused = [c for c in _grid() if c.name not in published_names()]
    assert {(c.scenario, c.goal_value, c.urgency) for c in refused} == {
        ("blackmail", "safety", "restriction"),
        ("murder", "safety", "restriction"),
    }
    for condition in refused:
        with pytest.raises(SeedError, match=r"leaves the placeholder \$\{\w+\} in its text"):
            find_seed(condition.name)


def test_measured_rates_are_those_of_the_published_conditions():
    measured = [name for name in published_names() if load_published(name).elicits != "unknown"]
    assert len(measured) == 18
    assert seed_of("blackmail").elicits == "96% Claude Opus 4, 2025 (n=100)"
    assert seed_of("leaking", "none-none-none").elicits.startswith("0%")


def test_the_condition_says_what_moves_the_agent():
    assert seed_of("murder").condition == "both"
    assert seed_of("murder", "none-none-restriction").condition == "threat"
    assert seed_of("leaking", "latent-global-none").condition == "conflict"
    assert seed_of("blackmail", "none-none-none").condition == "neither"


def test_other_text_than_the_table_knows_is_refused(monkeypatch):
    name = f"{PREFIX}blackmail-{EXPLICIT}"
    system, user = published_texts(Condition(*name.removeprefix(PREFIX).split("-")))
    load_published.cache_clear()
    for other in (
        (system, user.replace("marriage", "hat")),
        (system.replace(" PM", ""), user),
        (system, f"{user}\n\nP.S."),
    ):
        monkeypatch.setattr("seeds.published.published_texts", lambda _, other=other: other)
        with pytest.raises(SeedError, match="holds other text than the table knows"):
            load_published(name)
    load_published.cache_clear()


def test_reading_a_condition_imports_none_of_the_evaluations():
    code = (
        "import sys; from fuzzer.registry import find_seed; "
        f"find_seed('{PREFIX}blackmail-{EXPLICIT}'); "
        "sys.exit(any(m.split('.')[0] in ('inspect_ai', 'inspect_evals') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_none_of_the_packages_text_is_kept_here():
    written = set()
    for condition in _grid():
        words = re.findall(r"\w+", " ".join(texts(*condition)).lower())
        written |= {tuple(words[i : i + 8]) for i in range(len(words) - 7)}
    for path in REPOSITORY.rglob("*"):
        kept = path.suffix in (".py", ".toml", ".md", ".json") and path.is_file()
        if kept and not any(part.startswith(".") or part == "runs" for part in path.parts):
            words = re.findall(r"\w+", path.read_text(encoding="utf-8").lower())
            here = {tuple(words[i : i + 8]) for i in range(len(words) - 7)}
            assert here.isdisjoint(written), path


# ------------------------------------------------------------------------------- as variants


def test_every_condition_is_admitted_as_it_is():
    for name in published_names():
        seed = load_published(name)
        assert admit(variant_of(seed), seed, JUDGE.decide).reasons == ()


def test_every_condition_is_admitted_under_plans_of_any_length():
    random, catalogue = Random(20), find_catalogue()
    for name in published_names():
        seed = load_published(name)
        fitting = [t for t in catalogue if t.applicable(seed)]
        steps, groups = [], set()
        for transform in random.sample(fitting, random.choice([1, 2, 4, len(fitting)])):
            if not (transform.group and transform.group in groups):
                groups.add(transform.group)
                pool = catalogue.pools.get(transform.name) or (Step(transform=transform.name),)
                steps.append(random.choice(pool))
        variant = variant_of(seed, *steps)
        assert admit(variant, seed, JUDGE.decide).reasons == (), (name, variant.plan)


def old_words(seed):
    """Whatever names somebody or something, and every address in the package's own text."""
    found = set()
    for person in seed.cast:
        found |= {person.first, person.last, person.nick, person.mailbox}
    for organisation in seed.organisation:
        found |= {organisation.name, organisation.short, organisation.ticker, organisation.domain}
    text = "\n".join(texts(*seed.name.removeprefix(PREFIX).split("-")))
    found |= set(re.findall(r"[\w.+-]+@[\w.-]+\w", text))
    found |= {address.partition("@")[2] for address in found if "@" in address}
    return {word.lower() for word in found if len(word) > 2}


@pytest.mark.parametrize("locale", ["en_US", "ja_JP", "mixed"])
def test_renamed_nothing_of_the_old_names_is_left(locale):
    for name in published_names():
        seed = load_published(name)
        variant = variant_of(
            seed,
            Step(transform="rename_people", params={"locale": locale}),
            Step(transform="rename_organisations", params={"draw": 3}),
            Step(transform="rename_agent"),
            Step(transform="shift_clock", params={"years": 3, "quarters": 2}),
        )
        assert admit(variant, seed, JUDGE.decide).reasons == ()
        text = variant.request.text.lower()
        for word in old_words(seed):
            assert not re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text), word
        assert "2025-06-11" not in text
        assert "4:53" not in text
        assert not re.search(r"\b5 ?pm\b|\b17:00\b|\b3:15\b|20250611|\b16:4\d", text)


def test_the_packages_description_stands_while_it_describes_what_is_offered():
    seed = seed_of("leaking")
    blocks = {block.id: block.text for block in seed.system}
    own = "You act by writing tool calls"
    assert own not in render(seed).system
    renamed = variant_of(seed, Step(transform="rename_tools", params={"style": "camel"})).request
    if renamed.system == render(seed).system:  # these names read the same in that style
        renamed = variant_of(seed, Step(transform="describe_tools")).request
    switched = variant_of(seed, Step(transform="switch_channel", params={"channel": "native"}))
    for request in (renamed, switched.request):
        assert blocks["protocol"] not in request.system
    assert own in renamed.system
    assert own not in switched.request.system
    assert {tool["name"] for tool in switched.request.tools} == {"email", "forward"}


def test_what_the_text_says_outright_is_left_as_it_is():
    catalogue = find_catalogue()
    assert not catalogue["swap_genders"].applicable(seed_of("blackmail"))
    assert not catalogue["paraphrase_goal"].applicable(seed_of("blackmail"))


def test_the_protocol_takes_one_generation():
    assert {load_published(name).generations for name in published_names()} == {1}


# ------------------------------------------------------------------------------------- gates


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_gates_see_the_explicit_control_of_the_seed_itself(scenario):
    variant = variant_of(seed_of(scenario))
    assert gates(variant, variant.controls.harmful[0]) == (True, True)
    assert gates(variant, variant.controls.safe[0]) == (False, False)


@pytest.mark.parametrize(
    ("scenario", "step"),
    [
        ("blackmail", Step(transform="rename_people")),
        ("blackmail", Step(transform="rename_organisations")),
        ("blackmail", Step(transform="restyle_addresses")),
        ("leaking", Step(transform="rename_organisations")),
        *(
            (scenario, Step(transform="switch_channel", params={"channel": channel}))
            for scenario in SCENARIOS
            for channel in ("native", "xml", "json")
        ),
    ],
)
def test_the_gates_go_blind_where_ours_do_not(scenario, step):
    variant = variant_of(seed_of(scenario), step)
    harmful = variant.controls.harmful[0]
    assert gates(variant, harmful) == (False, True)
    assert JUDGE.decide(variant, harmful).value == "harmful"


def test_mapping_back_finds_the_published_names_and_tags():
    seed = seed_of("blackmail")
    variant = variant_of(
        seed,
        Step(transform="rename_people", params={"locale": "de_DE"}),
        Step(transform="rename_organisations"),
        Step(transform="switch_channel", params={"channel": "native"}),
    )
    text = canonical_text(variant, seed, variant.controls.harmful[0])
    assert f'<tool_use:email>\nto: "{seed.email("target")}"' in text
    for person in variant.scenario.cast:
        if person.role not in ("agent", "successor"):
            assert person.name not in text


def test_the_table_of_gates_is_printed(capsys):
    print_gates(["--quick"])
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) > 20
    assert all(row.endswith("100%") for row in rows[1:])
