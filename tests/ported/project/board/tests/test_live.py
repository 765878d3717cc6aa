# ruff: noqa: PT009 - as unittest's users write them
"""A real server."""

from urllib.request import urlopen

from django.contrib.auth.models import User
from django.test import Client as Browser
from websockets.sync.client import connect

from txchannels.django.test import ChannelLiveServerTestCase


class LiveTests(ChannelLiveServerTestCase):
    worker_threads = 2

    def test_a_page_a_file_and_a_socket(self):
        with urlopen(self.live_server_url + "/", timeout=60) as page:
            self.assertEqual(page.read(), b"notices: 0")
        with urlopen(self.live_server_url + "/static/board/board.css", timeout=60) as file:
            self.assertIn(b"color", file.read())
        browser = Browser()
        browser.force_login(User.objects.create_user("ann"))
        headers = {"Cookie": "sessionid=" + browser.cookies["sessionid"].value}
        url = self.live_server_ws_url + "/rooms/attic/"
        with connect(url, additional_headers=headers, open_timeout=60) as socket:
            socket.send("hi")
            self.assertEqual(socket.recv(60), "ann says hi (1)")
