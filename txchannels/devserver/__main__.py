"""``python -m txchannels.devserver``: started by ``manage.py runserver`` alone."""

from __future__ import annotations

import sys

from txchannels.devserver.program import main

if __name__ == "__main__":
    main(sys.argv[1:])
