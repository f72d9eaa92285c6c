"""`lmcbook data`: the command line of datasets."""

import argparse
from typing import Any

IMPORT = """Make a dataset of a folder with a folder of images for each class, FOLDER/CLASS/*,
or FOLDER/train/CLASS/* and FOLDER/test/CLASS/* (or val).

Any format that Pillow reads; photographs are turned upright; at least 5 images of each class, or 2 of train and 1 of
test. Images of several sizes need --resize. The report names what is left out, changed or there twice.
The page "Run it yourself" of the book has all rules."""


def add_parser(commands: Any) -> None:
    """Add the command to the parsers of `python -m lmcbook`."""
    data = commands.add_parser("data", help="list, download or import datasets").add_subparsers(
        required=True, metavar="WHAT"
    )
    data.add_parser("list", help="known and imported datasets, and which are here").set_defaults(command=_list)
    get = data.add_parser("get", help="download and convert known datasets")
    get.add_argument("names", nargs="+", metavar="NAME")
    get.set_defaults(command=_get)
    bring = data.add_parser(
        "import",
        help="make a dataset of a folder with a folder of images for each class",
        description=IMPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    bring.add_argument("folder", type=_folder, metavar="FOLDER")
    bring.add_argument("--name", required=True, help="what the dataset shall be called")
    bring.add_argument(
        "--resize", type=int, metavar="N", help="make every image N×N: its middle, as large as it can be, resized"
    )
    bring.set_defaults(command=_import)


def _folder(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("it is an empty text; it must be the path of a folder")
    return text


def _list(options: argparse.Namespace) -> None:
    from lmcbook.data import list_datasets

    rows = list_datasets()
    for row in [{column: column for column in rows[0]}, *rows]:
        print("  ".join(f"{value:<{max(len(one[column]) for one in rows)}}" for column, value in row.items()).rstrip())


def _get(options: argparse.Namespace) -> None:
    from lmcbook.data import get

    for name in options.names:
        print(get(name))


def _import(options: argparse.Namespace) -> None:
    from lmcbook.data import import_images

    import_images(options.folder, options.name, resize=options.resize, tell=print)
