from __future__ import annotations

import sys

import pytest

from tests.django.routings import site
from txchannels.django.dotted import DottedPathError, import_dotted


def test_a_path_leads_to_what_it_names():
    assert import_dotted("tests.django.routings.site.as_list") is site.as_list


@pytest.mark.parametrize("path", ["nodots", "", ".a.b", "a..b", "a.b.", "a b.c"])
def test_what_is_no_path_is_said_to_be_none(path):
    with pytest.raises(DottedPathError, match="not a dotted path"):
        import_dotted(path)


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("nowhere.routing.it", "nowhere"),
        ("tests.django.nowhere.it", "tests.django.nowhere"),
        ("tests.fakes.deeper.it", "tests.fakes.deeper"),
    ],
)
def test_the_module_that_is_missing_is_named(path, missing):
    with pytest.raises(DottedPathError, match=f"no module '{missing}'") as caught:
        import_dotted(path)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_the_name_that_is_missing_is_named():
    with pytest.raises(DottedPathError, match=r"'tests.fakes' has no 'Nothing'"):
        import_dotted("tests.fakes.Nothing")


def test_what_names_a_module_is_told_to_name_something_in_it():
    with pytest.raises(DottedPathError) as caught:
        import_dotted("tests.django.routings.site")
    assert str(caught.value) == (
        "'tests.django.routings.site' is a module; name the object in it, such as "
        "tests.django.routings.site.name"
    )


def test_a_module_that_is_not_imported_is_known_as_one():
    assert "tests.django.routings.broken" not in sys.modules
    with pytest.raises(DottedPathError, match=r"is a module; .* tests.django.routings.broken.it$"):
        import_dotted("tests.django.routings.broken", sample="it")


def test_an_import_error_inside_the_module_is_not_the_paths_fault():
    with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has") as caught:
        import_dotted("tests.django.routings.broken.it")
    assert not isinstance(caught.value, DottedPathError)
