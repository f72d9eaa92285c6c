"""Nothing is asked of the network at run time: sockets that lead elsewhere are refused, and none is tried."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

GUARD = """
import sys

tried = []


def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        host = address[0] if isinstance(address, tuple) else address
        if host not in ("127.0.0.1", "::1", "localhost") and not str(host).startswith("/"):
            tried.append(f"{event} {address}")
            raise OSError(f"refused: {event} {address}")


sys.addaudithook(refuse)
"""

WORK = """
from dataclasses import replace

import lmcbook
from lmcbook import TrainingConfig, build_model, load, train

digits = load("digits")
config = TrainingConfig(
    dataset="digits", architecture="mlp", num_layers=2, hidden_width=8, epochs=1, batch_size=100, learning_rate=0.1
)
a, b = (train(replace(config, seed=seed), digits, progress=False).state for seed in (0, 1))
model = build_model(config, input_shape=digits.input_shape, num_classes=digits.num_classes)
test = digits.test.images[:200], digits.test.labels[:200]
assert "accuracy" in str(lmcbook.connect(model, a, b, test=test)).lower()

from lmcbook.__main__ import main
from lmcbook.lab import read_records
from lmcbook.pages import figures
from lmcbook.pages.figures import to_html

records = read_records("records", scale="embedded", recipe="mlp-digits", measurement="interpolation")
assert "<svg" in to_html(figures.barrier_against_width, records, ["a finding"], "a command")
assert main(["plan", "--device", "cpu"]) == 0
assert main(["data", "list"]) == 0
"""

REPORT = """
print("tried:", tried)
"""


def run(code: str) -> str:
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "LMCBOOK_RECORDS": str(root / "records")}
    done = subprocess.run(
        [sys.executable, "-c", GUARD + code + REPORT], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_training_connecting_drawing_and_planning_ask_nothing_of_the_network():
    assert run(WORK) == "tried: []"


@pytest.mark.parametrize(
    "asked",
    [
        "socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
        "urllib.request.urlopen('http://telemetry.invalid/', timeout=1)",
    ],
)
def test_a_request_would_be_seen_even_where_its_failure_is_passed_over(asked):
    code = f"import contextlib, socket, urllib.request\nwith contextlib.suppress(OSError):\n    {asked}\n"
    assert "socket." in run(code)


def test_a_socket_of_this_machine_is_not_refused():
    code = (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname()).close()\n"
    )
    assert run(code) == "tried: []"
