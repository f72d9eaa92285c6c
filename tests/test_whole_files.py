"""Files are written whole or not at all, readable by others, and digests are those that are on disks already."""

import os
import stat
import subprocess
import sys

import pytest
from safetensors import SafetensorError

from lmcbook.data.whole_files import content_sha256, file_sha256, spaced_sha256, write_whole, written_whole


def test_a_file_takes_its_place_and_can_be_read_by_others(tmp_path):
    path = tmp_path / "new" / "file.json"
    write_whole(path, "λ")
    write_whole(path, "λ = ½")
    assert path.read_text(encoding="utf-8") == "λ = ½" and list(path.parent.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127 + "x", "x" + "é" * 127, "𝜃" * 63, "caf\udce9" * 40])
def test_whatever_name_a_file_may_have_can_be_written(tmp_path, name):
    write_whole(tmp_path / name, "1")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with written_whole(tmp_path / name) as partial:
        partial.write_text("2")
        assert len(os.fsencode(partial.parent.name)) <= 255 and partial.parent.name.encode()  # no half of a letter


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_the_file_is_what_it_was_and_nothing_is_left_behind(tmp_path, error):
    path = tmp_path / "file"
    write_whole(path, "old")

    def fail():
        with written_whole(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_what_safetensors_tells_of_a_full_disk_names_the_file(tmp_path):
    """Its error is neither an OSError nor does it say which file was written."""
    path = tmp_path / "weights.safetensors"
    with pytest.raises(OSError, match="No space left on device") as told, written_whole(path):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert (told.value.errno, told.value.filename) == (28, str(path)) and list(tmp_path.iterdir()) == []
    with pytest.raises(SafetensorError, match="header too large"), written_whole(path):
        raise SafetensorError("Error while deserializing header: header too large")


def test_a_full_disk_met_in_the_middle_of_a_write_names_the_file(tmp_path):
    """Of an error in `write`, as opposed to `open`, Python does not tell the file."""
    path = tmp_path / "record.json"
    with pytest.raises(OSError, match="No space left on device") as told, written_whole(path):
        raise OSError(28, "No space left on device")
    assert (told.value.errno, told.value.filename) == (28, str(path)) and list(tmp_path.iterdir()) == []


def test_a_process_killed_while_it_writes_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "file.json"
    write_whole(path, "old")
    program = (
        "import os, signal, sys; from pathlib import Path; from lmcbook.data.whole_files import written_whole\n"
        "with written_whole(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)]).returncode == -9
    assert path.read_text() == "old"
    assert list(tmp_path.rglob("[!.]*.json")) == [path], "readers do not see what is unfinished"


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with written_whole(path) as first, written_whole(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


def test_digests_are_those_on_disks_already(tmp_path):
    content = {"b": [1, 2.5], "a": "ü"}
    assert content_sha256(content) == "4100d84bc3f7444eff7eb87d6a8862a54770e855528e065194226b3a96b40b66"
    assert (
        content_sha256(content, ensure_ascii=False)
        == "75151e181452ee19f62c437a12e96bbbe4453c199f041abfe6b18ab3cb8f3c4f"
    )
    assert spaced_sha256(content) == "31aa6946b90c293864bcc13c0267ab43cbb60df95910d625791989be705dd376"
    (tmp_path / "file").write_bytes(b"abc")
    assert file_sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert content_sha256({"a": 1, "b": 2}) == content_sha256({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_sha256({"a": float("nan")})
