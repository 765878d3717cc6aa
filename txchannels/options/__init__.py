"""Every option by name: what it sets, how it is written, what is allowed.

An option is given on the command line (``--keep-alive 30``) or as a key of the site's
``TXCHANNELS`` (``"KEEP_ALIVE": 30``); the command line wins. An address on the command
line takes the place of all of the site's: only ``BIND`` and ``PORT`` then complete it.
Each command takes some of the options; both read the same ``TXCHANNELS``, whole: there,
what a command does not use does no harm.
"""

from __future__ import annotations

from txchannels.options.build import build_settings, closest
from txchannels.options.lasting import differing_keys, take_over
from txchannels.options.option import DAEMON, WORKER, Option, usable_cpus
from txchannels.options.table import GROUPS, OPTIONS, options_of

__all__ = [
    "DAEMON",
    "GROUPS",
    "OPTIONS",
    "WORKER",
    "Option",
    "build_settings",
    "closest",
    "differing_keys",
    "options_of",
    "take_over",
    "usable_cpus",
]
