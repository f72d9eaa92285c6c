"""`lmcbook connect A B`: the command line of `lmcbook.connect`."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcbook.errors import InputError, one_line

if TYPE_CHECKING:
    from torch import nn

    from lmcbook.connecting.checkpoints import Network
    from lmcbook.connecting.connection import Connection
    from lmcbook.connecting.factories import Data

DESCRIPTION = """May two networks be averaged? Tells what their average loses, what mends it, why, and what to do next.

A and B are files (.safetensors; .pt, .pth, .ckpt, .bin without code), or folders with one or with *.index.json.
Exit code: 0 connected within the tolerance, plain or by what the first line names; 1 not; 2 not comparable.
A loss within two standard errors is within the tolerance; the first line tells if that is all that can be said."""


def add_parser(commands: Any) -> None:
    """Add the command to the parsers of `python -m lmcbook`."""
    parser = commands.add_parser(
        "connect",
        help="may two networks be averaged?",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", metavar="A", help="weights of network a")
    parser.add_argument("b", metavar="B", help="weights of network b")
    inputs = parser.add_argument_group("inputs")
    inputs.add_argument("--model", help="package.module:function, torchvision:NAME or timm:NAME")
    inputs.add_argument("--num-classes", type=int, help="classes, for a model that takes num_classes")
    inputs.add_argument("--data", help="a dataset's name, a folder of class folders, FILE.npz or FILE.safetensors")
    inputs.add_argument("--image-size", type=int, default=224, help="of images in folders (default: 224)")
    inputs.add_argument("--key", help="where the weights are in a checkpoint, as outer.inner")
    inputs.add_argument("--strip-prefix", default="", help="what every name of a tensor is to lose, such as module.")
    inputs.add_argument("--ema", action="store_true", help="take the moving average of the weights")
    what = parser.add_argument_group("what is measured")
    what.add_argument("--at", type=float, default=0.5, help="the weight of A in the average (default: 0.5)")
    what.add_argument(
        "--coefficients",
        type=int,
        default=5,
        help="points of the curve, of which only those are measured that the barrier needs (default: 5)",
    )
    what.add_argument("--match", default="weights", help="none, weights, activations or all (default: weights)")
    what.add_argument(
        "--repair",
        default="lewc_mean,mean_and_variance",
        help="none, mean, lewc_mean, mean_and_variance, or several with commas (default: lewc_mean,mean_and_variance)",
    )
    what.add_argument("--random-permutations", type=int, default=0, metavar="N", help="controls (default: 0)")
    what.add_argument("--no-layers", action="store_true", help="do not look inside")
    what.add_argument("--tolerance", type=float, help="points that may be lost (default: 1, or two standard errors)")
    effort = parser.add_argument_group("effort")
    effort.add_argument(
        "--dry-run",
        action="store_true",
        help="only what can be said before a merge: without --data from the weights, with it a forecast as well",
    )
    effort.add_argument("--examples", type=int, default=10000, help="at most this many of each role (default: 10000)")
    effort.add_argument("--device", default="cpu", help="cpu, cuda or auto (default: cpu)")
    effort.add_argument("--max-minutes", type=float, help="begin nothing new after this many minutes")
    effort.add_argument("--threads", type=int, help="CPU threads of the numerical libraries (default: theirs)")
    effort.add_argument("--quiet", action="store_true", help="no progress on stderr")
    output = parser.add_argument_group("output")
    output.add_argument("--report", type=Path, help="FILE.html, FILE.md or FILE.json")
    output.add_argument("--curve", type=Path, help="FILE.csv of the curve")
    output.add_argument("--out", type=Path, help="FILE.safetensors of the merge that the answer names, if it connects")
    output.add_argument("--force", action="store_true", help="write over files that are there")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code.

    Raises:
        InputError: the two cannot be compared, whatever the reason: another exception would end in exit code 1, which
            means that they were compared and are not connected.
    """
    try:
        return _answer(options)
    except InputError as error:
        from lmcbook.states import NotTaken  # not above, because it takes torch along

        if not isinstance(error, NotTaken) or options.data is None or not os.path.isdir(options.data):
            raise
        size = options.image_size
        raise InputError(f"{error}; images of a folder are made {size}×{size}: --image-size changes it") from error
    except BrokenPipeError:
        raise  # nobody reads the answer any more: no fault of the comparison
    except Exception as error:
        raise InputError(f"the comparison failed: {one_line(error, 300, kind=True)}") from error


def _answer(options: argparse.Namespace) -> int:
    """Compare, print and write; the exit code."""
    from lmcbook.connecting.checkpoints import read_pair
    from lmcbook.connecting.factories import build, read_data
    from lmcbook.connecting.measure import connect
    from lmcbook.connecting.reporting import ENDINGS
    from lmcbook.connecting.targets import check_target
    from lmcbook.connecting.verdict import UNDECIDED
    from lmcbook.errors import check_number
    from lmcbook.evaluation.prediction import MOST_COEFFICIENTS

    for path, endings in ((options.report, ENDINGS), (options.curve, (".csv",)), (options.out, (".safetensors",))):
        if path is not None:
            check_target(path, endings, force=options.force)
    check_number("coefficients", options.coefficients, minimum=2, maximum=MOST_COEFFICIENTS, integer=True)
    pair = read_pair(
        options.a, options.b, arguments=("A", "B"), key=options.key, strip_prefix=options.strip_prefix, ema=options.ema
    )
    model = None if options.model is None else build(options.model, options.num_classes)
    if options.dry_run:
        return _preflight(options, pair, model)
    if model is None or options.data is None:
        missing = " and ".join(name for name in ("model", "data") if getattr(options, name) is None)
        raise InputError(f"--{missing.replace(' and ', ' and --')} must be given (or --dry-run, which needs no data)")
    data = read_data(options.data, image_size=options.image_size, examples=options.examples)
    found = connect(
        model, *pair, test=data.test, calibration=data.calibration, images=data.images, at=options.at,
        coefficients=options.coefficients, match=options.match, repair=options.repair.split(","),
        layers=not options.no_layers, random_permutations=options.random_permutations, tolerance=options.tolerance,
        examples=options.examples, device=options.device, max_minutes=options.max_minutes, progress=not options.quiet,
    )  # fmt: skip
    found = replace(found, command=words_of(options))
    say(str(found))
    _write(options, found, pair, model, data)
    if found.stopped.startswith("interrupted"):
        return 130
    if found.verdict.how == UNDECIDED:
        return 2
    return 0 if found.verdict.connected else 1


def _preflight(options: argparse.Namespace, pair: "tuple[Network, Network]", model: "nn.Module | None") -> int:
    """Say what is known before anything is merged; the exit code."""
    from lmcbook.connecting.factories import read_data
    from lmcbook.connecting.forecasting import before_merging
    from lmcbook.connecting.inputs import prepare
    from lmcbook.connecting.preflight import preflight, share_start
    from lmcbook.connecting.remedies import check_remedies

    findings = preflight(*pair, model, has_images=options.data is not None)
    say("\n".join(f"{finding.level}: {finding.message}" for finding in findings))
    if any(finding.level == "error" for finding in findings):
        return 2
    if model is not None and options.data is not None:
        data = read_data(options.data, image_size=options.image_size, examples=options.examples)
        inputs = prepare(model, *pair, test=data.test, calibration=data.calibration, images=data.images,
                         examples=options.examples, device=options.device)  # fmt: skip
        repairs = check_remedies(options.match, options.repair.split(","))
        told, notes, _ = before_merging(inputs, repairs, shared_start=share_start(findings))
        say("\n".join([*(f"forecast: {line}" for line in told), *(f"note: {note}" for note in notes)]))
    return 0


def _write(
    options: argparse.Namespace, found: "Connection", pair: "tuple[Network, Network]", model: "nn.Module", data: "Data"
) -> None:
    """Write the files that were asked for, and say which."""
    from lmcbook.connecting.advice import remedy_of
    from lmcbook.connecting.merged import merge_networks
    from lmcbook.connecting.reporting import as_csv
    from lmcbook.data.whole_files import write_whole

    if options.report is not None:
        say(f"wrote {found.report(options.report, force=options.force)}")
    if options.curve is not None and found.curve:
        try:
            write_whole(options.curve, as_csv(found))
        except OSError as error:
            raise InputError(f"{options.curve} cannot be written ({error.strerror or one_line(error)})") from None
        say(f"wrote {options.curve}")
    if options.out is not None and not found.verdict.connected:
        print(f"lmcbook: {options.out} was not written, since no merge keeps what its parents can", file=sys.stderr)
    elif options.out is not None:
        match, repair = remedy_of(found.verdict.row)
        merged = merge_networks(
            model, *pair, at=options.at, test=data.test, calibration=data.calibration, images=data.images,
            examples=options.examples, match=match, repair=repair, device=options.device,
        )  # fmt: skip
        say(f"wrote {merged.save(options.out, force=options.force)}")


def words_of(options: argparse.Namespace) -> tuple[str, ...]:
    """The command that asks of the same pair again: what names it, without what is done to it and what is written."""
    words = ["lmcbook", "connect", options.a, options.b]
    texts = {
        "--model": options.model, "--num-classes": options.num_classes, "--data": options.data, "--key": options.key,
        "--strip-prefix": options.strip_prefix or None, "--tolerance": options.tolerance,
        "--image-size": None if options.image_size == 224 else options.image_size,
        "--examples": None if options.examples == 10000 else options.examples,
        "--device": None if options.device == "cpu" else options.device,
    }  # fmt: skip
    for option, value in texts.items():
        if value is not None:
            words += [option, str(value)]
    return (*words, "--ema") if options.ema else tuple(words)


def say(text: str) -> None:
    """Print, also where the terminal cannot show every letter."""
    encoding = sys.stdout.encoding or "ascii"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)
