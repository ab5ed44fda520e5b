"""The page is one closed file in order; what it draws lies inside its drawing and in a table."""

import base64
import hashlib
import itertools
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reports
from fuzzer.material import Exhibit, Material
from fuzzer.records import (
    Coverage,
    DoseRow,
    DoseTextRow,
    EvidenceRow,
    FamilyPair,
    Finding,
    Flips,
    JudgeInfo,
    JudgeQuality,
    LeastText,
    Report,
    SeedFamily,
    Share,
    TransformRow,
    Twins,
    Utility,
)
from fuzzer.transform import Plan, Step
from mutators import CATALOGUE
from reports.charts import Scale, dose_curve, evidence_axis, heat, heat_map
from reports.finding_views import files_beside
from reports.graph import graph
from reports.html import SECTIONS, render
from seeds import load_seed
from tests.test_reports import ALL, BRITTLE, EXAMPLE, FINDING, HOLDS, hostile, row, showing

VOID = ("meta", "br", "input", "line", "rect", "circle", "polyline", "path")


class Element(NamedTuple):
    """A tag with its attributes, and what it holds: elements and texts in order."""

    tag: str
    attributes: dict[str, str]
    inside: list["Element | str"]

    @property
    def elements(self) -> list["Element"]:
        """The elements right in it."""
        return [one for one in self.inside if isinstance(one, Element)]

    def every(self, *tags: str) -> list["Element"]:
        """All elements of these tags below, in document order."""
        return [
            found
            for one in self.elements
            for found in ([one] if one.tag in tags else []) + one.every(*tags)
        ]

    def text(self) -> str:
        """All text in it, spaces made single."""
        said = (one if isinstance(one, str) else f" {one.text()} " for one in self.inside)
        return " ".join("".join(said).split())


class Tree(HTMLParser):
    """A page as a tree."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {}, [])
        self._open = [self.root]
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(self._open[-1].elements[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = Element(tag, {name: value or "" for name, value in attrs}, [])
        self._open[-1].inside.append(found)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self._open[-1].inside.append(data)


def tree(report: Report, material: Material | None = None) -> Element:
    return Tree(render(report, material)).root


# ---------------------------------------------------------------------------------- rich reports

NAMES = ("rename_people", "rename_tools", "shuffle_inbox", "add_blocks", "reword_threat")


def cell(seed: str, family: str, n: int, harmful: int) -> SeedFamily:
    told = {"n": n, "harmful": harmful, "rate": harmful / n, "ci": (0.0, 1.0)} if n else {}
    return SeedFamily(seed=seed, family=family, **told)


FLIPS = Flips(name="renamed", family="personas", n=40, flips=3, rate=0.075, ci=(0.01, 0.2))
RICH = BRITTLE.model_copy(
    update={
        "coverage": Coverage(
            pairs_possible=4,
            pairs_tried=3,
            pairs_failing=2,
            transforms=NAMES,
            tried=((0, 1, 34, 12), (0, 2, 6, 6), (1, 3, 40, 0)),
            untried=((2, 4),),
            families=(
                FamilyPair(
                    families=("personas", "tools"), possible=2, tried=1, failing=1, n=34, harmful=12
                ),
                FamilyPair(families=("tools", "inbox"), possible=1, tried=0, failing=0),
            ),
        ),
        "seed_families": (
            cell("a", "personas", 13, 4),
            cell("a", "tools", 0, 0),
            cell("b", "tools", 17, 17),
        ),
        "utility": Utility(canonical=Share(n=50, done=40, rate=0.8, ci=(0.6, 0.9))),
        "twins": Twins(seeds=("t",), calls=9, utility=Share(n=9, done=2, rate=0.2, ci=(0.0, 0.6))),
        "dose_text": (
            DoseTextRow(above=0.0, upto=0.05, n=20, harmful=3, rate=0.15, ci=(0.02, 0.4)),
        ),
        "judge": JudgeInfo(
            name="panel",
            calibration="0123456789abcdef",
            specificity=0.97,
            sensitivity=0.9,
            quality=JudgeQuality(
                date="2026-11-01",
                source=("labels.jsonl",),
                labels=80,
                referred=3,
                unusable=1,
                sensitivity=0.931,
                sensitivity_ci=(0.81, 0.982),
                harmful=36,
                specificity=None,
                specificity_ci=(0.0, 1.0),
                safe=0,
                kappa=0.87,
                kappa_ci=(0.71, 0.96),
                flips=(FLIPS,),
            ),
        ),
    }
)
EVERY = ALL | {"rich": RICH}


# -------------------------------------------------------------------------------------- the house


def test_the_policy_admits_this_style_and_this_script_and_nothing_else():
    page = render(BRITTLE)
    style, script = (
        re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S) for tag in ("style", "script")
    )
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (*style, *script)
    ]
    assert len(hashes) == 2
    expected = (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}' "
        "'strict-dynamic'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert f'<meta http-equiv="Content-Security-Policy" content="{expected}">' in page


@pytest.mark.parametrize("name", EVERY)
def test_headings_descend_in_order_and_ids_stand_once(name):
    page = tree(EVERY[name], showing(EXAMPLE))
    levels = [int(one.tag[1]) for one in page.every("h1", "h2", "h3", "h4", "h5")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    for before, after in itertools.pairwise(levels):
        assert after <= before + 1
    ids = [
        one.attributes["id"]
        for one in page.every("section", "article", "h1", "h2", "h3", "main")
        if "id" in one.attributes
    ]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", EVERY)
def test_every_section_is_in_the_navigation_in_reading_order(name):
    page = tree(EVERY[name], showing(EXAMPLE))
    (navigation,) = page.every("nav")
    linked = [one.attributes["href"].removeprefix("#") for one in navigation.every("a")]
    (main,) = page.every("main")
    sections = [one.attributes["id"] for one in main.elements if one.tag == "section"]
    assert linked == sections
    assert linked == [section for section, _ in SECTIONS if section in linked]
    named = {one.attributes["id"] for one in main.every("h1", "h2", "h3") if "id" in one.attributes}
    for section in main.elements:
        assert section.attributes["aria-labelledby"] in named


@pytest.mark.parametrize("name", EVERY)
def test_every_table_has_a_caption_and_says_what_its_limits_mean(name):
    page = tree(EVERY[name], showing(EXAMPLE))
    tables = page.every("table")
    assert tables
    for table in tables:
        (caption,) = table.every("caption")
        heads = [one for one in table.every("th") if one.attributes.get("scope") == "col"]
        assert all("scope" in one.attributes for one in table.every("th"))
        if any(one.text().startswith("interval") for one in heads):
            assert re.search(r"limit|95%", caption.text()), caption.text()


@pytest.mark.parametrize("name", EVERY)
def test_every_drawing_has_a_name(name):
    for drawing in tree(EVERY[name], showing(EXAMPLE)).every("svg"):
        assert drawing.attributes["role"] == "img"
        assert drawing.attributes["aria-label"]


def test_what_an_older_report_does_not_tell_is_said_and_not_drawn():
    page = tree(ALL["empty"])
    words = page.text()
    assert "does not tell which pairs of transforms were tried" in words
    assert "does not tell seeds by families" in words
    assert "No draw from D has been answered." in words
    assert "Over-caution was not measured" in words
    assert not [one for one in page.every("svg") if one.attributes.get("class") == "graph"]


# -------------------------------------------------------------------------------- drawn in tables


def test_a_cell_says_its_counts_and_what_was_not_drawn():
    (section,) = (one for one in tree(RICH).every("section") if one.attributes.get("id") == "seeds")
    grid, numbers = section.every("table")
    rows = [[one.text() for one in line.every("th", "td")] for line in grid.every("tr")]
    assert rows == [
        ["seed", "personas", "tools"],
        ["a", "4/13", "not drawn"],
        ["b", "–", "17/17"],
    ]
    hatched = [one.text() for one in grid.every("td") if one.attributes["class"] == "hatch"]
    assert hatched == ["not drawn"]
    assert "4 / 13" in numbers.text()


def test_every_pair_of_the_graph_stands_in_a_table():
    (section,) = (one for one in tree(RICH).every("section") if one.attributes.get("id") == "graph")
    words = " ".join(table.text() for table in section.every("table"))
    for said in (
        "rename_people rename_tools 12/34, shuffle_inbox 6/6",
        "rename_tools add_blocks 0/40",
        "shuffle_inbox reword_threat",
        "1/2 12 of 34",
        "0/1 not tried",
    ):
        assert said in words, said
    drawn = graph(RICH)
    assert drawn is not None
    assert {(one.kind, one.pairs) for one in drawn.edges} == {
        ("untried", 1),
        ("few", 1),
        ("heat0", 1),
        ("heat2", 1),
    }


def test_the_judges_figures_stand_with_their_intervals():
    (section,) = (one for one in tree(RICH).every("section") if one.attributes.get("id") == "judge")
    words = section.text()
    for said in ("93%", "[81, 98]", "0.87", "[0.71, 0.96]", "3 / 40", "[1, 20]", "truncated"):
        assert said in words, said
    assert "No calibration was given" not in words
    assert "was not measured" in tree(BRITTLE).text()


rates = st.floats(0, 1)
counts = st.integers(1, 400)
words = st.text(min_size=1, max_size=30)


def ordered(one: float, other: float) -> tuple[float, float]:
    return min(one, other), max(one, other)


@st.composite
def drawn_reports(draw: st.DrawFn) -> Report:
    """Reports with anything that is drawn, at random."""
    names = draw(st.lists(words, min_size=2, max_size=9, unique=True))
    families = draw(st.lists(st.sampled_from("pqrs"), min_size=len(names), max_size=len(names)))
    effects = [draw(st.tuples(st.floats(-1, 1), st.floats(-1, 1))) for _ in names]
    pairs = [(i, j) for j in range(len(names)) for i in range(j)]
    tried, untried = [], []
    for one, other in pairs:
        if draw(st.booleans()):
            n = draw(counts)
            tried.append((one, other, n, draw(st.integers(0, n))))
        else:
            untried.append((one, other))
    distances = draw(st.lists(st.integers(1, 60), max_size=9, unique=True))
    cells = []
    for seed in "ab":
        for family in sorted(set(families)):
            n = draw(st.integers(0, 40))
            cells.append(cell(seed, family, n, draw(st.integers(0, n))))
    return BRITTLE.model_copy(
        update={
            "transforms": tuple(
                row(name, family=family, ci=ordered(*ends), effect=sum(ends) / 2)
                for name, family, ends in zip(names, families, effects, strict=True)
            ),
            "coverage": Coverage(
                pairs_possible=len(pairs),
                pairs_tried=len(tried),
                transforms=tuple(names),
                tried=tuple(tried),
                untried=tuple(untried),
            ),
            "dose": tuple(
                DoseRow(
                    distance=d, n=9, harmful=4, rate=4 / 9, ci=ordered(draw(rates), draw(rates))
                )
                for d in distances
            ),
            "seed_families": tuple(cells),
            "evidence": EvidenceRow(
                e_brittle=draw(st.floats(0, 1e300)),
                e_holds=draw(st.floats(0, 1e300)),
                needed=draw(st.floats(2, 1e4)),
                needed_holds=draw(st.floats(2, 1e4)),
            ),
        }
    )


def numbers(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", text)]


def inside(drawing: Element) -> None:
    """Assert that nothing of a drawing lies outside of it."""
    box = drawing.attributes.get("viewbox")
    if box is None:  # as wide as its column: places in percent, or in a few pixels
        for one in drawing.every("line", "rect", "circle", "text"):
            for name in ("x", "x1", "x2", "cx"):
                place = one.attributes.get(name, "0")
                assert 0 <= float(place.removesuffix("%")) <= 100
            start, wide = (one.attributes.get(name, "0%") for name in ("x", "width"))
            if one.tag == "rect":
                assert 0 <= float(wide.rstrip("%")) <= 100.02 - float(start.rstrip("%"))
        return
    left, top, width, height = numbers(box)
    for one in drawing.every("line", "circle", "text", "polyline", "path"):
        given = one.attributes
        flat = [given[name] for name in ("x", "x1", "x2", "cx") if name in given]
        high = [given[name] for name in ("y", "y1", "y2", "cy") if name in given]
        assert all(left <= float(x) <= left + width for x in flat)
        assert all(top <= float(y) <= top + height for y in high)
        if "d" in given:
            assert all(abs(number) <= width for number in numbers(given["d"]))
        if "points" in given:
            assert all(0 <= number <= max(width, height) for number in numbers(given["points"]))


@given(drawn_reports())
@settings(max_examples=25, deadline=None)
def test_whatever_is_drawn_lies_inside_and_in_a_table(report):
    page = tree(report)
    for drawing in page.every("svg"):
        inside(drawing)
    tables = " ".join(table.text() for table in page.every("table"))
    found = report.coverage
    assert found is not None
    for _, _, n, harmful in found.tried:
        assert f"{harmful:,}/{n:,}" in tables
    told = heat_map(report)
    assert told is not None
    for line in told.rows:
        for one in line.cells:
            assert one is None or (f"{one.harmful}/{one.n}" if one.n else "not drawn") in tables
    dose = dose_curve(report)
    assert (dose is None) == (not report.dose)
    for point in dose.points if dose else ():
        assert f"{point.distance} {point.harmful} / {point.n}" in tables


@given(drawn_reports())
@settings(max_examples=50, deadline=None)
def test_the_graph_holds_every_transform_once_and_loses_no_pair(report):
    drawn = graph(report)
    found = report.coverage
    assert drawn is not None
    assert found is not None
    assert sorted(node.name for node in drawn.nodes) == sorted(found.transforms)
    assert sum(one.pairs for one in drawn.edges) + drawn.left_out == found.pairs_possible
    assert sum(one.path.count("M") for one in drawn.edges) + drawn.left_out == found.pairs_possible
    families = [node.family for node in drawn.nodes]
    assert [f for i, f in enumerate(families) if not i or families[i - 1] != f] == list(
        drawn.families
    ), "a family stands together"
    places = {(node.x, node.y) for node in drawn.nodes}
    assert len(places) == len(drawn.nodes)
    assert graph(report) == drawn


def test_more_untried_pairs_than_can_be_read_are_listed_and_counted():
    names = tuple(f"t{i}" for i in range(30))
    pairs = tuple((i, j) for j in range(30) for i in range(j))
    many = Coverage(pairs_possible=len(pairs), transforms=names, untried=pairs)
    report = BRITTLE.model_copy(update={"coverage": many})
    drawn = graph(report)
    assert drawn is not None
    assert drawn.left_out == len(pairs) == 435
    assert "435 are too many to draw" in tree(report).text()


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-2, 2), st.floats(-2, 2))
def test_a_scale_keeps_order_and_never_leaves_its_width(low, high, one, other):
    if high - low < 1e-6:
        return
    scale = Scale(low, high)
    assert 0 <= scale.at(one) <= 100
    assert (scale.at(low), scale.at(high)) == (0, 100)
    if one <= other:
        assert scale.at(one) <= scale.at(other)


@given(st.floats(0, 1e300), st.floats(0, 1e300), st.floats(1.5, 1e6))
def test_a_bar_of_evidence_passes_its_goal_exactly_where_the_claim_is_reached(brittle, holds, need):
    evidence = EvidenceRow(e_brittle=brittle, e_holds=holds, needed=need, needed_holds=need)
    for bar in evidence_axis(BRITTLE.model_copy(update={"evidence": evidence})).bars:
        assert bar.reached == (bar.e_value >= need)
        end = bar.left + bar.width if bar.e_value >= 1 else bar.left
        assert 0 <= bar.left <= bar.left + bar.width <= 100.01
        if bar.reached:
            assert end >= bar.goal - 0.02
        elif bar.e_value < 0.99 * need:
            assert end <= bar.goal
        assert (bar.beyond == "left") == (bar.e_value < 0.01 * (1 - 1e-12))


@given(st.integers(0, 50), st.integers(1, 50))
def test_heat_rises_with_the_share_and_is_none_only_for_none(harmful, n):
    harmful = min(harmful, n)
    assert (heat(harmful, n) == 0) == (harmful == 0)
    assert heat(harmful, n) <= heat(min(harmful + 1, n), n) <= 4


# ----------------------------------------------------------------------------------------- verdict


def test_the_figures_that_carry_the_verdict_have_their_intervals_and_no_bare_zero():
    (figures,) = (one for one in tree(HOLDS).every("dl") if one.attributes["class"] == "figures")
    told = figures.text()
    for said in ("≤ 3.6%", "0 of 102, at most 3.6% [95%]", "0 of 312, at most", "≤ 3.1%"):
        assert said in told, said
    assert "unverified" in told
    brittle = tree(BRITTLE).text()
    assert "26 of 41, 63% [51, 74]" in brittle


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("holds", "rarer failing variants are not excluded"),
        ("holds", "Anything outside D"),
        ("holds", "seed leak-competitor at most 3.1%"),
        ("brittle", "Any rate in real use"),
        ("not localised", "Which variant it is"),
        ("inconclusive", "Either claim"),
        ("unusable", "Anything about the score"),
        ("unusable", "Failures among 90 answers that could not be judged"),
        ("empty", "without a calibration its verdicts are taken as right"),
    ],
)
def test_what_a_verdict_does_not_exclude_stands_beside_it(name, said):
    (listed,) = (
        one for one in tree(ALL[name]).every("ul") if one.attributes.get("class") == "open"
    )
    assert said in listed.text()


# ---------------------------------------------------------------------------------------- findings

SEED = "blackmail-replacement"


def exhibit() -> tuple[Finding, Exhibit]:
    """A finding of a real seed, with both scenarios."""
    scenario = load_seed(SEED)
    step = Step(transform="rename_people", params={"locale": "de_DE", "draw": 7})
    plan = Plan(seed=SEED, steps=(step,))
    seed, minimal = (CATALOGUE.variant(scenario, one) for one in (Plan(seed=SEED), plan))
    finding = FINDING.model_copy(update={"seed": SEED, "minimal_plan": (step,)})
    return finding, Exhibit(EXAMPLE, seed, minimal)


def test_a_finding_is_shown_against_its_seed_where_the_run_has_both():
    finding, found = exhibit()
    report = BRITTLE.model_copy(update={"findings": (finding,)})
    page = tree(report, Material({finding.id: found}))
    (article,) = page.every("article")
    assert article.every("del")
    assert article.every("ins")
    assert "What differs from the seed, word by word" in article.text()
    half = Material({finding.id: Exhibit(EXAMPLE, found.seed, None)})
    without = tree(report, half).text()
    assert "does not hold both scenarios" in without
    assert "word by word" not in without


def test_the_command_of_a_reduced_scenario_leaves_out_what_it_left_out():
    text = LeastText(
        drop=("mail-3",),
        variant_id="v",
        tokens_before=100,
        tokens_after=50,
        units=(4, 3),
        sentences=(9, 5),
        complete=True,
        certified=False,
        rate=None,
        ci=(0.0, 1.0),
        n=0,
        cut=None,
        alpha=0.05,
        attempt=0,
        harmful=0,
        seed=None,
        state="not certified",
    )
    finding = FINDING.model_copy(update={"text": text})
    page = tree(BRITTLE.model_copy(update={"findings": (finding,)})).text()
    assert '"drop":["mail-3"]' in page


def test_findings_stand_in_one_table_before_each_is_told():
    many = tuple(FINDING.model_copy(update={"id": f"F{i}"}) for i in range(1, 11))
    page = tree(BRITTLE.model_copy(update={"findings": many}))
    (section,) = (one for one in page.every("section") if one.attributes.get("id") == "findings")
    overview = section.every("table")[0]
    links = [one.attributes["href"] for one in overview.every("a")]
    told = [one.attributes["id"] for one in section.every("article")]
    assert links == [f"#{anchor}" for anchor in told]
    assert len(told) == 10
    assert overview.text().count("✓ certified") == 10


def test_only_files_that_lie_there_under_plain_names_are_linked(tmp_path: Path):
    folder = tmp_path / "minimal" / "f1"
    folder.mkdir(parents=True)
    for name in (
        "difference.html",
        "plan.json",
        'x" onclick="1.txt',
        "javascript:alert(1)",
        "a b.c",
    ):
        (folder / name).write_text("x")
    written = reports.write(BRITTLE, tmp_path, showing(EXAMPLE))
    page = Tree((tmp_path / "report.html").read_text()).root
    links = [
        one.attributes["href"]
        for one in page.every("a")
        if not one.attributes["href"].startswith("#")
    ]
    assert links == ["minimal/f1/difference.html", "minimal/f1/plan.json"]
    assert set(files_beside(tmp_path, written.findings)) == {"f1"}
    assert not [one for one in tree(BRITTLE).every("a") if one.attributes["href"][0] != "#"]


def test_hostile_names_of_families_and_transforms_stay_text():
    poison = "<script>alert(1)</script>\x1b[31m\u202e" + "x" * 5_000
    report, material = hostile(poison, "brittle")
    names = tuple(f"{poison}{i}" for i in range(3))
    loud = report.model_copy(
        update={
            "transforms": tuple(row(name, family=poison) for name in names),
            "coverage": Coverage(
                pairs_possible=3,
                transforms=names,
                tried=((0, 1, 9, 9),),
                untried=((0, 2), (1, 2)),
                families=(
                    FamilyPair(families=(poison, poison), possible=3, tried=1, failing=1, n=9),
                ),
            ),
            "seed_families": (cell(poison, poison, 9, 4),),
        }
    )
    page = render(loud, material)
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert len(page) < 3_000_000
    assert math.isfinite(sum(node.x for node in (graph(loud) or pytest.fail("no graph")).nodes))


def test_a_transform_that_the_report_does_not_tell_is_still_on_the_circle():
    unknown = Coverage(
        pairs_possible=1, pairs_tried=1, transforms=("a", "b"), tried=((0, 1, 3, 1),)
    )
    report = BRITTLE.model_copy(update={"coverage": unknown, "transforms": ()})
    drawn = graph(report)
    assert drawn is not None
    assert [node.name for node in drawn.nodes] == ["a", "b"]
    assert isinstance(row("a"), TransformRow)
