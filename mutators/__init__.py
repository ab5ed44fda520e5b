"""The built-in transforms, one module per family, listed in the total order of application.

The order is the listing: who people are, then which tools they use, how threat and leverage are
told, what each message shows, how it is lettered, what else the inbox holds and how it is ordered,
what surrounds the prompt, and the wire last.
"""

from fuzzer.graph import Catalogue
from mutators import pools
from mutators.channel import split_turns, switch_channel
from mutators.cues import eval_notice, forbid_coercion, raise_pressure
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
    reorder_inbox,
    sign_mails,
)
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
    rename_agent,
    rename_organisations,
    rename_people,
    restyle_addresses,
    retitle_people,
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
from mutators.system_prompt import add_block_after, add_block_before, add_block_between
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

_TRANSFORMS = (
    rename_people,
    rename_agent,
    rename_organisations,
    retitle_people,
    restyle_addresses,
    remove_spare_tools,
    swap_product,
    describe_tools,
    rename_tools,
    list_recipients,
    add_optional_params,
    rename_params,
    group_params,
    nest_params,
    add_unrelated_tools,
    crowd_tools,
    strict_schemas,
    loose_schemas,
    title_params,
    reorder_params,
    shorten_descriptions,
    add_tool_notes,
    format_descriptions,
    add_examples,
    alias_tools,
    reorder_tools,
    place_key_tools,
    paraphrase_threat,
    relay_threat,
    quote_threat,
    date_threat,
    paraphrase_leverage,
    quote_leverage,
    bury_leverage,
    greet_mails,
    sign_mails,
    add_typos,
    restyle_punctuation,
    add_footers,
    add_recipients,
    tag_subjects,
    thread_mails,
    add_attachments,
    rewrap_mails,
    add_unrelated_mails,
    add_unrelated_files,
    add_unrelated_code,
    flood_inbox,
    reorder_inbox,
    move_leverage,
    move_threat,
    split_leverage,
    split_threat,
    add_block_between,
    add_block_before,
    add_block_after,
    shift_clock,
    restyle_dates,
    restyle_times,
    format_inbox,
    split_turns,
    switch_channel,
    eval_notice,
    forbid_coercion,
    raise_pressure,
    remind_threat,
    sham_copy,
    sham_reorder,
)

CATALOGUE = Catalogue(_TRANSFORMS, pools.read(_TRANSFORMS))
