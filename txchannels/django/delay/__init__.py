"""Messages for later: ``asgi.delay``, kept in the database until they are due.

With ``"txchannels.django.delay"`` in ``INSTALLED_APPS``, a program sends
``{"channel": name, "delay": milliseconds, "content": {...}}`` to ``asgi.delay``, and the
content arrives on the channel after that time. Every worker stores what it is sent; the
daemon's clock (`txchannels.delaying`) has a worker send what is due.

Source: Channels 1, ``channels.delay``; ASGI draft version 1, "Delay Protocol".
"""
