"""Reading networks: the same tensors from every form, and one line for whatever cannot be read."""

import json
import shlex
from argparse import Namespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lmcbook.connecting.checkpoints import read_network, read_pair
from lmcbook.connecting.preflight import preflight
from lmcbook.errors import InputError
from lmcbook.states import state_sha256


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


STATE = {name: tensor.clone() for name, tensor in net().state_dict().items()}
AVERAGED = {"n_averaged": torch.ones(1), **{f"module.{name}": tensor for name, tensor in STATE.items()}}
OTHER = {name: tensor + 1 for name, tensor in STATE.items()}


def same(found, wanted=STATE):
    return [*found] == [*wanted] and all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.fixture
def sharded(tmp_path):
    folder = tmp_path / "sharded"
    folder.mkdir()
    places = {name: f"part-{index % 2}.safetensors" for index, name in enumerate(STATE)}
    for file in set(places.values()):
        save_file({name: STATE[name] for name in STATE if places[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def test_every_form_gives_the_same_tensors(tmp_path, sharded):
    torch.save(STATE, tmp_path / "a.pt")
    torch.save(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(STATE, tmp_path / "a.safetensors")
    (tmp_path / "alone").mkdir()
    save_file(STATE, tmp_path / "alone" / "weights.safetensors")
    forms = [STATE, net(), tmp_path / "a.pt", tmp_path / "old.pth", str(tmp_path / "a.safetensors"), tmp_path / "alone"]
    assert {state_sha256(read_network(form).state) for form in [*forms, sharded]} == {state_sha256(STATE)}
    assert state_sha256(OTHER) != state_sha256(STATE)
    assert read_network(tmp_path / "a.pt").sha256 and read_network(STATE).sha256 is None
    assert read_network(tmp_path / "a.pt").source == "a.pt"


@pytest.mark.parametrize(
    ("content", "arguments", "wanted", "note"),
    [
        ({"epoch": 3, "state_dict": STATE, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}, {}, STATE, "took"),
        ({"model": STATE, "model_ema": OTHER}, {}, STATE, "also holds model_ema"),
        ({"model": STATE, "model_ema": OTHER}, {"ema": True}, OTHER, "model_ema"),
        ({"generator": STATE}, {}, STATE, "generator"),
        ({"state_dict_ema": OTHER}, {}, OTHER, "state_dict_ema"),
        ({"nets": {"g": STATE, "d": OTHER}}, {"key": "nets.d"}, OTHER, None),
        ({"a.b": STATE}, {"key": "a.b"}, STATE, None),
        (AVERAGED, {"strip_prefix": "module."}, STATE, "n_averaged"),
        (STATE | {"0._extra_state": None}, {}, STATE, "_extra_state"),
    ],
)
def test_weights_are_found_inside_of_a_checkpoint(tmp_path, content, arguments, wanted, note):
    torch.save(content, tmp_path / "c.ckpt")
    found = read_network(tmp_path / "c.ckpt", **arguments)
    assert same(found.state, wanted)
    assert note is None or note in "; ".join(found.notes)


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ({"nets": {"g": STATE, "d": OTHER}}, {}, "holds nets.g, nets.d; name one of them by key"),
        ({"model": STATE}, {"ema": True}, "has no moving average"),
        ({"model": STATE}, {"key": "modle"}, "no weights under key 'modle'; its keys are model"),
        ({"epoch": 1, "w": torch.ones(2)}, {}, "holds epoch, not a tensor"),
        ({"epoch": 1}, {}, "holds a dict; a state dict has names and tensors"),
        (torch.ones(3), {}, "holds a Tensor"),
        (STATE, {"strip_prefix": "module."}, "with which no name"),
    ],
)
def test_what_has_no_clear_weights_ends_in_one_line(tmp_path, content, arguments, message):
    torch.save(content, tmp_path / "c.pt")
    with pytest.raises(InputError, match=message) as error:
        read_network(tmp_path / "c.pt", argument="A", **arguments)
    assert "\n" not in str(error.value) and str(error.value).startswith(("A (c.pt)", "strip_prefix"))


def test_a_prefix_that_only_one_of_two_has_is_taken_from_that_one():
    prefixed = {f"module.{name}": tensor for name, tensor in STATE.items()}
    a, b = read_pair(prefixed, OTHER, strip_prefix="module.")
    assert same(a.state) and same(b.state, OTHER) and not a.notes
    assert b.notes == ("left unchanged: no name begins with 'module.'",)
    a, b = read_pair(prefixed, prefixed, strip_prefix="module.")
    assert same(a.state) and same(b.state)
    with pytest.raises(InputError, match="with which no name of A "):
        read_pair(STATE, OTHER, arguments=("A", "B"), strip_prefix="module.")


def test_an_average_that_only_one_of_two_has_is_taken_from_that_one():
    a, b = read_pair({"model": OTHER, "model_ema": STATE}, OTHER, ema=True)
    assert same(a.state) and same(b.state, OTHER) and "no moving average is in it" in b.notes[-1]
    with pytest.raises(InputError, match="^A .* has no moving average"):
        read_pair(STATE, OTHER, arguments=("A", "B"), ema=True)


def test_a_checkpoint_of_lightning_is_read_and_its_prefix_taken(tmp_path):
    state = {f"model.{name}": tensor for name, tensor in STATE.items()} | {"criterion.weight": torch.ones(3)}
    content = {"epoch": 3, "state_dict": state, "callbacks": {}, "loops": {}, "hyper_parameters": {"lr": 1}}
    content["optimizer_states"] = [{"state": {0: {"exp_avg": torch.ones(3)}}}]
    torch.save(content, tmp_path / "l.ckpt")
    found = read_network(tmp_path / "l.ckpt", strip_prefix="model.")
    assert same(found.state) and "left out criterion.weight" in found.notes[-1]


@pytest.mark.filterwarnings("ignore:.*quantized tensor:UserWarning")
def test_a_quantised_file_is_read_without_a_word_and_refused_by_the_preflight(tmp_path):
    quantised = torch.quantize_per_tensor(STATE["0.weight"], 0.1, 0, torch.qint8)
    torch.save(STATE | {"0.weight": quantised}, tmp_path / "q.pt")
    [error, *_] = preflight(read_network(tmp_path / "q.pt"), STATE, net())
    assert error.level == "error" and "0.weight of type qint8" in error.message


def test_a_file_that_would_run_code_is_refused_with_the_way_out(tmp_path):
    torch.save({"state_dict": STATE, "args": Namespace(lr=1)}, tmp_path / "c.pt")
    with pytest.raises(InputError, match=r"holds argparse.Namespace beside tensors .* python -c") as error:
        read_network(tmp_path / "c.pt")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", [lambda file: {"state_dict": file}, lambda file: Namespace(state_dict=lambda: file)])
def test_the_command_that_writes_the_weights_alone_is_one_that_a_shell_takes_as_it_is(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    name = "it's $(touch never) `x` FILE.pt"
    torch.save({"state_dict": STATE, "args": Namespace(lr=1)}, name)
    with pytest.raises(InputError) as error:
        read_network(name)
    _, _, code = shlex.split("python" + str(error.value).rpartition("alone: python")[2])
    monkeypatch.setattr(torch, "load", lambda file, **_: kind(file))
    monkeypatch.setattr(torch, "save", lambda content, target: [content, target] == [name, "weights.pt"] or fail())
    exec(code)


def fail():
    raise AssertionError


def test_of_two_indices_the_safetensors_are_read(sharded):
    torch.save(OTHER, sharded / "pytorch_model.bin")
    places = dict.fromkeys(OTHER, "pytorch_model.bin")
    (sharded / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    found = read_network(sharded).state
    assert all(torch.equal(found[name], tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors", "a.ckpt"])
@pytest.mark.parametrize("content", [b"", b"abc", b"garbage" * 100, b"PK\x03\x04" + b"x" * 50])
def test_damaged_files_end_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        read_network(tmp_path / name, argument="B")
    assert "\n" not in str(error.value) and str(error.value).startswith("B is ") and len(str(error.value)) < 400


def test_paths_that_are_no_weights(tmp_path, sharded):
    (tmp_path / "a.txt").write_text("x")
    for given, message in ((tmp_path / "no.pt", "not there"), (tmp_path / "a.txt", "weights are read from"),
                           (tmp_path, "0 files of weights"), (3, "is a int")):  # fmt: skip
        with pytest.raises(InputError, match=message):
            read_network(given)
    index = sharded / "model.safetensors.index.json"
    places = json.loads(index.read_text())["weight_map"]
    for changed, message in (
        ({"weight_map": {**places, "0.weight": "../a.safetensors"}}, "outside its folder"),
        ({"weight_map": {**places, "0.weight": "gone.safetensors"}}, "lacks gone.safetensors"),
        ({"weight_map": {**places, "more": "part-0.safetensors"}}, "do not hold more"),
        ([], "no index of shards"),
        ({"weight_map": {"w": 1}}, "no index of shards"),
    ):
        index.write_text(json.dumps(changed))
        with pytest.raises(InputError, match=message):
            read_network(sharded)
