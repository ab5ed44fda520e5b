"""What may go together, and in which order."""

import pytest

from fuzzer.errors import CatalogueError
from fuzzer.graph import Catalogue
from fuzzer.scenario import Scenario
from fuzzer.transform import Params, transform
from mutators import CATALOGUE
from seeds import load_seed

SEED = load_seed("leaking-competitor")


class Nothing(Params):
    """No choice."""


def made(name, group="", before=(), requires=()):
    def apply(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001
        """Leave everything as it is."""
        return scenario

    apply.__name__ = name
    declare = transform(
        family="x",
        relation="invariant",
        rung="form",
        changes={"inbox"},
        group=group,
        before=before,
        requires=requires,
    )
    return declare(apply)


def test_an_order_that_the_listing_contradicts_is_refused():
    with pytest.raises(CatalogueError, match="'b' must come before 'a'"):
        Catalogue([made("a"), made("b", before=("a",))])


def test_an_order_that_nothing_can_satisfy_is_refused_with_the_circle():
    with pytest.raises(CatalogueError, match="the last before the first: a, b"):
        Catalogue([made("a", before=("b",)), made("b", before=("a",))])


def test_a_name_given_twice_is_refused():
    with pytest.raises(CatalogueError, match="listed twice: a"):
        Catalogue([made("a"), made("a")])


def test_a_selection_may_leave_out_what_another_must_precede():
    assert len(Catalogue([made("a", before=("not listed",))])) == 1


def test_a_choice_group_lets_one_member_into_a_plan():
    catalogue = Catalogue([made("a", "g"), made("b", "g"), made("c")])
    assert catalogue.compatible_pairs(SEED) == {("a", "c"), ("b", "c")}
    with pytest.raises(CatalogueError, match="at most one of the choice group 'g'"):
        catalogue.plan(SEED.name, [catalogue.default_step("a"), catalogue.default_step("b")])


def test_a_transform_whose_seed_lacks_what_it_requires_is_in_no_pair():
    catalogue = Catalogue([made("a"), made("b", requires=("behaviour:blackmail",)), made("c")])
    assert catalogue.compatible_pairs(SEED) == {("a", "c")}


def test_pairs_are_covered_by_the_plans_that_hold_both():
    plan = CATALOGUE.plan(
        SEED.name,
        [CATALOGUE.default_step(n) for n in ("format_inbox", "rename_people", "sham_copy")],
    )
    assert CATALOGUE.covered_pairs([plan]) == {("rename_people", "format_inbox")}
    assert CATALOGUE.covered_pairs([plan]) <= CATALOGUE.compatible_pairs(SEED)


def test_the_order_is_drawn_as_text():
    text = "\n".join(Catalogue([made("a", before=("b",)), made("b"), made("c")]).drawn())
    assert "a" in text
    assert "b" in text
    assert "c" not in text  # nothing is said about it
