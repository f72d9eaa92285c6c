"""What `requirements.lock` brings along: the licence of each package, and what is known against it (`make audit`).

Advisories are asked for by pip-audit, where it is installed, and from the network; where that is not possible, be it
for some packages alone, this is said, and the exit code is 3. Known weaknesses, or a package without a licence, are 1.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.lock import LOCK, Locked, parsed

UNKNOWN = "not stated"


def licence(package: str) -> str:
    """What an installed package says: the SPDX expression, its classifiers, its field, or the title of its file."""
    try:
        about = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return "not installed here"
    fields = about.metadata.json
    classifiers = [str(each) for each in fields.get("classifier", [])]
    classified = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::")]
    files = [Path(str(each.locate())) for each in about.files or [] if each.stem.upper() in ("LICENSE", "LICENCE")]
    texts = [str(fields.get("license", "")), *(file.read_text(encoding="utf-8") for file in files if file.is_file())]
    titles = [text.strip().splitlines()[0][:60] for text in texts if text.strip()]
    return str(fields.get("license_expression", "")) or ", ".join(classified) or (titles or [UNKNOWN])[0]


@dataclass(frozen=True)
class Advisories:
    """What pip-audit tells."""

    known: list[str]
    """A line for each weakness."""
    unasked: list[str]
    """Packages of which nothing is known."""
    reason: str
    """Why not."""


def _told(report: str, packages: Iterable[str]) -> Advisories | None:
    """What pip-audit's report in JSON says of ``packages``; ``None`` where it is no such report.

    pip-audit ends with 0 and "no known vulnerabilities" where the index has no advisories at all to give: of such a
    package it says that it was skipped.
    """
    try:
        found = json.loads(report)["dependencies"]
        skipped = [package["skip_reason"] for package in found if "skip_reason" in package]
        asked = {canonicalize_name(package["name"]) for package in found if "vulns" in package}
        known = [
            f"{package['name']} {package['version']}: {weakness['id']}, mended in {weakness['fix_versions']}"
            for package in found
            for weakness in package.get("vulns", [])
        ]
    except (ValueError, KeyError, TypeError):
        return None
    return Advisories(known, [name for name in packages if name not in asked], (skipped or ["not in the report"])[0])


def advisories(packages: Locked) -> Advisories:
    """What is known against locked packages, and of which nothing could be asked, and why."""
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "pins.txt"  # without hashes: pip-audit wants those of all packages or of none
        pins.write_text("".join(f"{name}=={version.split()[0]}\n" for name, (version, _) in packages.items()))
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(pins), "--no-deps", "--disable-pip"]
        done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True)
    said = done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"]
    return _told(done.stdout, packages) or Advisories([], [*packages], said[-1])


def main(packages: Iterable[str] | None = None) -> int:
    """Print licences and advisories; 0 if all is well, 1 if something is not, 3 if advisories could not be asked."""
    lock = parsed(LOCK.read_text(encoding="utf-8"))
    wanted = lock if packages is None else {name: lock[name] for name in packages}
    licences = {package: licence(package) for package in wanted}
    for package, found in licences.items():
        print(f"{package:<32} {found}")
    lacking = [package for package, found in licences.items() if found == UNKNOWN]
    print(
        f"{len(licences)} packages, {len(lacking)} without a stated licence{': ' * bool(lacking)}{', '.join(lacking)}"
    )
    asked = advisories(wanted)
    for line in asked.known:
        print(line)
    if count := len(wanted) - len(asked.unasked):
        print(f"{len(asked.known)} known weaknesses in {count} packages")
    if asked.unasked:
        print(
            f"advisories could NOT be asked for of {len(asked.unasked)} packages ({asked.reason}): it takes "
            "`pip install pip-audit` and a way to PyPI"
        )
    return 1 if asked.known or lacking else 3 * bool(asked.unasked)


if __name__ == "__main__":
    sys.exit(main())
