"""Notebooks that a test writes, and what stands in them when they were executed."""

import json
from pathlib import Path


def write_notebook(path: Path, *cells: str, parameters: str = "size: int = 2") -> Path:
    """A notebook of code cells whose first one is tagged as the parameters."""
    content = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{index}",
                "metadata": {"tags": ["parameters"]} if index == 0 else {},
                "source": source,
                "execution_count": None,
                "outputs": [],
            }
            for index, source in enumerate((parameters, *cells))
        ],
        "metadata": {"kernelspec": {"name": "elsewhere", "display_name": "Elsewhere", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def text_of(notebook: dict) -> str:
    return "".join("".join(output.get("text", "")) for cell in notebook["cells"] for output in cell.get("outputs", ()))
