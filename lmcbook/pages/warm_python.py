"""Python processes that begin with their imports done: many short runs, each as separate as if it were started anew.

A process imports what all of them need, then forks one for each ``-m MODULE`` that it is asked for, which costs
milliseconds instead of the seconds of these imports. The command that asks stands for the process: it has its output,
its exit code and its life, so that whoever starts and ends commands needs to know nothing of this.

Both ends are this file, run by its path and from Python's own library alone, so that the command starts at once.
"""

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

LARGEST_REQUEST = 1 << 20
"""Bytes of a request at most: arguments and environment, which Linux limits to less."""


def can_be_warm() -> bool:
    """Whether this system can do it: forks that may go on as any process, and descriptors that wait for a process."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # an older kernel, or a container that forbids it
        return False
    return True


class WarmPython:
    """While the ``with`` block lasts, `command` starts Python processes that have these ``modules`` already.

    Args:
        modules: Names of modules; one that cannot be imported is left to the process that needs it.
        folder: An empty folder for the socket.
        environment: What the modules see while they are imported.
    """

    def __init__(self, modules: "Iterable[str]", folder: str, environment: "Mapping[str, str]") -> None:
        self._socket = os.path.join(folder, "warm")
        self._start = [sys.executable, __file__, "serve", self._socket, *modules]
        self._environment = dict(environment)
        self._listening = False

    def __enter__(self) -> "WarmPython":
        import subprocess

        pipe = subprocess.PIPE
        # in a session of its own: an interrupt reaches who asks, and by that all else
        self._server = subprocess.Popen(
            self._start, stdin=pipe, stdout=pipe, env=self._environment, start_new_session=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()  # which it takes for the end, also if this process is killed
        self._server.wait()
        self._server.stdout.close()

    @property
    def command(self) -> "list[str]":
        """In place of ``python``; what follows must be ``-m MODULE`` and arguments. It waits for the imports."""
        assert self._server.stdout is not None
        if not self._listening:
            self._server.stdout.readline()  # or the server is gone: then its commands say so
            self._listening = True
        return [sys.executable, "-I", "-S", __file__, "ask", self._socket]


def ask(socket_path: str, arguments: "Sequence[str]") -> int:
    """Ask for a process, wait for its end, and give its exit code; if this process is killed, so is that."""
    import signal
    import socket

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the traceback of waiting would tell nobody anything
    request = {"arguments": list(arguments), "environment": dict(os.environ), "folder": os.getcwd()}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        os.chdir(os.path.dirname(socket_path))  # a socket's name may have 107 bytes, a folder's many more
        server.connect(os.path.basename(socket_path))
        socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
        code = server.recv(16)
    return int(code) if code else 1


class Server:
    """Forks a process for each request, and kills it when who asked for it is gone.

    One thread that waits for whatever comes first: a fork of several threads could wait for ever.
    """

    def __init__(self, socket_path: str) -> None:
        import selectors
        import socket

        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here = os.getcwd()
        os.chdir(os.path.dirname(socket_path))  # as in `ask`
        self._listener.bind(os.path.basename(socket_path))
        os.chdir(here)
        self._listener.listen()
        self._selector = selectors.DefaultSelector()
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._running: dict[Any, tuple[int, int]] = {}
        """Who asked → the process and the descriptor that is readable when it has ended."""

    def serve(self) -> "dict[str, Any]":
        """Fork until standard input ends; returns in a forked process alone, what was asked of it."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is sys.stdin:
                    for asking in list(self._running):
                        self._end(asking)
                    os._exit(0)
                if key.fileobj is self._listener:
                    request = self._accept()
                    if request is not None:
                        return request
                elif key.data in self._running:
                    self._end(key.data)

    def _accept(self) -> "dict[str, Any] | None":
        import socket
        from selectors import EVENT_READ

        asking, _ = self._listener.accept()
        message, descriptors, _, _ = socket.recv_fds(asking, LARGEST_REQUEST, 3)
        process = os.fork() if message else None
        if process == 0:
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
            for other, (_, ends) in self._running.items():
                other.close()
                os.close(ends)
            self._selector.close()
            self._listener.close()
        for descriptor in descriptors:
            os.close(descriptor)
        if process:
            ends = os.pidfd_open(process)
            self._running[asking] = process, ends
            for each in (ends, asking):
                self._selector.register(each, EVENT_READ, asking)
            return None
        asking.close()
        return json.loads(message) if message else None

    def _end(self, asking: "Any") -> None:
        """Tell the exit code of a process that has ended; kill it, if who asked for it has."""
        import signal

        process, ends = self._running.pop(asking)
        self._selector.unregister(ends)
        self._selector.unregister(asking)
        with asking:
            os.kill(process, signal.SIGKILL)  # without effect on what has ended and waits to be asked how
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            os.close(ends)
            try:
                asking.send(str(code % 256).encode())
            except OSError:  # it is gone
                return


def become(request: "Mapping[str, Any]") -> None:
    """Run the module of ``request`` in this process as ``python -m`` does."""
    import runpy

    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    flag, module, *arguments = request["arguments"]
    assert flag == "-m", "no other way to start was asked for"
    sys.argv = [module, *arguments]
    sys.path[0] = request["folder"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main(role: str, socket_path: str, *rest: str) -> "int | None":
    if role == "ask":
        return ask(socket_path, rest)
    import gc
    import importlib
    from contextlib import suppress

    sys.path[0] = os.getcwd()  # as `python -m` has it
    for module in rest:
        with suppress(ImportError):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what is there now is never looked at again: forks share it
    gc.set_threshold(50_000)  # forks end soon; by default, a sixth of their time would go into looking for garbage
    server = Server(socket_path)
    print("ready", flush=True)
    become(server.serve())
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
