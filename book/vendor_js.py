"""Fetches the browser files that the book serves itself, once, pinned by version and SHA-512.

    python book/vendor_js.py            # what the published pages need: book/_assets/vendor/
    python book/vendor_js.py --tests    # and axe-core, which only the browser tests use: tests/_vendor/

``npm pack`` downloads one archive per package and installs nothing. Without npm, or without a network, this says so and
ends well: the book then asks a public content-delivery network for the same files when a page is opened.
"""

import base64
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOOK_FILES = ROOT / "book" / "_assets" / "vendor"
TEST_FILES = ROOT / "tests" / "_vendor"


@dataclass(frozen=True)
class Package:
    """One package of npm's registry and which of its files are wanted."""

    spec: str
    sha512: str
    folder: str
    wanted: str  # a regular expression over paths in the archive; its first group is the path below `folder`


BOOK_PACKAGES = (
    # Draws ipywidgets without a kernel. The file with every dependency inside: no require.js.
    Package(
        "@jupyter-widgets/html-manager@1.0.15",
        "5thBIV6ymNgmPVOHvzx+gGy8ZSKmSazhtGw4/c4xJDVzRhG9PTeQsRjF3FUTopvFi//SABeNz1yp47bCrJ3CQA==",
        "html-manager",
        r"dist/(embed\.js|embed\.js\.LICENSE\.txt|[0-9a-f]+\.woff2)",
    ),
    # Sets formulas. Every TeX extension in one file, so that nothing is loaded later but the fonts.
    Package(
        "mathjax@3.2.2",
        "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
        "mathjax",
        r"(?:es5/)?(tex-chtml-full\.js|output/chtml/fonts/.+|LICENSE)",
    ),
)
TEST_PACKAGES = (
    Package(
        "axe-core@4.10.3",
        "Xm7bpRXnDSX2YE2YFfBk2FnF0ep6tmG7xPh8iHee8MIcrgq762Nkce856dYtJYLkuIoYZvGfTs/PbZhideTcEg==",
        "axe-core",
        r"(axe\.min\.js|LICENSE)",
    ),
)


class VendorError(RuntimeError):
    """The files could not be fetched, or are not those that are pinned."""


class UnavailableError(VendorError):
    """The files could not be fetched: no npm, or no network."""


def pins(packages: tuple[Package, ...]) -> str:
    """What the stamp in a folder of fetched files says."""
    return "".join(f"{package.spec} {package.sha512}\n" for package in packages)


def present(folder: Path = BOOK_FILES, packages: tuple[Package, ...] = BOOK_PACKAGES) -> bool:
    """Whether ``folder`` holds exactly the pinned ``packages``."""
    stamp = folder / ".pins"
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == pins(packages)


def fetch(folder: Path = BOOK_FILES, packages: tuple[Package, ...] = BOOK_PACKAGES) -> None:
    """Put the wanted files of ``packages`` into ``folder``, unless they are there already.

    Raises:
        UnavailableError: there is no npm, or it cannot reach its registry.
        VendorError: what came is not what is pinned.
    """
    if present(folder, packages):
        return
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("npm is not installed")
    shutil.rmtree(folder, ignore_errors=True)
    for package in packages:
        archive = _download(npm, package)
        found = base64.b64encode(hashlib.sha512(archive).digest()).decode()
        if found != package.sha512:
            raise VendorError(
                f"{package.spec}: its SHA-512 is {found}, not the pinned {package.sha512}; it was not used"
            )
        _unpack(archive, package, folder / package.folder)
    (folder / ".pins").write_text(pins(packages), encoding="utf-8")


def _download(npm: str, package: Package) -> bytes:
    with tempfile.TemporaryDirectory() as temporary:
        command = [npm, "pack", "--silent", "--pack-destination", temporary, package.spec]
        done = subprocess.run(command, capture_output=True, text=True, cwd=temporary)
        archives = list(Path(temporary).glob("*.tgz"))
        if done.returncode != 0 or not archives:
            raise UnavailableError(
                f"`npm pack {package.spec}` ended with {done.returncode}: {done.stderr.strip()[-200:]}"
            )
        return archives[0].read_bytes()


def _unpack(archive: bytes, package: Package, folder: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            match = re.fullmatch(package.wanted, member.name.partition("/")[2])
            content = members.extractfile(member) if match and member.isfile() else None
            if match is None or content is None or ".." in Path(match[1]).parts:
                continue
            target = folder / match[1]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())


def main(arguments: list[str]) -> None:
    """Fetch what the book needs, and with ``--tests`` what the browser tests need."""
    try:
        fetch()
        if "--tests" in arguments:
            fetch(TEST_FILES, TEST_PACKAGES)
    except UnavailableError as error:
        print(
            f"The browser files of the book were not fetched ({error}). The book will be built all the same; its pages "
            "then ask a public content-delivery network for MathJax and the widgets. To make it self-contained, "
            "install Node.js (which brings npm) and run: python book/vendor_js.py"
        )
    except VendorError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
