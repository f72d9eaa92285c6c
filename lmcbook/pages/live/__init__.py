"""The live explorer: small networks in the page, which merges them itself while the reader moves λ; no torch.

``digits.json`` holds networks, images and the accuracies of the still figure; ``python -m lmcbook.lab.live`` made it
and says what it is. ``explorer.js`` computes with it in the browser what the package computes in Python.
"""

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pandas import DataFrame

from lmcbook.pages.analysis.labels import width_label
from lmcbook.pages.figures.markup import STYLE
from lmcbook.pages.origin import origin_html
from lmcbook.pages.widgets import drawing
from lmcbook.pages.widgets.style import SHEET

_HERE = Path(__file__).resolve().parent
DATA = _HERE / "digits.json"

WAYS = {"average": ("average", "d"), "repaired": ("repaired average", "l"), "ensemble": ("ensemble", "e")}
"""Way of merging → what it is called, and the look of its line in the still."""

TITLE = "Accuracy along λ of the pairs in this page"


def live_data() -> dict[str, Any]:
    """What the explorer computes with, as `lmcbook.lab.live` wrote it."""
    data: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return data


def explorer_html() -> str:
    """The explorer: its data, its style and its script, nothing that is asked for elsewhere."""
    data = live_data()
    # what only the still needs
    settings = [{key: value for key, value in setting.items() if key != "curve"} for setting in data["settings"]]
    text = json.dumps({**data, "settings": settings}, separators=(",", ":")).replace("</", "<\\/")
    style, script = ((_HERE / f"explorer.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    without = "<noscript>The live explorer needs JavaScript. The figure below shows the same pairs.</noscript>"
    return (
        f'<style>{SHEET}</style><style>{style}</style><div class="lmc-live">{without}'
        f'<script type="application/json">{text}</script></div><script>{script}</script>'
    )


def explorer() -> None:
    """Show the explorer in a notebook and in the book."""
    from IPython.display import display

    display({"text/html": explorer_html(), "text/plain": "The live explorer, in a browser."}, raw=True)


def lost_table(data: Mapping[str, Any]) -> DataFrame:
    """Accuracies of each pair at each λ, and the points of accuracy that each way of merging loses there.

    A point is a hundredth; lost is what lies below λ times the accuracy of a plus 1 − λ times that of b.
    """
    rows = []
    for setting in data["settings"]:
        for entry in setting["curve"]:
            parents = entry["coefficient"] * entry["a"] + (1 - entry["coefficient"]) * entry["b"]
            lost = {f"{way}_lost": 100 * (parents - entry[way]) for way in WAYS}
            rows.append({"width": setting["width"], "batch": setting["batch"], **entry, **lost})
    return DataFrame(rows)


def still(command: str) -> None:
    """Show the static figure with the same message, for paper and where there is no JavaScript."""
    from IPython.display import display

    display({"text/html": still_html(command), "text/plain": TITLE}, raw=True)


def still_html(command: str) -> str:
    """The static figure: a panel for each pair, the points lost at λ = ½ in a table, and where they come from."""
    data = live_data()
    table = lost_table(data)
    panels = "".join(_panel(setting, table) for setting in data["settings"])
    half = table[table["coefficient"] == 0.5]
    gained = half["average_lost"] - half["repaired_lost"]
    finding = (
        f"At λ = ½ one bias for each hidden layer gives back {gained.min():.1f} to {gained.max():.1f} of the "
        f"{half['average_lost'].min():.1f} to {half['average_lost'].max():.1f} points that the average loses."
    )
    note = '<p class="lmc-note">Bold: the repaired average. Dashed: the average. Dotted: the ensemble.</p>'
    return (
        f'<div class="lmc-figure"><style>{STYLE}{SHEET}</style><div class="lmc-stills">'
        f'<p class="lmc-title">{TITLE}</p>{panels}{note}</div>'
        f'<p class="lmc-finding">{html.escape(finding)}</p>{_numbers(half)}'
        f"{origin_html(_origin(data), command=command, table=table, name='live-digits')}</div>"
    )


def _name(setting: Mapping[Any, Any]) -> str:
    return f"width {width_label(setting['width'])}, batches of {setting['batch']}"


def _panel(setting: Mapping[str, Any], table: DataFrame) -> str:
    rows = table[(table["width"] == setting["width"]) & (table["batch"] == setting["batch"])]
    chart = drawing.Chart(
        title="test accuracy, %",
        x=(0, 1),
        y=(0, 100),
        x_ticks=drawing.QUARTERS,
        y_ticks={value: str(value) for value in range(0, 101, 25)},
        x_label="λ, the share of model a",
    )
    lines = [
        chart.line(zip(rows["coefficient"], 100 * rows[way], strict=True), look) for way, (_, look) in WAYS.items()
    ]
    half = rows[rows["coefficient"] == 0.5].iloc[0]
    said = ", ".join(f"{name} {drawing.percent(half[way], 1)}" for way, (name, _) in WAYS.items())
    words = f"{_name(setting)}: test accuracy against λ; at λ = ½ {said}."
    drawn = drawing.panels(drawing.svg(chart.axes(), *lines), label=words)
    return f'<div class="lmc-still"><p class="lmc-title">{html.escape(_name(setting))}</p>{drawn}</div>'


def _numbers(half: DataFrame) -> str:
    heads = ["points lost at λ = ½", *(name for name, _ in WAYS.values())]
    lines = [[_name(row), *(drawing.amount(row[f"{way}_lost"], 1) for way in WAYS)] for row in half.to_dict("records")]
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'
        for first, *others in lines
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="lmc-numbers">{table}</div>'


def _origin(data: Mapping[str, Any]) -> list[str]:
    given = data["provenance"]
    seeds = " and ".join(map(str, data["seeds"]))
    return [
        f"{len(data['settings'])} pairs of the recipe {data['recipe']}, seeds {seeds}; weights rounded to 16 bits.",
        f"Measured on {given['date'][:10]} on {given['processor']}, by python -m lmcbook.lab.live.",
        f"Commit: {str(given['commit'])[:10]}{' with changes' if given['dirty'] else ''}.",
    ]
