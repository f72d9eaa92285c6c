"""Tests that no widget is lost between a notebook's kernel and the page, however late its messages are read."""

from queue import Empty

import pytest
from jupyter_client.manager import start_new_kernel

from lmcbook.pages.notebooks import WIDGET_STATE, WIDGET_VIEW, lost_widgets
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
