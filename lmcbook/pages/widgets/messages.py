"""That a kernel drops none of the messages that describe widgets."""

from typing import Any


def keep_all_messages() -> None:
    """Let this notebook's kernel queue its messages without a limit; without a kernel it does nothing.

    ZeroMQ drops what a publisher sends, without a word, as soon as 1,000 messages wait for a reader. An explorer is
    thousands of widgets, of a message or two each, and a busy machine reads them late: the page would lack some.
    """
    from IPython.core.getipython import get_ipython

    thread: Any = getattr(getattr(get_ipython(), "kernel", None), "iopub_thread", None)
    if thread is not None:
        # the socket is that thread's alone
        thread.schedule(lambda: setattr(thread.socket, "sndhwm", 0))
