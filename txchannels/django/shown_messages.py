"""Each message that a worker takes, as a line on standard error: ``runworker --verbosity 2``."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

__all__ = ["VARIABLE", "shown"]

#: The environment variable that asks for it: a worker's processes are to do so, too.
VARIABLE = "TXCHANNELS_SHOW_MESSAGES"

logger = logging.getLogger("django.channels.messages")

Run = Callable[[str, dict[str, Any]], None]


def shown(run: Run) -> Run:
    """*run*, which shows each message first, if the environment asks for it."""
    if not os.environ.get(VARIABLE):
        return run
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(threadName)s: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False

    def run_shown(channel: str, content: dict[str, Any]) -> None:
        logger.debug("%s %s", channel, content.get("reply_channel") or "(no reply channel)")
        run(channel, content)

    return run_shown
