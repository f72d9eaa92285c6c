"""What the notebook `15_your_own_pair` calls: its parameters are checked, its pair is compared, the results written."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lmcbook.pages.parameters import OWN_PAIR, check_names
from lmcbook.pages.spelling import as_meant, text_as_meant

if TYPE_CHECKING:
    from lmcbook.connecting.connection import Connection

_TEXTS = ("a", "b", "model", "data", "key", "strip_prefix", "match", "repair", "device", "report", "out")


def ask(namespace: Mapping[str, Any]) -> "Connection":
    """The answer to the parameters in a notebook's ``namespace`` (its ``globals()``), as `lmcbook.connect` gives it.

    Raises:
        InputError: a parameter is unknown or not what it may be, or the two cannot be compared.
    """
    check_names(namespace, OWN_PAIR)
    # with torch, which the pages do without
    import lmcbook
    from lmcbook.connecting.advice import remedy_of
    from lmcbook.connecting.named_pairs import own_pair

    given = {name: (text_as_meant if name in _TEXTS else as_meant)(namespace[name]) for name in OWN_PAIR}
    pair = own_pair(
        *(given[name] for name in ("a", "b", "model", "data")),
        **{name: given[name] for name in ("num_classes", "image_size", "examples")},
    )
    # the network that is written is that which was measured: from the same examples
    common = {name: given[name] for name in ("at", "key", "strip_prefix", "ema", "device", "examples")}
    common |= {"calibration": pair.data.calibration, "images": pair.data.images, "test": pair.data.test}
    asked = ("match", "repair", "random_permutations", "layers", "tolerance", "max_minutes")
    answer = lmcbook.connect(
        pair.model,
        pair.a,
        pair.b,
        coefficients=lmcbook.coefficients_grid(given["num_coefficients"]),
        **{name: given[name] for name in asked},
        **common,
    )
    if given["report"] is not None:
        answer.report(given["report"], force=given["force"])
    if given["out"] is not None and answer.verdict.connected:
        match, repair = remedy_of(answer.verdict.row)
        merged = lmcbook.merge_networks(pair.model, pair.a, pair.b, match=match, repair=repair, **common)
        merged.save(given["out"], force=given["force"])
    return answer
