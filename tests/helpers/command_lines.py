"""What papermill makes of its command line."""

import yaml
from papermill import cli
from papermill.iorw import NoDatesSafeLoader


def as_papermill_reads(words: list[str]) -> dict:
    """The parameters that these options give to a notebook: ``-p NAME VALUE`` and ``-y YAML``."""
    found: dict = {}
    while words:
        if words[0] == "-y":
            found |= yaml.load(words[1], Loader=NoDatesSafeLoader)
            words = words[2:]
        else:
            assert words[0] == "-p"
            found[words[1]] = cli._resolve_type(words[2])
            words = words[3:]
    return found
