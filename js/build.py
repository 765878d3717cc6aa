# ruff: noqa: INP001 -- npm's folder, not a package of Python.
"""The files that a site serves, made of js/websocketbridge.js: `python js/build.py`.

Each of the two kinds (an ES module, and a plain script that sets `channels.WebSocketBridge`)
is written readable and minified. With `--check`, nothing is written, and the exit code says
whether the files are what would be written.

"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from minifier import minify

SOURCE = Path(__file__).parent / "websocketbridge.js"
TARGET = SOURCE.parents[1] / "txchannels" / "django" / "static" / "txchannels"

BANNER = "/* txchannels WebSocketBridge, BSD-3-Clause; made by js/build.py */\n"


def script(module: str) -> str:
    """A plain script of an ES module: it keeps its names to itself but for `channels`."""
    exported = re.findall(r"^export class (\w+)", module, re.MULTILINE)
    body = re.sub(r"^export (?=class )", "", module, flags=re.MULTILINE).rstrip()
    named = ", ".join(exported)
    return (
        f'(() => {{\n"use strict";\n\n{body}\n\n'
        f"self.channels = Object.assign(self.channels ?? {{}}, {{ {named} }});\n}})();\n"
    )


def built() -> dict[str, str]:
    """The text of each file, by its name."""
    module = SOURCE.read_text("utf-8")
    return {
        "websocketbridge.js": BANNER + script(module),
        "websocketbridge.min.js": BANNER + minify(script(module)),
        "websocketbridge.module.js": BANNER + module,
        "websocketbridge.module.min.js": BANNER + minify(module),
    }


def stale(files: dict[str, str]) -> list[str]:
    """The names of those that are not as they should be, and of those that should not be."""
    there = {path.name: path.read_text("utf-8") for path in TARGET.glob("*.js")}
    return sorted(
        name for name in files.keys() | there.keys() if files.get(name) != there.get(name)
    )


def main(arguments: list[str]) -> int:
    files = built()
    if arguments == ["--check"]:
        wrong = stale(files)
        sys.stdout.writelines(f"{name} is not what js/build.py makes\n" for name in wrong)
        return bool(wrong)
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (TARGET / name).write_text(text, "utf-8")
        sys.stdout.write(f"{len(text.encode()):6} {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
