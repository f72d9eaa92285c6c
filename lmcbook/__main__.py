"""`lmcbook` and `python -m lmcbook`: a thin shell over the package; bad input ends in one line and exit code 2."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from lmcbook.connecting.command import add_parser as add_connect
from lmcbook.data.command import add_parser as add_data
from lmcbook.data.paths import home_expanded
from lmcbook.errors import InputError
from lmcbook.lab import failures, paths, plan
from lmcbook.lab.surroundings import check_environment, number_of_processes, set_threads
from lmcbook.lab.terminal import make_printable


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, as everything else does."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; `{self.prog} --help` tells what it takes")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    make_printable()
    try:
        options = _parser().parse_args(arguments)
        for notice in check_environment():
            print(f"lmcbook: {notice}", file=sys.stderr)
        set_threads(getattr(options, "threads", None))
        return options.command(options) or 0
    except BrokenPipeError:  # whoever read what we print has read enough; nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (Exception, KeyboardInterrupt) as error:
        known = failures.told(error)
        if known is None:
            raise
        message, code = known
        print(f"lmcbook: {message}", file=sys.stderr)
        return code


def _path(text: str) -> Path:
    if not text:  # Path("") is the working directory, which nobody means by an empty variable
        raise argparse.ArgumentTypeError("it is an empty text; it must be the path of a file or a folder")
    try:
        return home_expanded(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _check_folder(records: Path | None) -> None:
    if records is not None and not records.is_dir():
        raise InputError(f"records folder is {str(records)!r}, which is no folder; give one that holds records")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lmcbook",
        description="Average two networks, train and measure pairs of them, and make the book of what was measured.",
        epilog="`lmcbook COMMAND --help` tells what a command takes. Bad input: one line and exit code 2.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_connect(commands)
    _add_reproduce(commands)
    _add_plan(commands)
    _add_run(commands)
    _add_verify(commands)
    _add_job(commands)
    _add_book(commands)
    add_data(commands)
    _add_records(commands)
    return parser


def _add_scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", default="embedded", help=f"one of {', '.join(plan.SCALES)} (default: embedded)")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", action="append", help="only this recipe (may be given several times)")
    parser.add_argument("--notebook", action="append", help="only what this notebook shows (likewise)")


def _add_shard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shard", metavar="K/N", help="only the K-th of N shares of it, for N machines (default: all)")


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")


def _add_precision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--precision", help="float32 or bfloat16 for all trainings (default: the plan's own)")


def _add_reproduce(commands: "argparse._SubParsersAction[Any]") -> None:
    parser = commands.add_parser("reproduce", help="train, measure, run the notebooks and build the book")
    _add_scale(parser)
    parser.add_argument(
        "--cores", type=int, default=os.cpu_count() or 1, help="processes at a time (default: all cores)"
    )
    parser.add_argument("--profile", help="a Snakemake profile, for example profiles/slurm")
    _add_device(parser)
    _add_choice(parser)
    parser.add_argument("--no-book", action="store_true", help="stop before the notebooks and the book")
    parser.set_defaults(command=_reproduce)


def _reproduce(options: argparse.Namespace) -> int:
    from lmcbook.pages.workflow import reproduce

    return reproduce(
        options.scale,
        cores=options.cores,
        device=options.device,
        profile=options.profile,
        with_book=not options.no_book,
        recipes=options.recipe,
        notebooks=options.notebook,
    )


def _add_plan(commands: "argparse._SubParsersAction[Any]") -> None:
    parser = commands.add_parser("plan", help="what exists, what is missing and what it would cost")
    _add_scale(parser)
    parser.add_argument("--device", default="auto", help="the device whose time is estimated (default: auto)")
    _add_choice(parser)
    _add_shard(parser)
    parser.add_argument("--all", action="store_true", help="list every pair in its order, not the sums of each width")
    parser.add_argument("--max-minutes", type=float, help="also say what this many minutes buy")
    _add_precision(parser)
    parser.add_argument(
        "--records", type=_path, help="folder of the records (default: those measured here, then the committed)"
    )
    parser.set_defaults(command=_plan)


def _plan(options: argparse.Namespace) -> None:
    from lmcbook.lab.budget import describe_plan

    _check_folder(options.records)
    print(describe_plan(options.scale, every=options.all, **_asked_for(options)))


def _asked_for(options: argparse.Namespace) -> dict[str, Any]:
    """Which part of the plan, where and for how long: options of `plan` and of `run`."""
    return {
        "device": options.device,
        "max_minutes": options.max_minutes,
        "folder": options.records,
        "precision": options.precision,
        "recipes": options.recipe,
        "notebooks": options.notebook,
        "shard": options.shard,
    }


def _add_run(commands: "argparse._SubParsersAction[Any]") -> None:
    parser = commands.add_parser("run", help="work off what is missing, inside a time budget and without Snakemake")
    _add_scale(parser)
    parser.add_argument(
        "--max-minutes", type=float, help="stop cleanly after this many minutes (default: when all is done)"
    )
    parser.add_argument(
        "--records",
        type=_path,
        help="folder that records are read from and written to (default: what is neither in runs/records nor "
        "committed is missing, and goes into runs/records)",
    )
    _add_choice(parser)
    _add_shard(parser)
    _add_device(parser)
    _add_precision(parser)
    parser.add_argument(
        "--forget-weights", action="store_true", help="delete a pair's networks once its records are written"
    )
    parser.add_argument("--threads", type=int, help="CPU threads of the numerical libraries (default: the fastest now)")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from lmcbook.lab.budget import TasksFailed, run_within_budget

    failed: list[TasksFailed] = []

    def work() -> None:
        try:
            begin()
        except TasksFailed as error:  # all others were done: processes that take part have nothing left to do
            failed.append(error)

    def begin() -> None:
        run_within_budget(options.scale, forget_weights=options.forget_weights, **_asked_for(options))

    if number_of_processes() > 1:  # torchrun started this process and others
        from lmcbook.training.processes import conduct

        conduct(work, device=options.device)
    else:
        work()
    for error in failed:
        print(f"lmcbook: {error}", file=sys.stderr)
    return 1 if failed else 0


def _add_verify(commands: "argparse._SubParsersAction[Any]") -> None:
    parser = commands.add_parser("verify", help="train and measure a sample of the records again, and compare")
    _add_scale(parser)
    parser.add_argument("--sample", type=int, default=5, help="how many records are drawn (default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="what is drawn (default: 0)")
    parser.add_argument("--recipe", action="append", help="only of this recipe (may be given several times)")
    parser.add_argument("--max-minutes", type=float, help="stop after this many minutes (default: when all is done)")
    parser.add_argument("--records", type=_path, help="folder of the records (default: the committed)")
    _add_device(parser)
    parser.set_defaults(command=_verify)


def _verify(options: argparse.Namespace) -> int:
    from lmcbook.lab.verify import AGREES, DISAGREES, verify

    _check_folder(options.records)
    verdicts = verify(
        options.scale,
        sample=options.sample,
        seed=options.seed,
        recipes=options.recipe,
        folder=options.records,
        device=options.device,
        max_minutes=options.max_minutes,
    )
    words = {verdict.word for verdict in verdicts}
    return 0 if AGREES in words and DISAGREES not in words else 1


def _add_job(commands: "argparse._SubParsersAction[Any]") -> None:
    parser = commands.add_parser("job", help="work off one job of the plan (Snakemake calls this)")
    _add_scale(parser)
    _add_choice(parser)
    parser.add_argument("name", help="name of the job, as the receipts have it")
    parser.add_argument("--receipt", type=_path, required=True, help="file that says the job is done")
    _add_device(parser)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the numerical libraries (default: 1)")
    parser.set_defaults(command=_job)


def _job(options: argparse.Namespace) -> None:
    from lmcbook.pages.workflow import work_off_job

    chosen = {"recipes": options.recipe, "notebooks": options.notebook}
    work_off_job(options.scale, options.name, receipt=options.receipt, device=options.device, **chosen)


def _add_book(commands: "argparse._SubParsersAction[Any]") -> None:
    parser = commands.add_parser(
        "book", help="execute stale notebooks and build book/_build/html; every warning is an error"
    )
    parser.set_defaults(command=_book)


def _book(options: argparse.Namespace) -> int:
    from lmcbook.pages.workflow import build_book

    return build_book()


def _add_records(commands: "argparse._SubParsersAction[Any]") -> None:
    records = commands.add_parser("records", help="bring records of an older version up to date").add_subparsers(
        required=True, metavar="WHAT"
    )
    migrate = records.add_parser("migrate", help="mend what can be mended from the records alone")
    migrate.add_argument("folder", type=_path, nargs="?", help="folder of the records (default: runs/records)")
    migrate.set_defaults(command=_records_migrate)


def _records_migrate(options: argparse.Namespace) -> None:
    from lmcbook.lab.records import migrate

    _check_folder(options.folder)
    for path in migrate(options.folder or paths.fresh_records()):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
