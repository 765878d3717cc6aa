"""What the site's own extensions make of docstrings, links and options."""

from __future__ import annotations

import pytest

from tests.docs.building import import_extension
from tests.docs.pages import DOCS
from tests.integration.daemon import ROOT
from txchannels.options import OPTIONS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def unfold(text: str) -> str:
    lines = import_extension("house_docstrings").unfold(text.splitlines())
    return "\n".join(line for line in lines if line.strip())


def test_a_section_on_one_line_becomes_a_section():
    assert unfold("Do it.\n\nReturns: The number.") == "Do it.\nReturns:\n    The number."


def test_a_section_goes_on_to_the_next_blank_line():
    text = "Raises: ValueError: It is none, or\n    it is too many.\n\nMore."
    assert unfold(text) == "Raises:\n    ValueError: It is none, or it is too many.\nMore."


def test_several_errors_are_told_apart():
    assert unfold("Raises: ChannelFull: Too many. TypeError: No layer: none.") == (
        "Raises:\n    ChannelFull: Too many.\n    TypeError: No layer: none."
    )
    assert (
        unfold("Raises: TypeError, ValueError: Why.")
        == "Raises:\n    TypeError: Why.\n    ValueError: Why."
    )


def test_what_is_a_section_already_stays_as_it_is():
    text = "Args:\n    name: Whose.\nRaises:\n    TypeError: It is no dict."
    assert unfold(text) == text


def test_a_section_ends_where_the_next_begins():
    assert unfold("Returns: One.\nThread: any.") == ("Returns:\n    One.\nThread:\n    any.")


@pytest.mark.parametrize(
    ("text", "folder", "shown"),
    [
        ("[a](redis.md#urls)", "docs", "[a](redis.md#urls)"),
        ("[b](../bench/README.md)", "docs", "[b](benchmarks.md)"),
        ("[d](../../contrib/docker/README.md#x)", "docs/api", "[d](../docker.md#x)"),
        ("[`js/`](../js)", "docs", "`js/`"),
        ("[e](rooms/consumers.py)", "examples/chat", "e"),
        ("[f](../../docs/redis.md)", "examples/chat", "[f](redis.md)"),
        ("[g](https://example.com/a.md)", "docs", "[g](https://example.com/a.md)"),
        ("[h](#here)", "docs", "[h](#here)"),
        ("![i](_static/way.svg)", "docs", "![i](_static/way.svg)"),
    ],
)
def test_links_out_of_the_docs_lead_to_a_page_or_are_text(text, folder, shown):
    assert import_extension("links_outside").rewrite(text, ROOT / folder, DOCS) == shown


def test_every_page_from_outside_has_a_file_and_a_stub():
    for outside, page in import_extension("links_outside").PAGES.items():
        assert (ROOT / outside).is_file()
        assert outside in (DOCS / f"{page}.md").read_text()


def test_values_are_shown_as_people_write_them():
    show = import_extension("reference_tables").show
    by_name = {option.name: option for option in OPTIONS}
    for name, value, shown in (
        ("max-body", 2**31, "2 GiB"),
        ("max-body", 1000, "1 000 bytes"),
        ("max-body", 0, "0"),
        ("threads", 20_000, "20 000"),
        ("switch-interval", 0.00001, "0.00001 s"),
        ("keep-alive", 75.0, "75 s"),
    ):
        assert show(by_name[name], value).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_what_a_layer_does_not_say_of_a_key_is_missed():
    read_args = import_extension("reference_tables").read_args
    assert read_args(
        "Sum.\n\nArgs:\n    one: First,\n        and on.\n    two: Second.\n\nRaises: E: x."
    ) == {
        "one": "First, and on.",
        "two": "Second.",
    }
    assert read_args("Sum.") == {}
