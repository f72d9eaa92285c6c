"""`connect`: everything about the merge of two networks, measured in one call."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from lmcbook.connecting import remedies
from lmcbook.connecting.answers import Output
from lmcbook.connecting.checkpoints import Network, read_pair
from lmcbook.connecting.connection import Connection, Parent
from lmcbook.connecting.inputs import Inputs, prepare
from lmcbook.connecting.preflight import check, preflight
from lmcbook.connecting.progress import Progress
from lmcbook.connecting.remedies import DEFAULT_REPAIRS, REPAIR_IMAGES, check_remedies
from lmcbook.connecting.rows import Row, Scored, score
from lmcbook.connecting.verdict import judge
from lmcbook.errors import InputError, check_number
from lmcbook.evaluation import barriers, curve_along, ensemble_logits, predict_logits
from lmcbook.evaluation.lewc import lewc_exponent
from lmcbook.evaluation.line import Line, Logits
from lmcbook.layerwise import measure_common_mode, measure_layers
from lmcbook.merging import interpolate
from lmcbook.permutation import PermutationSpec, apply, random_permutation
from lmcbook.randomness import random_stream
from lmcbook.states import StateDict, has_batch_norm, state_sha256

LAYER_IMAGES = 256
"""Unlabelled images that the layers are measured on."""

WIDEST_RANKED = 2048
"""Ranks need an eigenvalue problem for each layer and network; beyond this it takes longer than all the rest."""

SPLIT = ("common", "isotropic", "constant_share", "predicted_from_a")
"""Of `lmcbook.measure_common_mode`, what is added to the entries of the layers."""

COEFFICIENTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def connect(
    model: nn.Module,
    a: Any,
    b: Any,
    *,
    test: Any,
    calibration: Any = None,
    images: Any = None,
    at: float | int = 0.5,
    coefficients: Sequence[float | int] = COEFFICIENTS,
    match: str = "weights",
    repair: str | Sequence[str] = DEFAULT_REPAIRS,
    layers: bool = True,
    random_permutations: int = 0,
    tolerance: float | int | None = None,
    output: Output | None = None,
    num_layers: int | None = None,
    examples: int | None = None,
    batch_size: int = 1000,
    starts: str = "fast",
    max_minutes: float | int | None = None,
    device: str = "cpu",
    seed: int = 0,
    key: str | None = None,
    strip_prefix: str = "",
    ema: bool = False,
    progress: bool = False,
) -> Connection:
    """May two networks of one architecture be averaged? What the average loses, what mends it, why, and what to do.

    Before any image passes, everything that speaks against it is told at once (`preflight`). Then the merge at λ is
    measured: plain, with batch norm recomputed, with hidden layers repaired, after a permutation of b, after both;
    beside the parents and their ensemble. All rows are of the same test images; standard errors are by resampling them.
    An interrupt (Ctrl-C) after the plain average leaves what is done.

    Args:
        model: the module of both; its own weights do not count, and it stays as it is. What it returns may be a tensor
            of logits, a tuple that begins with one, a dict with ``logits``, an object with ``.logits``, or whatever
            ``output`` makes logits of.
        a: network a, which λ multiplies: a state dict, a module, or a path as `read_network` takes it.
        b: network b, which a permutation acts on.
        test: examples that nothing is fitted on: (images, labels), something with these attributes, a dataset or an
            iterable of batches. Labels of floating point make it a regression: then there is a loss alone.
        calibration: examples that neither was trained on, for β; by default half of the test examples.
        images: training images, without augmentation or labels, for batch norm, repairs and matching; by default those
            of the calibration examples.
        at: λ of the verdict and of all rows.
        coefficients: λ of the curve; 0, 1 and ``at`` are added.
        match: ``none``, ``weights``, ``activations`` or ``all``.
        repair: one or several of `lmcbook.merging.REPAIRS`, or ``none``; by default `DEFAULT_REPAIRS`.
        layers: whether to look inside, on `LAYER_IMAGES` images.
        random_permutations: how many times b's units are shuffled at random, as a control: units that stand in order
            tell that the two share their start.
        tolerance: points of accuracy that may be lost (loss, in a regression); by default one point, or two standard
            errors if they are more (a hundredth of the loss).
        output: makes logits of what the model returns.
        num_layers: L, for LEWC's prediction of β; by default ``model.num_layers``.
        examples: the most examples of each role, drawn at random.
        batch_size: images at a time.
        starts: effort of weight matching, ``fast`` or ``best``.
        max_minutes: begin nothing new after this many minutes; what is left out is told.
        device: ``cpu``, ``cuda`` or ``auto``.
        seed: of every choice that is made at random.
        key: where the weights are in a checkpoint, as `read_network` takes it.
        strip_prefix: what every name of a tensor is to lose.
        ema: take the moving average of the weights, where a checkpoint has it.
        progress: tell on stderr what is done and how long the rest takes.

    Raises:
        InputError: the two cannot be compared; one line with everything that speaks against it.
    """
    check_number("at", at, above=0, below=1)
    check_number("random_permutations", random_permutations, minimum=0, integer=True)
    if tolerance is not None:
        check_number("tolerance", tolerance, minimum=0)
    if max_minutes is not None:
        check_number("max_minutes", max_minutes, above=0)
    repairs = check_remedies(match, repair)
    for each in coefficients:
        check_number("coefficients", each, minimum=0, maximum=1)
    if num_layers is not None:
        check_number("num_layers", num_layers, minimum=1, integer=True)
    networks = read_pair(a, b, key=key, strip_prefix=strip_prefix, ema=ema)
    findings = preflight(networks[0], networks[1], model)
    check(findings)
    inputs = prepare(
        model, *networks, test=test, calibration=calibration, images=images, output=output, examples=examples,
        device=device, seed=seed,
    )  # fmt: skip
    if inputs.task == "classification":
        lewc_exponent(inputs.model, num_layers)  # a strange ``model.num_layers`` is refused now, not in the last stage
    grid = sorted({0.0, 1.0, float(at), *(float(each) for each in coefficients)})
    run = _Run(
        inputs, float(at), grid, match=match, repairs=repairs, layers=layers, random_permutations=random_permutations,
        num_layers=num_layers, batch_size=batch_size, starts=starts, seed=seed, progress=progress,
        max_minutes=None if max_minutes is None else float(max_minutes),
    )  # fmt: skip
    run.all()
    rows = {name: scored.row for name, scored in run.scored.items()}
    examples_measured = len(inputs.test.labels)
    classes = None
    if inputs.task == "classification":
        classes = run.line.logits(float(at)).test.shape[1]
    return Connection(
        verdict=judge(rows, inputs.task, examples=examples_measured, classes=classes, tolerance=tolerance),
        rows=tuple(rows.values()),
        curve=run.curve,
        barriers=run.barriers,
        layers=tuple(run.layers),
        findings=tuple(findings),
        notes=(*inputs.notes, *run.notes),
        parents=(_parent(networks[0]), _parent(networks[1])),
        at=float(at),
        task=inputs.task,
        num_examples=examples_measured,
        seconds=run.progress.seconds,
        stopped=run.stopped,
        match=match,
    )


def _parent(network: Network) -> Parent:
    return Parent(source=network.source, sha256=network.sha256, tensors_sha256=state_sha256(network.state))


class _Run:
    """The stages of one comparison, each of which adds rows; what cannot be done leaves a note."""

    def __init__(
        self,
        inputs: Inputs,
        at: float,
        grid: Sequence[float],
        *,
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
        self.inputs, self.at, self.grid = inputs, at, grid
        self.match, self.repairs, self.random_permutations = match, repairs, random_permutations
        self.num_layers, self.batch_size, self.starts, self.seed = num_layers, batch_size, starts, seed
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
        self.stopped = ""
        self._spec: PermutationSpec | None = None
        self._clock = 0.0
        pair = len(inputs.calibration.labels) + len(inputs.test.labels)
        self._pair, self._pool = pair, len(inputs.images)
        extra = self._pool if self.normalised else 0
        few = min(self._pool, REPAIR_IMAGES)
        kinds = {"none": (), "all": ("weights", "activations")}.get(match, (match,))
        stages: list[tuple[str, float, Callable[[], None]]] = [
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
            stages.append(("layers", 8 * min(LAYER_IMAGES, self._pool), self._inside))
        walked = sum(each not in (0.0, at, 1.0) for each in grid) + 2 * self.normalised
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
        for name, logits in zip("ab", self.line.trained, strict=True):
            self._score(name, f"network {name}", logits, self._pair, coefficient=None)

    def _average(self) -> None:
        merged = interpolate(self.inputs.a, self.inputs.b, self.at)
        ends = self.line.trained
        parts = [ensemble_logits(x, y, self.at) for x, y in zip(*ends, strict=True)]
        if self.normalised:
            averaged = self._predict(self.inputs.model, merged)
            self._score("plain", "plain average (averaged statistics)", averaged, self._pair)
            found = self.line.logits(self.at)
            self._score("recomputed", "batch norm recomputed", found, self._pair + self._pool)
        else:
            self._score("plain", "plain average", self.line.logits(self.at), self._pair)
        self._score("ensemble", "ensemble of outputs", Logits(*parts), 2 * self._pair, note="both networks are kept")

    def _repaired(self) -> None:
        self._repair(self.inputs.b, "repaired", "")

    def _repair(self, b: StateDict, name: str, prefix: str) -> None:
        inputs = self.inputs
        with self._noted(f"{name} row"):
            few = min(self._pool, REPAIR_IMAGES)
            repairing = remedies.repairer(inputs, b)
            if not repairing.layers:
                if name == "repaired":
                    self.notes.append(
                        "no repair: batch norm follows every hidden layer, and recomputing it is the repair"
                    )
                return
            merged = remedies.averaged(inputs, b, self.at)
            for kind in self.repairs:
                with self._noted(f"{name}:{kind} row"):
                    self._clock = perf_counter()
                    biased, state = remedies.repaired(inputs, repairing, merged, self.at, kind)
                    passes = self._pair + 3 * few + (2 * self._pool + few if self.normalised else 0)
                    label = f"{prefix}{kind.replace('_', ' ')} repaired"
                    note = f"{len(repairing.layers)} layers, {few} images without labels"
                    self._score(f"{name}:{kind}", label, self._predict(biased, state), passes, note=note)

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
                self._repair(aligned, f"matched and repaired:{kind}", f"matched by {kind}, ")

    def _symmetry(self) -> PermutationSpec:
        if self._spec is None:
            self._spec = remedies.symmetry(self.inputs)
            unproved = self._spec.unproved
            if unproved:
                reasons = list(dict.fromkeys(unproved.values()))
                self.notes.append(
                    f"{len(unproved)} of {len(self._spec.axes)} tensors are not aligned and stay as they are "
                    f"({'; '.join(reasons[:2])})"
                )
        return self._spec

    def _shuffled(self) -> None:
        with self._noted("random permutations"):
            spec = self._symmetry()
            found, ends = [], self._ends()
            for number in range(self.random_permutations):
                generator = random_stream(self.seed, "connect", "random permutation", number)
                shuffled = apply(spec, random_permutation(spec, self.inputs.b, generator), self.inputs.b)
                logits = self._predict(self.inputs.model, remedies.averaged(self.inputs, shuffled, self.at))
                found.append(score(self.inputs, logits, name="", label="", coefficient=self.at, parents=ends).row)
            seconds = perf_counter() - self._clock
            lost = [row.lost for row in found if row.lost is not None]
            gained = [row.loss_gained for row in found if row.loss_gained is not None]
            passes = len(found) * (self._pair + (self._pool if self.normalised else 0))
            first = found[0]
            row = Row(
                name="shuffled", label="units shuffled at random", coefficient=self.at, seconds=seconds, passes=passes,
                loss=fmean(row.loss for row in found), accuracy=_mean(row.accuracy for row in found),
                calibrated_loss=_mean(row.calibrated_loss for row in found),
                inverse_temperature=_mean(row.inverse_temperature for row in found),
                lost=fmean(lost) if lost else None, loss_gained=fmean(gained), standard_error=first.standard_error,
                calibrated_loss_gained=_mean(row.calibrated_loss_gained for row in found),
                note=f"mean of {len(found)}: what order the units are in",
            )  # fmt: skip
            self.scored["shuffled"] = Scored(row=row, right=None, losses=torch.empty(0))

    def _inside(self) -> None:
        with self._noted("layers"):
            inputs = self.inputs
            merged = remedies.averaged(inputs, inputs.b, 0.5)
            few = inputs.images[:LAYER_IMAGES]
            sides = [min(t.shape[0], t[0].numel()) for t in inputs.a.values() if t.is_floating_point() and t.ndim > 1]
            ranks = max(sides, default=0) <= WIDEST_RANKED
            if not ranks:
                self.notes.append(f"no ranks: a layer has more than {WIDEST_RANKED} rows and columns, which take long")
            self.layers = measure_layers(inputs.model, inputs.a, inputs.b, {0.5: merged}, few, ranks=ranks)
        with self._noted("split of the cross-talk"):
            parts = measure_common_mode(inputs.model, few, inputs.a, inputs.b, spec=self._symmetry())
            split = {part["layer"]: part["metrics"] for part in parts}
            for entry in self.layers:
                if entry["coefficient"] is None:
                    metrics = split.get(entry["layer"], {})
                    entry["metrics"] |= {name: metrics[name] for name in SPLIT if name in metrics}

    def _walk(self) -> None:
        if self.inputs.task == "classification":
            curve = curve_along(self.line, coefficients=self.grid, num_layers=self.num_layers)
            self.curve = curve.to_dict()
            self.barriers = barriers(curve) if 0.5 in self.grid else {}
            return
        losses = [score(self.inputs, logits, name="", label="").row.loss for _, logits in self.line.walk(self.grid)]
        self.curve = {"coefficients": list(self.grid), "loss": losses}

    def _ends(self) -> tuple[Scored, ...]:
        return self.scored["a"], self.scored["b"]

    def _predict(self, model: nn.Module, state: StateDict) -> Logits:
        def of(images: Tensor) -> Tensor:
            return predict_logits(model, state, images, batch_size=self.batch_size)

        return Logits(of(self.inputs.calibration.images), of(self.inputs.test.images))

    def _score(
        self, name: str, label: str, logits: Logits, passes: int, *, coefficient: float | None = -1.0, note: str = ""
    ) -> None:
        parents = () if coefficient is None else self._ends()
        self.scored[name] = score(
            self.inputs, logits, name=name, label=label, coefficient=self.at if parents else None, parents=parents,
            seconds=perf_counter() - self._clock, passes=passes, note=note, seed=self.seed,
        )  # fmt: skip
        self._clock = perf_counter()

    @contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        """A part that this network does not allow is left out, and that is told."""
        try:
            yield
        except InputError as error:
            self.notes.append(f"no {what}: {error}")


def _mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
