"""The stages of one comparison: each adds rows, layers or a curve, and what a network does not allow leaves a note."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from time import perf_counter
from typing import Any

from torch import Tensor, nn

from lmcbook.connecting import forecasting, remedies
from lmcbook.connecting.adaptive import Worth, points_of_barrier
from lmcbook.connecting.inputs import Inputs
from lmcbook.connecting.progress import Progress
from lmcbook.connecting.remedies import REPAIR_IMAGES
from lmcbook.connecting.rows import Scored, mean_of, score
from lmcbook.connecting.verdict import LOSS_SHARE, POINTS, told
from lmcbook.errors import InputError
from lmcbook.evaluation import accuracy, barriers, curve_along, ensemble_logits, loss, predict_logits
from lmcbook.evaluation.line import Line, Logits
from lmcbook.layerwise.networks import LayeredNetwork
from lmcbook.merging import interpolate
from lmcbook.permutation import PermutationSpec, apply, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict, has_batch_norm


class Stages:
    """The stages of one comparison, each of which adds rows; what cannot be done leaves a note."""

    def __init__(
        self,
        inputs: Inputs,
        at: float,
        grid: Sequence[float],
        *,
        adaptive: bool,
        shared_start: bool,
        match: str,
        repairs: Sequence[str],
        layers: bool,
        random_permutations: int,
        num_layers: int | None,
        batch_size: int,
        starts: str,
        seed: int,
        progress: bool,
        max_minutes: float | None,
    ) -> None:
        self.inputs, self.at, self.grid, self.adaptive = inputs, at, grid, adaptive
        self.match, self.repairs, self.random_permutations = match, repairs, random_permutations
        self.num_layers, self.batch_size, self.starts, self.seed = num_layers, batch_size, starts, seed
        self.shared_start = shared_start
        self.normalised = has_batch_norm(inputs.model)
        self.line = Line(
            inputs.model, inputs.a, inputs.b, calibration=inputs.calibration, test=inputs.test,
            batch_norm_images=inputs.images if self.normalised else None, batch_size=batch_size,
        )  # fmt: skip
        self.scored: dict[str, Scored] = {}
        self.curve: dict[str, Any] = {}
        self.barriers: dict[str, float] = {}
        self.layers: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.forecast: list[str] = []
        self.stopped = ""
        self._spec: PermutationSpec | None = None
        self._network: LayeredNetwork | None = None
        self._clock = 0.0
        pair = len(inputs.calibration.labels) + len(inputs.test.labels)
        self._pair, self._pool = pair, len(inputs.images)
        extra = self._pool if self.normalised else 0
        few = min(self._pool, REPAIR_IMAGES)
        kinds = {"none": (), "all": ("weights", "activations")}.get(match, (match,))
        looked = min(forecasting.LAYER_IMAGES, self._pool)
        stages: list[tuple[str, float, Callable[[], None]]] = (
            [("forecast", 14 * looked, self._forecast)] if layers else []
        )
        stages += [
            ("parents", 2 * pair, self._parents),
            ("plain average", pair + extra, self._average),
        ]
        if repairs:
            stages.append(("repair", len(repairs) * pair + (2 + len(repairs)) * few, self._repaired))
        for kind in kinds:
            cost = (1 + bool(repairs)) * pair + 6 * few + extra
            stages.append((f"matching by {kind}", cost, lambda kind=kind: self._matched(kind)))  # type: ignore[misc]
        if random_permutations:
            stages.append(("random permutations", random_permutations * (pair + extra), self._shuffled))
        if layers:
            stages.append(("layers", 8 * looked, self._inside))
        walked = min(len(grid), 8 if adaptive else len(grid)) - 3 + 2 * self.normalised
        stages.append(("curve", walked * (pair + extra), self._walk))
        self._stages = stages
        self.progress = Progress({name: cost for name, cost, _ in stages}, show=progress, max_minutes=max_minutes)

    def all(self) -> None:
        """Every stage, until the time is up or the user interrupts; the parents and the average are not optional."""
        try:
            for name, _, work in self._stages:
                if "plain" in self.scored and self.progress.time_is_up:
                    self.stopped = self.stopped or f"the time was up before: {name}"
                    continue
                self.progress.begin(name)
                self._clock = perf_counter()
                work()
        except KeyboardInterrupt:
            if "plain" not in self.scored:
                raise
            self.stopped = "interrupted: what was done until then is here"
        finally:
            self.progress.end()

    def _parents(self) -> None:
        ends = self.line.trained
        each = (perf_counter() - self._clock) / 2
        for name, logits in zip("ab", ends, strict=True):
            self._score(name, f"network {name}", logits, self._pair, coefficient=None, seconds=each)

    def _average(self) -> None:
        ends = self.line.trained
        parts = [ensemble_logits(x, y, self.at) for x, y in zip(*ends, strict=True)]
        if self.normalised:
            averaged = self._predict(self.inputs.model, interpolate(self.inputs.a, self.inputs.b, self.at))
            self._score("plain", "plain average (averaged statistics)", averaged, self._pair)
            found = self.line.logits(self.at)
            self._score("recomputed", "batch norm recomputed", found, self._pair + self._pool)
        else:
            self._score("plain", "plain average", self.line.logits(self.at), self._pair)
        both = sum(scored.row.seconds for scored in self._ends())
        note = "both networks are kept, and answer"
        self._score("ensemble", "ensemble of outputs", Logits(*parts), 2 * self._pair, note=note, seconds=both)
        average = self.scored["recomputed" if self.normalised else "plain"].row
        self.progress.tell(f"first answer: {average.label} {told(average, self.inputs.task)}")

    def _repaired(self) -> None:
        self._repair(self.inputs.b, None, "repaired", "")

    def _repair(self, b: StateDict, merged: StateDict | None, name: str, prefix: str) -> None:
        inputs = self.inputs
        with self._noted(f"{name} row"):
            few = min(self._pool, REPAIR_IMAGES)
            repairing = remedies.repairer(inputs, b)
            if not repairing.layers:
                if name == "repaired":
                    self.notes.append(
                        "no repair: "
                        + (
                            "batch norm follows every hidden layer, and recomputing it is the repair"
                            if self.normalised
                            else "no hidden layer is a linear layer or convolution that is called once, as a module"
                        )
                    )
                return
            merged = remedies.averaged(inputs, b, self.at) if merged is None else merged
            for kind in self.repairs:
                with self._noted(f"{name}:{kind} row"):
                    self._clock = perf_counter()
                    state = remedies.repaired(inputs, repairing, merged, self.at, kind)
                    passes = self._pair + 3 * few + (2 * self._pool + few if self.normalised else 0)
                    label = f"{prefix}{kind.replace('_', ' ')} repaired"
                    note = f"{len(repairing.layers)} layers, {few} images without labels"
                    self._score(f"{name}:{kind}", label, self._predict(repairing.module, state), passes, note=note)
                    del state  # before the next kind makes its own

    def _matched(self, kind: str) -> None:
        with self._noted(f"matching by {kind}"):
            spec = self._symmetry()
            began = perf_counter()
            aligned = remedies.align(self.inputs, spec, kind, starts=self.starts, seed=self.seed)
            searched = perf_counter() - began
            before = self.line.trained[1].test
            moved = (predict_logits(self.inputs.model, aligned, self.inputs.test.images) - before).abs().max()
            merged = remedies.averaged(self.inputs, aligned, self.at)
            note = f"search {searched:.1f} s; permuting moves an output by {float(moved):.1g} at most"
            passes = self._pair + (self._pool if self.normalised else 0)
            logits = self._predict(self.inputs.model, merged)
            self._score(f"matched:{kind}", f"matched by {kind}", logits, passes, note=note)
            if self.repairs and not self.progress.time_is_up:
                self._repair(aligned, merged, f"matched and repaired:{kind}", f"matched by {kind}, ")

    def _symmetry(self) -> PermutationSpec:
        if self._spec is None:
            self._spec = remedies.symmetry(self.inputs)
            unproved = self._spec.unproved
            if unproved:
                reasons = list(dict.fromkeys(unproved.values()))
                self.notes.append(
                    f"{len(unproved)} of {len(self._spec.axes)} tensors are not aligned and stay unchanged "
                    f"({'; '.join(reasons[:2])})"
                )
        return self._spec

    def _layered(self) -> LayeredNetwork:
        if self._network is None:
            self._network = forecasting.layers_to_walk(self.inputs)
        return self._network

    def _shuffled(self) -> None:
        with self._noted("random permutations"):
            spec = self._symmetry()
            found: list[Scored] = []
            for number in range(self.random_permutations):
                generator = random_stream(self.seed, "connect", "random permutation", number)
                shuffled = apply(spec, random_permutation(spec, self.inputs.b, generator), self.inputs.b)
                logits = self._predict(self.inputs.model, remedies.averaged(self.inputs, shuffled, self.at))
                found.append(
                    score(
                        self.inputs,
                        logits,
                        name="",
                        label="",
                        coefficient=self.at,
                        parents=self._ends(),
                        seed=self.seed,
                    )
                )
            self.scored["shuffled"] = mean_of(
                found, name="shuffled", label="units shuffled at random", seconds=perf_counter() - self._clock,
                passes=len(found) * (self._pair + (self._pool if self.normalised else 0)), parents=self._ends(),
                note=f"mean of {len(found)}: what order the units are in", seed=self.seed,
            )  # fmt: skip

    def _forecast(self) -> None:
        self.forecast, notes, self.layers = forecasting.before_merging(
            self.inputs, self.repairs, shared_start=self.shared_start, symmetry=self._symmetry, layered=self._layered,
            seed=self.seed,
        )  # fmt: skip
        self.notes += notes

    def _inside(self) -> None:
        with self._noted("layers of the merge"):
            # decay exponents are defined at the midpoint; the laws' cosines are of the merge that was asked about, too
            merged = {each: remedies.averaged(self.inputs, self.inputs.b, each) for each in {0.5, self.at}}
            self.layers += forecasting.layers_of_merge(self.inputs, self._layered(), merged)

    def _walk(self) -> None:
        if self.adaptive:
            ends = [row.loss for row in (self.scored["a"].row, self.scored["b"].row)]
            error = self.scored["plain"].row.standard_error or 0.0
            least = max(LOSS_SHARE * fmean(ends), self.scored["plain"].row.loss_standard_error or 0.0)
            self.grid = points_of_barrier(self.grid, self._worth, (least, max(POINTS / 100, error)), always=[self.at])
        if self.inputs.task == "classification":
            curve = curve_along(self.line, coefficients=self.grid, num_layers=self.num_layers)
            self.curve = curve.to_dict()
            self.barriers = barriers(curve) if 0.5 in self.grid else {}
            return
        losses = [score(self.inputs, logits, name="", label="").row.loss for _, logits in self.line.walk(self.grid)]
        self.curve = {"coefficients": list(self.grid), "loss": losses}

    def _worth(self, coefficient: float) -> Worth:
        test, labels = self.line.logits(coefficient).test, self.inputs.test.labels
        if self.inputs.task == "regression":
            return float((test.double() - labels.double()).square().mean()), 0.0
        return loss(test, labels), 1 - accuracy(test, labels)

    def _ends(self) -> tuple[Scored, ...]:
        return self.scored["a"], self.scored["b"]

    def _predict(self, model: nn.Module, state: StateDict) -> Logits:
        def of(images: Tensor) -> Tensor:
            return predict_logits(model, state, images, batch_size=self.batch_size)

        return Logits(of(self.inputs.calibration.images), of(self.inputs.test.images))

    def _score(
        self,
        name: str,
        label: str,
        logits: Logits,
        passes: int,
        *,
        coefficient: float | None = -1.0,
        note: str = "",
        seconds: float | None = None,
    ) -> None:
        parents = () if coefficient is None else self._ends()
        self.scored[name] = score(
            self.inputs, logits, name=name, label=label, coefficient=self.at if parents else None, parents=parents,
            seconds=perf_counter() - self._clock if seconds is None else seconds, passes=passes, note=note,
            seed=self.seed,
        )  # fmt: skip
        self._clock = perf_counter()

    @contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        """A part that this network does not allow is left out, and the answer says so."""
        try:
            yield
        except InputError as error:
            self.notes.append(f"no {what}: {error}")
