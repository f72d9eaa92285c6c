"""From groups of hidden units per layer to the permutation table of all tensors."""

from collections.abc import Mapping

from lmcbook.models.layered import LayeredModel
from lmcbook.permutation import PermutationSpec


def spec_from_groups(model: LayeredModel, groups: Mapping[str, tuple[str | None, str | None]]) -> PermutationSpec:
    """The table of tensors from one of layers: layer (or shortcut) → (group that it reads, group that it writes)."""
    axes: dict[str, tuple[str | None, ...]] = {}
    for name, (reads, writes) in groups.items():
        layer = model.layer(name)
        for key, tensor in layer.state_dict().items():
            if key == "linear.weight":
                axes[f"{name}.{key}"] = (writes, reads, *[None] * (tensor.dim() - 2))
            else:
                group = reads if key.startswith("prepare.") else writes
                axes[f"{name}.{key}"] = (group, *[None] * (tensor.dim() - 1)) if tensor.dim() else ()
    return PermutationSpec({key: axes[key] for key in model.state_dict() if key in axes})


def chain_permutation_spec(model: LayeredModel) -> PermutationSpec:
    """One group per hidden layer, named after it: the spec of a network without skips."""
    names = model.layer_names
    reads, writes = (None, *names[:-1]), (*names[:-1], None)
    return spec_from_groups(model, dict(zip(names, zip(reads, writes, strict=True), strict=True)))
