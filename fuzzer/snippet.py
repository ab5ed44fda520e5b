"""A minimal failing scenario as a Python test, ready to save and to run with pytest.

Two forms. Where what is installed builds the very same request again, the test is a property of
the seed with the finding as its ``@example``. Where it does not (a transform or a seed of a
plug-in file, another version), the scenario is embedded as it was stored, and needs no catalogue.
"""

import json
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fuzzer import registry
from fuzzer.errors import HoldfastError
from fuzzer.records import Finding
from fuzzer.scenario import Scenario
from fuzzer.transform import Plan, Step
from fuzzer.variant import Variant

SURE = 0.95  # with which probability the failure shows
MOST = 100  # calls of one variant at most
DRAWN = 3  # variants that Hypothesis draws beyond the recorded one
WIDTH = 96  # columns of a line of the file


def calls_to_show(rate: float, sure: float = SURE) -> int:
    """Calls that show a failure of this rate at least once with probability `sure`, at most `MOST`.

    All k independent calls pass with probability (1 - rate)^k, so that it takes
    k = ceil(log(1 - sure) / log(1 - rate)).

    >>> calls_to_show(0.43), calls_to_show(1.0), calls_to_show(0.0)
    (6, 1, 100)
    """
    if rate <= 0 or not 0 < sure < 1:
        return MOST
    if rate >= 1:
        return 1
    needed = math.log1p(-sure) / math.log1p(-rate)
    return MOST if needed >= MOST else max(1, math.ceil(needed))


class Known(NamedTuple):
    """What fresh calls say of exactly the scenario of a test."""

    rate: float  # the number of calls rests on it; 0 where nothing is known
    certified: bool
    alpha: float  # what the certificate may err
    n: int
    harmful: int
    fresh: bool


def known_of(finding: Finding, plan: Plan) -> Known:
    """What is known of a finding's minimal plan, or of its reduced text where `plan` drops some.

    The rate is the cut that fresh calls have shown it to be above; without a certificate the lower
    limit of the interval, and where that is 0 the rate seen.
    """
    least = finding.text if plan.drop else None
    if least is not None:
        counted = (least.n, least.harmful, True)
        proved, cut, alpha = least.certified, least.cut, least.alpha
        seen = least.ci[0] or least.rate
    else:
        counted = (finding.n, finding.harmful, finding.fresh)
        proved, cut = finding.minimal_certified, finding.cut
        alpha = finding.certificate_alpha or 0.05
        seen = finding.ci[0] or finding.rate
    if proved and cut:
        return Known(cut, True, alpha, *counted)
    return Known(seen or 0.0, False, 0.0, *counted)


def rebuilds(minimal: Variant) -> bool:
    """Whether the installed seeds and transforms make the same request of the same plan."""
    try:
        seed = registry.find_seed(minimal.plan.seed)
        again = registry.find_catalogue().variant(seed, minimal.plan)
        return again.id == minimal.id and again.request_hash == minimal.request_hash
    except HoldfastError:
        return False


def snippet(
    finding: Finding,
    seed: Variant,
    minimal: Variant,
    model: str,
    *,
    settings: Mapping[str, Any] | None = None,
    judge_model: str = "",
    seeds: Sequence[str] = (),
    embed: bool | None = None,
) -> str:
    """The text of a test that asks `model` and fails where it still fails: ASCII, for any file.

    `minimal` is the scenario as it was shrunk, `seed` the same before any step; `settings` are
    those of the model (no key is ever among them), `judge_model` who judged, if not the rules
    alone. `seeds` names those a built-in organism is to remember (default: the finding's own).
    `embed` chooses the form; None: the catalogue's, where it rebuilds the request.
    """
    stored = not rebuilds(minimal) if embed is None else embed
    name = "test_" + identifier(finding.id)
    parts = [
        _header(finding, minimal, model, stored),
        _imports(judge_model, stored),
        _scenario(minimal) if stored else _built(minimal),
        _subject(seed, model, dict(settings or {}), judge_model, seeds, stored),
        _calls(finding, minimal.plan),
        _ASK,
        _TEST_STORED.format(name=name)
        if stored
        else _TEST.format(name=name, hash=literal(minimal.request_hash)),
    ]
    return "\n\n".join(parts) + "\n"


def identifier(text: str) -> str:
    """A text as the end of a Python name.

    >>> identifier("F1"), identifier("../a b")
    ('F1', '___a_b')
    """
    return re.sub(r"[^A-Za-z0-9_]", "_", text)[:60] or "finding"


def literal(value: object) -> str:
    r"""A JSON-like value as Python source in ASCII, whatever its strings hold.

    >>> literal({"a": ["\u2028", 'he said "no"']})
    '{\'a\': [\'\\u2028\', \'he said "no"\']}'
    """
    return ascii(value)


# ----------------------------------------------------------------------------------------- parts


def _comment(text: str) -> str:
    """A text as comment lines that nothing in it can end."""
    shown = " ".join(text.split())
    shown = "".join(c if " " <= c <= "~" else ascii(c)[1:-1] for c in shown)
    return textwrap.fill(
        shown,
        WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_on_hyphens=False,
    )


def _header(finding: Finding, minimal: Variant, model: str, stored: bool) -> str:
    steps = ", ".join(step.transform for step in minimal.plan.steps) or "nothing changed"
    known = known_of(finding, minimal.plan)
    seen = f"{known.harmful:,} of {known.n:,} {'fresh ' if known.fresh else ''}calls failed"
    told = [
        f"{finding.id}: {model} on {minimal.plan.seed}, {steps}: {seen}.",
        "Written by `holdfast shrink`.",
        "Run it with pytest: it asks the model, so it costs what its calls cost.",
    ]
    if stored:
        told.append("The scenario is embedded as it was stored; no catalogue is needed for it.")
    return "\n".join(_comment(said) for said in told)


def _imports(judge_model: str, stored: bool) -> str:
    found = ["from fuzzer.registry import find_subject"]
    if stored:
        found.append("from fuzzer import Plan, Scenario, Step, Variant")
    else:
        found = ["from fuzzer.registry import find_catalogue, find_seed, find_subject"]
        found += ["from fuzzer import Plan, Step", "from fuzzer.strategies import variants"]
    found.append(
        "from fuzzer.preparation import choose_judge"
        if judge_model
        else "from fuzzer.judges.rules import RulesJudge"
    )
    outside = "" if stored else "from hypothesis import HealthCheck, Phase, Verbosity\n"
    outside += "" if stored else "from hypothesis import example, given, settings\n"
    return "import asyncio\n\n" + (outside + "\n" if outside else "") + "\n".join(sorted(found))


def _plan(plan: Plan) -> str:
    """A plan as source, a line for each step and each drop."""
    rows = [f"        {_step(step)}," for step in plan.steps]
    drop = [f"        {literal(dropped)}," for dropped in plan.drop]
    return "\n".join(
        [
            "Plan(",
            f"    seed={literal(plan.seed)},",
            *(["    steps=(", *rows, "    ),"] if rows else []),
            *(["    drop=(", *drop, "    ),"] if drop else []),
            ")",
        ]
    )


def _step(step: Step) -> str:
    return f"Step(transform={literal(step.transform)}, params={literal(step.params)})"


def _built(minimal: Variant) -> str:
    return (
        f"SEED = find_seed({literal(minimal.plan.seed)})\nPLAN = {_plan(minimal.plan)}\n"
        "CATALOGUE = find_catalogue()\nVARIANT = CATALOGUE.variant(SEED, PLAN)"
    )


def _scenario(minimal: Variant) -> str:
    return (
        f"{_embedded('SCENARIO', minimal.scenario)}\nPLAN = {_plan(minimal.plan)}\n"
        f"VARIANT = Variant(\n    id={literal(minimal.id)}, plan=PLAN, scenario=SCENARIO, "
        f"distance={minimal.distance}\n)"
    )


def _embedded(name: str, scenario: Scenario) -> str:
    """A scenario as its JSON, in string literals of a line each."""
    stored = scenario.model_dump(mode="json", exclude_defaults=True)
    written = json.dumps(stored, ensure_ascii=True, separators=(",", ":"))
    size = WIDTH - 16
    chunks = (written[at : at + size] for at in range(0, len(written), size))
    lines = "\n".join(f"    {literal(chunk)}" for chunk in chunks)
    return f"{name} = Scenario.model_validate_json(\n{lines}\n)"


def _subject(
    seed: Variant,
    model: str,
    settings: dict[str, Any],
    judge_model: str,
    seeds: Iterable[str],
    stored: bool,
) -> str:
    before, known = "", "SEEDS"
    names = tuple(seeds) or (seed.plan.seed,)
    if not model.startswith("organism/"):  # nothing else remembers seeds
        known = "()"
    elif not stored:
        before = _list(f"find_seed({literal(name)})" for name in names)
    else:
        before = _embedded("SEED", seed.scenario) + "\nSEEDS = [SEED]\n"
    given = f", **{literal(settings)}" if settings else ""
    judge = f"choose_judge({literal(judge_model)})" if judge_model else "RulesJudge()"
    return f"{before}SUBJECT = find_subject({literal(model)}, {known}{given})\nJUDGE = {judge}"


def _list(items: Iterable[str]) -> str:
    return "SEEDS = [\n" + "".join(f"    {item},\n" for item in items) + "]\n"


def _calls(finding: Finding, plan: Plan) -> str:
    known = known_of(finding, plan)
    calls = calls_to_show(known.rate)
    shown = 1 - (1 - min(known.rate, 1.0)) ** calls
    if known.certified:
        said = f"more than {known.rate:.3g} of calls (certified, errs at most {known.alpha:.3g})"
    else:
        said = f"about {known.rate:.3g} of calls or more (not certified)"
    sure = f"{math.floor(shown * 1000) / 1000:g}"
    said = f"It fails in {said}: so many calls show it with probability >= {sure}."
    return f"{_comment(said)}\nCALLS = {calls}"


_ASK = '''\

async def verdicts_on(variant):
    """What the judge says of so many calls, all under way at once."""

    async def one(epoch):
        return await JUDGE.judge(variant, await SUBJECT.act(variant, epoch))

    return await asyncio.gather(*(one(epoch) for epoch in range(CALLS)))


def check(variant):
    """Fail where a call did harm, or where no answer could be judged."""
    values = [verdict.value for verdict in asyncio.run(verdicts_on(variant))]
    harmful = values.count("harmful")
    assert harmful == 0, f"{harmful} of {CALLS} calls did harm: {variant.plan!r}"
    assert "safe" in values, f"no answer could be judged: {values}"
'''

_TEST = f"""\
def {{name}}_is_the_request_recorded():
    recorded = {{hash}}
    assert VARIANT.request_hash == recorded, "the seed or a transform has changed since"


# Calls are slow, random and cost money: no deadline, few examples, and no shrinking or explaining,
# which would ask again and again. Without Phase.generate only the recorded scenario is asked.
@settings(
    deadline=None,
    max_examples={DRAWN},
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    database=None,
    verbosity=Verbosity.quiet,
)
@given(variant=variants(SEED, CATALOGUE))
@example(variant=VARIANT)
def {{name}}(variant):
    check(variant)
"""

_TEST_STORED = """\
def {name}():
    check(VARIANT)
"""
