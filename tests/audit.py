"""What `requirements.lock` brings along: the licence of each package, and what is known against it (`make audit`).

Advisories are asked for by pip-audit, where it is installed, and from the network; where that is not possible, this is
said, and the exit code is 3. Known weaknesses, or a package without a licence, are 1.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

LOCK = Path(__file__).parents[1] / "requirements.lock"
UNKNOWN = "not stated"


def locked(lock: Path = LOCK) -> list[str]:
    """Names of the packages in a lock file."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [line.partition("==")[0] for line in lines if line and not line.startswith("#")]


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


def weaknesses(report: str) -> list[str] | None:
    """What pip-audit's report in JSON holds against packages, a line for each; ``None`` where it is no such report."""
    try:
        packages = json.loads(report)["dependencies"]
        return [
            f"{package['name']} {package['version']}: {found['id']}, mended in {found['fix_versions']}"
            for package in packages
            for found in package.get("vulns", [])
        ]
    except (ValueError, KeyError, TypeError):
        return None


def advisories() -> tuple[list[str] | None, str]:
    """What is known against the locked packages, or ``None`` and why it could not be asked."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--no-deps", "--disable-pip"]
    done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True)
    said = done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"]
    return weaknesses(done.stdout), said[-1]


def main(packages: Iterable[str] | None = None) -> int:
    """Print licences and advisories; 0 if all is well, 1 if something is not, 3 if advisories could not be asked."""
    licences = {package: licence(package) for package in (locked() if packages is None else packages)}
    for package, found in licences.items():
        print(f"{package:<32} {found}")
    lacking = [package for package, found in licences.items() if found == UNKNOWN]
    print(
        f"{len(licences)} packages, {len(lacking)} without a stated licence{': ' * bool(lacking)}{', '.join(lacking)}"
    )
    known, reason = advisories()
    if known is None:
        print(f"advisories could NOT be asked for, so nothing is known of weaknesses: {reason}")
        print("`pip install pip-audit` brings what asks; it needs a way to PyPI")
        return 1 if lacking else 3
    for line in known:
        print(line)
    print(f"{len(known)} known weaknesses")
    return int(bool(known or lacking))


if __name__ == "__main__":
    sys.exit(main())
