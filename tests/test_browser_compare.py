"""The page of a comparison in a browser: quiet, in shape, usable by keys alone, harmless."""

import pytest

from reports.comparison_page import SECTIONS, render
from tests.looking import OPEN, PAPER, in_shape, quiet, serious
from tests.poison import POISONS
from tests.test_browser_hostile import SPREAD, harmless
from tests.test_comparison_page import ALL, WORSE, poisoned

pytestmark = pytest.mark.browser


@pytest.fixture
def shown(tab, tmp_path):
    """Opens the page of a comparison."""

    def show(found=WORSE):
        path = tmp_path / "compare.html"
        path.write_text(render(found), encoding="utf-8")
        tab.open(path)
        return tab

    return show


@pytest.mark.parametrize("name", ALL)
def test_it_opens_quietly_fits_any_window_and_is_accessible(shown, name):
    tab = shown(ALL[name])
    quiet(tab)
    in_shape(tab)
    tab.evaluate(OPEN)
    in_shape(tab, 360)
    assert serious(tab) == []
    tab.media(scheme="dark")
    assert serious(tab, "color-contrast") == []
    quiet(tab)


def test_every_section_is_reached_by_its_link(shown):
    tab = shown()
    for id, name in SECTIONS:
        link = f"nav a[href='#{id}']"
        assert tab.evaluate(f"document.querySelector({link!r}).textContent") == name
        tab.click(link)
        top = tab.evaluate(f"document.getElementById({id!r}).getBoundingClientRect().top")
        assert -1 <= top < 900, name


def test_a_chart_is_told_to_who_cannot_see_it(shown):
    spoken = shown().spoken()
    charts = [name for role, name in spoken if role in ("image", "img")]
    assert charts[0] == (
        "all draws from D: B minus A +21 points, limits [+12, +31]; B fails more often"
    )
    assert ("table", "All draws from D, and by seed") in spoken


def test_on_paper_everything_is_open_and_nothing_is_cut(shown):
    tab = shown()
    tab.media("print")
    in_shape(tab, PAPER)
    hidden = tab.evaluate(
        """[...document.querySelectorAll("details:not(.screen) > :not(summary)")]
           .filter((each) => !each.checkVisibility()).length"""
    )
    assert hidden == 0
    assert tab.pdf().startswith(b"%PDF")


def test_hostile_text_stays_text(shown):
    for part in range(SPREAD):
        tab = shown(poisoned(*POISONS[part::SPREAD]))
        tab.evaluate(OPEN)
        tab.settle()
        harmless(tab)
        in_shape(tab, 1400, 360)
    tab.media("print")
    in_shape(tab, PAPER)
