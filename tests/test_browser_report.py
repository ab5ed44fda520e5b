"""The page of a report in a browser: quiet, in shape, usable by keys and without eyes, on paper."""

from functools import cache
from pathlib import Path
from random import Random

import pytest

import reports
from fuzzer.campaign import sweep
from fuzzer.exhibits import material
from fuzzer.material import Exhibit, Material
from fuzzer.records import Trial, Verdict
from fuzzer.store import RunStore
from fuzzer.transcript import Transcript, Turn
from fuzzer.transform import Plan
from reports import parcels
from seeds import load_seed
from tests.browser import Tab
from tests.few import FEW
from tests.looking import OPEN, PAPER, in_shape, quiet, serious
from tests.test_reports import ALL, BRITTLE, EXAMPLE, SEEDS

pytestmark = pytest.mark.browser

VALUES = ("safe", "safe", "harmful", "unusable")
TRIALS = 1_000


def trial(number: int) -> Trial:
    """One of many: every fourth unusable, every fourth harmful, the others safe."""
    seed, value = SEEDS[number % 3], VALUES[number % 4]
    noise = Random(number).randbytes(300).hex()  # nothing packs it
    cause = "truncated" if value == "unusable" else ""
    return EXAMPLE.model_copy(
        update={
            "idx": number,
            "seed": seed,
            "plan": Plan(seed=seed, steps=EXAMPLE.plan.steps[: number % 2]),
            "distance": number % 2,
            "verdict": Verdict(value=value, judge="rules", cause=cause)
            if value != "harmful"
            else EXAMPLE.verdict,
            "transcript": EXAMPLE.transcript
            if value == "harmful"
            else Transcript(turns=(Turn("assistant", f"This is answer {number}. {noise}"),)),
        }
    )


def many() -> Material:
    return Material({"f1": Exhibit(EXAMPLE)}, lambda: map(trial, range(TRIALS)), TRIALS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A page with many transcripts, and a page of each kind of report."""
    home = tmp_path_factory.mktemp("pages")
    for name, report in ALL.items():
        (home / name).mkdir()
        shown = many() if report is BRITTLE else Material({"f1": Exhibit(EXAMPLE)})
        reports.write(report, home / name, shown)
    return home


@cache
def page(folder: Path, name: str = "brittle") -> Path:
    return folder / name / "report.html"


READY = "document.querySelector('#t-browser[data-ready]') !== null"


@pytest.fixture
def shown(tab, folder):
    """The page with many transcripts, open, its list there."""
    tab.open(page(folder))
    tab.wait(READY)
    return tab


# ------------------------------------------------------------------------------------- every report


@pytest.mark.parametrize("name", ALL)
def test_it_opens_quietly_and_fits_any_window(tab, folder, name):
    tab.open(page(folder, name))
    quiet(tab)
    in_shape(tab)
    tab.evaluate(OPEN)
    in_shape(tab, 360)
    quiet(tab)


@pytest.mark.parametrize("name", ["brittle", "holds", "inconclusive", "empty"])
def test_it_is_accessible_in_light_and_dark_closed_and_open(tab, folder, name):
    tab.open(page(folder, name))
    assert serious(tab) == []
    tab.evaluate(OPEN)
    assert serious(tab) == []
    tab.media(scheme="dark")
    assert serious(tab, "color-contrast") == [], "the one rule that asks for colours"
    quiet(tab)


SECTIONS = (
    *("verdict", "rates", "findings", "dose", "transforms", "graph", "seeds", "job", "judge"),
    *("blind", "transcripts", "methods"),
)


def test_every_section_is_there_and_reached_by_its_link(shown):
    links = shown.evaluate("[...document.querySelectorAll('nav a')].map((a) => a.hash.slice(1))")
    assert set(links) >= set(SECTIONS)
    assert len(links) == len(set(links))
    for id in links:
        shown.click(f"nav a[href='#{id}']")
        where = shown.evaluate(
            "(id) => [location.hash, document.getElementById(id).getBoundingClientRect().top]", id
        )
        assert where[0] == f"#{id}"
        assert -1 <= where[1] < 900, id
    headings = shown.evaluate("[...document.querySelectorAll('h1, h2')].map((h) => h.textContent)")
    assert len(headings) >= len(SECTIONS)


def test_without_its_script_the_page_says_everything_but_the_transcripts(tab, folder):
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(page(folder), settled=False)
    said = [name for _, name in tab.spoken()]
    assert any("Reading and filtering them here takes this page's own script" in s for s in said)
    assert any(s.startswith("Failure rate by distance") for s in said)


def test_what_is_drawn_is_also_told(shown):
    spoken = shown.spoken()
    charts = [name for role, name in spoken if role in ("image", "img")]
    assert len(charts) > 10
    assert all(charts), "a chart without a name"
    roles = {role for role, _ in spoken}
    assert roles >= {"banner", "navigation", "main", "contentinfo", "heading", "table", "grid"}


# --------------------------------------------------------------------------------------------- keys


FOCUS = """(() => {
  const at = document.activeElement;
  const box = at.getBoundingClientRect();
  const style = getComputedStyle(at);
  const marked = style.outlineStyle !== "none" || at.matches(".t-list");
  return { id: at.id, tag: at.tagName, text: at.textContent.trim().slice(0, 40), marked,
    inside: box.bottom > 0 && box.top < innerHeight && box.width > 0 };
})()"""


def test_the_first_key_leads_past_the_navigation(shown):
    shown.press("Tab")
    assert shown.evaluate(FOCUS)["text"].startswith("Skip to")
    assert shown.evaluate(FOCUS)["inside"]
    shown.press("Enter")
    assert shown.evaluate("location.hash") == "#main"
    shown.press("Tab")
    assert shown.evaluate("!!document.activeElement.closest('main')")


def test_tab_visits_what_can_be_used_in_order_and_shows_where_it_is(shown):
    shown.evaluate(
        """window.__visits = []; addEventListener("focusin", (event) => {
             const last = __visits.at(-1);
             const follows = !last || last.compareDocumentPosition(event.target) & 4;
             __visits.push(event.target);
             if (!follows) window.__back = event.target.outerHTML.slice(0, 200);
           })"""
    )
    usable = shown.evaluate(
        """[...document.querySelectorAll("a[href], button, summary, select, input, [tabindex='0']")]
           .filter((each) => each.checkVisibility() && !each.disabled).length"""
    )
    seen = 0
    for _ in range(usable):
        shown.press("Tab")
        now = shown.evaluate(FOCUS)
        assert now["marked"], now
        assert now["inside"], now
        seen += 1
    assert shown.evaluate("window.__back") is None
    assert shown.evaluate("new Set(window.__visits).size") == usable == seen


def test_a_fold_opens_by_key(shown):
    shut = "document.querySelector('main details:not([open])')"
    shown.evaluate(f"window.__fold = {shut}; __fold.querySelector('summary').focus()")
    shown.press("Enter")
    assert shown.evaluate("__fold.open")
    shown.press(" ")
    assert not shown.evaluate("__fold.open")


# -------------------------------------------------------------------------------------- transcripts


def choose(tab: Tab, id: str, value: str) -> None:
    tab.evaluate(
        """(id, value) => { const select = document.getElementById(id); select.value = value;
           select.dispatchEvent(new Event("change", { bubbles: true })) }""",
        id,
        value,
    )
    tab.settle()


COUNT = "document.getElementById('t-count').textContent"
ROWS = "[...document.querySelectorAll('#t-rows .t-row')].map((row) => row.textContent)"


def test_the_transcripts_are_filtered(shown):
    assert shown.evaluate(COUNT).startswith("1,000 of 1,000 trials, 250 of them harmful")
    choose(shown, "t-verdict", "harmful")
    assert shown.evaluate(COUNT).startswith("250 of 1,000")
    assert all("harmful" in row for row in shown.evaluate(ROWS))
    choose(shown, "t-seed", SEEDS[1])
    assert shown.evaluate(COUNT).startswith("83 of 1,000")
    choose(shown, "t-transform", "rename_people")
    assert shown.evaluate(COUNT).startswith("None of 1,000")
    assert shown.evaluate(ROWS) == []
    shown.click("#t-clear")
    shown.wait(f"{COUNT}.startsWith('1,000 of 1,000')")
    choose(shown, "t-verdict", "unusable:truncated")
    assert shown.evaluate(COUNT).startswith("250 of 1,000")
    shown.evaluate("document.getElementById('t-find').focus()")
    shown.press(*"503")
    shown.wait(f"{COUNT}.startsWith('1 of 1,000')")
    quiet(shown)


def test_the_list_is_walked_and_read_by_keys_alone(shown):
    shown.evaluate("document.getElementById('t-list').focus()")
    active = (
        "document.getElementById(document.getElementById('t-list')"
        ".getAttribute('aria-activedescendant')).textContent"
    )
    shown.press("ArrowDown", "ArrowDown", "ArrowUp")
    assert shown.evaluate(active).startswith("1")
    shown.press("End")
    shown.settle()
    assert shown.evaluate(active).startswith("999")
    shown.press("PageUp", "Home", "ArrowDown", "ArrowDown", "Enter")
    shown.wait(
        "document.activeElement.id === 't-text' && !document.activeElement.ariaBusy.match('true')"
    )
    said = shown.evaluate("document.getElementById('t-text').textContent")
    assert "your wife will learn of the hotel" in said
    assert shown.evaluate("document.querySelector('#t-text mark').title") == "uses the leverage"
    assert shown.evaluate("location.hash").endswith("#trial=sweep:2")
    find = """(word) => {
        const find = document.getElementById("t-find");
        find.value = word;
        find.dispatchEvent(new Event("input"));
    }"""
    shown.evaluate(find, "nothing")
    shown.wait(f"{COUNT}.startsWith('None of')")
    shown.evaluate("document.querySelector('.t-nav button:nth-child(2)').click()")
    assert shown.evaluate("location.hash").endswith("&trial=sweep:2"), "there is no next one"
    shown.evaluate(find, "")
    shown.wait(f"{COUNT}.startsWith('1,000 of')")
    assert serious(shown) == []
    in_shape(shown, 360)
    shown.press("Escape")
    assert shown.evaluate("document.activeElement.id") == "t-list"
    assert shown.evaluate("document.getElementById('t-text').hidden")
    quiet(shown)


def test_a_filter_and_a_trial_can_be_linked_to(tab, folder):
    tab.open(f"{page(folder).as_uri()}#verdict=unusable&trial=sweep%3A7")
    tab.wait(READY)
    tab.wait("document.getElementById('t-text').textContent.includes('This is answer 7.')")
    assert tab.evaluate(COUNT).startswith("250 of 1,000")
    tab.open(f"{page(folder).as_uri()}#findings")
    top = tab.evaluate("document.getElementById('findings').getBoundingClientRect().top")
    assert -1 <= top < 900
    tab.open(f"{page(folder).as_uri()}#verdict=__proto__&seed=<img>&trial=sweep%3A99999")
    tab.wait(READY)
    tab.wait(f"{COUNT}.includes('not in this run')")
    assert tab.evaluate("document.getElementById('t-verdict').value") == ""
    assert (tab.remote, tab.complaints, tab.refused) == ([], [], [])


def test_files_beside_the_page_are_read_only_when_asked_for(tab, tmp_path, monkeypatch):
    monkeypatch.setattr(parcels.Parcels.__init__, "__defaults__", (None, 350_000))
    reports.write(BRITTLE, tmp_path, many())
    files = {path.name for path in (tmp_path / "report-data").iterdir()}
    assert files
    tab.open(tmp_path / "report.html")
    tab.wait(READY)
    before = set(tab.beside)
    assert before < files
    tab.open(f"{(tmp_path / 'report.html').as_uri()}#trial=sweep%3A999")
    tab.wait("document.getElementById('t-text').textContent.includes('answer 999')")
    assert set(tab.beside) <= files - before
    assert tab.beside
    quiet(tab, beside=tuple(files))
    for path in (tmp_path / "report-data").iterdir():
        path.unlink()
    tab.call("Page.reload", ignoreCache=True)
    tab.wait("document.getElementById('t-text')?.textContent.includes('.js is not there')")
    assert tab.evaluate(COUNT).startswith("1,000 of 1,000")
    assert tab.remote == []


# ------------------------------------------------------------------------------- colours and paper


def brightness(tab: Tab) -> int:
    colour = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour.strip("rgb()").split(","))


def test_light_and_dark_follow_the_system_and_the_button(shown):
    assert brightness(shown) > 600
    shown.media(scheme="dark")
    assert brightness(shown) < 150
    assert shown.evaluate("document.getElementById('theme').ariaPressed") == "true"
    shown.click("#theme")
    assert brightness(shown) > 600
    shown.media(scheme="light")
    shown.evaluate("document.getElementById('theme').focus()")
    shown.press("Enter")
    assert brightness(shown) < 150
    assert shown.evaluate("document.getElementById('theme').ariaPressed") == "true"
    shown.media("print")
    assert brightness(shown) > 600, "paper is white"
    quiet(shown)


SHUT = """[...document.querySelectorAll("details > :not(summary)")]
  .filter((each) => !each.closest("details.screen, .difference") && !each.checkVisibility())
  .map((each) => each.outerHTML.slice(0, 80))"""


def test_on_paper_everything_is_open_and_nothing_is_cut(shown):
    shown.media("print")
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.evaluate(SHUT) == []
    in_shape(shown, PAPER)
    assert not shown.evaluate("document.querySelector('nav').checkVisibility()")
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    shown.media()
    assert shown.evaluate("document.querySelectorAll('details:not([open])').length") > 3
    pages = shown.pdf().count(b"/Type /Page\n")
    assert 3 <= pages <= 30
    quiet(shown)


# ------------------------------------------------------------------------------------- a real sweep


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "r"
    seeds = [load_seed("blackmail-replacement"), load_seed("leaking-competitor")]
    sweep("organism/memoriser", seeds, catalogue=FEW, budget=200, shrink_budget=60, out=out)
    return out


def test_a_sweep_writes_a_page_that_is_quiet_in_shape_and_accessible(tab, run):
    tab.open(run / "report.html")
    tab.wait(READY)
    in_shape(tab, 1400)
    tab.evaluate(OPEN)
    in_shape(tab, 360)
    assert serious(tab) == []
    with RunStore.read(run) as store:
        assert tab.evaluate(COUNT).split()[0] == f"{store.count():,}"
        report = store.report()
        assert report is not None
        assert len(material(report, store).exhibits) == len(report.findings)
    quiet(tab)
