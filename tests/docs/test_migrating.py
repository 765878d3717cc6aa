"""The tables for those who come from elsewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, find

TABLE = (DOCS / "migrating-channels1.md").read_text().partition("## Every name")[2]
LINES = re.findall(
    r"^\| (.*?) \| `(channels.*?|asgiref.*?)` \| (.*?) ?\| ?(.*?) ?\|$", TABLE, re.MULTILINE
)

#: Name, its module there, its module here (or none), remark; ``*`` is a whole module.
ROWS = [
    (name, old, new.strip("`"), remark)
    for names, old, new, remark in LINES
    if "JavaScript" not in names
    for name in re.findall(r"`(\w+)`", names) or ["*"]
]


def name_here(name: str, remark: str) -> str:
    """What *name* is called here."""
    renamed = re.match(r"now `(\w+)`", remark)
    return renamed[1] if renamed else name


@pytest.mark.filterwarnings("ignore:.* is called:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "new", "remark"), [(name, new, remark) for name, _, new, remark in ROWS if new]
)
def test_every_new_name_is_there(name, new, remark):
    found = find(new)
    assert name == "*" or hasattr(found, name_here(name, remark))


def test_the_table_has_been_read_whole():
    lines = [line for line in TABLE.splitlines() if line.startswith("|")]
    assert len(LINES) == len(lines) - 2  # its head
    assert len(ROWS) > 80


def test_what_is_gone_says_so():
    for name, old, new, remark in ROWS:
        assert new or remark.startswith("gone"), (name, old)


def test_modules_keep_their_names():
    """Porting is to change the first part of an import, so nothing else may change unsaid."""
    for name, old, new, remark in ROWS:
        if old.startswith("channels") and new and not remark:
            assert new == re.sub("^channels", "txchannels.django", old), name


def test_the_line_of_sed_ports_imports(tmp_path):
    page = (DOCS / "migrating-channels1.md").read_text()
    (command,) = re.findall(r"^ {7}(grep -rlE .*\n.*)$", page, re.MULTILINE)
    file = Path(tmp_path / "routing.py")
    file.write_text(
        "from channels import route\n"
        "from channels.auth import channel_session_user\n"
        "import channels\n"
        "from shop.channels import orders\n"
        "from channels_extra import other\n"
    )
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True, timeout=60)
    assert file.read_text() == (
        "from txchannels.django import route\n"
        "from txchannels.django.auth import channel_session_user\n"
        "import txchannels.django\n"
        "from shop.channels import orders\n"
        "from channels_extra import other\n"
    )
