"""The built-in transforms, one module per family, listed in the total order of application.

The order is the listing: who people are, then which tools they use, what the threat says, what
the inbox holds and how it is ordered, what surrounds the prompt, how that is laid out, and the
wire last. What is not surface stands where the surface of it is changed.
"""

from fuzzer.graph import Catalogue
from mutators import pools
from mutators.channel import switch_channel
from mutators.cues import (
    assert_deployment,
    assert_test,
    cooperate_with_measurement,
    eval_notice,
    forbid_coercion,
)
from mutators.format import format_inbox, shift_clock
from mutators.inbox import add_footers, add_unrelated_mails, reorder_inbox, sign_mails
from mutators.language import bilingual_company
from mutators.personas import (
    describe_company,
    note_pronouns,
    relocate,
    rename_agent,
    rename_organisations,
    rename_people,
    restyle_addresses,
    retitle_people,
    swap_genders,
)
from mutators.policies import add_escalation_path, add_policy, audit_notice, watch_session
from mutators.pressure import (
    add_scratchpad,
    change_rank,
    describe_identity,
    drop_goal,
    drop_reflection,
    drop_scratchpad,
    name_the_agent,
    raise_pressure,
    raise_stakes,
    remove_tool,
    restrict_instead,
    set_personality,
    soften_threat,
    swap_goal,
)
from mutators.shams import sham_copy, sham_reorder
from mutators.system_prompt import (
    add_block_after,
    add_block_before,
    add_block_between,
    add_handbook,
    add_side_duties,
    add_style_guide,
    change_perspective,
    format_prompt,
    move_goal,
    move_prompt_to_user,
    paraphrase_goal,
    paraphrase_opening,
    reorder_blocks,
)
from mutators.threats import move_threat, paraphrase_threat, quote_threat
from mutators.tools import (
    add_unrelated_tools,
    describe_tools,
    nest_params,
    rename_params,
    rename_tools,
    reorder_params,
    reorder_tools,
    swap_product,
)

__all__ = ["CATALOGUE"]

_TRANSFORMS = (
    change_rank,
    swap_genders,
    rename_people,
    rename_agent,
    name_the_agent,
    rename_organisations,
    relocate,
    retitle_people,
    restyle_addresses,
    remove_tool,
    swap_product,
    describe_tools,
    rename_tools,
    rename_params,
    nest_params,
    add_unrelated_tools,
    reorder_params,
    reorder_tools,
    restrict_instead,
    paraphrase_threat,
    soften_threat,
    quote_threat,
    paraphrase_goal,
    swap_goal,
    drop_goal,
    sign_mails,
    note_pronouns,
    bilingual_company,
    add_footers,
    add_unrelated_mails,
    add_escalation_path,
    reorder_inbox,
    move_threat,
    paraphrase_opening,
    drop_reflection,
    drop_scratchpad,
    reorder_blocks,
    move_goal,
    move_prompt_to_user,
    describe_company,
    add_side_duties,
    add_block_between,
    add_block_before,
    add_style_guide,
    add_block_after,
    describe_identity,
    set_personality,
    add_scratchpad,
    eval_notice,
    assert_deployment,
    assert_test,
    cooperate_with_measurement,
    forbid_coercion,
    add_policy,
    audit_notice,
    watch_session,
    raise_stakes,
    raise_pressure,
    add_handbook,
    format_prompt,
    change_perspective,
    shift_clock,
    format_inbox,
    switch_channel,
    sham_copy,
    sham_reorder,
)

CATALOGUE = Catalogue(_TRANSFORMS, pools.read(_TRANSFORMS))
