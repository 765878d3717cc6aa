"""Pages of reference that are made from the code, so that they say what it does.

- ``{options} GROUP``: the options of one group, as a table;
- ``{layer-config} CLASS``: the keys of CONFIG that a layer takes;
- ``{command-help} COMMAND``: what ``--help`` prints.
"""

from __future__ import annotations

import inspect
import re
from argparse import HelpFormatter
from collections.abc import Iterable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from txchannels.__main__ import _parser
from txchannels.options import DAEMON, GROUPS, WORKER, Option
from txchannels.options.option import UNLIMITED
from txchannels.tap import Options, WorkerOptions

#: Parameters of a layer that are no keys of a site's CONFIG: a test hands them in.
NOT_FOR_SITES = {"clock"}

NO_BREAK = "\N{NO-BREAK SPACE}"

Cell = Sequence[nodes.Node]
Row = tuple[str, Sequence[Cell]]


def table(heads: Sequence[str], widths: Sequence[int], rows: Iterable[Row]) -> nodes.table:
    """A table; each row has an id to link to, and cells of inline nodes."""
    group = nodes.tgroup(cols=len(heads))
    group += [nodes.colspec(colwidth=width) for width in widths]
    head = nodes.thead()
    head += _row("", [[nodes.Text(one)] for one in heads])
    body = nodes.tbody()
    body += [_row(name, cells) for name, cells in rows]
    group += [head, body]
    made = nodes.table(classes=["reference", "colwidths-given"])
    made += group
    return made


def _row(name: str, cells: Sequence[Cell]) -> nodes.row:
    row = nodes.row(ids=[name] if name else [])
    for cell in cells:
        row += nodes.entry("", nodes.paragraph("", "", *cell))
    return row


def show_default(option: Option) -> str:
    """The default of *option*, with its unit."""
    value = option.default
    if option.kind == "flag":
        return "no"
    if value in (None, "", ()):
        return {"bind": "127.0.0.1", "port": "8000"}.get(option.name, "")
    return show(option, value)


def show(option: Option, value: Any) -> str:
    """A value of *option* as people write it; its parts are not to be torn apart."""
    if option.kind == "bytes":
        for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if value >= size and value % size == 0:
                return f"{value // size:.0f}{NO_BREAK}{unit}"
    number = str(value)
    if isinstance(value, int | float):
        whole, point, rest = f"{value:,.10f}".partition(".")
        number = (whole + point + rest.rstrip("0")).removesuffix(".")
    unit = {"bytes": "bytes", "seconds": "s"}.get(option.kind, "") if value else ""
    return NO_BREAK.join([number.replace(",", NO_BREAK), *([unit] if unit else [])])


def show_range(option: Option) -> str:
    """What *option* may be, where not every number is allowed."""
    if option.kind not in ("number", "bytes", "seconds"):
        return ""
    if option.most != UNLIMITED:
        return f"{show(option, option.least)} to {show(option, option.most)}"
    return f"at least {show(option, option.least)}" if option.least else ""


class OptionsTable(SphinxDirective):
    """The options of one group of the help."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        options = dict(GROUPS).get(self.arguments[0])
        if options is None:
            raise self.error(f"there is no group of options {self.arguments[0]!r}")
        heads = ("Option, and key in TXCHANNELS", "Default", "Meaning")
        return [table(heads, (36, 14, 50), [self._row(one) for one in options])]

    def _row(self, option: Option) -> Row:
        shown = f"--{option.name}" + (f"={option.shown}" if option.shown else "")
        meaning = re.sub(r" \[[^]]*\]$", "", option.help)
        meaning = f"{meaning[0].upper()}{meaning[1:]}."
        if allowed := show_range(option):
            meaning += f" Allowed: {allowed}."
        cells: list[Cell] = [
            [nodes.literal("", shown), nodes.Text(" "), nodes.literal("", option.key)],
            [nodes.Text(show_default(option))],
            [nodes.Text(meaning)],
        ]
        if WORKER in option.commands:
            cells[-1] = [*cells[-1], nodes.Text(" "), nodes.inline("", WORKER, classes=["also"])]
        return f"option-{option.name}", cells


class LayerConfig(SphinxDirective):
    """The keys of CONFIG of one layer, from its class."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        layer = getattr(import_module(module), name)
        meanings = read_args(inspect.getdoc(layer) or "")
        rows: list[Row] = []
        for key, parameter in inspect.signature(layer).parameters.items():
            if key in NOT_FOR_SITES:
                continue
            if key not in meanings:
                raise self.error(f"{self.arguments[0]} does not say what {key} means")
            text, _ = self.parse_inline(_as_markdown(meanings[key]), lineno=self.lineno)
            default = parameter.default
            shown: Cell = [] if default in (None, "") else [nodes.literal("", f"{default!r}")]
            rows.append((f"{name}-{key}", [[nodes.literal("", key)], shown, text]))
        return [table(("Key", "Default", "Meaning"), (26, 18, 56), rows)]


def read_args(docstring: str) -> dict[str, str]:
    """The section Args of a docstring, by name."""
    section = re.search(r"^Args:\n((?:    .*\n?|\n)+)", docstring, re.MULTILINE)
    entries = re.findall(
        r"^    (\w+): (.*(?:\n     .*)*)", section[1] if section else "", re.MULTILINE
    )
    return {name: " ".join(text.split()) for name, text in entries}


def _as_markdown(text: str) -> str:
    """Names in a docstring as code."""
    return re.sub(r"(?<!`)`(?:\w+\.)*(\w+)`(?!`)", r"`\1`", text)


class CommandHelp(SphinxDirective):
    """What a command prints about itself."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        text = command_help(self.arguments[0])
        return [nodes.literal_block(text, text, language="text")]


def command_help(command: str) -> str:
    """The help of one of our programs, 80 columns wide.

    Raises: KeyError: There is no such program.
    """
    parser = _parser()
    parser.formatter_class = partial(HelpFormatter, width=80)
    helps: dict[str, Any] = {
        f"twistd {DAEMON}": lambda: Options().getUsage(80),
        f"twistd {WORKER}": lambda: WorkerOptions().getUsage(80),
        "python -m txchannels": parser.format_help,
    }
    return str(helps[command]()).rstrip()


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("options", OptionsTable)
    app.add_directive("layer-config", LayerConfig)
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
