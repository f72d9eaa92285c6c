"""The built book in a real browser: the site, a server of it, and a headless chromium that notes what goes wrong.

What the tests need is skipped where it is missing or, with ``LMCBOOK_REQUIRE_BOOK=1``, fails.
"""

import base64
import functools
import http.server
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SITE = Path(os.environ.get("LMCBOOK_SITE") or ROOT / "book" / "_build" / "html")
SHOTS = ROOT / "book" / "screenshots"
AXE = ROOT / "tests" / "_vendor" / "axe-core" / "axe.min.js"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

PAGES = sorted(
    page.relative_to(SITE).as_posix()
    for page in SITE.rglob("*.html")
    if page.relative_to(SITE).parts[0] not in ("_modules", "_static")  # highlighted sources; parts of the theme
)
TOLERATED = (
    # html-manager's own validator, in a library inside embed.js, on pages with widgets
    "strict mode: use allowUnionTypes to allow union type keyword",
)
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


def need(condition: object, reason: str) -> None:
    """Skip unless ``condition`` holds, or fail where the book is required."""
    if not condition and os.environ.get("LMCBOOK_REQUIRE_BOOK"):
        pytest.fail(reason)
    if not condition:
        pytest.skip(reason)


@dataclass
class Visit:
    """What one visit of a page left behind."""

    console: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


FADED = """
const done = arguments[0];
setTimeout(() => done(0), 10000);  // no frame is drawn, or something stands still in the middle
const ending = () => document.getAnimations().filter((each) => each.effect.getComputedTiming().endTime < Infinity);
requestAnimationFrame(() => requestAnimationFrame(
  () => Promise.allSettled(ending().map((each) => each.finished)).then(() => done(1))));
"""
"""Waits until all transitions of the page have ended, ten seconds at most."""


class Browser:
    """A headless chromium that notes what every page asks for and complains about."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.options import Options
        from selenium.webdriver.chrome.service import Service

        options = Options()
        options.binary_location = str(CHROMIUM)
        for argument in (
            "--headless",
            "--no-sandbox",  # chromium's sandbox cannot be had as root in a container
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
            "--window-size=1280,1000",
            f"--user-data-dir={profile}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.set_script_timeout(60)
        self.driver.get("about:blank")
        time.sleep(0.5)  # the browser's own start page is still asking for its icons
        self.drain(Visit())

    def visit(self, url: str) -> Visit:
        """Load ``url``, wait until formulas and fonts are there, and note what happened."""
        self.driver.get(url)
        self.run_async(
            "const done = arguments[arguments.length - 1];"
            "(window.MathJax && MathJax.startup && MathJax.startup.promise || Promise.resolve())"
            ".then(() => document.fonts.ready).then(() => setTimeout(() => done(1), 250))"
        )
        visit = Visit()
        self.drain(visit)
        return visit

    def drain(self, visit: Visit) -> None:
        """Move what the browser has logged into ``visit``."""
        urls: dict[str, str] = {}
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            method, given = message["method"], message["params"]
            if method == "Network.requestWillBeSent":
                urls[given["requestId"]] = given["request"]["url"]
                if not given["request"]["url"].startswith(("data:", "blob:")):
                    visit.requested.append(given["request"]["url"])
            elif method == "Network.loadingFailed" and not given.get("canceled"):
                visit.failed.append(f"{urls.get(given['requestId'])}: {given.get('errorText')}")
            elif method == "Network.responseReceived" and given["response"]["status"] >= 400:
                visit.failed.append(f"{given['response']['url']}: {given['response']['status']}")
        for entry in self.driver.get_log("browser"):
            is_complaint = entry["level"] in ("SEVERE", "WARNING")
            if is_complaint and not any(tolerated in entry["message"] for tolerated in TOLERATED):
                visit.console.append(f"{entry['level']} {entry['message'][:300]}")

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def run_async(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_async_script(script, *arguments)

    def resize(self, metrics: dict[str, Any] | None) -> None:
        """Pretend to be a screen of these metrics, or stop pretending."""
        if metrics:
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        else:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.run_async("const done = arguments[0]; requestAnimationFrame(() => setTimeout(() => done(1), 80))")

    def photograph(self, name: str, width: int, scale: int = 1) -> None:
        """Save the whole page, however long, as `book/screenshots/NAME.png`."""
        height = min(self.run("return document.documentElement.scrollHeight"), 12_000)
        self.resize({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 700})
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {})
        path = SHOTS / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        self.resize(None)

    def use_theme(self, theme: str) -> None:
        """Switch this page to ``light`` or ``dark``, as its button does."""
        self.run("Object.assign(document.documentElement.dataset, {theme: arguments[0], mode: arguments[0]})", theme)
        # colours fade from one theme to the other, on a busy machine for longer than it says
        self.run_async(FADED)


@contextmanager
def opened_browser(profile: Path) -> Iterator[Browser]:
    """A browser that keeps what it must in the folder ``profile``."""
    need(CHROMIUM and DRIVER, "chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    pytest.importorskip("selenium")
    os.environ["SE_OFFLINE"] = "true"
    opened = Browser(profile)
    yield opened
    opened.driver.quit()


@contextmanager
def served_site() -> Iterator[str]:
    """The address of the site on a server of its own, with a slash at the end."""
    handler = functools.partial(_Quiet, directory=str(SITE))
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}/"
    served.shutdown()
    served.server_close()
    thread.join()


def assert_clean(visit: Visit, base: str) -> None:
    assert visit.console == []
    assert visit.failed == []
    assert [url for url in visit.requested if not url.startswith(base)] == []
