"""Nothing that a subject, a seed's author or a file name says runs in a page, or breaks it.

Which text stands in which field is the affair of ``test_reports.py``, which parses pages; here the
texts are spread over the fields and a browser is asked what became of them.
"""

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

import reports
from fuzzer.cli import main
from fuzzer.material import Exhibit, Material
from fuzzer.records import Evidence, Reading, Report, Trial, Verdict
from fuzzer.transcript import Action, Call, Transcript, Turn
from fuzzer.transform import Plan, Step
from fuzzer.variant import Variant
from seeds import load_seed
from tests.browser import Tab
from tests.looking import OPEN, PAPER, WIDE, in_shape, quiet
from tests.poison import POISONS, spoilt
from tests.test_browser_report import READY
from tests.test_reports import ALL, EXAMPLE, LITERALS, UNSEEN

pytestmark = pytest.mark.browser

SPREAD = 4  # pages over which the texts are spread
# Elements that load or act, handlers, and addresses that lead anywhere but to a place on the page.
ACTING = """(() => {
  const loads = "iframe, frame, img, object, embed, base, link, video, audio, animate, set," +
    "foreignObject, form[action], [src], [srcset], [srcdoc], [formaction], [ping]";
  const found = [...document.querySelectorAll(`${loads}, [style]:not(#t-rows, .t-row)`)];
  for (const each of document.querySelectorAll("*")) {
    for (const { name, value } of each.attributes) {
      const leads = name.endsWith("href") && !value.startsWith("#");
      if (leads || name.startsWith("on")) found.push(each);
    }
  }
  return found.map((each) => each.outerHTML.slice(0, 200));
})()"""


def harmless(tab: Tab) -> None:
    """Assert that nothing has run, and that nothing stands there that could."""
    assert tab.evaluate("window.__pwned") is None
    assert tab.evaluate("({}).polluted") is None
    assert tab.evaluate(ACTING) == []
    assert tab.evaluate("document.querySelectorAll('script:not([type]), style').length") == 2
    quiet(tab)


def words(text: str) -> str:
    """As a report read from a file may hold it: validation refuses half a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def variant(poison: str, plan: Plan) -> Variant:
    """A scenario whose author wrote this wherever an author writes."""
    seed = load_seed("blackmail-replacement")
    first, *rest = seed.inbox
    spoilt_mail = first.model_copy(update={"subject": poison, "body": f"{poison}\n{first.body}"})
    scenario = seed.model_copy(update={"inbox": (spoilt_mail, *rest), "name": poison[:200]})
    return Variant.of(id="ab" * 12, plan=plan, scenario=scenario, distance=1)


def poisoned(texts: Sequence[str], verdict: str) -> tuple[Report, Material]:
    """A report, and its run's material, in which these texts take turns wherever a text may be."""
    turns = itertools.cycle(map(words, texts))
    data = spoilt(ALL[verdict].model_dump(mode="json"), turns, LITERALS)
    data |= {"sentence": "", "notes": list(itertools.islice(turns, 3))}
    for key in ("versions", "rules"):
        data[key] = {next(turns): next(turns) for _ in range(4)}
    data["unusable"]["by_cause"] = {next(turns)[:300]: 3, next(turns)[:300]: 2}
    for found in data["findings"]:
        for step in (*found["plan"], *found["minimal_plan"]):
            step["params"] = {next(turns): next(turns), "deep": [next(turns)]}
    report = Report.model_validate(data)
    trials = [trial(number, text) for number, text in enumerate([*texts, *texts])]
    exhibits = {
        finding.id: Exhibit(
            trials[0],
            variant(next(turns), Plan(seed=finding.seed)),
            variant(next(turns), finding.smallest),
        )
        for finding in report.findings
    }
    return report, Material(exhibits, lambda: trials, len(trials))


def trial(number: int, poison: str) -> Trial:
    said = (
        Turn("assistant", f"{poison} says {poison}", (Call(poison, {poison: poison}),), poison),
        Turn("environment", poison),
    )
    action = Action(poison, {poison: poison}, poison, error=poison)
    evidence = Evidence(turn=0, quote=poison, why=poison)
    reading = Reading.model_construct(
        **dict(Reading(reached_target=True)) | {"leverage_used": poison, "condition": poison}
    )
    opinion = Verdict(value="harmful").model_copy(
        update={"judge": poison, "cause": poison, "evidence": (evidence,), "reading": reading}
    )
    verdict = opinion.model_copy(update={"opinions": (opinion, opinion)})
    step = Step.model_construct(
        transform=poison, params={poison: poison, "__proto__": {"polluted": 1}}
    )
    return EXAMPLE.model_copy(
        update={
            "idx": number,
            "seed": poison,
            "plan": Plan.model_construct(seed=poison, steps=(step,), drop=(poison,)),
            "transcript": Transcript.model_construct(
                **dict(EXAMPLE.transcript) | {"turns": said, "actions": (action,), "cause": poison}
            ),
            "verdict": verdict,
        }
    )


@pytest.mark.parametrize("part", range(SPREAD))
def test_nothing_in_a_report_runs_or_breaks_the_page(tab, tmp_path, part):
    texts = POISONS[part::SPREAD]
    report, material = poisoned(texts, "unusable" if part == 1 else "brittle")
    reports.write(report, tmp_path, material)
    tab.open(tmp_path / "report.html")
    tab.wait(READY)
    harmless(tab)
    in_shape(tab, 1400)
    tab.evaluate(OPEN)
    tab.settle()
    read_everything(tab, len(texts))
    in_shape(tab, 360)
    tab.media("print")
    in_shape(tab, PAPER)


def read_everything(tab: Tab, trials: int) -> None:
    """Choose each thing that can be chosen, and open each of the first trials."""
    tab.evaluate(
        """(() => {
             for (const select of document.querySelectorAll("#t-filters select")) {
               for (const option of select.options) {
                 select.value = option.value;
                 select.dispatchEvent(new Event("change", { bubbles: true }));
               }
               select.value = "";
               select.dispatchEvent(new Event("change", { bubbles: true }));
             }
             document.getElementById("t-list").focus();
           })()"""
    )
    acting = []
    for _ in range(trials):
        tab.press("Enter")
        tab.wait("document.querySelector('#t-text pre') !== null")
        tab.evaluate("document.querySelectorAll('#t-text summary').forEach((s) => s.click())")
        acting += tab.evaluate(f"[...{ACTING}, ...{WIDE}]")
        tab.press("Escape", "ArrowDown")
    assert acting == []
    harmless(tab)


# ------------------------------------------------------------------------------------- a real sweep

SUBJECT = '''
from dataclasses import replace

from fuzzer.transcript import Call, Transcript
from tests.poison import POISONS


class Hostile:
    """Says everything that might make a reader's browser or terminal act."""

    name = "</title><img src=x onerror=__pwned=1>\\x1b[2J"

    async def act(self, variant, epoch):
        number = int(variant.id[:8], 16) + epoch
        poison = POISONS[number % len(POISONS)]
        if number % 11 == 0:
            return Transcript(turns=(), stop="error", cause=poison[:100])
        said = (variant.controls.harmful if number % 3 else variant.controls.safe)[0]
        first, *rest = said.turns
        call = Call(poison[:200], {poison[:100]: poison, "__proto__": {"polluted": poison}})
        told = replace(first, text=f"{first.text}\\n{poison}", reasoning=poison)
        told = replace(told, calls=(*told.calls, call))
        return said.model_copy(update={"turns": (told, *rest)})
'''


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, Result]:
    """A sweep of such a subject, into a folder with a name of the same kind."""
    home = tmp_path_factory.mktemp("hostile")
    (home / "subject.py").write_text(SUBJECT, encoding="utf-8")
    out = home / '"><img src=x onerror=__pwned=1>\x1b[31m'
    options = {"--model": f"{home / 'subject.py'}:Hostile", "--out": out}
    options |= {"--budget": "80", "--shrink-budget": "0"}
    words = [str(word) for pair in options.items() for word in pair]
    return out, CliRunner().invoke(main, ["sweep", "leaking-competitor", *words])


def test_a_sweep_of_a_hostile_subject_shows_what_it_said_and_runs_none_of_it(tab, run):
    out, ran = run
    assert ran.exit_code == 1, ran.output
    assert UNSEEN.search(ran.output) is None
    tab.open(out / "report.html")
    tab.wait(READY)
    harmless(tab)
    tab.evaluate(OPEN)
    in_shape(tab, 1400, 360)
    read_everything(tab, 12)
    assert "onerror" in tab.evaluate("document.body.textContent"), "it is shown as text"


def test_no_format_of_a_report_lets_a_hostile_subject_through(run):
    out, _ = run
    (kind,) = (each for each in main.commands["report"].params if each.name == "kind")
    for name in kind.type.choices:  # type: ignore[attr-defined]
        ran = CliRunner().invoke(main, ["report", str(out), "--format", name])
        assert ran.exit_code == 1, (name, ran.output[-500:])
        assert UNSEEN.search(ran.output) is None, name
        if name == "junit":
            ElementTree.fromstring(ran.output)
        elif name in ("json", "sarif"):
            assert json.loads(ran.output)
        elif name == "markdown":
            outside = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", ran.output, flags=re.DOTALL)  # code
            assert not re.search(r"(?<!\\)<[a-z!/]", outside), outside
