"""Tests of the explorers in the built book, in a real browser: keyboard, mouse, Play, names, phone, light and dark.

Whatever their frames show is tested without a browser, in test_widgets.py. See helpers/browser.py for what these tests
need. Screenshots are left in `book/screenshots/explorers/` for a person to look at.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from tests.helpers.browser import AXE, PAGES, PHONE, SITE, Browser, assert_clean, need, opened_browser, served_site

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE = next((page for page in PAGES if "lmc-explorer" in (SITE / page).read_text(encoding="utf-8")), "")

PATIENCE = 20
"""Seconds until what should happen counts as not happening."""

SHOWN = """
const stage = arguments[0].querySelector('.lmc-stage');
return [...stage.querySelectorAll('[role=img]')].filter((e) => e.checkVisibility()).map((e) => e.ariaLabel);
"""
NAMELESS = """
return [...arguments[0].querySelectorAll('[role=slider], button, select')].filter((control) => {
  const label = control.labels && control.labels[0];
  return !(control.ariaLabel || control.textContent.trim() || (label && label.textContent.trim()));
}).map((control) => control.outerHTML.slice(0, 120));
"""
AUDIT = """
const done = arguments[arguments.length - 1];
const shorter = (found) => [found.impact, found.id, found.nodes.slice(0, 3).map((node) => node.target.join(' '))];
axe.run('.lmc-explorer', {preload: false, runOnly: ['wcag2a', 'wcag2aa'], resultTypes: ['violations']})
  .then((found) => done(found.violations.map(shorter)), (error) => done([['critical', String(error), []]]));
"""
SMALL = """
return [...document.querySelectorAll('.lmc-explorer .lmc-panels text')].filter((e) => e.checkVisibility())
  .filter((e) => e.getBoundingClientRect().height < 9.5).map((e) => e.textContent);
"""
OVERFLOW = """
return [...document.querySelectorAll('.lmc-explorer, .lmc-explorer *')].filter((e) => e.checkVisibility())
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 || e.scrollWidth > e.clientWidth + 1 &&
    ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))
  .map((e) => e.tagName + '.' + e.getAttribute('class')).slice(0, 6);
"""

PLAYED = """
const [explorer, play] = arguments;
const stage = explorer.querySelector('.lmc-stage');
const picture = () => [...stage.querySelectorAll('[role=img]')].filter((e) => e.checkVisibility())
  .map((e) => e.ariaLabel).join();
const seen = window.played = [[play.ariaLabel, stage.ariaLive, picture()]];
let stopped = false;
new MutationObserver(() => {
  const now = [play.ariaLabel, stage.ariaLive, picture()];
  if (String(now) !== String(seen.at(-1))) seen.push(now);
  if (stopped || new Set(seen.map((state) => state[2]).filter(Boolean)).size < 3) return;
  stopped = true;
  play.click();
}).observe(explorer, {subtree: true, childList: true, attributes: true});
"""
"""Notes in the page all that an explorer shows, and presses its Play again at the third picture.

From outside, a busy machine looks too late: Play has come to its end before a question about it is answered.
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    need((SITE / "index.html").is_file(), "the book is not built: make book")
    need(PAGE, "the built book has no page with explorers")
    with opened_browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def explorers(browser: Browser) -> list[Any]:
    """The explorers of the page, which is loaded anew from the disk, without a server and so without a kernel."""
    return loaded(browser, SITE.as_uri() + "/", "file://")


def loaded(browser: Browser, site: str, base: str) -> list[Any]:
    """The explorers of the page as soon as they are drawn; nothing may be asked for outside ``base``."""
    browser.resize(None)
    visit = browser.visit(site + PAGE)
    found = wait_for(lambda: find_all(browser, ".lmc-explorer:has(.lmc-stage [role=img])"))
    browser.drain(visit)
    assert_clean(visit, base)
    return found


def find_all(browser: Browser, selector: str) -> list[Any]:
    return browser.run("return [...document.querySelectorAll(arguments[0])]", selector)


def parts(explorer: Any, selector: str) -> list[Any]:
    return explorer.find_elements("css selector", selector)


def wait_for(condition: Callable[..., Any], *arguments: Any) -> Any:
    """What ``condition`` gives as soon as it is true; fails if it never is."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := condition(*arguments):
            return found
        time.sleep(0.05)
    pytest.fail(f"waited {PATIENCE} seconds in vain")


def shown(browser: Browser, explorer: Any) -> str:
    """What the explorer shows, in words; there must be exactly one picture."""
    labels = browser.run(SHOWN, explorer)
    assert len(labels) == 1, labels
    return labels[0]


def shows(browser: Browser, explorer: Any, label: str) -> bool:
    return browser.run(SHOWN, explorer) == [label]


def has(element: Any, attribute: str, value: str) -> bool:
    return element.get_attribute(attribute) == value


def differs(element: Any, attribute: str, value: str) -> bool:
    return element.get_attribute(attribute) != value


def is_chosen(browser: Browser, choice: Any, network: str) -> bool:
    """Whether the one explorer under a list of networks is of this one, and drawn."""
    title = browser.run(
        "const shown = arguments[0].closest('.lmc-explorers').querySelectorAll('.lmc-explorer');"
        "return shown.length == 1 && shown[0].querySelector('.lmc-stage [role=img]') ? shown[0].ariaLabel : ''",
        choice,
    )
    return network in (title or "")


def changed(browser: Browser, explorer: Any, before: str) -> str:
    """What it shows as soon as that is something else than ``before``."""
    wait_for(lambda: browser.run(SHOWN, explorer) not in ([before], []))
    return shown(browser, explorer)


def settled(browser: Browser, explorer: Any) -> str:
    """What it shows as soon as that has stayed the same for a second, longer than Play takes for a picture."""
    seen, since = shown(browser, explorer), time.monotonic()
    until = since + PATIENCE
    while time.monotonic() < until:
        time.sleep(0.1)
        if browser.run(SHOWN, explorer) != [seen]:
            seen, since = shown(browser, explorer), time.monotonic()
        elif time.monotonic() - since > 1:
            return seen
    pytest.fail(f"still changes after {PATIENCE} seconds")


@pytest.mark.parametrize("protocol", ["http", "file"])
def test_there_are_five_explorers_with_names_and_one_picture_each(protocol, browser):
    with served_site() if protocol == "http" else nullcontext(SITE.as_uri() + "/") as site:
        explorers = loaded(browser, site, site if protocol == "http" else "file://")
        titles = [browser.run("return arguments[0].ariaLabel", explorer) for explorer in explorers]
        assert [title.split(":")[0] for title in titles] == [
            *("The barrier", "The layers", "Active units", "The theorem", "Temperature"),
        ]
        for explorer in explorers:
            assert browser.run("return arguments[0].getAttribute('role')", explorer) == "group"
            assert shown(browser, explorer)
            assert browser.run(NAMELESS, explorer) == []
            assert browser.run("return arguments[0].querySelector('.lmc-stage').ariaLive", explorer) == "polite"


def test_arrow_keys_on_every_slider_change_what_is_shown(browser, explorers):
    from selenium.webdriver.common.keys import Keys

    for explorer in explorers:
        handles = parts(explorer, ".noUi-handle")
        assert handles
        for handle in handles:
            browser.run("arguments[0].scrollIntoView({block: 'center'})", handle)
            before, said = shown(browser, explorer), handle.get_attribute("aria-valuetext")
            at_the_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
            there, back = (Keys.ARROW_LEFT, Keys.ARROW_RIGHT) if at_the_end else (Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
            handle.send_keys(there)
            changed(browser, explorer, before)
            wait_for(differs, handle, "aria-valuetext", said)
            handle.send_keys(back)
            wait_for(shows, browser, explorer, before)


def test_the_mouse_moves_sliders_and_presses_buttons(browser, explorers):
    from selenium.webdriver.common.action_chains import ActionChains

    for explorer in explorers:
        handle = parts(explorer, ".lmc-plays .noUi-handle")[0]
        browser.run("arguments[0].scrollIntoView({block: 'center'})", handle)
        before = shown(browser, explorer)
        at_the_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
        ActionChains(browser.driver).drag_and_drop_by_offset(handle, -120 if at_the_end else 120, 0).perform()
        before = changed(browser, explorer, before)
        groups = parts(explorer, ".widget-toggle-buttons")
        for group in groups:
            first, second = parts(group, "button")[:2]
            pressed = [button.get_attribute("aria-pressed") for button in (first, second)]
            assert pressed == ["true", "false"]
            second.click()
            before = changed(browser, explorer, before)
            wait_for(has, second, "aria-pressed", "true")


def test_play_plays_stops_and_goes_back_to_the_start(browser, explorers):
    for explorer in explorers:
        handle = parts(explorer, ".lmc-plays .noUi-handle")[0]
        play, back = parts(explorer, ".widget-play button")[:2]
        browser.run("arguments[0].scrollIntoView({block: 'center'})", play)
        back.click()  # from wherever it stands
        wait_for(has, handle, "aria-valuenow", "0.0")
        wait_for(has, play, "aria-label", "Play")
        assert back.get_attribute("aria-label") == "Back to the start"
        start = settled(browser, explorer)
        browser.run(PLAYED, explorer, play)
        play.click()
        wait_for(lambda: len({picture for _, _, picture in browser.run("return played")} - {""}) >= 3)
        wait_for(has, play, "aria-label", "Play")
        still = settled(browser, explorer)
        played = browser.run("return played")
        assert played[0] == ["Play", "polite", start]
        assert played[-1] == ["Play", "polite", still]
        assert ["Pause", "off", still] in played


def test_nothing_blinks_or_jumps_while_a_slider_moves(browser, explorers):
    from selenium.webdriver.common.keys import Keys

    explorer = explorers[0]
    browser.run(
        "const stage = arguments[0].querySelector('.lmc-stage'); window.seen = []; window.watching = true;"
        "const look = () => { seen.push([[...stage.querySelectorAll('[role=img]')].length,"
        " Math.round(stage.getBoundingClientRect().height)]); if (watching) requestAnimationFrame(look); }; look()",
        explorer,
    )
    for handle in parts(explorer, ".noUi-handle"):
        browser.run("arguments[0].scrollIntoView({block: 'center'})", handle)
        for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT):
            handle.send_keys(key)
            time.sleep(0.2)
    samples = browser.run("watching = false; return seen")
    assert len(samples) > 10
    assert len({tuple(sample) for sample in samples}) == 1 and samples[0][0] == 1, "a frame was empty or of other size"


def test_another_network_can_be_chosen(browser, explorers):
    for choice in wait_for(find_all, browser, ".lmc-explorers > .widget-dropdown select"):
        options = browser.run("return [...arguments[0].options].map((option) => option.textContent)", choice)
        for index, option in enumerate(options):
            browser.run(
                "arguments[0].selectedIndex = arguments[1];"
                "arguments[0].dispatchEvent(new Event('change', {bubbles: true}))",
                choice,
                index,
            )
            # ipywidgets writes the options with spaces that do not break
            wait_for(is_chosen, browser, choice, option.replace("\u00a0", " "))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_explorers_fit_a_phone_and_hinder_no_reader(theme, browser, explorers):
    need(AXE.is_file(), "axe-core is not there: python book/vendor_js.py --tests")
    name = f"explorers/{(SITE / PAGE).stem}_{theme}"
    browser.use_theme(theme)
    browser.photograph(f"{name}_1280", 1280)
    browser.run(AXE.read_text(encoding="utf-8"))
    found = browser.run_async(AUDIT)
    browser.resize(PHONE)
    small, overflowing = browser.run(SMALL), browser.run(OVERFLOW)
    wide = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
    browser.photograph(f"{name}_390", 390)
    assert [violation for violation in found if violation[0] in ("serious", "critical")] == []
    assert small == [], "text too small to read on a phone"
    assert overflowing == []
    assert wide[0] <= wide[1]
