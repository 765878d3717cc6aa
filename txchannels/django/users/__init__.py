"""A user's sockets, closed together: by `disconnect`, by logging out, by a new password.

A socket that gets its user from the decorators of `txchannels.django.auth`, or from the
flags of the generic consumers, joins two groups on connect: its user's, and that of the
login which its browser's session has. `attach_socket` does it for a site with a login of
its own. What is closed is said to these groups, so it is on all hosts of the site.
"""

from txchannels.django.users.closing import LOGGED_OUT, disconnect
from txchannels.django.users.joining import attach_socket

__all__ = ["LOGGED_OUT", "attach_socket", "disconnect"]
