"""Activation matching: the permutation of b's hidden units whose activations go with those of a."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from tqdm import tqdm

from lmcbook.errors import InputError, check_number, described, one_line
from lmcbook.errors.arguments import checked
from lmcbook.matching.assignment import RepeatedAssignment
from lmcbook.matching.by_weights import Matching, check_before_matching
from lmcbook.matching.similarity import check_finite_states, check_pair, objective_and_distance, plain_objective
from lmcbook.merging.linear_layers import TRANSPOSED, is_linear, is_turned
from lmcbook.models import LayeredModel, layer_outputs
from lmcbook.models.examples import as_images
from lmcbook.permutation import PermutationSpec, Stretch, groups_of, stretches
from lmcbook.states import StateDict, evaluation_mode, with_state

Units = str | tuple[str, int]
"""Where a tensor has units: the key of the weight that makes them, on its axis 0, or a key and an axis."""

Observe = Callable[[StateDict, Tensor], Mapping[Any, Tensor]]
"""From weights and images to activations [examples, units, …positions], by the place of their `Units`."""

_ROWS = 256  # of a matrix of correlations that are computed together
_CHECKED = 4  # images on which the spec is tried; a wrong spec changes the function of every network


@checked
@torch.no_grad()
def activation_matching(
    spec: PermutationSpec,
    state_a: StateDict,
    state_b: StateDict,
    *,
    observe: Observe,
    images: Shaped[Tensor, "examples ..."] | Any,
    model: nn.Module | None,
    batch_size: int = 500,
    seed: int = 0,
    progress: bool = True,
) -> Matching:
    r"""The permutation π that maximises $\sum_i \mathrm{corr}(z^a_i, z^b_{\pi(i)})$ in every group by itself.

    Correlations are over examples and positions of a map (Li et al. 2016; Ainsworth, Hayase & Srinivasa 2023, section
    3.1). Where a group writes several activations, such as those along a residual stream, their correlations are added
    up. A unit that does not vary correlates with none.

    Args:
        spec: groups of both networks.
        state_a: the network that stays.
        state_b: the network that is permuted.
        observe: gives the activations; `observe_layers` and `observe_modules` make one.
        images: the sample: a tensor, a `lmcbook.Split`, a tuple (images, labels), or an iterable of batches.
        model: on which `check_function_preserved` tries ``spec`` first; None leaves the check out.
        batch_size: images at a time.
        seed: of the check.
        progress: show a bar of batches.

    Raises:
        InputError: ``observe`` tells nothing of a group, or activations do not fit the spec; and as `weight_matching`.
    """
    check_number("batch_size", batch_size, minimum=1, integer=True)
    images = as_images("images", images)
    check_finite_states({"state_a": state_a, "state_b": state_b})
    check_before_matching(spec, state_b, model=model, images=images[:_CHECKED], seed=seed)
    began = time.perf_counter()
    sizes = check_pair(spec, state_a, state_b)
    identity_objective = plain_objective(state_a, state_b)
    moments: dict[tuple[str, Units, int], _Moments] = {}
    for batch in tqdm(images.split(batch_size), desc="activation matching", unit=" batches", disable=not progress):
        observed_a, observed_b = _observed(observe, state_a, batch), _observed(observe, state_b, batch)
        for key in observed_a:
            name, axis = (key, 0) if isinstance(key, str) else key
            if name not in spec.axes or len(spec.axes[name]) <= axis or not groups_of(spec.axes[name][axis]):
                continue
            rows = state_a[name].shape[axis]
            both = observed_a[key], observed_b[key]
            for each in both:
                if each.ndim < 2 or each.shape[1] != rows:
                    raise InputError(
                        f"observe gives {key} activations of shape {tuple(each.shape)}; "
                        f"they must be [examples, {rows}, …positions]"
                    )
            for stretch in stretches(spec.axes[name][axis], rows, sizes):
                if stretch.group is not None:
                    samples = (_samples(each, stretch) for each in both)
                    moments.setdefault((stretch.group, key, stretch.start), _Moments()).add(*samples)
    unseen = sizes.keys() - {group for group, _, _ in moments}
    if unseen:
        raise InputError(
            f"observe gives no activations for group {', '.join(sorted(unseen))}; it must give those of a weight that "
            "has the group on axis 0"
        )
    permutation, total, units_in_all = {}, 0.0, 0
    for group in sizes:
        own = [moments.pop(key).correlation() for key in [*moments] if key[0] == group]
        correlation = sum(own[1:], start=own[0]) / len(own)
        permutation[group] = RepeatedAssignment().solve(correlation)
        total += float(correlation.gather(1, permutation[group].to(correlation.device)[:, None]).sum())
        units_in_all += len(correlation)
    objective, l2_distance = objective_and_distance(spec, state_a, state_b, permutation)
    return Matching(
        permutation=permutation,
        objective=objective,
        identity_objective=identity_objective,
        l2_distance=l2_distance,
        sweeps=1,
        seconds=time.perf_counter() - began,
        start="activations",
        trajectory=(),
        correlation=total / units_in_all,
    )


def _samples(activations: Tensor, stretch: Stretch) -> Tensor:
    """Activations of the units of a stretch, (examples and positions, units)."""
    units = activations.narrow(1, stretch.start, stretch.rows).unflatten(1, (stretch.units, stretch.block))
    return units.movedim(1, -1).reshape(-1, stretch.units).to(torch.promote_types(units.dtype, torch.float32))


def _observed(observe: Observe, state: StateDict, images: Tensor) -> Mapping[Any, Tensor]:
    try:
        found = observe(state, images)
    except (TypeError, AttributeError) as error:
        reason = one_line(error, 160)
        raise InputError(
            f"observe cannot be called with a state and images ({reason}); make it by observe_modules"
        ) from error
    if not isinstance(found, Mapping):
        raise InputError(f"observe gives {described(found)}; it must give a dict, as that of observe_modules does")
    return found


@checked
def observe_layers(model: LayeredModel) -> Observe:
    """The outputs of all layers of one of our networks, after their activation."""

    def observe(state: StateDict, images: Tensor) -> dict[Units, Tensor]:
        return {model.weight_key(name): output for name, output in layer_outputs(model, state, images).items()}

    return observe


@checked
def observe_modules(model: nn.Module, spec: PermutationSpec) -> Observe:
    """The outputs of all linear layers and convolutions of any network, before their activation.

    They come under the key of the weight, of a parametrised weight under that of the tensor it is computed from. Of a
    recurrent layer they are the last states of its units, and of the cells behind a projection.
    """

    def observe(state: StateDict, images: Tensor) -> dict[Units, Tensor]:
        found: dict[Units, Tensor] = {}

        def keep(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, inputs: Any, output: Any) -> None:
                found.update(_units_made(f"{name}." if name else "", module, output, spec))

            return hook

        kinds = (nn.RNNBase, nn.RNNCellBase)
        named = [(name, each) for name, each in model.named_modules() if is_linear(each) or isinstance(each, kinds)]
        hooks = [module.register_forward_hook(keep(name)) for name, module in named]
        try:
            with torch.no_grad(), evaluation_mode(model):
                with_state(model, state)(images)
        finally:
            for handle in hooks:
                handle.remove()
        return found

    return observe


def _units_made(prefix: str, module: nn.Module, output: Any, spec: PermutationSpec) -> dict[Units, Tensor]:
    """What a layer made, by the place of its units, if they may move."""
    if isinstance(module, nn.RNNBase):
        hidden, cells = output[1] if isinstance(output[1], tuple) else (output[1], None)
        ends = [name.removeprefix("weight_ih") for name in module._parameters if name.startswith("weight_ih")]
        made: dict[Units, Tensor] = {
            (f"{prefix}weight_hh{end}", 1): state for end, state in zip(ends, hidden, strict=True)
        }
        if module.proj_size:
            made |= {(f"{prefix}weight_hr{end}", 1): state for end, state in zip(ends, cells, strict=True)}
        return made
    if isinstance(module, nn.RNNCellBase):
        return {(f"{prefix}weight_hh", 1): output[0] if isinstance(output, tuple) else output}
    turned = is_turned(module)
    if (turned or isinstance(module, nn.Linear)) and output.ndim > 2:
        output = output.movedim(-1, 1)
    # the weight of a transposed convolution has its outputs on axis 1; with groups only those of one group
    axis = 1 if turned or isinstance(module, TRANSPOSED) else 0
    for tensor in ("weight", "parametrizations.weight.original", "parametrizations.weight.original1", "weight_v"):
        axes = spec.axes.get(prefix + tensor, ())
        if len(axes) > axis and groups_of(axes[axis]) and getattr(module, "groups", 1) * (axis > 0) <= 1:
            return {(prefix + tensor, axis): output}
    axes = spec.axes.get(f"{prefix}bias", ())
    return {(f"{prefix}bias", 0): output} if axes and groups_of(axes[0]) else {}


class _Moments:
    """First and second moments of the units of two networks, in float64, about the means of the first batch."""

    def __init__(self) -> None:
        self._shifts: tuple[Tensor, Tensor] | None = None
        self._count = 0
        self._sums: list[Tensor] = []

    def add(self, a: Tensor, b: Tensor) -> None:
        if self._shifts is None:
            self._shifts = (a.mean(0), b.mean(0))
        a, b = a - self._shifts[0], b - self._shifts[1]
        found = [a.T @ b, a.sum(0), b.sum(0), a.square().sum(0), b.square().sum(0)]
        if not self._sums:
            self._sums = [torch.zeros_like(each, dtype=torch.float64) for each in found]
        for total, each in zip(self._sums, found, strict=True):
            total += each
        self._count += len(a)

    def correlation(self) -> Tensor:
        products, (mean_a, mean_b, square_a, square_b) = self._sums[0], (each / self._count for each in self._sums[1:])
        variance_a, variance_b = square_a - mean_a.square(), square_b - mean_b.square()
        # rounding leaves a unit that never varies a variance of about that size
        still_a, still_b = (v <= 1e-6 * s for v, s in ((variance_a, square_a), (variance_b, square_b)))
        deviation_a, deviation_b = (variance.clamp_min(0).sqrt() for variance in (variance_a, variance_b))
        found = torch.empty_like(products, dtype=torch.float32)
        for rows in torch.arange(len(products)).split(_ROWS):  # all at once would take several matrices in float64
            here = slice(int(rows[0]), int(rows[-1]) + 1)
            covariance = products[here] / self._count - mean_a[here, None] * mean_b
            scaled = covariance / (deviation_a[here, None] * deviation_b)
            found[here] = torch.where(still_a[here, None] | still_b, 0.0, scaled)
        return found
