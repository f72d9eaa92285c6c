"""A copy of this checkout whose plan is small enough for tests to work it off in other processes."""

import ast
import json
import shutil
from pathlib import Path

from lmcbook.lab.records import read_records

ROOT = Path(__file__).resolve().parents[2]


def copy_checkout(folder: Path, widths: tuple[float, ...] = (0.5, 1.0)) -> Path:
    """Make ``folder`` such a copy: MLPs of these widths, one pair, two weight decays, a few epochs."""
    folder.mkdir()
    for name in ("lmcbook", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "CHANGELOG.md").touch()
    every_scale = '{scale: ("mlp-digits",) for scale in ("embedded", "desk", "paper")}'
    assign(folder, "plan/grid.py", "SCALE_RECIPES", every_scale)
    assign(folder, "plan/grid.py", "SEED_PAIRS", "((0, 1),)")
    assign(folder, "recipes.py", "DECAY_PRODUCT", "0.25")
    chosen = f"lambda selection: width(selection.filled(width_multipliers={widths}))"
    assign(folder, "plan/experiments.py", "EXPERIMENTS", f'{{"01_width": ({chosen},)}}')
    return folder


def assign(folder: Path, module: str, name: str, value: str) -> None:
    """Give the name of a module of the lab another value, however its assignment is written."""
    path = folder / "lmcbook" / "lab" / module
    source = path.read_text()
    found = [
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign) and name in [ast.unparse(at) for at in targets(node)]
    ]
    assert len(found) == 1 and found[0] is not None, f"{module} does not assign {name} once"
    old = ast.get_source_segment(source, found[0])
    lines = source.splitlines(keepends=True)
    before = "".join(lines[: found[0].lineno - 1]) + lines[found[0].lineno - 1][: found[0].col_offset]
    assert old is not None and source.startswith(before + old)
    path.write_text(before + value + source[len(before + old) :])


def targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def measured(runs: Path) -> dict[str, str]:
    """What each record says, by its digest."""
    return {record.digest: json.dumps(record.data, sort_keys=True) for record in read_records(runs / "records")}


def trained(runs: Path) -> dict[str, float]:
    """When each network was stored, by its key."""
    return {folder.name: folder.stat().st_mtime for folder in (runs / "models").iterdir()}
