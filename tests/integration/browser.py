"""A Chromium window to test pages with; it fetches nothing but what the test opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.requirements import require

__all__ = ["Window", "open_window"]

WAIT_SECONDS = 20
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--lang=en",
)


class Window:
    """What a person does in a browser, and what they see.

    Args:
        driver: The browser.
        base: What paths are opened on: ``http://host:port``.
    """

    def __init__(self, driver: webdriver.Chrome, base: str) -> None:
        self.driver = driver
        self.base = base

    @property
    def path(self) -> str:
        return self.driver.current_url.removeprefix(self.base)

    def open(self, path: str) -> None:
        self.driver.get(self.base + path)

    def find(self, selector: str) -> WebElement:
        """The first element, as soon as there is one."""
        self.wait(lambda: self.driver.find_elements(By.CSS_SELECTOR, selector), selector)
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """What the elements say, hidden or not, in one look at the page."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return [text.strip() for text in self.script(script, selector)]

    def fill(self, **fields: str) -> None:
        """Write into a form's fields, by their names, and submit it."""
        for name, value in fields.items():
            field = self.find(f"[name={name}]")
            field.clear()
            field.send_keys(value)
        self.press(field.find_element(By.XPATH, "ancestor::form//button"))

    def press(self, button: str | WebElement) -> None:
        (self.find(button) if isinstance(button, str) else button).click()

    def script(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def wait(self, is_so: Callable[[], Any], what: str) -> None:
        waiting = WebDriverWait(self.driver, WAIT_SECONDS, poll_frequency=0.05)
        waiting.until(lambda driver: is_so(), f"Never came: {what}")

    def wait_to_show(self, look: Callable[[], Any], wanted: Any) -> None:
        """Wait until *look* returns *wanted*; otherwise say what it returned at last."""
        try:
            self.wait(lambda: look() == wanted, str(wanted))
        except TimeoutException:
            assert look() == wanted

    def resize(self, width: int, height: int, scheme: str = "light") -> None:
        """Be a screen of that size, whose owner likes things *scheme*: light or dark."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@contextmanager
def open_window(base: str, profile: Path) -> Iterator[Window]:
    """A window with a fresh *profile* (a folder, made here), closed at the end."""
    options = webdriver.ChromeOptions()
    options.binary_location = require(["chromium", "chromium-browser"], "it shows the pages")
    for switch in (*SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    service = webdriver.ChromeService(require("chromedriver", "it steers the browser"))
    driver = webdriver.Chrome(options, service)
    try:
        yield Window(driver, base)
    finally:
        driver.quit()
