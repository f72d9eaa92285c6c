"""`connect`: everything about the merge of two networks, measured in one call."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from lmcbook.connecting.answers import Output
from lmcbook.connecting.checkpoints import Network, read_pair
from lmcbook.connecting.connection import Connection, Parent
from lmcbook.connecting.inputs import prepare
from lmcbook.connecting.preflight import check, preflight, share_start
from lmcbook.connecting.remedies import DEFAULT_REPAIRS, check_remedies
from lmcbook.connecting.stages import Stages
from lmcbook.connecting.verdict import judge
from lmcbook.errors import check_number
from lmcbook.errors.arguments import checked_by_annotation, shares
from lmcbook.evaluation import coefficients_grid
from lmcbook.evaluation.lewc import lewc_exponent
from lmcbook.evaluation.prediction import MOST_COEFFICIENTS
from lmcbook.states import state_sha256

COEFFICIENTS = (0.0, 0.25, 0.5, 0.75, 1.0)


@checked_by_annotation
def connect(
    model: nn.Module,
    a: Any,
    b: Any,
    *,
    test: Any,
    calibration: Any = None,
    images: Any = None,
    at: float | int = 0.5,
    coefficients: int | Sequence[float | int] = COEFFICIENTS,
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

    Before any image passes, everything that speaks against it is said at once (`preflight`). Then the merge at λ is
    measured: plain, with batch norm recomputed, with hidden layers repaired, after a permutation of b, after both;
    beside the parents and their ensemble. All rows are of the same test images; standard errors are by resampling them.
    An interrupt (Ctrl-C) after the plain average leaves what is done.

    Args:
        model: the module of both; its own weights do not count, and it is not changed. What it returns may be a tensor
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
        coefficients: λ of the curve; 0, 1 and ``at`` are added. A whole number stands for an equally spaced grid, of
            which only those λ are measured that the barrier needs (`points_of_barrier`).
        match: ``none``, ``weights``, ``activations`` or ``all``.
        repair: one or several of `lmcbook.merging.REPAIRS`, or ``none``; by default `DEFAULT_REPAIRS`.
        layers: whether to look inside, on `lmcbook.connecting.forecasting.LAYER_IMAGES` images.
        random_permutations: how many times b's units are shuffled at random, as a control: units that stand in order
            tell that the two share their start.
        tolerance: points of accuracy that may be lost (loss, in a regression); by default one point, or two standard
            errors if they are more (a hundredth of the loss).
        output: makes logits of what the model returns.
        num_layers: L, for LEWC's prediction of β; by default ``model.num_layers``.
        examples: the most examples of each role, drawn at random.
        batch_size: images at a time.
        starts: effort of weight matching, ``fast`` or ``best``.
        max_minutes: begin nothing new after this many minutes; the answer names what is left out.
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
    if adaptive := isinstance(coefficients, int):
        check_number("coefficients", coefficients, minimum=2, maximum=MOST_COEFFICIENTS, integer=True)
        points = coefficients_grid(coefficients)
    else:
        points = shares("coefficients", coefficients)
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
    grid = sorted({0.0, 1.0, float(at), *(float(each) for each in points)})
    run = Stages(
        inputs, float(at), grid, adaptive=adaptive, shared_start=share_start(findings),
        match=match, repairs=repairs, layers=layers, random_permutations=random_permutations, num_layers=num_layers,
        batch_size=batch_size, starts=starts, seed=seed, progress=progress,
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
        forecast=tuple(run.forecast),
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
