"""txchannels: one Twisted daemon that serves Django over HTTP and WebSocket.

One message's way::

    socket --bytes--> protocols --message--> layers --message--> workers --call--> django
      ^                  |                   ^    |                                  |
      +------bytes-------+<-----message------+    +<------------message--------------+

- ``protocols``: bytes to messages and back, in the reactor's thread.
- ``layers``: messages between threads, processes and hosts, by channel and by group; never looks
  inside one.
- ``workers``: a message becomes a call in a thread; worker processes are kept alive.
- ``django``: the call becomes a consumer or a view; the public API.
- ``testing``: what users of txchannels test with.

``tap`` reads the command line; ``service`` decides between ``threaded`` and ``supervised``, which
build the rooms and join them. ``worker_process`` is the program of a worker process.
This module imports nothing, so that any room can be loaded without the others.
"""

__version__ = "0.1.0"
