r"""Repair of a merged network: one bias for each hidden layer, from a few hundred images without labels.

Features after a ReLU are positive on average, and the weights of one network answer the mean features of the other.
This answer is nearly the same for every image: it acts on the merged network as a wrong bias. A repair measures the
mean pre-activation of each hidden unit and corrects it, layer after layer, so that each layer sees what the repaired
layers before it make. No unit is permuted, no label is read and nothing is trained.

The step and the shift to the mean of the means are those of REPAIR (Jordan et al., 2023), which the authors apply after
a permutation. The shift to what LEWC predicts is ours.
"""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lmcbook.errors import InputError, check_choice, check_number
from lmcbook.errors.arguments import checked
from lmcbook.merging.batch_norm import recompute_batch_norm_
from lmcbook.merging.cross_talk import without_cross_talk_of, without_mean_cross_talk
from lmcbook.merging.linear_layers import (
    LINEAR_LAYERS,
    Change,
    Moments,
    Visit,
    linear_layers,
    number_of_units,
    visiting,
)
from lmcbook.models.examples import as_images
from lmcbook.models.layered import LayeredModel
from lmcbook.states import StateDict, check_same_tensors, has_batch_norm, swapped, with_state

REPAIRS = ("none", "mean", "lewc_mean", "mean_and_variance")
r"""What each hidden unit's pre-activation is brought to; μ and σ are its mean and standard deviation over images.

- ``none``: nothing is changed.
- ``mean``: the mean $\lambda\mu_a + (1-\lambda)\mu_b$, the first half of REPAIR.
- ``lewc_mean``: the mean $\lambda^\ell\mu_a + (1-\lambda)^\ell\mu_b$ that LEWC predicts at depth ℓ.
- ``mean_and_variance``: the mean of ``mean`` and the deviation $\lambda\sigma_a + (1-\lambda)\sigma_b$, as in REPAIR.
"""


@checked
def add_biases(model: nn.Module) -> nn.Module:
    """A copy of ``model`` with a bias of zeros in each linear layer and convolution that had none: the same function.

    A repaired state is one of such a copy. It is saved as any other, and loaded by
    ``add_biases(model).load_state_dict(torch.load("merged.pt"))``.
    """
    return _biased(copy.deepcopy(model))


def _biased(copied: nn.Module) -> nn.Module:
    for module in copied.modules():
        if isinstance(module, LINEAR_LAYERS) and module.bias is None:
            zeros = torch.zeros(number_of_units(module), dtype=module.weight.dtype, device=module.weight.device)
            module.bias = nn.Parameter(zeros, requires_grad=module.weight.requires_grad)
    return copied


@checked
def repair(
    model: nn.Module,
    state_a: StateDict,
    state_b: StateDict,
    merged_state: StateDict,
    coefficient: float | int,
    images: Shaped[Tensor, "examples ..."] | Any,
    kind: str,
) -> StateDict:
    r"""``merged_state`` with the pre-activations of its hidden layers brought to what ``kind`` says: see `Repairer`.

    With ``cross_talk`` nothing is measured of the merged network. Each hidden layer behind the first is freed of
    $\lambda(1-\lambda)^{\ell-1}W^a\mathrm{E}z^b + (1-\lambda)\lambda^{\ell-1}W^b\mathrm{E}z^a$, the mean cross-talk of
    the two networks. This is exact where nothing but cross-talk that is the same for every image is between them and
    LEWC.

    Args:
        model: the network; it is not changed.
        merged_state: of λ of a and 1 − λ of b, with batch norm recomputed; `lmcbook.merge` does all in one step.
        coefficient: λ, which multiplies ``state_a``.
        images: un-augmented training images, without labels; a few hundred do. All pass at once.
        kind: one of `REPAIRS`, or ``cross_talk``.

    Returns:
        A state of ``add_biases(model)``.

    Raises:
        InputError: as `Repairer` and `Repairer.repair`; with ``cross_talk`` also batch norm, and a layer that is called
            more than once.
    """
    check_number("coefficient", coefficient, minimum=0, maximum=1)
    check_choice("kind", kind, (*REPAIRS, "cross_talk"))
    check_same_tensors("state_a", state_a, "state_b", state_b)
    own = {name: tensor for name, tensor in merged_state.items() if name in state_a}  # it may have more biases
    check_same_tensors("state_a", {name: state_a[name] for name in own}, "merged_state", own)
    if kind == "cross_talk":
        sizes, images = (coefficient, 1 - coefficient), as_images("images", images)
        if isinstance(model, LayeredModel):
            return without_mean_cross_talk(model, (state_a, state_b), merged_state, sizes, images)
        within = Repairer(model, (state_a, state_b), images)
        a, b, merged = (within._with_biases("state", state) for state in (state_a, state_b, merged_state))
        return without_cross_talk_of(add_biases(model).eval(), (a, b), merged, sizes, images)
    return Repairer(model, (state_a, state_b), images).repair(merged_state, (coefficient, 1 - coefficient), kind)


class Repairer:
    r"""Repairs merges of the same networks: what the networks themselves do on the images is measured once.

    Works on any module. Its linear layers are `torch.nn.Linear`, `torch.nn.ConvNd` and `torch.nn.ConvTransposeNd`; ℓ is
    the place of a layer's call among the calls of all of them, from 1. A unit's mean is over images and, in a
    convolution, over positions. These layers are left unchanged:

    - that which is called last, which makes the logits;
    - one whose output goes straight into batch norm: recomputed statistics subtract its mean already;
    - one that is called more than once in a pass, since one bias cannot correct two means;
    - one that is never called as a module, such as the projections inside `torch.nn.MultiheadAttention`.

    The networks run in evaluation mode and on a copy of ``model``: mode, hooks and tensors of ``model`` do not
    change, also after an exception.

    Args:
        model: the network.
        states: of the networks that are merged, at least two.
        images: un-augmented training images, without labels, in any form that `lmcbook.models.examples.as_images`
            takes; a few hundred do. All pass at once.

    Raises:
        InputError: there are fewer than 2 images or states, a state does not fit ``model``, or ``model`` calls none of
            its linear layers as a module.
    """

    layers: dict[str, int]
    """The layers that are repaired, by their names in ``model``, and their ℓ."""

    module: nn.Module
    """What repaired states are states of: ``model`` as `add_biases` makes it, in evaluation mode, with its tensors."""

    @checked
    def __init__(
        self, model: nn.Module, states: Sequence[StateDict], images: Shaped[Tensor, "examples ..."] | Any
    ) -> None:
        self._images = as_images("images", images)
        if len(self._images) < 2:
            raise InputError(f"images holds {len(self._images)} example(s); a repair needs at least 2 training images")
        if len(states) < 2:
            raise InputError(f"states holds {len(states)} state(s); a repair needs those of at least 2 networks")
        for index, state in enumerate(states):
            check_same_tensors("states[0]", states[0], f"states[{index}]", state)
        # a copy that runs with the tensors of states alone needs none of its own
        tensors = {id(tensor): tensor for _, tensor in swapped(model)}
        self.module = _biased(copy.deepcopy(model, tensors)).eval()
        self._linear = linear_layers(self.module)
        passes = [self._observe(self._with_biases("states", state)) for state in states]
        calls = passes[0].calls
        if not calls:
            raise InputError(
                "model calls none of its linear layers as a module, so that nothing can be repaired; "
                "call them as modules (self.linear(x)) instead of using their weights"
            )
        self.layers = {
            name: depth
            for depth, name in enumerate(calls[:-1], start=1)
            if all(name in seen.moments and seen.calls.count(name) == 1 for seen in passes)
            and not any(name in seen.normalised for seen in passes)
        }
        self._moments = [{name: seen.moments[name] for name in self.layers} for seen in passes]

    def repair(self, merged_state: StateDict, coefficients: Sequence[float | int], kind: str) -> StateDict:
        r"""A repaired copy of ``merged_state``, as a state of ``add_biases(model)``.

        One pass of the merged network, in which each layer sees what the repaired layers before it make. With k
        networks the means are $\sum_i \lambda_i\mu_i$ and $\sum_i \lambda_i^\ell\mu_i$. If one coefficient is 1 the
        result is ``merged_state`` bit for bit, with biases of zeros where the network has none. Means are taken in
        float64, whatever the type of the tensors.

        In a network with batch norm behind some layers only, batch norm normalises with the statistics of the images
        in this pass, and is recomputed from them in the end.

        Args:
            merged_state: the weighted mean of the networks, with batch norm recomputed.
            coefficients: λ_i of each network; they sum to 1.
            kind: one of `REPAIRS`.

        Raises:
            InputError: ``kind`` is none of these, there is not one coefficient in [0, 1] for each network, the state
                does not fit, or ``mean_and_variance`` is asked for where a weight belongs to several layers or is no
                tensor of the state.
        """
        check_choice("kind", kind, REPAIRS)
        if len(coefficients) != len(self._moments):
            raise InputError(
                f"coefficients holds {len(coefficients)} number(s) for {len(self._moments)} networks; give as many"
            )
        for coefficient in coefficients:
            check_number("coefficients", coefficient, minimum=0, maximum=1)
        repaired = self._with_biases("merged_state", merged_state)
        if kind == "none" or 1 in coefficients or not self.layers:
            return repaired
        if kind == "mean_and_variance":
            self._check_weights(repaired)
        changes: dict[str, Change] = {}

        def visit(name: str, output: Tensor) -> Tensor | None:
            if name not in self.layers or name in changes or output.numel() == 0:
                return None
            layer = self._linear[name]
            changes[name] = self._change(name, layer.moments(output), coefficients, kind, torch.finfo(output.dtype).eps)
            return layer.changed(output, changes[name])

        if has_batch_norm(self.module):
            # what batch norm writes into the state of this pass is not what `recompute_batch_norm_` would; instance
            # norm in training mode would normalise each image by itself, which evaluation does not
            for module in self.module.modules():
                module.training = isinstance(module, _BatchNorm)
            try:
                self._run({name: tensor.clone() for name, tensor in repaired.items()}, visit)
            finally:
                self.module.eval()
        else:
            self._run(repaired, visit)
        for name, change in changes.items():
            self._linear[name].write(change, repaired)
        return recompute_batch_norm_(self.module, repaired, self._images)

    def _change(
        self, name: str, found: Moments, coefficients: Sequence[float | int], kind: str, precision: float
    ) -> Change:
        own = [moments[name] for moments in self._moments]
        exponent = self.layers[name] if kind == "lewc_mean" else 1
        mean = torch.stack([c**exponent * each.mean for c, each in zip(coefficients, own, strict=True)]).sum(0)
        if kind != "mean_and_variance":
            return Change(None, mean - found.mean)
        deviation = torch.stack([c * each.deviation for c, each in zip(coefficients, own, strict=True)]).sum(0)
        # what rounding leaves of a unit that does not vary is not blown up
        varies = found.deviation > 2 * precision * found.mean.abs()
        factor = torch.where(varies, deviation / found.deviation, 1.0)
        return Change(factor, mean - factor * found.mean)

    def _with_biases(self, argument: str, state: StateDict) -> StateDict:
        """A copy of a state of the model, in the order and with the biases of `add_biases`."""
        biased = {name: tensor.detach().clone() for name, tensor in state.items()}
        for layer in self._linear.values():
            for name in layer.names:
                like = next((tensor for key, tensor in biased.items() if key.startswith(f"{name}.")), None)
                if like is not None and f"{name}.bias" not in biased:
                    biased[f"{name}.bias"] = torch.zeros(layer.units, dtype=like.dtype, device=like.device)
        check_same_tensors("the model", self.module.state_dict(), argument, biased, shapes_only=True)
        return {name: biased[name] for name in self.module.state_dict()}

    def _observe(self, state: StateDict) -> "_Seen":
        calls: list[str] = []
        moments: dict[str, Moments] = {}

        def visit(name: str, output: Tensor) -> None:
            calls.append(name)
            if output.numel():
                moments[name] = self._linear[name].moments(output)

        return _Seen(calls, self._run(state, visit), moments)

    def _run(self, state: StateDict, visit: Visit) -> set[str]:
        run = with_state(self.module, state)
        with torch.no_grad(), visiting(self.module, self._linear, visit) as normalised:
            run(self._images)
        return normalised

    def _check_weights(self, state: StateDict) -> None:
        owners: dict[int, int] = {}
        for module in self.module.modules():
            for parameter in module._parameters.values():
                owners[id(parameter)] = owners.get(id(parameter), 0) + 1
        for name in self.layers:
            if f"{name}.weight" not in state or owners[id(self._linear[name].module.weight)] > 1:
                raise InputError(
                    f"kind is 'mean_and_variance', which rescales the weight of {name}, but that is computed from "
                    "other tensors or shared with another layer; choose 'mean' or 'lewc_mean'"
                )


class _Seen(NamedTuple):
    """What one network did on the images."""

    calls: list[str]
    normalised: set[str]
    moments: dict[str, Moments]
