"""What an explorer is: controls, drawings that depend on them, and the same drawings side by side on paper.

Without a kernel nothing can be computed, so every state is drawn beforehand: each layer of the drawing becomes nested
`Stack` widgets, one level for each control it depends on, whose shown child follows the control by a link that runs in
the browser. What does not change with a control is drawn once, in a layer of its own, under that which does.
"""

import html
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pandas import DataFrame

from lmcbook.errors import InputError
from lmcbook.lab.records import Record
from lmcbook.pages.figures.markup import STYLE
from lmcbook.pages.origin import CONSTRUCTED, origin, origin_html
from lmcbook.pages.widgets.messages import keep_all_messages
from lmcbook.pages.widgets.style import SHEET

INTERVAL = 700
"""Milliseconds that Play shows a frame."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """One thing that the reader can set."""

    name: str
    """The argument of the drawing functions."""
    label: str
    """What stands beside it, and what a screen reader says."""
    options: Mapping[str, Any]
    """What the reader sees → the value; at least one."""
    kind: Literal["slider", "buttons"] = "slider"
    play: bool = False
    """Whether a Play button runs through the options."""
    start: int = 0
    """Position of the option that is shown first."""

    @property
    def values(self) -> list[Any]:
        return list(self.options.values())


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A part of the drawing, over those before it."""

    controls: tuple[str, ...]
    """Names of the controls it depends on."""
    draw: Callable[..., str]
    """Their values as keyword arguments → HTML."""


@dataclass(frozen=True, kw_only=True)
class Explorer:
    """An interactive figure; a notebook shows it when a cell ends with it."""

    name: str
    """Of the explorer, and of the file of its data."""
    title: str
    network: str = ""
    """What it is of, for a list of several."""
    controls: tuple[Control, ...]
    layers: tuple[Layer, ...]
    """From the ground up; all have the same outline."""
    note: str = ""
    """HTML under the drawing: what the marks mean."""
    stills: Mapping[str, Mapping[str, Any]]
    """Title → state, for the static figure with the same message; an empty state keeps the first options."""
    finding: Callable[[], str]
    """What the static figure's numbers say, computed from them."""
    table: Callable[[], DataFrame]
    """The data of the static figure."""
    records: tuple[Record, ...] = ()
    """What the static figure was drawn from; none if its numbers were computed on the page."""
    live: bool = False
    """Whether frames are drawn when they are asked for; this needs a kernel."""

    def start(self) -> dict[str, Any]:
        """The state that is shown first."""
        return {control.name: control.values[control.start] for control in self.controls}

    def draw(self, state: Mapping[str, Any]) -> list[str]:
        """The HTML of all layers in this state."""
        return [layer.draw(**{name: state[name] for name in layer.controls}) for layer in self.layers]

    def widget(self) -> Any:
        """The explorer as an ipywidget: of frames that need no kernel or, if `live`, of drawings made by this."""
        import ipywidgets

        keep_all_messages()
        boxes, settings = _controls(self.controls)
        stage = (self._live_stage if self.live else self._framed_stage)(settings)
        parts = [_text(f'<style>{SHEET}</style><p class="lmc-title">{html.escape(self.title)}</p>')]
        parts += [_classed(ipywidgets.HBox(boxes), "lmc-controls")] if boxes else []
        parts += [stage, *([_text(f'<p class="lmc-note">{self.note}</p>')] if self.note else [])]
        return _classed(ipywidgets.VBox(parts), "lmc-explorer")

    def _framed_stage(self, settings: Mapping[str, Any]) -> Any:
        import ipywidgets

        place = ipywidgets.Layout(grid_area="1 / 1 / 2 / 2", width="100%", min_width="0")
        inner = ipywidgets.Layout(width="100%")
        # hundreds of frames share one layout and one style: each of their own would double the page
        shared = {"layout": inner, "style": ipywidgets.HTML().style}
        frames: dict[str, Any] = {}

        def frame(value: str) -> Any:
            if value not in frames:
                frames[value] = ipywidgets.HTML(value, **shared)
            return frames[value]

        def stack(layer: Layer, open_controls: Sequence[Control], state: dict[str, Any], layout: Any) -> Any:
            if not open_controls:
                return frame(layer.draw(**state))
            control, *others = open_controls
            children = [stack(layer, others, {**state, control.name: value}, inner) for value in control.values]
            if len(children) == 1:
                return children[0]
            found = ipywidgets.Stack(children, selected_index=control.start, layout=layout)
            ipywidgets.jsdlink((settings[control.name], "index"), (found, "selected_index"))
            return found

        by_name = {control.name: control for control in self.controls}
        layers = []
        for layer in self.layers:
            of_layer = [by_name[name] for name in layer.controls]
            layers.append(ipywidgets.Box([stack(layer, of_layer, {}, inner)], layout=place))
        columns = ipywidgets.Layout(grid_template_columns="minmax(0, 1fr)", width="100%")
        return _classed(ipywidgets.GridBox(layers, layout=columns), "lmc-stage")

    def _live_stage(self, settings: Mapping[str, Any]) -> Any:
        frame = _text("")

        def redraw(_: object = None) -> None:
            state = {
                control.name: control.values[settings[control.name].index if control.name in settings else 0]
                for control in self.controls
            }
            try:
                frame.value = overlay(self.draw(state))
            except InputError as error:  # in a callback of a widget nobody would see it
                frame.value = f'<p class="lmc-failed" role="alert">{html.escape(str(error))}</p>'

        for setting in settings.values():
            setting.observe(redraw, names="index")
        redraw()
        return _classed(frame, "lmc-stage")

    def still_html(self, command: str = "") -> str:
        """The static figure: some states side by side, with their data and where they come from."""
        parts = [
            f'<div class="lmc-still"><p class="lmc-title">{html.escape(title)}</p>'
            f"{overlay(self.draw({**self.start(), **state}))}</div>"
            for title, state in self.stills.items()
        ]
        note = f'<p class="lmc-note">{self.note}</p>' if self.note else ""
        heading = f'<p class="lmc-title">{html.escape(self.title)}</p>'
        finding = f'<p class="lmc-finding">{html.escape(self.finding())}</p>'
        return f'<div class="lmc-stills">{heading}{"".join(parts)}{note}</div>{finding}{self._origin(command)}'

    def _origin(self, command: str) -> str:
        sources = origin(self.records) if self.records else [CONSTRUCTED]
        return origin_html(sources, command=command, table=self.table(), name=self.name)

    def still(self, command: str = "") -> None:
        """Show the static figure in a notebook and in the book."""
        from IPython.display import display

        # the first is the look of every figure of the book, of which this is one
        text = f'<div class="lmc-figure"><style>{STYLE}{SHEET}</style>{self.still_html(command)}</div>'
        display({"text/html": text, "text/plain": f"{self.title}: {', '.join(self.stills)}"}, raw=True)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget())


@dataclass(frozen=True, kw_only=True)
class Explorers:
    """The same explorer of several networks, with a list to choose from."""

    members: tuple[Explorer, ...]
    start: int = 0
    """Position of the member that is shown first, and whose static figure is shown."""

    def widget(self) -> Any:
        """The explorer of the only network, or all of them with a list to choose from."""
        import ipywidgets

        if len(self.members) == 1:
            return self.members[0].widget()
        choice = ipywidgets.Dropdown(
            options=[(member.network or member.title, index) for index, member in enumerate(self.members)],
            index=self.start,
            description="network",
            style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="max-content", max_width="100%"),
        )
        stack = ipywidgets.Stack([member.widget() for member in self.members], selected_index=self.start)
        ipywidgets.jsdlink((choice, "index"), (stack, "selected_index"))
        return _classed(ipywidgets.VBox([choice, stack]), "lmc-explorers")

    def still(self, command: str = "") -> None:
        """Show the static figure of the network that is shown first."""
        self.members[self.start].still(command)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget())


def overlay(layers: Sequence[str]) -> str:
    """Layers over each other."""
    return f'<div class="lmc-overlay">{"".join(f"<div>{layer}</div>" for layer in layers)}</div>'


def states(controls: Sequence[Control]) -> list[dict[str, Any]]:
    """Every state that the controls can be in."""
    names = [control.name for control in controls]
    return [
        dict(zip(names, each, strict=True)) for each in itertools.product(*(control.values for control in controls))
    ]


def _controls(controls: Sequence[Control]) -> tuple[list[Any], dict[str, Any]]:
    """What the reader sees of the controls, and by name the widgets whose ``index`` says what is set.

    A control with a single option is nothing to set.
    """
    import ipywidgets

    boxes, settings = [], {}
    for control in controls:
        if len(control.options) == 1:
            continue
        given: dict[str, Any] = {
            "options": [(label, index) for index, label in enumerate(control.options)],
            "index": control.start,
            "description": control.label,
            "style": {"description_width": "initial"},
        }
        if control.kind == "buttons":
            setting = ipywidgets.ToggleButtons(**given, layout=ipywidgets.Layout(width="auto"))
            setting.style.button_width = "auto"
        else:
            layout = ipywidgets.Layout(width="auto", flex="1 1 10rem", max_width="28rem")
            setting = ipywidgets.SelectionSlider(**given, layout=layout)
        settings[control.name] = setting
        inside = [setting]
        if control.play:
            play = ipywidgets.Play(
                min=0, max=len(control.options) - 1, value=control.start, interval=INTERVAL, show_repeat=False
            )
            ipywidgets.jslink((play, "value"), (setting, "index"))
            inside.append(play)
        box = _classed(ipywidgets.HBox(inside), f"lmc-{control.kind}")
        boxes.append(_classed(box, "lmc-plays") if control.play else box)
    return boxes, settings


def _text(value: str) -> Any:
    import ipywidgets

    return ipywidgets.HTML(value, layout=ipywidgets.Layout(width="100%"))


def _classed(widget: Any, name: str) -> Any:
    widget.add_class(name)
    return widget
