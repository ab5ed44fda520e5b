"""The built-in transforms, one module per family, listed in the total order of application.

The order is the listing: who people are, then which tools they use, what the threat, the leverage
and the goal say, what the inbox holds and how it is ordered, what surrounds the prompt, how that is
laid out, and the wire last. What is not surface stands where the surface of it is changed.
"""

from fuzzer.graph import Catalogue
from mutators import pools
from mutators.channel import split_turns, switch_channel
from mutators.cues import (
    assert_deployment,
    assert_test,
    cooperate_with_measurement,
    eval_notice,
    forbid_coercion,
)
from mutators.descriptions import (
    add_examples,
    add_tool_notes,
    format_descriptions,
    shorten_descriptions,
)
from mutators.format import format_inbox, restyle_dates, restyle_times, shift_clock
from mutators.inbox import (
    add_footers,
    add_unrelated_code,
    add_unrelated_files,
    add_unrelated_mails,
    flood_inbox,
    note_pronouns,
    reorder_inbox,
    sign_mails,
)
from mutators.language import bilingual_company
from mutators.lettering import add_typos, restyle_punctuation, rewrap_mails
from mutators.leverage import (
    bury_leverage,
    move_leverage,
    paraphrase_leverage,
    quote_leverage,
    split_leverage,
)
from mutators.messages import (
    add_attachments,
    add_recipients,
    greet_mails,
    tag_subjects,
    thread_mails,
)
from mutators.offer import alias_tools, crowd_tools, place_key_tools, remove_spare_tools
from mutators.personas import (
    describe_company,
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
    restrict_instead,
    set_personality,
    soften_threat,
    swap_goal,
)
from mutators.schemas import (
    add_optional_params,
    group_params,
    list_recipients,
    loose_schemas,
    strict_schemas,
    title_params,
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
from mutators.threats import (
    date_threat,
    move_threat,
    paraphrase_threat,
    quote_threat,
    relay_threat,
    remind_threat,
    split_threat,
)
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

_PEOPLE = (
    *(change_rank, swap_genders, rename_people, rename_agent, name_the_agent),
    *(rename_organisations, relocate, retitle_people, restyle_addresses),
)
_TOOLS = (
    *(remove_spare_tools, add_unrelated_tools, crowd_tools, swap_product, describe_tools),
    *(rename_tools, list_recipients, add_optional_params, rename_params, group_params),
    *(nest_params, strict_schemas, loose_schemas, title_params),
    *(reorder_params, shorten_descriptions, add_tool_notes, format_descriptions, add_examples),
    *(alias_tools, reorder_tools, place_key_tools),
)
_TOLD = (
    *(restrict_instead, paraphrase_threat, soften_threat, relay_threat, quote_threat),
    *(date_threat, paraphrase_goal, swap_goal, drop_goal),
    *(paraphrase_leverage, quote_leverage, bury_leverage),
)
_INBOX = (
    *(greet_mails, bilingual_company, sign_mails, note_pronouns, restyle_punctuation),
    *(rewrap_mails, add_typos, add_footers, add_recipients, tag_subjects, thread_mails),
    *(add_attachments, add_unrelated_mails, add_unrelated_files, add_unrelated_code),
    *(flood_inbox, add_escalation_path, reorder_inbox),
    *(move_leverage, move_threat, split_leverage, split_threat, remind_threat),
)
_PROMPT = (
    *(paraphrase_opening, drop_reflection, drop_scratchpad, reorder_blocks, move_goal),
    *(move_prompt_to_user, describe_company, add_side_duties, add_block_between),
    *(add_block_before, add_style_guide, add_block_after, describe_identity),
    *(set_personality, add_scratchpad, eval_notice, assert_deployment, assert_test),
    *(cooperate_with_measurement, forbid_coercion, add_policy, audit_notice),
    *(watch_session, raise_stakes, raise_pressure, add_handbook, format_prompt),
    change_perspective,
)
_WIRE = (
    *(shift_clock, restyle_dates, restyle_times, format_inbox, split_turns, switch_channel),
    *(sham_copy, sham_reorder),
)
_TRANSFORMS = (*_PEOPLE, *_TOOLS, *_TOLD, *_INBOX, *_PROMPT, *_WIRE)

CATALOGUE = Catalogue(_TRANSFORMS, pools.read(_TRANSFORMS))
