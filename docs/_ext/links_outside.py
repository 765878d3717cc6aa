"""Links to files of the repository that are not below ``docs/``.

On GitHub they are links. On the site, files that have a page lead to it, and the others
are text: the site is whole without the repository. The page of such a file is a stub
below ``docs/``, in whose place the file itself is read.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

#: Files outside of ``docs/``, from the repository's folder on, and their pages.
PAGES = {
    "CHANGELOG.md": "changelog",
    "bench/README.md": "benchmarks",
    "contrib/docker/README.md": "docker",
    "contrib/systemd/README.md": "systemd",
    "examples/chat/README.md": "chat",
    "examples/databinding/README.md": "example-databinding",
    "examples/events/README.md": "example-events",
}

_LINK = re.compile(
    r"(?<!!)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]"
    r"\((?![a-z]+:|#)(?P<target>[^)#\s]+)(?P<anchor>#[^)]*)?\)"
)


def rewrite(text: str, folder: Path, docs: Path) -> str:
    """*text*, from a file in *folder*, with its links as the site at *docs* needs them."""

    def replace(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / found["target"]))
        name = os.path.relpath(target, docs.parent)
        if name in PAGES:
            target = docs / f"{PAGES[name]}.md"
        elif not target.is_relative_to(docs):
            return found["text"]
        shown_in = folder if folder.is_relative_to(docs) else docs
        return f"[{found['text']}]({os.path.relpath(target, shown_in)}{found['anchor'] or ''})"

    return _LINK.sub(replace, text)


def _read(app: Sphinx, name: str, source: list[str]) -> None:
    docs = Path(app.srcdir)
    file = docs / f"{name}.md"
    for outside, page in PAGES.items():
        if page == name:
            file = docs.parent / outside
            app.env.note_dependency(str(file))
            source[0] = file.read_text()
    source[0] = rewrite(source[0], file.parent, docs)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
