"""The merge itself, ready to be used and saved: recomputed, aligned, repaired, calibrated, with its origin inside."""

import copy
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import lmcbook
from lmcbook.calibration import fit_inverse_temperature
from lmcbook.connecting.answers import Output
from lmcbook.connecting.checkpoints import read_pair
from lmcbook.connecting.connection import Parent
from lmcbook.connecting.inputs import prepare, states_of
from lmcbook.connecting.preflight import check, preflight
from lmcbook.connecting.remedies import align, averaged, check_remedies, repaired, repairer, symmetry
from lmcbook.connecting.targets import check_target
from lmcbook.data.whole_files import written_whole
from lmcbook.errors import InputError, check_number, one_line
from lmcbook.errors.arguments import checked_by_annotation
from lmcbook.evaluation import predict_logits
from lmcbook.merging import add_biases, merge
from lmcbook.models.examples import as_images
from lmcbook.states import StateDict, has_batch_norm, state_sha256
from lmcbook.training.device import resolve_device


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedNetwork:
    """A merge of two networks, with everything that was done to it."""

    model: nn.Module
    """A module of its own with the merged weights, in evaluation mode."""
    origin: dict[str, Any]
    """λ, matching, repair, β, whether β is inside the last layer, both parents with SHA-256, the version."""

    @property
    def inverse_temperature(self) -> float | None:
        """β; None if it was not fitted. Where ``origin["beta_folded_into"]`` names a layer, its logits have it."""
        return self.origin["inverse_temperature"]

    @property
    def state(self) -> StateDict:
        """The merged state dict."""
        return {name: tensor.detach() for name, tensor in self.model.state_dict().items()}

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the state to a ``.safetensors`` file, with its origin as JSON under ``lmcbook`` in the metadata.

        Where a bias was added, `lmcbook.add_biases` of the module loads it.

        Raises:
            InputError: the file is there and ``force`` is not given, has another ending, or cannot be written.
        """
        path = check_target(path, (".safetensors",), force=force)
        # tied tensors are written under all their names, as a merge has them
        content = {name: tensor.detach().clone().contiguous().cpu() for name, tensor in self.state.items()}
        try:
            with written_whole(path) as partial:
                save_file(content, partial, metadata={"format": "pt", "lmcbook": json.dumps(self.origin)})
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error.strerror or one_line(error)})") from None
        return path


@checked_by_annotation
def merge_networks(
    model: nn.Module,
    a: Any,
    b: Any,
    *,
    at: float | int = 0.5,
    calibration: Any = None,
    images: Any = None,
    test: Any = None,
    examples: int | None = None,
    match: str = "none",
    repair: str = "none",
    output: Output | None = None,
    fold: bool = True,
    device: str = "cpu",
    starts: str = "fast",
    seed: int = 0,
    key: str | None = None,
    strip_prefix: str = "",
    ema: bool = False,
) -> MergedNetwork:
    r"""λ of a and 1 − λ of b as one module: aligned, averaged, batch norm recomputed, repaired, calibrated.

    β is fitted on ``calibration``. If the logits are the output of the last linear layer, its weight and bias are
    multiplied by β, so that the softmax of the merged network is calibrated wherever it is used.

    Args:
        model: as `connect` takes it; it is not changed.
        a: as `connect` takes it.
        b: as `connect` takes it.
        at: λ.
        calibration: labelled examples, for β; without them and ``test`` β is not fitted.
        images: training images without labels; needed for batch norm, a repair and matching; by default those of
            ``calibration``.
        test: the test examples of a `connect`, so that the network is that which it measured: without ``calibration``
            the same half of them is taken for β.
        examples: the most examples of each role, drawn as `connect` draws them.
        match: ``none``, ``weights`` or ``activations``.
        repair: one of `lmcbook.merging.REPAIRS`; the module then has a bias in every linear layer.
        fold: whether to put β into the last linear layer, where there is one.

    Raises:
        InputError: as `connect`, or images are needed and not given.
    """
    check_number("at", at, minimum=0, maximum=1)
    kinds = check_remedies(match, repair)
    if match == "all":
        raise InputError("match is 'all'; one network comes of one matching: give weights or activations")
    networks = read_pair(a, b, key=key, strip_prefix=strip_prefix, ema=ema)
    labelled = calibration is not None or test is not None
    given = next((one for one in (images, calibration, test) if one is not None), None)
    check(preflight(networks[0], networks[1], model, has_images=given is not None))
    if given is None:
        if has_batch_norm(model) or kinds or match != "none":
            raise InputError("images is None; batch norm, a repair and matching need a few hundred training images")
        device = resolve_device(device)
        # there are no images to fit their type to, so that half precision stays what it is
        merged = merge(model, *states_of(model, *networks, device, least=None), at)
        beta, folded = None, None
        made = _loaded(copy.deepcopy(model).to(device), merged)
    else:
        tested = _tested(calibration, test, given)
        inputs = prepare(
            model, *networks, test=tested, calibration=calibration if labelled else tested, images=images,
            output=output, examples=examples, device=device, seed=seed,
        )  # fmt: skip
        state_b = inputs.b if match == "none" else align(inputs, symmetry(inputs), match, starts=starts, seed=seed)
        answers, merged = inputs.model, averaged(inputs, state_b, at)
        if kinds:
            repairing = repairer(inputs, state_b)
            answers, merged = repairing.module, repaired(inputs, repairing, merged, at, kinds[0])
        made = _loaded(copy.deepcopy(add_biases(model) if kinds else model).to(device), merged)
        beta, folded = None, None
        if labelled and inputs.task == "classification":
            logits = predict_logits(answers, merged, inputs.calibration.images)
            beta = fit_inverse_temperature(logits, inputs.calibration.labels).inverse_temperature
            folded = _fold(made, answers, inputs.calibration.images[:8], beta) if fold else None
    parents = [Parent(source=n.source, sha256=n.sha256, tensors_sha256=state_sha256(n.state)) for n in networks]
    origin = {
        "lmcbook": lmcbook.__version__,
        "coefficient": float(at),
        "match": match,
        "repair": kinds[0] if kinds else "none",
        "inverse_temperature": beta,
        "beta_folded_into": folded,
        "a": asdict(parents[0]),
        "b": asdict(parents[1]),
    }
    return MergedNetwork(model=made.eval(), origin=origin)


def _tested(calibration: Any, test: Any, images: Any) -> Any:
    """The test examples, which only stand in here: nothing is tested, and without labels there are none to look at."""
    if test is not None:
        return test
    if calibration is not None:
        return calibration
    pool = as_images("images", images)
    return pool, torch.zeros(len(pool), dtype=torch.int64)


def _loaded(made: nn.Module, state: StateDict) -> nn.Module:
    """The module with these tensors, in their types; tensors that it has under several names get the last of them."""
    for name, tensor in made.state_dict(keep_vars=True).items():
        tensor.data = state[name].detach().clone()
    return made


def _fold(made: nn.Module, answers: nn.Module, images: Tensor, beta: float) -> str | None:
    """Multiply the layer that makes the logits by β; its name, or None if no layer's own output is the logits."""
    parameters: dict[int, int] = {}
    for _, parameter in made.named_parameters(remove_duplicate=False):
        parameters[id(parameter)] = parameters.get(id(parameter), 0) + 1
    state = {name: tensor.detach() for name, tensor in made.state_dict().items()}
    before = predict_logits(answers, state, images)
    for name, module in reversed([*made.named_modules()]):
        if not isinstance(module, nn.Linear) or any(parameters.get(id(p), 2) > 1 for p in module.parameters()):
            continue
        prefix = f"{name}." if name else ""
        own = {f"{prefix}weight", f"{prefix}bias"} & state.keys()
        if f"{prefix}weight" not in own:
            continue  # parametrised: its weight is computed from other tensors
        scaled = {key: tensor * beta if key in own else tensor for key, tensor in state.items()}
        after = predict_logits(answers, scaled, images)
        # also true by chance of a layer whose outputs are all 0, which then changes nothing
        if torch.allclose(after, before * beta, rtol=1e-4, atol=1e-5 * float(before.abs().max() * beta)):
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.mul_(beta)
            return name or "the network"
    return None
