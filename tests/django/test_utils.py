from __future__ import annotations

import functools

from txchannels.django.utils import name_that_thing


def a_function():
    pass


class AClass:
    def method(self):
        pass

    @classmethod
    def of_class(cls):
        pass

    def __call__(self):
        pass


class ASubclass(AClass):
    pass


def test_functions_and_classes_have_their_dotted_names():
    assert name_that_thing(a_function) == f"{__name__}.a_function"
    assert name_that_thing(AClass) == f"{__name__}.AClass"
    assert name_that_thing(AClass.method) == f"{__name__}.AClass.method"


def test_methods_are_named_after_the_class_they_are_called_on():
    assert name_that_thing(ASubclass().method) == f"{__name__}.ASubclass.method"
    assert name_that_thing(ASubclass.of_class) == f"{__name__}.ASubclass.of_class"


def test_an_instance_is_named_after_its_class():
    assert name_that_thing(AClass()) == f"{__name__}.AClass"


def test_what_wraps_a_function_is_named_after_it():
    assert name_that_thing(functools.partial(a_function)) == f"{__name__}.a_function"
    assert name_that_thing(functools.wraps(a_function)(lambda: 0)) == f"{__name__}.a_function"


def test_builtins_have_names_too():
    assert name_that_thing(len) == "builtins.len"
    assert name_that_thing(3) == "builtins.int"
