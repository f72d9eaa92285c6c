"""What `measure_layers` walks through: the layers of a network, one after the other, with the weights of any state."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from lmcbook.models import LayeredModel, LayerTrace, linear_map, steps
from lmcbook.states import StateDict


class MeasuredLayer(NamedTuple):
    """What is known of a layer before any image has passed."""

    name: str
    depth: int | None
    """ℓ, from 1; None for a shortcut, which has no place in the count of layers."""
    weight_key: str | None
    """The key of its weight in a state dict; None where only a module's output is measured."""
    activation: Callable[[Tensor], Tensor] | None
    """What follows, elementwise; None where nothing does."""
    reads_images: bool
    """Whether no weight stands between the images and this layer, so that all networks give it the same input."""


@runtime_checkable
class LayeredNetwork(Protocol):
    """A network whose layers can be walked through."""

    layers: tuple[MeasuredLayer, ...]
    """In the order in which `steps` gives them."""

    def steps(
        self, state: StateDict, images: Tensor, known: MutableMapping[str, Tensor] | None = None
    ) -> Iterator[LayerTrace]:
        """The layers of the network with the weights ``state``: every layer is computed when it is asked for.

        ``known`` holds linear outputs by the layer's name that need not be computed; an entry is taken out by its use.
        """

    def linear_map(self, layer: MeasuredLayer, state: StateDict, inputs: Tensor) -> Tensor:
        """W z: the layer's weight in ``state``, applied to any inputs of the layer."""


class FoldedNetwork:
    """A `LayeredModel`: its own fold gives the layers, a shortcut before the layer that opens its skip."""

    def __init__(self, model: LayeredModel) -> None:
        self._model = model
        layers = []
        for depth, name in enumerate(model.layer_names, start=1):
            if name in model.shortcuts:
                layers.append(self._layer(model.shortcuts[name], None))
            layers.append(self._layer(name, depth))
        self.layers = tuple(layers)

    def _layer(self, name: str, depth: int | None) -> MeasuredLayer:
        return MeasuredLayer(
            name, depth, self._model.weight_key(name), self._model.layer(name).activation, reads_images=depth == 1
        )

    def steps(
        self, state: StateDict, images: Tensor, known: MutableMapping[str, Tensor] | None = None
    ) -> Iterator[LayerTrace]:
        """See `LayeredNetwork`; a shortcut's trace is that of its linear map."""
        model = self._model
        first = known.pop(model.layer_names[0], None) if known else None
        for step in steps(model, state, images, first_linear_output=first):
            if step.name in model.shortcuts:
                shortcut = model.shortcuts[step.name]
                product = linear_map(model, state, shortcut, step.input)
                yield LayerTrace(shortcut, 0, step.input, product, product, product)
            yield step
            del step

    def linear_map(self, layer: MeasuredLayer, state: StateDict, inputs: Tensor) -> Tensor:
        """See `LayeredNetwork`."""
        return linear_map(self._model, state, layer.name, inputs)
