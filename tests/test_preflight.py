"""The preflight tells everything at once: each planted fault is found by name, and a sound pair has none."""

import pytest
import torch
from torch import nn

from lmcbook.connecting.checkpoints import read_network
from lmcbook.connecting.preflight import check, preflight
from lmcbook.errors import InputError
from lmcbook.states import complete_tied


class Counting(nn.Module):
    """Batch norm, a counter and a float buffer that is nobody's statistic."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(30, 40), nn.BatchNorm1d(40), nn.Linear(40, 20)
        self.register_buffer("calls", torch.tensor(0))
        self.register_buffer("scale", torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.norm(self.first(x)).relu())


def state(seed: int, build=Counting) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {name: tensor.clone() for name, tensor in build().state_dict().items()}


def told(findings, level, name):
    return "; ".join(finding.message for finding in findings if (finding.level, finding.name) == (level, name))


def test_a_sound_pair_has_neither_errors_nor_warnings():
    found = preflight(state(0), state(1), Counting())
    assert {finding.level for finding in found} == {"info"}
    assert "started independently" in told(found, "info", "start")
    check(found)


def test_all_that_is_wrong_is_told_at_once():
    a, b = state(0), state(1)
    b["first.weight"] = torch.zeros(41, 30)
    b["first.bias"][3] = torch.nan
    b["more"] = torch.ones(1)
    del b["scale"]
    a["last.weight"] = a["last.weight"].to(torch.float8_e4m3fn)
    b["calls"] = torch.ones(())
    b["norm.running_var"][0] = -1
    found = preflight(a, b, Counting())
    assert "b lacks scale and has more" in told(found, "error", "names")
    assert "first.weight is (40, 30) in a and (41, 30) in b" in told(found, "error", "shapes")
    assert "1 of 40 in first.bias" in told(found, "error", "values")
    assert "b holds variances below 0 in norm.running_var" in told(found, "error", "values")
    assert "a holds last.weight of type float8_e4m3fn" in told(found, "error", "types")
    assert "calls is int64 in a and float32 in b" in told(found, "error", "types")
    assert [finding.level for finding in found] == sorted(
        (f.level for f in found), key=["error", "warning", "info"].index
    )
    with pytest.raises(InputError, match="lacks scale.*first.weight is.*first.bias") as error:
        check(found)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.backbone."])
def test_a_prefix_is_named_and_stripping_it_mends(prefix):
    prefixed = {f"{prefix}{name}": tensor for name, tensor in state(0).items()}
    for found in (preflight(prefixed, state(1), Counting()), preflight(prefixed, state(1))):
        assert f"--strip-prefix {prefix})" in told(found, "error", "names")
    check(preflight(read_network(prefixed, strip_prefix=prefix), state(1), Counting()))


def test_a_wrapped_model_is_named():
    found = preflight(state(0), state(1), nn.ModuleDict({"module": Counting()}))
    assert "the names of the model begin with 'module.'" in told(found, "error", "names")


def test_warnings_and_infos():
    a, b = state(0), state(1)
    assert "batch norm, but no images" in told(preflight(a, b, Counting(), has_images=False), "warning", "batch norm")
    assert "batch norm, but no images" in told(preflight(a, b, has_images=False), "warning", "batch norm")
    b["calls"], b["scale"] = torch.tensor(5), torch.tensor([2.0])
    found = preflight(a, b, Counting())
    assert "scale" in told(found, "warning", "buffers") and "calls" in told(found, "info", "buffers")
    assert "same weights" in told(preflight(a, dict(a), Counting()), "warning", "start")
    near = {
        name: tensor + 0.01 * torch.randn(tensor.shape) if tensor.ndim == 2 else tensor for name, tensor in a.items()
    }
    assert "share their start" in told(preflight(a, near, Counting()), "info", "start")
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in b.items()}
    found = preflight(a, half, Counting())
    assert "scale is float32 in a and float16 in b" in told(found, "info", "types")
    assert not [finding for finding in found if finding.level == "error"]
    found = preflight(state(0, lambda: nn.InstanceNorm2d(3, track_running_stats=True)),
                      state(1, lambda: nn.InstanceNorm2d(3, track_running_stats=True)),
                      nn.InstanceNorm2d(3, track_running_stats=True), has_images=False)  # fmt: skip
    assert "the merged network needs its own statistics" in told(found, "warning", "batch norm")


def test_weights_of_whole_numbers_that_differ_are_an_error():
    class Quantised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qweight = nn.Parameter(torch.ones(4, dtype=torch.int8), requires_grad=False)
            self.register_buffer("packed", torch.zeros(3, 2, dtype=torch.int32))
            self.register_buffer("order", torch.zeros(2, 2, dtype=torch.int64))
            self.register_buffer("calls", torch.zeros(3, dtype=torch.int64))

    a, b = state(0, Quantised), state(1, Quantised)
    assert not [finding for finding in preflight(a, b, Quantised()) if finding.level == "error"]
    b["qweight"], b["packed"], b["calls"] = b["qweight"] + 1, b["packed"] + 1, b["calls"] + 1
    found = preflight(a, b, Quantised())
    assert "qweight, packed of type int8 differ" in told(found, "error", "types") and "dequantise" in str(found)
    assert "packed of type int32 differ" in told(preflight(a, b), "error", "types")
    with pytest.raises(InputError, match="cannot be averaged"):
        check(found)


def test_tied_weights_that_a_file_keeps_once_are_completed():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.read = nn.Embedding(7, 6), nn.Linear(6, 7, bias=False)
            self.read.weight = self.embed.weight

    model = Tied()
    once = {"embed.weight": torch.randn(7, 6)}
    full = complete_tied(model, once)
    assert [*full] == ["embed.weight", "read.weight"] and full["read.weight"] is once["embed.weight"]
    assert "embed.weight = read.weight" in told(preflight(once, state(0, Tied), model), "info", "tied weights")
    check(preflight(once, state(0, Tied), model))
