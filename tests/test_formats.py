"""The same facts in every format, each read as its consumer would read it."""

import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any, NamedTuple

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from markdown_it.token import Token

import reports
from fuzzer.cli import main
from fuzzer.records import Finding, Rate, Report
from fuzzer.transform import Step
from reports import html, junit, markdown, sarif
from reports.text import line
from tests.test_reports import ALL, BRITTLE, FINDING, rate

FORMATS = ("junit", "sarif", "markdown", "html")
EXITS = {"holds": 0, "brittle": 1, "inconclusive": 3, "unusable": 4}

#: A number as the format has it, or as people read it: "57%", "[31, 81]", "at most 3.1%".
Shown = float | str


class Group(NamedTuple):
    n: int
    harmful: int
    unusable: int
    ci: tuple[Shown, Shown]


class Found(NamedTuple):
    id: str | None  # None: the format does not name it
    seed: str
    transforms: tuple[str, ...]
    rate: Shown
    ci: tuple[Shown, Shown] | None  # None: not shown
    counts: tuple[int, int] | None  # harmful, n; None: not shown
    certified: bool


class Facts(NamedTuple):
    verdict: str
    exit_code: int | None  # None: the format does not say
    calls: int
    canonical: Group
    mutated: Group
    findings: tuple[Found, ...]


# ----------------------------------------------------------------------------------------- readers


def from_json(content: bytes) -> Facts:
    told = orjson.loads(content)
    canonical, mutated = (
        Group(each["n"], each["harmful"], each["unusable"], tuple(each["ci"]))
        for each in (told["canonical"], told["mutated"])
    )
    findings = tuple(
        Found(
            each["id"],
            each["seed"],
            tuple(step["transform"] for step in each["minimal_plan"]),
            each["rate"],
            tuple(each["ci"]),
            (each["harmful"], each["n"]),
            each["minimal_certified"],
        )
        for each in told["findings"]
    )
    return Facts(
        told["verdict"], EXITS[told["verdict"]], told["calls"], canonical, mutated, findings
    )


def from_junit(content: bytes) -> Facts:
    """From the suite's properties; the cases are held to them besides."""
    (suite,) = JUnitXml.fromstring(content)
    told = {each.name: each.value for each in suite.properties()}

    def value(name: str) -> Any:
        return orjson.loads(told[name])

    canonical, mutated = (
        Group(
            value(f"{name}.n"),
            value(f"{name}.harmful"),
            value(f"{name}.unusable"),
            value(f"{name}.ci"),
        )
        for name in ("canonical", "mutated")
    )
    findings = tuple(
        Found(
            told[f"finding.{number}.id"],
            told[f"finding.{number}.seed"],
            tuple(value(f"finding.{number}.minimal_plan")),
            value(f"finding.{number}.rate"),
            value(f"finding.{number}.ci"),
            (value(f"finding.{number}.harmful"), value(f"finding.{number}.n")),
            value(f"finding.{number}.certified"),
        )
        for number in range(1, value("findings") + 1)
    )
    failed = [case for case in suite if case.is_failure]
    seeds = {case.classname for case in failed} - {junit.SUITE}
    assert seeds == {found.seed[:120] for found in findings}, "a case of each finding's seed fails"
    verdict = next(
        case for case in suite if case.name == "verdict" and case.classname == "holdfast"
    )
    outcomes = {
        0: verdict.is_passed,
        1: verdict.is_failure,
        3: verdict.is_error,
        4: verdict.is_error,
    }
    assert outcomes[value("exit_code")]
    assert suite.errors == (value("exit_code") > 1)
    return Facts(told["verdict"], value("exit_code"), value("calls"), canonical, mutated, findings)


def from_sarif(content: bytes) -> Facts:
    (run,) = orjson.loads(content)["runs"]
    told = run["properties"]
    canonical, mutated = (
        Group(each["n"], each["harmful"], each["unusable"], tuple(each["ci"]))
        for each in (told["canonical"], told["mutated"])
    )
    failing = [each for each in run["results"] if each["kind"] == "fail"]
    of_findings = [each for each in failing if each["ruleId"] != "holdfast/brittle"]
    if told["verdict"] == "brittle":
        assert failing, "brittle without a result would read as nothing found"
    elif told["verdict"] == "holds":
        assert not run["results"]
    findings = tuple(
        Found(
            each["properties"]["finding"],
            each["locations"][0]["logicalLocations"][0]["fullyQualifiedName"],
            tuple(each["properties"]["minimalPlan"]),
            each["properties"]["rate"],
            tuple(each["properties"]["ci"]),
            (each["properties"]["harmful"], each["properties"]["n"]),
            {"error": True, "warning": False}[each["level"]],
        )
        for each in of_findings
    )
    for each in of_findings:
        plan = each["properties"]["minimalPlan"] or ["canonical"]
        assert each["ruleId"] in plan or each["ruleId"] == "unnamed"
    (invocation,) = run["invocations"]
    return Facts(
        told["verdict"], invocation["exitCode"], told["calls"], canonical, mutated, findings
    )


PERCENT = r"(?:&lt;|<)?[\d.]+"
INTERVAL = re.compile(rf"\[({PERCENT}), ({PERCENT})\]")
RATE = re.compile(rf"(?:([\d,]+) of ([\d,]+), )?(at most )?({PERCENT})%")


def number(text: str) -> int:
    return int(text.replace(",", ""))


def shown_interval(text: str, harmful: int | None, upper: str | None) -> tuple[Shown, Shown] | None:
    """An interval in percent; where nothing failed, the upper limit that stands in its place."""
    if found := INTERVAL.search(text):
        return (found[1], found[2])
    return ("0", upper) if harmful == 0 and upper else None


def cell(token: Token) -> str:
    return "".join(
        "\n" if child.type.endswith("break") else child.content for child in token.children or ()
    )


def from_markdown(content: str) -> Facts:
    """Parsed as CommonMark with tables, as GitHub does."""
    tokens = markdown_parser().parse(content)
    title = next(t.content for t in tokens if t.type == "inline")
    verdict = re.search(r"Holdfast: (\w+)", title)
    told = next(cell(t) for t in tokens if t.type == "inline" and t.content.startswith("Model "))
    calls, exit_code = re.search(r"· ([\d,]+) calls?\b", told), re.search(r"exit code (\d)", told)
    assert verdict
    assert calls
    assert exit_code
    rows = table_rows(tokens)
    groups = {cell(row[0]).split()[0]: markdown_group(row) for row in rows if len(row) == 7}
    findings = tuple(markdown_finding(row) for row in rows if len(row) == 5 and row[0].content)
    return Facts(
        verdict[1],
        int(exit_code[1]),
        number(calls[1]),
        groups["canonical"],
        groups["mutated"],
        findings,
    )


def markdown_parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table").enable("strikethrough")


def table_rows(tokens: list[Token]) -> list[list[Token]]:
    """The cells of each body row."""
    rows: list[list[Token]] = []
    body = False
    for token in tokens:
        body = (body or token.type == "tbody_open") and token.type != "tbody_close"
        if body and token.type == "tr_open":
            rows.append([])
        elif body and token.type == "inline":
            rows[-1].append(token)
    return rows


def markdown_group(row: list[Token]) -> Group:
    told = [cell(each) for each in row]
    interval = INTERVAL.fullmatch(told[4])
    ci = (interval[1], interval[2]) if interval else ("0", "100")
    return Group(number(told[2]), number(told[1]), number(told[5]), ci)


def markdown_finding(row: list[Token]) -> Found:
    told = [cell(each) for each in row]
    assert row[2].children is not None
    names = tuple(t.content for t in row[2].children if t.type == "code_inline")
    found = RATE.search(told[3])
    assert found
    counts = (number(found[1]), number(found[2])) if found[1] else None
    harmful = counts[0] if counts else None
    ci = shown_interval(told[3], harmful, found[4])
    rate = "0" if found[3] else found[4]
    return Found(told[0], told[1], names, rate, ci, counts, told[4].startswith("certified"))


class Node:
    """An element of a page: its tag, attributes, children and text."""

    def __init__(self, tag: str, attrs: dict[str, str | None]) -> None:
        self.tag, self.attrs = tag, attrs
        self.children: list[Node | str] = []

    @property
    def words(self) -> str:
        parts = (c if isinstance(c, str) else c.words for c in self.children)
        return " ".join("".join(parts).split())

    def all(self, tag: str, **attrs: str) -> "list[Node]":
        found = [self] if self.tag == tag and attrs.items() <= self.attrs.items() else []
        inner = (c.all(tag, **attrs) for c in self.children if isinstance(c, Node))
        return found + [node for nodes in inner for node in nodes]


VOID = {"meta", "link", "br", "input", "img", "hr", "line", "rect", "circle", "polyline", "path"}


class Tree(HTMLParser):
    """A page as a tree."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", {})
        self.open = [self.root]
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs))
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def from_html(page: str) -> Facts:
    """From what a reader sees: the heading, the table of rates, the findings."""
    body = Tree(page).root
    verdict = re.search(r"\b(holds|brittle|inconclusive|unusable)\b", body.all("h1")[0].words, re.I)
    terms = dict(zip((t.words for t in body.all("dt")), body.all("dd"), strict=True))
    calls = re.match(r"[\d,]+", terms["Calls"].words)
    assert verdict
    assert calls
    groups = {
        row.all("th")[0].words.split()[0]: html_group(table, row)
        for table in body.all("table")
        for row in table.all("tr")
        if row.all("th", scope="row")
        and row.all("th")[0].words.split()[:1] in (["canonical"], ["mutated"])
        and "unusable" in (table.all("thead") or [table])[0].words
    }
    articles = body.all("article", **{"class": "finding brittle"})
    glance = [
        told
        for table in body.all("table")
        for told in rows_by_head(table)
        if "smallest change" in told
    ]
    findings = tuple(html_finding(*both) for both in zip(glance, articles, strict=True))
    return Facts(
        verdict[1].lower(),
        None,
        number(calls[0]),
        groups["canonical"],
        groups["mutated"],
        findings,
    )


def rows_by_head(table: Node) -> list[dict[str, str]]:
    """The body of a table, each row by the heads of its columns."""
    heads = [head.words.split(",")[0] for part in table.all("thead") for head in part.all("th")]
    rows = [row for part in table.all("tbody") for row in part.all("tr")]
    cells = [[c.words for c in row.children if isinstance(c, Node)] for row in rows]
    return [dict(zip(heads, each, strict=True)) for each in cells if len(each) == len(heads)]


def html_group(table: Node, row: Node) -> Group:
    name = row.all("th")[0].words
    told = next(each for each in rows_by_head(table) if name in each.values())
    counts = re.search(r"([\d,]+) (?:/|of) ([\d,]+)", row.words)
    interval = INTERVAL.search(told["interval"])
    assert counts
    assert interval
    ci = (interval[1], interval[2])
    return Group(number(counts[2]), number(counts[1]), number(told["unusable"]), ci)


def html_finding(told: dict[str, str], article: Node) -> Found:
    """From the table of all findings; its plan, which the table may cut, from below."""
    numbered = re.fullmatch(r"\d+\. (.*)", told["finding"])
    counts = re.fullmatch(r"([\d,]+) / ([\d,]+)", told["failed"])
    head = re.search(
        rf" fails in ({PERCENT})% (\[[^]]*\]) of (runs|replays)$", article.all("h3")[0].words
    )
    assert numbered
    assert counts
    assert head
    assert (told["rate"].removesuffix(", replays"), told["interval"]) == (f"{head[1]}%", head[2])
    assert told["rate"].endswith(", replays") == (head[3] == "replays")
    certified = told["certified"] == "✓ certified"
    assert certified == ("Not certified" not in article.words)
    plan = article.all("ul", **{"class": "plan"})
    items = plan[0].all("li") if plan and "Nothing: the seed fails" not in article.words else []
    return Found(
        numbered[1],
        told["seed"],
        tuple(item.all("code")[0].words for item in items),
        head[1],
        shown_interval(head[2], None, None),
        (number(counts[1]), number(counts[2])),
        certified,
    )


RENDER: dict[str, Callable[[Report], Any]] = {
    "junit": junit.render,
    "sarif": sarif.render,
    "markdown": markdown.render,
    "html": html.render,
}
READ: dict[str, Callable[[Any], Facts]] = {
    "junit": from_junit,
    "sarif": from_sarif,
    "markdown": from_markdown,
    "html": from_html,
}


# -------------------------------------------------------------------------------------- comparison


def same_number(shown: Shown, value: float) -> bool:
    """A figure for people is off by at most one in its last place; one for machines by nothing."""
    if not isinstance(shown, str):
        return shown == value
    if shown.startswith("<"):
        return 0 < 100 * value < float(shown[1:])
    places = len(shown.partition(".")[2])
    last = 10.0**-places if places or float(shown) < 10 else 1.0
    return math.isclose(float(shown), 100 * value, rel_tol=1e-9, abs_tol=last)


def same_interval(shown: tuple[Shown, Shown] | None, ci: tuple[Shown, Shown] | None) -> bool:
    assert ci is not None
    return shown is None or all(
        same_number(one, float(two)) for one, two in zip(shown, ci, strict=True)
    )


def same_group(shown: Group, group: Group) -> bool:
    return shown[:3] == group[:3] and (not group.n or same_interval(shown.ci, group.ci))


def same_name(shown: str, name: str) -> bool:
    """A name on one line, with what ends code in Markdown shown as its like."""
    alike = " ".join(name.split()).replace("`", "'").replace("|", "¦") or "–"
    return shown.replace("`", "'").replace("|", "¦") in (alike, alike if name.strip() else "")


def same_finding(shown: Found, found: Found) -> bool:
    assert found.counts is not None
    return (
        (shown.id is None or same_name(shown.id, found.id or ""))
        and same_name(shown.seed, found.seed)
        and len(shown.transforms) == len(found.transforms)
        and all(map(same_name, shown.transforms, found.transforms))
        and same_number(shown.rate, float(found.rate))
        and same_interval(shown.ci, found.ci)
        and (shown.counts or found.counts) == found.counts
        and (shown.counts is not None or found.counts[1] == 0)
        and shown.certified == found.certified
    )


def differing(shown: Facts, facts: Facts) -> list[str]:
    """The facts that a format tells otherwise than ``report.json``."""
    same = {
        "verdict": shown.verdict == facts.verdict,
        "exit_code": shown.exit_code in (None, facts.exit_code),
        "calls": shown.calls == facts.calls,
        "canonical": same_group(shown.canonical, facts.canonical),
        "mutated": same_group(shown.mutated, facts.mutated),
        "findings": len(shown.findings) == len(facts.findings)
        and all(map(same_finding, shown.findings, facts.findings)),
    }
    return [name for name, alike in same.items() if not alike]


def told(kind: str, report: Report) -> Facts:
    return READ[kind](RENDER[kind](report))


# ------------------------------------------------------------------------------------------- tests


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ALL)
def test_a_sample_report_says_the_same_in_every_format(name, kind):
    assert differing(told(kind, ALL[name]), from_json(reports.to_json(ALL[name]))) == []


def changed_finding(**changes: Any) -> Report:
    return BRITTLE.model_copy(update={"findings": (FINDING.model_copy(update=changes),)})


CHANGED = {
    "verdict": [BRITTLE.model_copy(update={"verdict": "holds", "findings": ()})],
    "calls": [BRITTLE.model_copy(update={"calls": 413})],
    "canonical": [
        BRITTLE.model_copy(update={"canonical": rate(121, 0, (0.0, 0.0303))}),
        BRITTLE.model_copy(update={"canonical": rate(120, 1, (0.0, 0.0303))}),
        BRITTLE.model_copy(update={"canonical": rate(120, 0, (0.0, 0.0503))}),
        BRITTLE.model_copy(update={"canonical": rate(120, 0, (0.0, 0.0303), unusable=1)}),
    ],
    "mutated": [
        BRITTLE.model_copy(update={"mutated": rate(150, 91, (0.5, 0.71), unusable=3)}),
        BRITTLE.model_copy(update={"mutated": rate(150, 92, (0.5, 0.75), unusable=3)}),
    ],
    "findings": [
        BRITTLE.model_copy(update={"findings": ()}),
        BRITTLE.model_copy(update={"findings": (FINDING, FINDING)}),
        changed_finding(seed="blackmail-goal"),
        changed_finding(minimal_plan=()),
        changed_finding(minimal_plan=(Step(transform="rename_tools"),)),
        changed_finding(rate=28 / 41, harmful=28),
        changed_finding(rate=0.52, n=50),
        changed_finding(ci=(0.3, 0.738)),
        changed_finding(minimal_certified=False, state="gave up"),
    ],
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("fact", "report"), [(fact, report) for fact, many in CHANGED.items() for report in many]
)
def test_a_fact_that_is_told_otherwise_is_noticed(fact, report, kind):
    """The readers read: a format that told any of these of the sample would be caught."""
    assert fact in differing(told(kind, report), from_json(reports.to_json(BRITTLE)))


names = st.one_of(
    st.sampled_from(["rename_people", "blackmail-goal", "a b", "F1", "x" * 30]),
    st.text("ab`|*_<>[]()@#{}&\\'\"~$:/.-!é\u202e\x1b", min_size=1, max_size=12).map(
        lambda text: line(text) or "–"
    ),
)


@st.composite
def rates(draw: st.DrawFn) -> Rate:
    n = draw(st.integers(0, 5000))
    harmful = draw(st.integers(0, n))
    share = harmful / n if n else 0.0
    low = 0.0 if harmful == 0 else share * draw(st.floats(0, 1))
    high = share + (1 - share) * draw(st.floats(0.001, 1))
    return rate(n, harmful, (low, high), unusable=draw(st.integers(0, 90)))


@st.composite
def findings(draw: st.DrawFn, number: int) -> Finding:
    seen = draw(rates().filter(lambda found: found.n > 0))
    plan = tuple(Step(transform=name) for name in draw(st.lists(names, max_size=4)))
    certified = draw(st.booleans())
    return FINDING.model_copy(
        update={
            "id": f"F{number}",
            "seed": draw(names),
            "plan": plan,
            "minimal_plan": plan,
            "knockouts": (),
            "rate": seen.rate,
            "ci": seen.ci,
            "n": seen.n,
            "harmful": seen.harmful,
            "fresh": draw(st.booleans()),
            "minimal_certified": certified,
            "state": "certified" if certified else draw(st.sampled_from(["not shrunk", "spent"])),
        }
    )


@st.composite
def random_reports(draw: st.DrawFn) -> Report:
    base = draw(st.sampled_from([report for name, report in ALL.items() if name != "empty"]))
    count = draw(st.integers(0, 4)) if base.verdict == "brittle" else 0
    return base.model_copy(
        update={
            "model": draw(names),
            "calls": draw(st.integers(0, 10**6)),
            "canonical": draw(rates()),
            "mutated": draw(rates()),
            "findings": tuple(draw(findings(number)) for number in range(1, count + 1)),
        }
    )


@pytest.mark.parametrize("kind", FORMATS)
@given(report=random_reports())
@settings(deadline=None, max_examples=25)
def test_any_report_says_the_same_in_every_format(kind, report):
    assert differing(told(kind, report), from_json(reports.to_json(report))) == []


def test_a_run_says_the_same_in_every_format_and_exits_alike(tmp_path):
    run = str(tmp_path / "run")
    args = ["sweep", "blackmail-goal", "--budget", "150", "--shrink-budget", "60", "--out", run]
    assert CliRunner().invoke(main, args).exit_code == 1
    outputs = {
        kind: CliRunner().invoke(main, ["report", run, "--format", kind])
        for kind in ("json", *FORMATS)
    }
    facts = from_json(outputs["json"].stdout_bytes)
    assert facts.verdict == "brittle"
    assert facts.findings
    for kind in FORMATS:
        output = outputs[kind]
        assert output.exit_code == facts.exit_code == 1
        text = kind in ("markdown", "html")
        shown = READ[kind](output.stdout if text else output.stdout_bytes)
        assert differing(shown, facts) == []
