"""Tests that no widget is lost between a notebook's kernel and the page, and that every run calls it the same."""

import json
from itertools import permutations
from queue import Empty
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from lmcbook.pages.notebooks import WIDGET_STATE, WIDGET_VIEW, lost_widgets, normalise
from lmcbook.pages.widgets.messages import keep_all_messages

MANY = 3000
"""More widgets than a kernel's queue, its reader's and the network's buffers hold messages."""

WIDGETS = f"""
import ipywidgets
for _ in range({MANY}):
    ipywidgets.HTML("x" * 1500)
"""
KEEP = "from lmcbook.pages.widgets.messages import keep_all_messages\nkeep_all_messages()"


def opened_when_read_late(code: str) -> int:
    """How many widgets a client hears of that reads only after ``code`` has run."""
    manager, client = start_new_kernel()
    try:
        client.execute(code, reply=True, timeout=120)
        opened = 0
        while True:
            try:
                opened += client.get_iopub_msg(timeout=3)["msg_type"] == "comm_open"
            except Empty:
                return opened
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.slow
def test_no_message_of_a_widget_is_dropped_where_the_reader_is_late() -> None:
    # a widget, its layout and its style: three messages
    assert opened_when_read_late(KEEP + WIDGETS) == 3 * MANY


@pytest.mark.slow
def test_without_it_messages_are_dropped() -> None:
    assert opened_when_read_late(WIDGETS) < 3 * MANY


def test_outside_of_a_kernel_nothing_happens() -> None:
    keep_all_messages()


@pytest.mark.parametrize("missing", ["shown", "layout", "child"])
def test_a_widget_that_others_or_the_page_need_is_missed(missing: str) -> None:
    state = {
        "shown": {"model_name": "HBoxModel", "state": {"children": ["IPY_MODEL_child"], "layout": "IPY_MODEL_layout"}},
        "child": {"model_name": "HTMLModel", "state": {"value": "text", "layout": "IPY_MODEL_layout"}},
        "layout": {"model_name": "LayoutModel", "state": {}},
    }
    cell = {"cell_type": "code", "outputs": [{"data": {WIDGET_VIEW: {"model_id": "shown"}}}, {"text": "no data"}]}
    notebook = {"metadata": {"widgets": {WIDGET_STATE: {"state": state}}}, "cells": [cell, {"cell_type": "markdown"}]}
    assert lost_widgets(notebook) == set()
    del state[missing]
    assert lost_widgets(notebook) == {missing}


def test_a_notebook_without_widgets_lacks_none() -> None:
    assert lost_widgets({"metadata": {}, "cells": [{"cell_type": "code", "outputs": [{"data": {}}]}]}) == set()


KEYS = ("first", "second", "shared", "link", "alone")


def notebook_of(names: dict[str, str]) -> dict[str, Any]:
    """A notebook with two views, a widget that both show, and a link with a widget that the link alone knows.

    Args:
        names: what a run calls each of them; in their order the notebook stores them.
    """
    second, shared, alone = (f"IPY_MODEL_{names[key]}" for key in ("second", "shared", "alone"))
    states: dict[str, dict[str, Any]] = {
        "first": {"children": [shared, second]},
        "second": {"children": [shared], "value": "model IPY_MODEL_first"},
        "shared": {"value": 1},
        "link": {"source": [shared, "value"], "target": [alone, "value"]},
        "alone": {"value": 2},
    }
    stored = {name: {"model_name": key, "state": states[key]} for key, name in names.items()}
    outputs = [{"data": {WIDGET_VIEW: {"model_id": names[view]}}} for view in ("second", "first")]
    cells: list[Any] = [{"cell_type": "code", "id": next(iter(names)), "metadata": {"tags": ["injected-parameters"]}}]
    cells += [{"cell_type": "code", "id": "same", "metadata": {}, "outputs": outputs}]
    return {"metadata": {"widgets": {WIDGET_STATE: {"state": stored}}}, "cells": cells}


def test_widgets_have_the_same_names_in_every_run() -> None:
    """Names are drawn anew in every run, and widgets are stored in the order of their names."""
    written = set()
    for order in permutations(KEYS):
        notebook = notebook_of({key: f"{index:x}{key}" for index, key in enumerate(order)})
        normalise(notebook)
        assert lost_widgets(notebook) == set()
        written.add(json.dumps(notebook))
    assert len(written) == 1
    stored = json.loads(written.pop())["metadata"]["widgets"][WIDGET_STATE]["state"]
    assert [model["model_name"] for model in stored.values()] == ["second", "shared", "first", "link", "alone"]
    assert next(iter(stored.values()))["state"]["value"] == "model IPY_MODEL_first"
