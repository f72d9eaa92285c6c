"""How the package is divided: lines and files by wing, what stands at the top, modules that import in a circle.

    python benchmarks/structure.py                   # of the last commit
    python benchmarks/structure.py 262e3d9 HEAD      # of any commits, side by side

Read from git, nothing is imported. Lines are all lines of Python, comments and docstrings included. An import counts
whether it is lazy or not, but not if only a type checker reads it; what a package loads on demand it imports. Before
the package had wings, every module stood at the top; `WINGS_OF_OLD_MODULES` says where each went.
"""

import ast
import io
import subprocess
import sys
import tarfile

WINGS = ("core", "lab", "pages")
LAB = ("budget", "collect", "config", "paths", "pipeline", "plan", "provenance", "recipes", "records", "store")
PAGES = (
    *("claims", "engine", "figures", "floors", "notebooks", "paper_table"),
    *("parameters", "tables", "theory_figures", "widgets"),
)
WINGS_OF_OLD_MODULES = {**dict.fromkeys(LAB, "lab"), **dict.fromkeys(PAGES, "pages")}
"""Module of the flat package → the wing where (most of) it is now; all others are the core's."""


def sources(revision: str) -> dict[str, str]:
    """Path below ``lmcbook/`` → text, of every Python file of a commit."""
    archive = subprocess.run(["git", "archive", revision, "lmcbook"], capture_output=True, check=True).stdout
    texts = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files.getmembers():
            content = files.extractfile(member) if member.name.endswith(".py") else None
            if content is not None:
                texts[member.name.removeprefix("lmcbook/")] = content.read().decode()
    return texts


def wing(path: str, flat: bool) -> str:
    """The wing that a file belongs to."""
    top = path.split("/")[0].removesuffix(".py")
    if flat:
        return WINGS_OF_OLD_MODULES.get(top, "core")
    return top if top in WINGS else "core"


def module_of(path: str) -> str:
    """The dotted name of a file."""
    return ".".join(["lmcbook", *path.removesuffix(".py").removesuffix("__init__").strip("/").split("/")]).rstrip(".")


def imports(texts: dict[str, str]) -> dict[str, set[str]]:
    """Module → the modules of the package that it imports."""
    modules = {module_of(path): text for path, text in texts.items()}
    found: dict[str, set[str]] = {}
    for module, text in modules.items():
        tree = ast.parse(text)
        for_types = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        names: set[str] = set()
        for node in ast.walk(tree):
            if id(node) in for_types:
                continue
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "names_on_demand":
                names |= {f"{module}.{home}" for home in ast.literal_eval(node.args[1])}
            if isinstance(node, ast.Import):  # the package itself is there before any of its modules
                names |= {alias.name for alias in node.names} - {"lmcbook"}
            elif isinstance(node, ast.ImportFrom) and node.module:
                given = {f"{node.module}.{alias.name}" for alias in node.names}
                names |= {name if name in modules else node.module for name in given}
        found[module] = (names & modules.keys()) - {module}
    return found


def in_circles(graph: dict[str, set[str]]) -> list[str]:
    """The modules that import themselves by way of others."""

    def reached(module: str) -> set[str]:
        seen: set[str] = set()
        waiting = [*graph[module]]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting.extend(graph[name])
        return seen

    return sorted(module for module in graph if module in reached(module))


def measure(revision: str) -> dict[str, int]:
    """What the table shows of one commit."""
    texts = sources(revision)
    flat = not any(path.startswith("pages/") for path in texts)
    numbers = {}
    for name in WINGS:
        inside = [text for path, text in texts.items() if wing(path, flat) == name]
        numbers[f"lines, {name}"] = sum(len(text.splitlines()) for text in inside)
        numbers[f"files, {name}"] = len(inside)
    numbers["lines, in all"] = sum(numbers[f"lines, {name}"] for name in WINGS)
    numbers["siblings at the top"] = len({path.split("/")[0] for path in texts})
    numbers["modules that import in a circle"] = len(in_circles(imports(texts)))
    return numbers


def main(revisions: list[str]) -> None:
    """Print the table, one column for each commit."""
    revisions = revisions or ["HEAD"]
    columns = [measure(revision) for revision in revisions]
    print(" " * 32, *(f"{revision:>10}" for revision in revisions))
    for row in columns[0]:
        print(f"{row:32}", *(f"{column[row]:10,}" for column in columns))


if __name__ == "__main__":
    main(sys.argv[1:])
