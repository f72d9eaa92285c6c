"""Tests of the live explorer: its data against the package, and what a browser computes with them."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from torch import Tensor

from lmcbook.data import Splits, load
from lmcbook.evaluation import accuracy, predict_logits
from lmcbook.lab import live as made
from lmcbook.layerwise import measure_common_mode
from lmcbook.models import LayeredModel
from lmcbook.pages import live
from lmcbook.states import StateDict
from lmcbook.training import train
from tests.helpers.browser import AXE, PHONE, Browser, assert_clean, need, opened_browser

HALF = 10
"""Place of λ = ½ in `COEFFICIENTS`."""


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return live.live_data()


@pytest.fixture(scope="module")
def splits() -> Splits:
    return load("digits")


class Pair:
    """The two networks of one setting of the page, in the package's own hands."""

    def __init__(self, setting: dict[str, Any], splits: Splits) -> None:
        self.setting, self.splits = setting, splits
        [pair] = [
            each
            for each in made.pairs()
            if (each.training.width_multiplier, each.training.batch_size) == (setting["width"], setting["batch"])
        ]
        self.training = pair.training_a
        self.model: LayeredModel = made.network_of(pair.training, splits)
        self.states: list[StateDict] = [
            made.unpacked(each, list(self.model.state_dict())) for each in setting["networks"]
        ]

    def ways(self, coefficient: float, images: Tensor) -> dict[str, Tensor]:
        repairing = self.splits.train.images[: made.REPAIR_IMAGES]
        return made.ways(self.model, self.states, coefficient, repairing, images)


@pytest.fixture(scope="module")
def pairs(data: dict[str, Any], splits: Splits) -> list[Pair]:
    return [Pair(setting, splits) for setting in data["settings"]]


# --- the data --------------------------------------------------------------------------------------------------------


def test_there_are_two_widths_with_two_batches_each_and_the_networks_are_whole(data):
    assert [(each["width"], each["batch"]) for each in data["settings"]] == [(1, 32), (1, 128), (4, 32), (4, 128)]
    for setting in data["settings"]:
        found = [hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest() for each in setting["networks"]]
        assert found == setting["sha256"] and len(set(found)) == 2


def test_the_images_are_those_of_the_package(data, splits):
    assert data["dataset_sha256"] == splits.sha256
    assert (data["mean"], data["std"]) == (splits.mean[0], splits.std[0])
    assert [int(label) for label in data["test"]["labels"]] == splits.test.labels.tolist()
    for pixels, images in (
        (data["test"]["pixels"], splits.test.images),
        (data["repair"]["pixels"], splits.train.images[: made.REPAIR_IMAGES]),
    ):
        levels = torch.tensor([made.LEVELS.index(pixel) for pixel in pixels]).reshape(-1, 1, 8, 8)
        torch.testing.assert_close((levels / 16 - data["mean"]) / data["std"], images, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_the_accuracies_of_the_still_are_the_packages_with_the_same_weights(data, splits, pairs):
    for pair in pairs:
        for index in (0, 3, HALF, 20):
            entry = pair.setting["curve"][index]
            answers = pair.ways(entry["coefficient"], splits.test.images)
            found = {way: accuracy(logits, splits.test.labels) for way, logits in answers.items()}
            assert found == {way: entry[way] for way in found}, entry["coefficient"]


def test_rounded_weights_answer_as_the_trained_ones(pairs):
    for pair in pairs:
        entry = pair.setting["curve"][HALF]
        assert [entry["a"], entry["b"]] == pytest.approx(pair.setting["trained_accuracies"], abs=0.0021)


@pytest.mark.slow
def test_the_networks_are_those_that_the_recipe_trains(pairs, splits):
    """Another machine may add in another order, so not bit for bit; but weights of another seed are strangers."""
    pair = pairs[0]
    fresh = train(replace(pair.training, seed=0), splits, progress=False).state

    def cosine(state):
        return fmean(float(torch.cosine_similarity(fresh[name].flatten(), state[name].flatten(), 0)) for name in fresh)

    assert cosine(pair.states[0]) > 0.25 > 0.1 > abs(cosine(pair.states[1]))
    logits = [predict_logits(pair.model, state, splits.test.images) for state in (fresh, pair.states[0])]
    assert (logits[0].argmax(1) == logits[1].argmax(1)).double().mean().item() > 0.95


def test_packing_loses_less_than_a_step():
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    packed = made.packed(weight)
    [found] = made.unpacked([packed], ["weight"]).values()
    torch.testing.assert_close(found, weight, atol=0.5001 * packed["scale"], rtol=1e-6)
    assert packed["scale"] == pytest.approx(float(weight.abs().max()) / 32767)


# --- the still and the size ------------------------------------------------------------------------------------------


def test_points_lost_are_below_the_line_between_the_parents(data):
    table = live.lost_table(data)
    row = table[(table["width"] == 4) & (table["batch"] == 128)].iloc[5]
    parents = 0.25 * row["a"] + 0.75 * row["b"]
    assert row["coefficient"] == 0.25
    assert row["average_lost"] == pytest.approx(100 * (parents - row["average"])) and row["average_lost"] > 1


def test_the_explorer_stays_small_and_its_still_has_words(data):
    assert len(live.explorer_html().encode()) + len(live.still_html("").encode()) < 300_000
    still = live.still_html("papermill notebooks/12_explorers.ipynb out.ipynb")
    labels = re.findall(r'role="img" aria-label="([^"]+)"', still)
    assert len(labels) == still.count("<svg") == 4
    half = data["settings"][3]["curve"][HALF]
    assert f"repaired average {100 * half['repaired']:.1f}" in labels[3]


# --- in a browser ----------------------------------------------------------------------------------------------------

SET = """
const set = (name, value) => document.querySelector(`[name=lmc-live-${name}][value="${value}"]`).click();
set('width', arguments[0]); set('batch', arguments[1]);
const slider = document.querySelector('.lmc-live [type=range]');
slider.value = arguments[2];
slider.dispatchEvent(new Event('input'));
"""
SHOWN = r"""
const done = arguments[arguments.length - 1];
requestAnimationFrame(() => setTimeout(() => {
  const text = (selector) => document.querySelector(selector).textContent;
  const rows = [...document.querySelectorAll('.lmc-live [data-way]')];
  const numbers = (row) => row.querySelector('[role=img]').ariaLabel.split(': ').slice(2).map(parseFloat);
  done({
    caption: text('.lmc-live-caption'), status: text('.lmc-live-status'), λ: text('.lmc-live output'),
    probabilities: Object.fromEntries(rows.map((row) => [row.dataset.way, numbers(row)])),
    right: Object.fromEntries(rows.map((row) => [row.dataset.way, parseInt(row.cells[3].textContent)])),
    lost: Object.fromEntries(rows.map((row) => [row.dataset.way, row.cells[3].textContent])),
    layers: [...document.querySelectorAll('.lmc-live-layers tbody tr')].map((row) => [...row.cells].slice(1)
      .map((cell) => parseFloat(cell.textContent))),
    image: [...document.querySelectorAll('.lmc-live [role=gridcell]')]
      .map((cell) => parseInt(cell.ariaLabel.split(': ')[1])),
  });
}, 20));
"""
AUDIT = """
const done = arguments[arguments.length - 1];
const shorter = (found) => [found.impact, found.id, found.nodes.slice(0, 3).map((node) => node.target.join(' '))];
axe.run('.lmc-live', {preload: false, runOnly: ['wcag2a', 'wcag2aa'], resultTypes: ['violations']})
  .then((found) => done(found.violations.map(shorter)), (error) => done([['critical', String(error), []]]));
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with opened_browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Browser:
    """The explorer on a page of its own, from the disk, with the colours of the theme; it asks for nothing."""
    colours = "html {background: #fff} html[data-theme=dark] {background: #121212; color: #ddd}"
    file = tmp_path / "live.html"
    file.write_text(
        f'<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>live</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{colours}</style><body>{live.explorer_html()}</body></html>",
        encoding="utf-8",
    )
    browser.resize(None)
    visit = browser.visit(file.as_uri())
    assert_clean(visit, "file://")
    assert visit.requested == [file.as_uri()]
    return browser


def shown(browser: Browser) -> dict[str, Any]:
    found: dict[str, Any] = browser.run_async(SHOWN)
    return found


def keys(browser: Browser, selector: str, *pressed: str) -> None:
    element = browser.run(
        "arguments[0] && document.querySelector(arguments[0]).focus();return document.activeElement", selector
    )
    for key in pressed:
        element.send_keys(key)
        element = browser.run("return document.activeElement")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("index", range(4))
def test_every_number_of_the_page_is_the_packages(index, page, pairs, splits):
    pair = pairs[index]
    for coefficient in (0.0, 0.17, 0.5, 0.93):
        page.run(SET, f"{pair.setting['width']:g}", pair.setting["batch"], coefficient)
        page.run("[...document.querySelectorAll('.lmc-live button')][1].click()")  # another image each time
        found = shown(page)
        number, label = map(int, re.findall(r"Test image (\d+) of 500, a (\d)", found["caption"])[0])
        assert label == splits.test.labels[number - 1] and float(found["λ"]) == coefficient
        every = pair.ways(coefficient, splits.test.images)
        for way, logits in every.items():
            expected = logits[number - 1].softmax(0).tolist()
            assert found["probabilities"][way] == pytest.approx(expected, abs=1e-4), (way, coefficient)
            assert found["right"][way] == (logits.argmax(1) == splits.test.labels).sum(), (way, coefficient)
    entries = measure_common_mode(pair.model, splits.test.images, *pair.states)
    layers = [entry["metrics"] for entry in entries if "reciprocal_orthogonality" in entry["metrics"]]
    assert len(layers) == 3
    for (size, constant, common), expected in zip(found["layers"], layers, strict=True):
        assert size == pytest.approx(expected["reciprocal_orthogonality"], abs=1e-4)
        assert constant / 100 == pytest.approx(expected["constant_share"], abs=1e-4)
        both = fmean(expected[f"activation_share_{model}"] for model in "ab")
        assert common / 100 == pytest.approx(both, abs=1e-4) and 0.1 < both < 1


@pytest.mark.browser
@pytest.mark.slow
def test_a_digit_drawn_by_keyboard_is_answered_as_the_package_does(page, pairs, splits):
    from selenium.webdriver.common.keys import Keys

    page.run("[...document.querySelectorAll('.lmc-live button')][3].click()")
    assert shown(page)["image"] == [0] * 64
    stroke = (Keys.SPACE, Keys.SPACE, Keys.ARROW_DOWN)
    keys(page, ".lmc-live [role=gridcell][tabindex='0']", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT,
         *stroke, *stroke, *stroke, Keys.SPACE, Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ENTER)  # fmt: skip
    found = shown(page)
    drawn = [0] * 64
    for place, level in ((3, 16), (11, 16), (19, 16), (27, 8), (18, 8)):
        drawn[place] = level
    assert found["image"] == drawn and found["caption"] == "Drawn by you"
    image = ((torch.tensor(drawn, dtype=torch.float64) / 16 - splits.mean[0]) / splits.std[0]).reshape(1, 1, 8, 8)
    for way, logits in pairs[3].ways(0.5, image.float()).items():
        assert found["probabilities"][way] == pytest.approx(logits[0].softmax(0).tolist(), abs=1e-4), way
    keys(page, ".lmc-live [role=gridcell][tabindex='0']", Keys.ENTER, Keys.ENTER)
    assert shown(page)["image"] == [*drawn[:18], 0, *drawn[19:]], "a black place is wiped"


@pytest.mark.browser
@pytest.mark.slow
def test_a_digit_is_drawn_by_mouse_too(page):
    from selenium.webdriver.common.action_chains import ActionChains

    page.run("[...document.querySelectorAll('.lmc-live button')][3].click()")
    cells = page.run("return [...document.querySelectorAll('.lmc-live [role=gridcell]')]")
    ActionChains(page.driver).move_to_element(cells[9]).click_and_hold().move_to_element(cells[11]).release().perform()
    found = shown(page)["image"]
    assert found[9] == found[11] == 16 and sum(found) <= 16 * 3


@pytest.mark.browser
@pytest.mark.slow
def test_all_is_reached_by_keyboard_and_the_slider_moves_in_hundredths(page):
    from selenium.webdriver.common.keys import Keys

    before = shown(page)
    assert before["λ"] == "0.50"
    keys(page, ".lmc-live [type=range]", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    after = shown(page)
    assert after["λ"] == "0.52" and after["probabilities"]["average"] != before["probabilities"]["average"]
    keys(page, ".lmc-live [name=lmc-live-batch]:checked", Keys.ARROW_LEFT)
    other = shown(page)
    assert other["probabilities"]["a"] != after["probabilities"]["a"] and other["layers"] != after["layers"]
    reached = []
    page.run("document.querySelector('.lmc-live [name=lmc-live-width]:checked').focus()")
    for _ in range(7):
        page.run("return document.activeElement").send_keys(Keys.TAB)
        reached.append(page.run("const e = document.activeElement; return e.type || e.getAttribute('role')"))
    assert reached == ["radio", "range", "gridcell", *["button"] * 4]


@pytest.mark.browser
@pytest.mark.slow
def test_the_button_finds_what_the_repair_saves_or_says_that_there_is_none(page, pairs, splits):
    number = int(re.findall(r"Test image (\d+)", shown(page)["caption"])[0]) - 1
    answers = {way: logits.argmax(1) for way, logits in pairs[3].ways(0.5, splits.test.images).items()}
    saved = (answers["average"] != splits.test.labels) & (answers["repaired"] == splits.test.labels)
    assert number == int(saved.nonzero()[0]), "the page opens on the first"
    page.run("[...document.querySelectorAll('.lmc-live button')][2].click()")
    assert f"Test image {int(saved.nonzero()[1]) + 1} " in shown(page)["caption"]
    page.run(SET, "4", 128, 1)
    page.run("[...document.querySelectorAll('.lmc-live button')][2].click()")
    found = shown(page)
    assert "no test image" in found["status"] and "(0.0 points lost)" in found["lost"]["average"]


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_hinders_no_reader_and_fits_a_phone(theme, page):
    need(AXE.is_file(), "axe-core is not there: python book/vendor_js.py --tests")
    page.run("document.documentElement.dataset.theme = arguments[0]", theme)
    page.photograph(f"live_{theme}_1280", 1280)
    page.run(AXE.read_text(encoding="utf-8"))
    assert [each for each in page.run_async(AUDIT) if each[0] in ("serious", "critical")] == []
    page.resize(PHONE)
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    page.photograph(f"live_{theme}_390", 390)


@pytest.mark.browser
@pytest.mark.slow
def test_on_paper_the_still_stands_alone(page):
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    hidden = page.run("return !document.querySelector('.lmc-live').checkVisibility()")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert hidden
