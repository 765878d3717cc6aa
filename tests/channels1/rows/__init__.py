"""Which tests show what of Channels 1: section by section, row by row.

The sections are those of the description that txchannels is built to: routing and messages
(6), workers and commands (7), sessions, users and order (8), views (9), classes (10), data
binding (11), messages for later (12), tools for tests (13), security, static files, signals,
logs and checks (14), the JavaScript client (15), settings (16), and what was wrong with it
and must not come back (19). What differs on purpose is in `DEVIATIONS`, with the page that
says so.
"""

from tests.channels1.rows.classes import BINDING, CLASSES, DELAY
from tests.channels1.rows.defects import DEFECTS
from tests.channels1.rows.deviations import DEVIATIONS
from tests.channels1.rows.routing import ROUTING
from tests.channels1.rows.sessions import SESSIONS
from tests.channels1.rows.surroundings import JAVASCRIPT, SETTINGS, SURROUNDINGS
from tests.channels1.rows.tools import TOOLS
from tests.channels1.rows.views import VIEWS
from tests.channels1.rows.workers import WORKERS

__all__ = ["DEVIATIONS", "SECTIONS"]

SECTIONS = {
    6: ROUTING,
    7: WORKERS,
    8: SESSIONS,
    9: VIEWS,
    10: CLASSES,
    11: BINDING,
    12: DELAY,
    13: TOOLS,
    14: SURROUNDINGS,
    15: JAVASCRIPT,
    16: SETTINGS,
    19: DEFECTS,
}
