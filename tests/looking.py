"""What is asked of every page in the browser: quiet, in shape, readable without eyes or colour."""

from functools import cache
from pathlib import Path
from typing import Any

from tests.browser import Tab

WIDTHS = (1400, 800, 360)
PAPER = 695  # CSS pixels between the margins of A4, as style.css has them

# Elements that reach beyond the window, those in a box that scrolls or clips by itself left out.
WIDE = """(() => {
  const held = (element) => {
    for (let at = element.parentElement; at && at !== document.body; at = at.parentElement) {
      if (getComputedStyle(at).overflowX !== "visible") return true;
    }
    return false;
  };
  const name = (element) => element.tagName + (element.id ? `#${element.id}` : "") +
    (element.getAttribute("class") ? `.${element.getAttribute("class")}` : "");
  const wide = [...document.querySelectorAll("body *")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width && box.height && (box.right > innerWidth + 1 || box.left < -1) &&
      !element.closest(".skip, .unseen, svg *") && !held(element);
  });
  const scrolls = document.documentElement.scrollWidth > innerWidth ? ["the page scrolls"] : [];
  return [...scrolls, ...wide.slice(0, 5).map(name)];
})()"""

# The head is at the top, and the verdict and what follows it are where one can read them.
TOP = """(() => {
  scrollTo(0, 0);
  const wrong = [];
  const box = (selector) => document.querySelector(selector).getBoundingClientRect();
  const seen = (selector) => {
    const found = document.querySelector(selector);
    const at = found.getBoundingClientRect();
    const hit = document.elementFromPoint(at.left + Math.min(at.width / 2, 40), at.top + 4);
    return hit && (found.contains(hit) || hit.contains(found));
  };
  if (box("header.top").top > 1) wrong.push("the header is not on top");
  if (!seen("header.top")) wrong.push("something lies over the header");
  const verdict = box(".verdict");
  const next = document.querySelector(".verdict").nextElementSibling.getBoundingClientRect();
  const head = document.querySelector("h1");
  if (!document.querySelector(".verdict").contains(head) && box("h1").bottom > verdict.top + 1)
    wrong.push("the headline runs into the verdict");
  if (next.height && verdict.bottom > next.top + 1) wrong.push("what follows overlaps the verdict");
  if (verdict.top < innerHeight && !seen(".verdict")) wrong.push("something lies over the verdict");
  const all = { visibilityProperty: true, opacityProperty: true };
  if (!document.querySelector(".verdict").checkVisibility(all)) wrong.push("the verdict is hidden");
  return wrong;
})()"""
OPEN = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"


@cache
def axe() -> str:
    """The accessibility checker's own code."""
    return (Path(__file__).parent / "data" / "axe.min.js").read_text(encoding="utf-8")


def quiet(tab: Tab, *, beside: tuple[str, ...] = ()) -> None:
    """Assert that the page asked for itself alone, complained of nothing, was refused nothing."""
    assert tab.remote == []
    assert set(tab.beside) <= set(beside)
    assert (tab.complaints, tab.dialogs, tab.navigations, tab.refused) == ([], [], [], [])


def in_shape(tab: Tab, *widths: int) -> None:
    """Assert that nothing is wider than the window or lies over the verdict."""
    for width in widths or WIDTHS:
        tab.size(width)
        assert (width, tab.evaluate(WIDE)) == (width, [])
        assert (width, tab.evaluate(TOP)) == (width, [])
    tab.size(WIDTHS[0])


def serious(tab: Tab, *rules: str) -> list[str]:
    """What axe-core finds serious or critical on the page as it is, by these rules or by all."""
    if not tab.evaluate("!!window.axe"):
        tab.evaluate(f"{axe()}; 0")
    chosen: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        chosen["runOnly"] = list(rules)
    found = tab.evaluate(
        """async (options) => (await axe.run(document, options)).violations
          .filter((each) => ["serious", "critical"].includes(each.impact))
          .map((each) => `${each.id}: ${each.nodes.length}, as ${each.nodes.slice(0, 3).map(
            (node) => `${node.target} (${node.any.concat(node.all)[0]?.message})`)}`)""",
        chosen,
    )
    assert isinstance(found, list)
    return found
