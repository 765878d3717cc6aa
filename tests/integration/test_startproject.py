"""A site that knows nothing of us, end to end: what a browser does with a fresh project."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.daemon import WAIT_SECONDS, Daemon
from tests.integration.project import ADMIN, Project

pytestmark = pytest.mark.slow

BASE_CSS = "/static/admin/css/base.css"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def debug(project: Project) -> Iterator[Daemon]:
    with project.daemon("mysite.settings") as daemon:
        yield daemon
        assert daemon.stop(signal.SIGTERM) == 0
        # Django shows how a path led out of the static folders, under DEBUG
        assert daemon.log.count("Traceback") == daemon.log.count("SuspiciousFileOperation: ")


@pytest.fixture(scope="module")
def production(project: Project) -> Iterator[Daemon]:
    with project.daemon("mysite.production") as daemon:
        yield daemon
        assert daemon.stop(signal.SIGINT) == 0
        assert "Traceback" not in daemon.log


@pytest.fixture
def browser(debug: Daemon) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=debug.url, follow_redirects=True, timeout=WAIT_SECONDS) as client:
        yield client


def token_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found is not None, page.text
    return found[1]


def submit(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Fill in the form at *path* as a browser does."""
    token = token_of(browser.get(path))
    return browser.post(path, data={"csrfmiddlewaretoken": token, **fields})


def log_in(browser: httpx.Client) -> httpx.Response:
    return submit(browser, "/admin/login/?next=/admin/", **ADMIN)


def test_the_first_page_is_the_rocket(browser):
    page = browser.get("/")
    assert page.status_code == 200
    assert "The install worked successfully" in page.text
    assert page.headers["content-type"] == "text/html; charset=utf-8"


def test_a_person_logs_in_and_out_of_the_admin(browser):
    page = browser.get("/admin/")
    assert [hop.status_code for hop in page.history] == [302]
    assert page.url.path == "/admin/login/"
    page = log_in(browser)
    assert page.url.path == "/admin/"
    assert "Site administration" in page.text
    page = browser.post("/admin/logout/", data={"csrfmiddlewaretoken": token_of(page)})
    assert "Logged out" in page.text
    assert browser.get("/admin/").url.path == "/admin/login/"


def test_a_wrong_password_is_refused_in_the_form(browser):
    page = submit(browser, "/admin/login/", username="admin", password="wrong")
    assert page.status_code == 200
    assert "Please enter the correct username and password" in page.text


def test_a_form_without_its_token_is_forbidden(browser):
    assert browser.post("/admin/login/", data=ADMIN).status_code == 403


def test_a_user_is_added_changed_and_deleted_with_messages(browser):
    log_in(browser)
    page = submit(
        browser,
        "/admin/auth/user/add/",
        username="zoë",
        password1="a long secret",
        password2="a long secret",
        usable_password="true",
    )
    assert "was added successfully" in page.text
    path = page.url.path
    page = submit(
        browser,
        path,
        username="zoë",
        first_name="Zoë\u2003Ω",
        date_joined_0="2026-01-02",
        date_joined_1="03:04:05",
        **{"initial-date_joined_0": "2026-01-02", "initial-date_joined_1": "03:04:05"},
    )
    assert "was changed successfully" in page.text
    assert "was changed successfully" not in browser.get("/admin/auth/user/").text
    assert "Zoë\u2003Ω" in browser.get(path).text
    page = submit(browser, path.replace("change", "delete"), post="yes")
    assert "was deleted successfully" in page.text


def test_a_missing_slash_is_redirected_to(debug):
    response = httpx.get(f"{debug.url}/admin?x=1", timeout=WAIT_SECONDS)
    assert response.status_code == 301
    assert response.headers["location"] == "/admin/?x=1"


# Static files


def test_static_files_of_the_admin_are_served_under_debug(browser):
    response = browser.get(BASE_CSS)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/css")
    assert int(response.headers["content-length"]) == len(response.content) > 1000


def test_a_static_file_that_has_not_changed_is_304(browser):
    modified = browser.get(BASE_CSS).headers["last-modified"]
    response = browser.get(BASE_CSS, headers={"If-Modified-Since": modified})
    assert (response.status_code, response.content) == (304, b"")
    assert browser.get(BASE_CSS).status_code == 200


def test_a_static_file_that_is_not_there_is_404_with_the_debug_page(browser):
    response = browser.get("/static/nothing.css")
    assert response.status_code == 404
    assert "could not be found" in response.text


@pytest.mark.parametrize("path", ["/static/../mysite/settings.py", "/static/%2e%2e/manage.py"])
def test_no_static_path_leads_out_of_the_folders(debug, path):
    with httpx.Client(timeout=WAIT_SECONDS) as client:
        request = client.build_request("GET", debug.url)
        request.url = httpx.URL(debug.url, raw_path=path.encode())
        assert client.send(request).status_code in (400, 404)


def test_without_debug_there_are_no_static_files(production):
    assert httpx.get(production.url + BASE_CSS, timeout=WAIT_SECONDS).status_code == 404


# Errors


def test_an_unknown_page_is_404_with_the_debug_page(browser):
    response = browser.get("/no/such/page/äö?q=ü")
    assert response.status_code == 404
    assert "Using the URLconf defined in <code>mysite.urls</code>" in response.text
    assert "no/such/page/äö" in response.text


def test_an_unknown_page_is_404_without_debug(production):
    response = httpx.get(f"{production.url}/no/such/page", timeout=WAIT_SECONDS)
    assert response.status_code == 404
    assert "The requested resource was not found on this server" in response.text
    assert "URLconf" not in response.text


def test_a_strange_host_is_400(production):
    response = httpx.get(production.url, headers={"Host": "evil.example"}, timeout=WAIT_SECONDS)
    assert response.status_code == 400
    production.wait_for("Invalid HTTP_HOST header: 'evil.example'")


def test_head_has_the_headers_and_no_body(browser):
    got, head = browser.get("/admin/login/"), browser.head("/admin/login/")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["content-length"] == str(len(got.content))
    assert browser.get("/admin/login/").status_code == 200


# Where the site hangs


@pytest.mark.parametrize("prefix", ["/shop", ""])
def test_under_a_root_path_links_lead_there_whether_the_proxy_cuts_it_off(project, prefix):
    with project.daemon("mysite.settings", "--root-path=/shop") as daemon:
        response = httpx.get(f"{daemon.url}{prefix}/admin/", timeout=WAIT_SECONDS)
        assert response.headers["location"] == "/shop/admin/login/?next=/shop/admin/"
        page = httpx.get(f"{daemon.url}{prefix}/admin/login/", timeout=WAIT_SECONDS)
        assert 'href="/shop/static/admin/css/base.css"' in page.text
        css = httpx.get(f"{daemon.url}{prefix}{BASE_CSS}", timeout=WAIT_SECONDS)
        assert css.status_code == 200
        assert daemon.stop() == 0
