"""One pair of trained networks with its data: read and hashed once, aligned once, for all measurements of the pair."""

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lmcbook.data import Splits, in_memory
from lmcbook.evaluation import Line
from lmcbook.lab.config import PairConfig
from lmcbook.lab.store import Run
from lmcbook.matching import activation_matching, observe_layers, weight_matching
from lmcbook.models import build_model, permutation_spec
from lmcbook.permutation import apply, check_function_preserved, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict
from lmcbook.training.config import TrainingConfig

_CHECKED_WIDTH = 0.125


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Model b as an alignment leaves it."""

    state: StateDict
    told: dict[str, Any]
    """What there is to say of the search in a record; empty where nothing was searched."""
    cpu_seconds: float
    """CPU seconds that the search took."""


class PairSession:
    """What all measurements of one pair of networks share: data, both networks, the model, alignments and lines.

    A measurement is a function of a session and of its own configuration. Alignments and lines are made when a
    measurement first asks for them, and kept.

    Args:
        pair: any measurement of the pair.
        splits: its data, on the device of the session.
        run_a: the training of model a, as the store gives it.
        run_b: that of model b.
        more: those of the further networks that ``more_seeds`` of the pair asks for.
        progress: whether a search shows how far it is.
    """

    def __init__(
        self, pair: PairConfig, splits: Splits, run_a: Run, run_b: Run, *more: Run, progress: bool = True
    ) -> None:
        self.pair, self.splits, self.runs, self.progress = pair, splits, (run_a, run_b, *more), progress
        self.device = splits.test.images.device
        # of the network itself only the structure is used: its tensors are the pair's
        self.model = build_model(
            pair.training, input_shape=splits.input_shape, num_classes=splits.num_classes, device="meta"
        )
        self.states = [{name: tensor.to(self.device) for name, tensor in run.state.items()} for run in self.runs]
        self.state_a, self.state_b = self.states[:2]
        self._aligned: dict[tuple[str, int], Alignment] = {}
        self._lines: dict[tuple[str, int, int], Line] = {}

    def holds(self, pair: PairConfig) -> bool:
        """Whether ``pair`` is a measurement of the same two networks."""
        return same_networks(pair) == same_networks(self.pair)

    def aligned(self, pair: PairConfig) -> Alignment:
        """Model b after the alignment of ``pair``.

        Raises:
            InputError: the table of the architecture's symmetry is wrong.
        """
        key = (pair.alignment, pair.matching_examples)
        if key not in self._aligned:
            self._aligned[key] = self._align(pair)
        return self._aligned[key]

    def line(self, pair: PairConfig) -> Line:
        """The line from model b after the alignment of ``pair`` to model a, with the pair's data."""
        key = (pair.alignment, pair.matching_examples, pair.batch_norm_examples)
        if key not in self._lines:
            self._lines[key] = Line(
                self.model,
                self.state_a,
                self.aligned(pair).state,
                calibration=self.splits.calibration,
                test=self.splits.test,
                batch_norm_images=self.sample(pair.batch_norm_examples),
            )
        return self._lines[key]

    def sample(self, num_examples: int) -> Tensor:
        """The fixed sample of un-augmented training images that recomputes batch-norm statistics.

        Examples stand in the order of their hashes, so the first are a fair sample.
        """
        return self.splits.train.images[:num_examples]

    def _align(self, pair: PairConfig) -> Alignment:
        if pair.alignment == "identity":
            return Alignment(state=self.state_b, told={}, cpu_seconds=0.0)
        spec = permutation_spec(self.model)
        if pair.alignment == "random":
            generator = random_stream(pair.seeds[1], "permutation", pair.seeds[0])
            permuted = apply(spec, random_permutation(spec, self.state_b, generator), self.state_b)
            return Alignment(state=permuted, told={}, cpu_seconds=0.0)
        _check_table(pair.training, self.splits)
        started = time.process_time()
        states: Any = (spec, self.state_a, self.state_b)
        options: Any = {"model": None, "progress": self.progress}
        if pair.alignment == "weight_matching":
            matching = weight_matching(*states, seed=pair.seeds[0], **options)
        else:
            images = in_memory(self.sample(pair.matching_examples))
            matching = activation_matching(*states, observe=observe_layers(self.model), images=images, **options)
        seconds = time.process_time() - started
        told = {name: getattr(matching, name) for name in ("objective", "l2_distance", "identity_objective", "sweeps")}
        return Alignment(state=apply(spec, matching.permutation, self.state_b), told=told, cpu_seconds=seconds)


def same_networks(pair: PairConfig) -> tuple[TrainingConfig, ...]:
    """What two measurements have in common that may share a session: the two trainings, and any further trainings."""
    return pair.training_a, pair.training_b, *(replace(pair.training, seed=seed) for seed in pair.more_seeds)


def _check_table(training: TrainingConfig, splits: Splits) -> None:
    """Try the table of an architecture's symmetry on a narrow network, in float64.

    Width does not come into the table; there the check is cheap and rounding, which 50 layers of batch norm or TF32
    would blow up, cannot be taken for a fault.
    """
    width = min(training.width_multiplier, _CHECKED_WIDTH)
    narrow = replace(training, seed=0, width_multiplier=width)
    model = build_model(narrow, input_shape=splits.input_shape, num_classes=splits.num_classes).double()
    images = torch.randn(16, *splits.input_shape, generator=random_stream(0, "check images"), dtype=torch.float64)
    check_function_preserved(model, permutation_spec(model), model.state_dict(), images, random_stream(0, "check"))
