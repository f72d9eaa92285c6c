"""Parameters as people and tools spell them: read as what is meant, and written so that papermill reads them right.

papermill's ``-p`` knows numbers, True, False and None and takes all else as text; its ``-y`` is YAML 1.1, to which
5e-05 is a text, because it has no point. So a text that reads as a truth value, a number or a list is taken as that.
"""

import ast
import json
import re
from typing import Any

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NOTHING = ("null", "none", "~")


def as_meant(value: Any) -> Any:
    """A parameter that is no text, whatever it was spelt as: numbers, truth values, None and lists of them.

    What cannot be read comes back unchanged, for a check to refuse it by name.
    """
    if hasattr(value, "tolist"):  # numpy's and torch's numbers and arrays
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [as_meant(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)  # a whole number is one however it is written, and a width of 2.0 is that of 2
    if not isinstance(value, str):
        return value
    text = value.strip()
    word = text.lower()
    if word in _WORDS:
        return _WORDS[word]
    if word in _NOTHING:
        return None
    for read in (json.loads, ast.literal_eval, _listed):
        try:
            found = read(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        return value if isinstance(found, str | dict | set | bytes | complex) else as_meant(found)
    return value


def text_as_meant(value: Any) -> Any:
    """A parameter that is a text: only a word for nothing is not taken by the letter."""
    return None if isinstance(value, str) and value.strip().lower() in _NOTHING else value


def argument(name: str, value: Any) -> str:
    """What gives ``value`` to the parameter ``name`` on papermill's command line, in a shell.

    >>> argument("weight_decay", 5e-05), argument("recipe", "mlp-mnist"), argument("epochs", 3)
    ('-y "weight_decay: 5.0e-05"', '-p recipe mlp-mnist', '-p epochs 3')
    """
    if (
        isinstance(value, str)
        and re.fullmatch(r"[\w.+/-]+", value)
        and not _is_number(value)
        and as_meant(value) is value
    ):
        return f"-p {name} {value}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"-p {name} {value}"
    written = _yaml(value)
    return f"-y '{name}: {written}'" if '"' in written else f'-y "{name}: {written}"'


def _yaml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("'", "\\u0027")  # it stands in single quotes of the shell
    text = json.dumps(value)
    return re.sub(r"^(-?\d+)e", r"\1.0e", text) if isinstance(value, float) else text


def _is_number(text: str) -> bool:
    """Whether papermill takes it as a number: nan and infinity are some, too."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _listed(text: str) -> list[str]:
    """Several values with commas between them, as nobody quotes them."""
    if "," not in text:
        raise ValueError(text)
    return [each.strip() for each in text.strip("[]() ").split(",") if each.strip()]
