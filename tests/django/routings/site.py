"""A routing that tests name by its dotted path."""

from txchannels.django.routing import route


def consumer(message, **kwargs):
    return message, kwargs


as_list = [route("news", consumer)]
as_dict = {"news": consumer}
number = 3
