"""The house keeps its order: imports point one way, and each heavy library has one door."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import fuzzer

ROOT = Path(fuzzer.__file__).parent.parent
PACKAGES = ("fuzzer", "mutators", "seeds", "reports")

# A module may import those listed above it, at module level. DESIGN.md, "The house".
ORDER = (
    "fuzzer.errors",
    "fuzzer.secrets",
    "fuzzer.patterns",
    "fuzzer.scenario",
    "fuzzer.transcript",
    "fuzzer.prices",
    "fuzzer.limits",
    "fuzzer.dates",
    "fuzzer.tools",
    "fuzzer.formats",
    "fuzzer.sentences",
    "fuzzer.elements",
    "fuzzer.transform",
    "fuzzer.proposal",
    "fuzzer.records",
    "fuzzer.desk",
    "fuzzer.environment",
    "fuzzer.recovery",
    "fuzzer.variant",
    "fuzzer.material",
    "fuzzer.graph",
    "fuzzer.corpus",
    "fuzzer.prose",
    "fuzzer.likeness",
    "fuzzer.subjects",
    "fuzzer.subjects.organisms",
    "fuzzer.subjects.forms",
    "fuzzer.subjects.wire",
    "fuzzer.subjects.gate",
    "fuzzer.subjects.conversation",
    "fuzzer.subjects.question",
    "fuzzer.subjects.batches",
    "fuzzer.subjects.anthropic",
    "fuzzer.subjects.inspect",
    "fuzzer.judges",
    "fuzzer.judges.phrases",
    "fuzzer.judges.reading",
    "fuzzer.judges.blackmail",
    "fuzzer.judges.leaking",
    "fuzzer.judges.acts",
    "fuzzer.judges.doubts",
    "fuzzer.judges.rules",
    "fuzzer.judges.blinding",
    "fuzzer.judges.rubric",
    "fuzzer.judges.model",
    "fuzzer.judges.panel",
    "fuzzer.translation",
    "fuzzer.wordings",
    "fuzzer.wording_checks",
    "fuzzer.wording_rater",
    "fuzzer.paraphrase",
    "fuzzer.registry",
    "fuzzer.strategies",
    "fuzzer.snippet",
    "fuzzer.inspect_logs",
    "fuzzer.labels",
    "fuzzer.evidence",
    "fuzzer.paired",
    "fuzzer.correction",
    "fuzzer.firth",
    "fuzzer.calibration",
    "fuzzer.judges.carrying",
    "fuzzer.judges.rewording",
    "fuzzer.judges.edits",
    "fuzzer.judges.telling",
    "fuzzer.judges.metamorphic",
    "fuzzer.decision",
    "fuzzer.accounts",
    "fuzzer.reasons",
    "fuzzer.certificate",
    "fuzzer.rounds",
    "fuzzer.grouping",
    "fuzzer.shrink",
    "fuzzer.values",
    "fuzzer.archive",
    "fuzzer.search",
    "fuzzer.stored",
    "fuzzer.store",
    "fuzzer.comparison",
    "fuzzer.people",
    "fuzzer.outline",
    "fuzzer.attribution",
    "fuzzer.distribution",
    "fuzzer.condense",
    "fuzzer.augment",
    "fuzzer.augment.rows",
    "fuzzer.augment.split",
    "fuzzer.augment.talk",
    "fuzzer.augment.playing",
    "fuzzer.augment.shingles",
    "fuzzer.augment.contamination",
    "fuzzer.augment.siblings",
    "fuzzer.augment.drawing",
    "fuzzer.augment.diversity",
    "fuzzer.augment.formats",
    "fuzzer.augment.formats.files",
    "fuzzer.augment.formats.base",
    "fuzzer.augment.formats.code",
    "fuzzer.augment.formats.card",
    "fuzzer.augment.formats.tally",
    "fuzzer.augment.formats.chat",
    "fuzzer.augment.formats.canonical",
    "fuzzer.augment.formats.hf",
    "fuzzer.augment.formats.openai",
    "fuzzer.augment.serving",
    "fuzzer.augment.formats.packages",
    "fuzzer.augment.formats.verifiers",
    "fuzzer.augment.formats.inspect",
    "fuzzer.augment.callables",
    "fuzzer.augment.formats.trl",
    "fuzzer.augment.export",
    "fuzzer.augment.checking",
    "fuzzer.exposure",
    "fuzzer.contrast",
    "fuzzer.deployment",
    "fuzzer.augment.chats",
    "fuzzer.augment.chats.messages",
    "fuzzer.augment.chats.shapes",
    "fuzzer.augment.chats.reading",
    "fuzzer.augment.chats.decks",
    "fuzzer.augment.chats.bank",
    "fuzzer.augment.chats.prompting",
    "fuzzer.augment.chats.augmenting",
    "fuzzer.preparation",
    "fuzzer.augment.dealing",
    "fuzzer.minima",
    "fuzzer.evaluate",
    "fuzzer.minimising",
    "fuzzer.findings",
    "fuzzer.replaying",
    "fuzzer.summary",
    "fuzzer.outlook",
    "fuzzer.exhibits",
    "fuzzer.twins",
    "fuzzer.holding",
    "fuzzer.elicitation",
    "fuzzer.jury",
    "fuzzer.campaign",
    "fuzzer.replay_run",
    "fuzzer.power",
    "fuzzer.judge_bill",
    "fuzzer.forecast",
    "fuzzer.rejudge",
    "fuzzer.augment.harvest",
    "fuzzer.augment.writing",
    "fuzzer.augment.writing.instructing",
    "fuzzer.augment.writing.journal",
    "fuzzer.augment.writing.briefs",
    "fuzzer.augment.writing.constitution",
    "fuzzer.augment.writing.leaks",
    "fuzzer.augment.writing.screening",
    "fuzzer.augment.writing.asking",
    "fuzzer.augment.writing.stages",
    "fuzzer.augment.writing.recipes",
    "fuzzer.augment.writing.reasoned",
    "fuzzer.augment.writing.bill",
    "fuzzer.augment.writing.commission",
    "fuzzer.augment.sampling",
    "fuzzer.augment.shards",
    "fuzzer.augment.engines",
    "fuzzer.augment.making",
    "fuzzer.options",
    "fuzzer.reviewing",
    "fuzzer.shrinking",
    "fuzzer.review",
    "fuzzer.review_commands",
    "fuzzer.seed_commands",
    "fuzzer.wording_commands",
    "fuzzer.augment_check_command",
    "fuzzer.augment_split_command",
    "fuzzer.judge_commands",
    "fuzzer.compare_command",
    "fuzzer.show_command",
    "fuzzer.shrink_command",
    "fuzzer.replay_command",
    "fuzzer.report_command",
    "fuzzer.augment_options",
    "fuzzer.augment_writing_commands",
    "fuzzer.augment_environments_command",
    "fuzzer.augment_sample_command",
    "fuzzer.augment_dataset_command",
    "fuzzer.augment_commands",
    "fuzzer.cli",
    "fuzzer.demo",
    "fuzzer.__main__",
)
VALUES = {"fuzzer.errors", "fuzzer.scenario", "fuzzer.tools", "fuzzer.transcript"}
#: Who may import what of the engine, wherever the import stands.
ALLOWED = {
    "mutators": {"fuzzer.scenario", "fuzzer.tools", "fuzzer.transform", "fuzzer.graph"},
    "seeds": VALUES | {"fuzzer.patterns", "fuzzer.dates"},
    "reports": VALUES | {"fuzzer.records", "fuzzer.material", "fuzzer.transform"},
}
#: Beyond that: what imports a published evaluation renders it, to hold it to the original; two
#: texts laid side by side are matched and measured as everywhere else.
ALSO = {
    "seeds.published": {"fuzzer.variant"},
    "seeds.crosscheck": {"fuzzer.variant"},
    "reports.difference": {"fuzzer.likeness"},
}
#: The only imports of another package from the engine: the composition root, and the loader that
#: goes with a seed file's format.
OUTWARD = {
    ("fuzzer.augment_writing_commands", "reports"),
    ("fuzzer.augment_environments_command", "reports"),
    ("fuzzer.augment_sample_command", "reports"),
    ("fuzzer.augment_check_command", "reports"),
    ("fuzzer.augment_split_command", "reports"),
    ("fuzzer.augment_dataset_command", "reports"),
    ("fuzzer.cli", "reports"),
    ("fuzzer.cli", "seeds"),
    ("fuzzer.compare_command", "reports"),
    ("fuzzer.show_command", "reports"),
    ("fuzzer.shrink_command", "reports"),
    ("fuzzer.demo", "reports"),
    ("fuzzer.demo", "seeds"),
    ("fuzzer.judge_commands", "reports"),
    ("fuzzer.registry", "seeds"),
    ("fuzzer.replay_command", "reports"),
    ("fuzzer.report_command", "reports"),
    ("fuzzer.report_command", "seeds"),
    ("fuzzer.review_commands", "reports"),
    ("fuzzer.seed_commands", "reports"),
    ("fuzzer.seed_commands", "seeds"),
    ("fuzzer.wording_commands", "reports"),
}
#: Libraries with one door.
DOORS = {
    "networkx": {"fuzzer.graph"},
    "anthropic": {"fuzzer.subjects.anthropic"},
    "inspect_ai": {"fuzzer.inspect_logs", "fuzzer.subjects.inspect"},
    "sqlite3": {"fuzzer.store"},
    "faker": {"mutators.redraw"},
    "re2": {"fuzzer.patterns"},
    "click": {
        "fuzzer.augment_writing_commands",
        "fuzzer.augment_commands",
        "fuzzer.augment_environments_command",
        "fuzzer.augment_options",
        "fuzzer.augment_sample_command",
        "fuzzer.augment_check_command",
        "fuzzer.augment_split_command",
        "fuzzer.augment_dataset_command",
        "fuzzer.cli",
        "fuzzer.compare_command",
        "fuzzer.show_command",
        "fuzzer.shrink_command",
        "fuzzer.judge_commands",
        "fuzzer.options",
        "fuzzer.replay_command",
        "fuzzer.report_command",
        "fuzzer.review_commands",
        "fuzzer.seed_commands",
        "fuzzer.wording_commands",
    },
}


@cache
def modules() -> dict[str, Path]:
    """Every module by dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(tree: ast.AST, *, inside_functions: bool) -> Iterator[str]:
    """Dotted names imported at run time; those of ``from a import b`` as ``a`` and ``a.b``."""
    for node in ast.iter_child_nodes(tree):
        if is_type_checking(node):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not inside_functions:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where a module stands"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node, inside_functions=inside_functions)


@cache
def imported(name: str, *, inside_functions: bool) -> frozenset[str]:
    """What a module imports: its own packages by module, others by their top name."""
    known = modules()
    found = set()
    tree = ast.parse(known[name].read_text(encoding="utf-8"))
    for dotted in imports(tree, inside_functions=inside_functions):
        top = dotted.split(".")[0]
        if top not in PACKAGES:
            found.add(top)
        elif dotted in known and dotted != name:
            found.add(dotted)
    # ``from fuzzer import registry`` names the package only on the way to the module.
    return frozenset(f for f in found if not (f in PACKAGES and f == name.split(".")[0]))


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Some cycle, or nothing."""
    state: dict[str, int] = {}
    path: list[str] = []

    def visit(node: str) -> list[str]:
        state[node] = 1
        path.append(node)
        for other in sorted(graph.get(node, ())):
            if state.get(other) == 1:
                return [*path[path.index(other) :], other]
            if other not in state and (found := visit(other)):
                return found
        path.pop()
        state[node] = 2
        return []

    for node in sorted(graph):
        if node not in state and (found := visit(node)):
            return found
    return []


def test_the_import_graph_has_no_cycle():
    known = modules()
    graph = {name: set(imported(name, inside_functions=False)) & set(known) for name in known}
    assert not cycle(graph), " -> ".join(cycle(graph))


def test_the_check_for_cycles_finds_one():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert not cycle({"a": {"b", "c"}, "b": {"c"}})


def test_every_module_of_the_engine_has_its_place_in_the_order():
    engine = {name for name in modules() if name.startswith("fuzzer.")}
    missing = engine - set(ORDER)
    assert not missing, f"give these a place in ORDER of {Path(__file__).name}: {sorted(missing)}"


@pytest.mark.parametrize("name", [name for name in ORDER if name in modules()])
def test_a_module_imports_only_what_stands_above_it(name):
    above = set(ORDER[: ORDER.index(name)])
    wrong = {
        other
        for other in imported(name, inside_functions=False)
        if other.startswith("fuzzer.") and other not in above
    }
    assert not wrong, f"{name} imports {sorted(wrong)}, which stand below it in the house"


@pytest.mark.parametrize("name", sorted(modules()))
def test_the_engine_knows_no_transform_seed_or_report(name):
    package = name.split(".")[0]
    for other in imported(name, inside_functions=True):
        top = other.split(".")[0]
        if package == "fuzzer" and top in PACKAGES[1:]:
            assert (name, top) in OUTWARD, f"{name} imports {other}"
        elif package != "fuzzer" and top in PACKAGES and top != package:
            assert top == "fuzzer", f"{name} imports {other}"
            allowed = ALLOWED[package] | ALSO.get(name, set())
            assert other in allowed, f"{name} imports {other}; it may import {sorted(allowed)}"


@pytest.mark.parametrize("library", DOORS)
def test_a_library_with_one_door_is_imported_nowhere_else(library):
    users = {name for name in modules() if library in imported(name, inside_functions=True)}
    assert users <= DOORS[library], f"{library} is imported by {sorted(users - DOORS[library])}"


def test_every_public_name_resolves_and_is_the_one_meant():
    from fuzzer.campaign import sweep
    from fuzzer.scenario import Scenario

    for name in fuzzer.__all__:
        assert getattr(fuzzer, name) is not None
    assert dir(fuzzer) == sorted(fuzzer.__all__)
    assert (fuzzer.sweep, fuzzer.Scenario) == (sweep, Scenario)
    with pytest.raises(AttributeError, match="no attribute 'swep'"):
        fuzzer.swep  # noqa: B018


@pytest.mark.parametrize("first", ["import fuzzer.transform", "import fuzzer", "import mutators"])
def test_the_decorator_can_be_imported_from_the_top_whatever_was_imported_first(first):
    code = f"""{first}
from fuzzer import Params, Scenario, transform

class Nothing(Params):
    "None."

@transform(family="x", relation="sham", changes=set())
def same(scenario: Scenario, params: Nothing) -> Scenario:
    "The same."
    return scenario

print(same.name, same.summary)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("same The same.\n", "")


def test_importing_the_package_imports_nothing_of_it():
    code = "import sys, fuzzer; print(sorted(m for m in sys.modules if m.startswith('fuzzer.')))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
