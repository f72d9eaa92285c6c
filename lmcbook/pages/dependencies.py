"""What code loads of this package, found without running it, and what that code means.

Imports inside functions count, names that a package loads on demand too (`lmcbook.errors.on_demand`). Comments,
docstrings and layout are no part of the meaning of a module. Where the syntax tree does not decide, too much is taken.
"""

import ast
import hashlib
import sys
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import lmcbook

_DISTRIBUTIONS = {"IPython": "ipython", "PIL": "pillow", "sklearn": "scikit-learn", "yaml": "PyYAML"}
"""Modules whose distribution has another name."""

_READER = hashlib.sha256(Path(__file__).read_bytes() + sys.version.encode()).hexdigest()
"""What reads: with other code or another Python a summary may be another."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What is asked of a module, once its syntax tree has been read."""

    meaning: str
    """The SHA-256 of the tree without documentation."""
    imports: list[list[str | None]]
    """Of `imports_of`, relative imports resolved."""
    foreign: list[str]
    """Of `foreign`."""
    on_demand: dict[str, str]
    """The names that a package loads when they are first used → the module that they come from."""

    @classmethod
    def of(cls, text: str, name: str, package: str) -> "Summary":
        """The summary of the module ``name`` with this ``text``; ``package`` is the package that it is in."""
        tree = without_documentation(text)
        return cls(
            meaning=hashlib.sha256(ast.dump(tree).encode()).hexdigest(),
            imports=[list(each) for each in imports_of(tree, package)],
            foreign=sorted(foreign(tree, name.partition(".")[0])),
            on_demand=_on_demand(tree, name),
        )


class Package:
    """The modules of a package on disk. Every file is read once: make a new `Package` to see what was changed since.

    Args:
        folder: The package's folder, by default that of lmcbook.
        known: `summaries` of an earlier package: a module that did not change since is not parsed again.
    """

    def __init__(self, folder: Path | None = None, known: Mapping[str, Any] | None = None) -> None:
        self.folder = Path(lmcbook.__file__).resolve().parent if folder is None else folder
        self._known = known or {}
        self._summaries: dict[str, Summary] = {}
        self._keys: dict[str, str] = {}
        self._imports: dict[str, frozenset[str]] = {}

    @property
    def summaries(self) -> dict[str, Any]:
        """What was found so far, as plain values: of a module's name and text → its summary."""
        return {self._keys[name]: asdict(summary) for name, summary in self._summaries.items()}

    @cached_property
    def files(self) -> list[Path]:
        """Every file of the package, in a fixed order."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path for path in found if "__pycache__" not in path.parts and not path.name.startswith("."))

    @cached_property
    def modules(self) -> dict[str, Path]:
        """Name → file of every module; a folder's is its ``__init__``."""
        names = {}
        for path in self.files:
            if path.suffix == ".py":
                parts = path.relative_to(self.folder.parent).with_suffix("").parts
                names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        return names

    def loaded_by(self, code: ast.Module, *, without: Collection[str] = ()) -> frozenset[str]:
        """The modules of this package that ``code`` can load, and those that they can load in turn.

        Args:
            without: Modules that are known not to be loaded.
        """
        waiting = [name for name in self._with_parents(imports_of(code)) if name not in without]
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self._imported(name) - found - set(without)
        return frozenset(found)

    def meaning(self, modules: Collection[str]) -> str:
        """The SHA-256 of what ``modules`` mean, and of the files beside them that are no Python."""
        digest = hashlib.sha256()
        for name in sorted(modules):
            digest.update(f"{name}:{self._summary(name).meaning}\n".encode())
        folders = {self.modules[name].parent for name in modules}
        for path in self.files:
            if path.suffix != ".py" and folders & {path.parent, *path.parents}:
                digest.update(
                    f"{path.relative_to(self.folder)}:{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
                )
        return digest.hexdigest()

    def foreign(self, modules: Set[str]) -> frozenset[str]:
        """What ``modules`` import that is neither of this package nor of Python itself: names at the top."""
        return frozenset(top for name in modules for top in self._summary(name).foreign)

    def _summary(self, name: str) -> Summary:
        if name not in self._summaries:
            text = self.modules[name].read_text(encoding="utf-8")
            key = hashlib.sha256(f"{_READER}:{name}:{text}".encode()).hexdigest()
            here = name if self.modules[name].name == "__init__.py" else name.rpartition(".")[0]
            self._keys[name] = key
            try:
                self._summaries[name] = Summary(**self._known[key])
            except (KeyError, TypeError):  # unknown, or damaged
                self._summaries[name] = Summary.of(text, name, here)
        return self._summaries[name]

    def _imported(self, name: str) -> frozenset[str]:
        if name not in self._imports:
            imports = ((str(module), part) for module, part in self._summary(name).imports)
            self._imports[name] = frozenset(self._with_parents(imports)) - {name}
        return self._imports[name]

    def _with_parents(self, imports: Iterator[tuple[str, str | None]]) -> set[str]:
        found: set[str] = set()
        for module, name in imports:
            for target in self._targets(module, name):
                parts = target.split(".")
                found |= {".".join(parts[: count + 1]) for count in range(len(parts))} & self.modules.keys()
        return found

    def _targets(self, module: str, name: str | None) -> Iterator[str]:
        """The modules that ``from MODULE import NAME`` loads, or ``import MODULE`` where there is no name."""
        if module not in self.modules:
            return
        yield module
        if name is None or name == "*":
            # whoever holds a package can take any of its names later
            for each, home in self._summary(module).on_demand.items():
                yield from self._targets(home, each)
        elif f"{module}.{name}" in self.modules:
            yield from self._targets(f"{module}.{name}", None)
        elif name in self._summary(module).on_demand:
            yield from self._targets(self._summary(module).on_demand[name], name)


def _on_demand(tree: ast.Module, package: str) -> dict[str, str]:
    values = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    calls = [value for value in values if isinstance(value, ast.Call) and isinstance(value.func, ast.Name)]
    return {
        name: f"{package}.{home}"
        for call in calls
        if call.func.id == "names_on_demand"  # type: ignore[attr-defined]
        for home, names in ast.literal_eval(call.args[1]).items()
        for name in names.split()
    }


def without_documentation(text: str) -> ast.Module:
    """The syntax tree of Python code without docstrings: without any text that stands alone, since it does nothing."""
    tree = ast.parse(text)
    for node in [tree, *_statements(tree)]:
        for _, block in _blocks(node):
            block[:] = [each for each in block if not _is_text(each)]
    return tree


def imports_of(code: ast.Module, package: str = "") -> Iterator[tuple[str, str | None]]:
    """Every import of ``code`` as a module and a name of it, or None; not what only a type checker reads.

    Args:
        package: The package that ``code`` is in, for relative imports.
    """
    for node in _statements(code):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: -(node.level - 1) or None] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((module, alias.name) for alias in node.names)


def foreign(code: ast.Module, package: str) -> frozenset[str]:
    """Names at the top of what ``code`` imports that is neither of ``package`` nor of Python itself."""
    tops = {module.partition(".")[0] for module, _ in imports_of(code, package)}
    return frozenset(tops - sys.stdlib_module_names - {package})


def version(module: str) -> str:
    """The version of what is imported as ``module``; empty for what is not installed."""
    try:
        return metadata.version(_DISTRIBUTIONS.get(module, module))
    except metadata.PackageNotFoundError:
        return ""


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement inside ``node`` that can be executed, those of functions too."""
    for name, block in _blocks(node):
        typing = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        if not (typing and name == "body"):
            for each in block:
                yield each
                yield from _statements(each)


def _blocks(node: ast.AST) -> Iterator[tuple[str, list[ast.AST]]]:
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        if isinstance(block := getattr(node, name, None), list):  # an expression's body is a node
            yield name, block


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
