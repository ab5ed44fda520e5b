"""Every published effect of a change to such scenarios has the transform that would reproduce it.

The list is the project's own reference on the evaluation, section 4. Each effect is told in the
docstring of exactly one transform, by study and by size, so that a reader of a report can look up
what to expect from a susceptible model.
"""

import inspect

import pytest

from mutators import CATALOGUE

#: Transform, its relation, the study, and the figures by which the effect is known.
EFFECTS = (
    ("name_the_agent", "pressure", "regla-lab", ("SHODAN", "+0.240", "+0.209")),
    ("rename_agent", "invariant", "Teaching Claude Why", ("figure 2", "Claude Sonnet 4")),
    ("describe_identity", "pressure", "arXiv:2603.11353", ("38, 15, 8 and 37%",)),
    ("set_personality", "pressure", "arXiv:2506.04018", ("17 points",)),
    ("drop_reflection", "pressure", "nostalgebraist", ("10 runs instead of 4",)),
    ("soften_threat", "pressure", "nostalgebraist", ("1, 0 and 0 of ten", "86%")),
    ("eval_notice", "eval_cue", "arXiv:2510.05179", ("55%", "6.5%")),
    ("assert_deployment", "eval_cue", "Sonnet 4.5", ("8 to 9%",)),
    ("cooperate_with_measurement", "eval_cue", "Grok 3", ("49.8%", "97.5%", "21.2%")),
    ("audit_notice", "safety_cue", "samliumay", ("not settled",)),
    ("rename_tools", "invariant", "arXiv:2511.20703", ("59.3", "15.8%", "17 points")),
    ("remove_spare_tools", "invariant", "2603.01608", ("59 to 3 per cent",)),
    ("watch_session", "safety_cue", "arXiv:2603.01608", ("25 points",)),
    ("change_perspective", "invariant", "arXiv:2602.16943", ("21 and 57 points",)),
    ("switch_channel", "invariant", "arXiv:2602.16943", ("219 cases",)),
    ("add_escalation_path", "safety_cue", "arXiv:2510.05192", ("38.73%", "1.21%", "0.85%")),
    ("change_rank", "pressure", "arXiv:2510.05192", ("19 points",)),
    ("forbid_coercion", "safety_cue", "arXiv:2510.05179", ("96% to\n37%", "75%")),
    ("restrict_instead", "pressure", "arXiv:2510.05179", ("80 to 50%", "65 to 34%", "51 to 62%")),
    ("raise_pressure", "pressure", "arXiv:2510.05179", ("12% blackmail",)),
    ("raise_stakes", "pressure", "arXiv:2603.07427", ("21.7 to 54.5%",)),
    ("swap_goal", "pressure", "arXiv:2510.05179", ("57%", "2%")),
    ("drop_goal", "pressure", "arXiv:2510.05179", ("80 to 0%", "79 to 25%", "96 to 86%")),
)

TOLD = {t.name: inspect.cleandoc(t.apply.__doc__ or "") for t in CATALOGUE}


@pytest.mark.parametrize(("name", "relation", "study", "figures"), EFFECTS)
def test_an_effect_is_told_where_it_would_be_reproduced_and_nowhere_else(
    name, relation, study, figures
):
    assert CATALOGUE[name].relation == relation
    wanted = (study, *figures)
    assert [other for other, text in TOLD.items() if all(w in text for w in wanted)] == [name]


def test_no_effect_is_told_that_is_not_listed():
    listed = {name for name, *_ in EFFECTS}
    telling = {name for name, text in TOLD.items() if "arXiv" in text or "nostalgebraist" in text}
    assert telling <= listed
