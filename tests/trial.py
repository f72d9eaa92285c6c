"""What the README and the pages for users tell to type, typed in a fresh environment: `make trial`, once a release.

The commands are read from the pages, in their order. `RULES` says of each kind whether it is run as it stands, at a
reduced size, or not here, and why; `tests/test_trial.py` holds that no command is without a rule. What the pages take
for granted is made first: a clone, an environment, photographs of many sizes, two networks. Minutes are told of each,
and those that it took of a processor core, which count on a busy machine.

    python -m tests.trial --folder /tmp/trial --only papermill     # goes on in a folder that is there
"""

import argparse
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "book/run_it_yourself.md", "book/connect.md")

EXAMPLES = {"README.md": slice(-1, None), "book/connect.md": slice(None)}
"""Which examples in Python need nothing of the reader's; tests/test_guide.py runs the others, with its own networks."""

_PROGRAMS = "make|pip|papermill|jupyter-book|jupyter|python|lmcbook|torchrun|conda|docker|sbatch|sky"
_COMMAND = re.compile(rf"(?:[A-Z_]+=\w+ )?(?:{_PROGRAMS}) [^#`]*")

PREPARED = """
import numpy as np, pathlib, torch
from PIL import Image
from safetensors.torch import save_file
random = np.random.default_rng(0)
for folder, sizes in (("path/to/folder", (24, 90)), ("images", (32, 32))):
    for label, name in enumerate(("daisy", "rose", "tulip")):
        place = pathlib.Path(folder, name)
        place.mkdir(parents=True, exist_ok=True)
        for number in range(30):
            height, width = (int(random.integers(sizes[0], sizes[1] + 1)) for _ in range(2))
            pixels = random.integers(0, 160, (height, width, 3))
            pixels[..., label] += 90
            Image.fromarray(pixels.astype(np.uint8)).save(place / f"IMG_{number}.jpg", quality=90)
package = pathlib.Path("mypackage")
package.mkdir(exist_ok=True)
(package / "__init__.py").touch()
(package / "models.py").write_text(
    "from torch import nn\\n\\n\\ndef build():\\n"
    "    pool = nn.AdaptiveAvgPool2d(8)\\n"
    "    return nn.Sequential(pool, nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 3))\\n"
)
from mypackage.models import build
from lmcbook.data.pictures import read_picture
files = sorted(pathlib.Path("images").glob("*/*"))
images = torch.stack([torch.from_numpy(np.array(read_picture(f).image)).permute(2, 0, 1) / 255 for f in files])
images = (images - 0.45) / 0.23  # much as those of ImageNet
labels = torch.arange(3).repeat_interleave(30)
for seed, save in ((0, lambda s: save_file(s, "a.safetensors")), (1, lambda s: torch.save(s, "b.pt"))):
    torch.manual_seed(seed)
    model = build()
    optimiser = torch.optim.SGD(model.parameters(), 0.02)
    for _ in range(40):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimiser.step()
    save(model.state_dict())
"""
"""What readers have, and the pages name: a folder of photographs, and two networks of a module of theirs."""


@dataclass(frozen=True)
class Rule:
    """How commands are typed that match ``pattern`` as a whole."""

    pattern: str
    more: str = ""
    """Added, so that it takes less time."""
    swap: tuple[str, str] = ("", "")
    """A regular expression in the command, and what is typed in its place."""
    why_not: str = ""
    """Why it is not typed here."""
    codes: tuple[int, ...] = (0,)
    """Exit codes that a right end may have."""

    def typed(self, command: str) -> str:
        """The command line that is run."""
        return " ".join([re.sub(self.swap[0], self.swap[1], command) if self.swap[0] else command, self.more]).strip()


LMCBOOK = r"(?:python -m )?lmcbook "
RULES = (
    Rule(r"make .*", why_not="the gate, .ci/run, runs make in a fresh clone"),
    Rule(r"(?:docker|conda) .*", why_not="it makes an environment of its own"),
    Rule(r"(?:sbatch|sky) .*", why_not="it wants a cluster: tests/test_cluster_examples.py"),
    Rule(r"torchrun .*", why_not="it wants several GPUs: tests/test_distributed.py starts two processes"),
    Rule(r"[A-Z_]+=.* torchrun .*", why_not="it wants several GPUs: tests/test_distributed.py starts two processes"),
    Rule(r"python benchmarks/gpu\.py --write", why_not="it wants a GPU"),
    Rule(r"python benchmarks/connecting\.py", why_not="make bench runs it"),
    Rule(LMCBOOK + r"reproduce .*--profile .*", why_not="it wants a SLURM: tests/test_slurm.py"),
    Rule(LMCBOOK + r"reproduce --scale paper", why_not="it wants a GPU and days"),
    Rule(r"pip install torch", why_not="it is what the page advises against"),
    Rule(r"pip install .*"),
    Rule(r"jupyter-book build book"),
    Rule(r"jupyter lab notebooks/", swap=("notebooks/", "--version")),
    Rule(r"papermill .*mlp-digits.*"),
    Rule(r"papermill .*mlp-flowers.*"),
    Rule(LMCBOOK + r"(?:\w+ )?--help"),
    Rule(LMCBOOK + r"data .*"),
    Rule(LMCBOOK + r"plan.*"),
    Rule(LMCBOOK + r"connect", more="--help"),
    Rule(LMCBOOK + r"connect .*", codes=(0, 1)),
    Rule(LMCBOOK + r"run .*", more="--max-minutes 0.2 --recipe mlp-mnist --records new"),
    Rule(LMCBOOK + r"reproduce --recipe .*", more="--no-book"),
    Rule(LMCBOOK + r"records migrate FOLDER", swap=("FOLDER", "records")),
    Rule(LMCBOOK + r"verify .*", swap=(r"--sample \d+", "--sample 1 --recipe mlp-digits"), codes=(0, 1)),
)


def documented(page: str) -> list[str]:
    """The commands in the text of a page, in their order: those of its blocks, indented or of bash, and in a line."""
    found, language = [], ""
    for line in page.splitlines():
        if fence := re.fullmatch(r" *```(\w*)", line):  # longer ones, and {tab-set}, hold blocks of their own
            language = "" if language else fence[1] or "text"
        elif language == "bash" or (not language and line.startswith("    ")):
            found += [line.strip()]
        elif not language:
            found += re.findall(r"`([^`]+)`", line)
    return [match[0].strip() for each in found if (match := _COMMAND.match(each))]


def programs(page: str) -> list[str]:
    """The examples in Python in the text of a page."""
    return re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def rule_of(command: str) -> Rule | None:
    """The first rule for a command."""
    return next((rule for rule in RULES if re.fullmatch(rule.pattern, command)), None)


def _of_children() -> float:
    """Seconds of processors that ended children took: what a command takes where no others work on the machine."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@dataclass
class Trial:
    """A folder with a clone and an environment, and how each command in it ended."""

    folder: Path
    cpu_index: bool = True
    """Whether torch comes from PyTorch's index of CPU builds, as the pages have it."""
    failed: list[str] = field(default_factory=list)
    met: set[str] = field(default_factory=set)
    """Commands of the pages so far: those of two pages are typed once."""

    @property
    def checkout(self) -> Path:
        """The clone, in which everything is typed."""
        return self.folder / "lmcbook"

    def prepare(self) -> None:
        """Clone what is committed, and make an environment; what is there already stays."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.checkout.exists():
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.checkout)], check=True)
        if not (self.folder / "venv").exists():
            subprocess.run([sys.executable, "-m", "venv", str(self.folder / "venv")], check=True)

    def type(self, told: str, line: str, codes: tuple[int, ...] = (0,)) -> None:
        """Run a command line, and tell how long it took and whether it ended well."""
        variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LMCBOOK_RUNS")}
        variables["PATH"] = f"{self.folder / 'venv' / 'bin'}:{variables['PATH']}"
        begun, before = time.monotonic(), _of_children()
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.checkout, env=variables, capture_output=True, text=True, errors="replace"
        )
        minutes, of_a_core = (time.monotonic() - begun) / 60, (_of_children() - before) / 60
        printed = done.stdout + done.stderr
        good = done.returncode in codes and "Traceback (most recent call last)" not in printed
        with (self.folder / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"$ {line}\n{printed}\n[{done.returncode}, {minutes:.1f} min, {of_a_core:.1f} of a core]\n\n")
        print(f"{'ok' if good else 'FAILED':6} {minutes:5.1f} min, {of_a_core:4.1f} of a core  {told}", flush=True)
        if not good:
            self.failed.append(told)
            print("\n".join(printed.splitlines()[-8:]), flush=True)

    def follow(self, page: str, only: str = "") -> None:
        """Type the commands of a page that match ``only``, then run its examples in Python that need nothing else."""
        text = (self.checkout / page).read_text(encoding="utf-8")
        for command in documented(text):
            rule = rule_of(command)
            if command in self.met or not re.search(only, command):
                continue
            self.met.add(command)
            if rule is None or rule.why_not:
                print(f"{'-':6} {'':25}  {command}: {rule.why_not if rule else 'there is no rule for it'}", flush=True)
                continue
            line = rule.typed(command)
            if not self.cpu_index:
                line = re.sub(r" torchvision==\S+ --index-url \S+", "", line)
            if not command.startswith("pip ") and not (self.checkout / "b.pt").exists():
                self.type("what the pages take for granted", f"python -c {shlex.quote(PREPARED)}")
            self.type(command if line == command else f"{command}, as: {line}", line, rule.codes)
        if page in EXAMPLES and re.search(only, "examples in Python"):
            code = "\n".join(programs(text)[EXAMPLES[page]])
            self.type(f"{page}: examples in Python", f"python -c {shlex.quote(code)}")


def main(arguments: list[str] | None = None) -> int:
    """Make the trial; returns 1 if a command failed."""
    parser = argparse.ArgumentParser(description="Type what the pages tell to type, in a fresh environment.")
    parser.add_argument("--folder", type=Path, help="where (default: a new folder); what is there already is used")
    parser.add_argument("--only", default="", help="a regular expression: commands without it are left out")
    parser.add_argument(
        "--no-cpu-index", action="store_true", help="take torch from where pip is set to, not from PyTorch's CPU builds"
    )
    options = parser.parse_args(arguments)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="lmcbook-trial-"))
    trial = Trial(folder.resolve(), cpu_index=not options.no_cpu_index)
    trial.prepare()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"in {folder}, on {cores} cores", flush=True)
    for page in PAGES:
        trial.follow(page, options.only)
    print(f"{len(trial.failed)} failed; all that they printed: {folder / 'log.txt'}")
    return 1 if trial.failed else 0


if __name__ == "__main__":
    sys.exit(main())
