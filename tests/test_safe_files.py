"""Files of tensors that cannot be opened now: they stay, and what is said is why."""

import errno
import os
from pathlib import Path

import pytest
import safetensors
import torch
from safetensors.torch import save_file

from lmcbook.connecting.checkpoints import read_network
from lmcbook.connecting.factories import read_data
from lmcbook.data.files import read_arrays
from lmcbook.data.safe_files import opened
from lmcbook.errors import InputError
from lmcbook.lab import store
from lmcbook.training.checkpoint import Progress, found_checkpoint, read_checkpoint, write_checkpoint

REFUSALS = [errno.EACCES, errno.EMFILE, errno.EIO]


@pytest.fixture(params=REFUSALS, ids=errno.errorcode.__getitem__)
def refusal(request, monkeypatch):
    """Files that the system refuses to open, of which safetensors says that they are not there."""
    own = Path.open

    def refused(path: Path, mode: str = "r", **options):
        if path.suffix == ".safetensors" and path.is_file():
            raise OSError(request.param, os.strerror(request.param), str(path))
        return own(path, mode, **options)

    def safe_open(path, *, framework):
        raise FileNotFoundError(f"No such file or directory: {path}")

    def begin():
        monkeypatch.setattr(Path, "open", refused)
        monkeypatch.setattr(safetensors, "safe_open", safe_open)
        return os.strerror(request.param)

    return begin


def test_a_checkpoint_that_cannot_be_opened_stays_and_says_why(tmp_path, pico, refusal, capsys):
    file = tmp_path / "c.safetensors"
    at = Progress(step=1, history={}, seconds=0.0, losses=torch.zeros(2), correct=torch.zeros(()))
    write_checkpoint(file, pico, {"w": torch.ones(2)}, {}, at)
    size, reason = file.stat().st_size, refusal()
    with pytest.raises(OSError, match=reason) as error:
        found_checkpoint(file, pico)
    assert error.value.filename == str(file) and not isinstance(error.value, FileNotFoundError)
    assert os.path.getsize(file) == size and not capsys.readouterr().err


def test_what_safetensors_cannot_map_is_no_damage(tmp_path, pico, monkeypatch):
    file = tmp_path / "c.safetensors"
    file.write_bytes(b"whole")

    def safe_open(path, *, framework):
        raise OSError("Cannot allocate memory (os error 12)")

    monkeypatch.setattr(safetensors, "safe_open", safe_open)
    with pytest.raises(OSError, match="Cannot allocate memory") as error:
        found_checkpoint(file, pico)
    assert (error.value.errno, error.value.filename) == (errno.ENOMEM, str(file)) and file.read_bytes() == b"whole"


def test_a_missing_checkpoint_and_a_folder_are_told_from_them(tmp_path, pico):
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "none.safetensors", pico)
    with pytest.raises(IsADirectoryError), opened(tmp_path):
        pass


def test_networks_and_data_say_why_they_cannot_be_read(tmp_path, refusal):
    file = tmp_path / "a.safetensors"
    save_file({"images": torch.ones(2)}, file)
    reason = refusal()
    for read in (read_network, lambda path: read_data(str(path)), read_arrays):
        with pytest.raises(InputError, match=reason) as error:
            read(file)
        assert "delete" not in str(error.value) and str(file) in str(error.value)


def test_a_stored_run_that_cannot_be_read_now_is_not_to_be_removed(tmp_path, pico, monkeypatch):
    def refused(path):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    monkeypatch.setattr(store, "read_json", refused)
    with pytest.raises(store.DamagedRun, match="Too many open files") as error:
        store._read(tmp_path, pico)
    assert "remove" not in str(error.value)
