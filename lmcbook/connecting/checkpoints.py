"""Networks as people keep them: a module, a state dict, or a file or folder of weights, read without running code."""

import hashlib
import json
import os
import pickle
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from lmcbook.data.safe_files import opened
from lmcbook.data.whole_files import file_sha256
from lmcbook.errors import InputError, one_line
from lmcbook.errors.arrays import tensor_of
from lmcbook.states import StateDict, some

STATE_KEYS = ("state_dict", "model_state_dict", "model", "module", "network", "net", "weights", "params")
"""Where training scripts keep the weights inside a checkpoint, the likeliest first."""

AVERAGED_KEYS = ("state_dict_ema", "ema_state_dict", "model_ema", "ema_model", "module_ema", "ema", "shadow_params")
"""Where they keep the exponential moving average of the weights."""

PICKLED = (".pt", ".pth", ".ckpt", ".bin")
KINDS = f".safetensors, {', '.join(PICKLED)}, or a folder of them"

_MOST_LEVELS = 3  # of dicts in dicts that are searched for weights


class _NoAverage(InputError):
    """The moving average was asked for, and is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The weights of one network, and where they come from."""

    state: StateDict
    source: str
    """Name of the file or folder; ``state dict`` or ``module`` if it was given in memory."""
    sha256: str | None = None
    """Of the file; of a folder, of its files' digests in the order of their names; None if it was given in memory."""
    notes: tuple[str, ...] = ()
    """What was decided while reading: which key was taken, what was left out."""


def read_network(
    given: Any, *, argument: str = "network", key: str | None = None, strip_prefix: str = "", ema: bool = False
) -> Network:
    """A network from a state dict, a module, a path, or a `Network`, which is returned unchanged.

    Files: ``.safetensors``; ``.pt``, ``.pth``, ``.ckpt`` and ``.bin`` by `torch.load` with ``weights_only=True`` alone,
    which runs no code of the file; a folder with an index (``*.index.json``) whose shards are opened one after the
    other; a folder with one such file. Tensors are mapped into memory where the format allows it, and read when they
    are used.

    Args:
        given: the network.
        argument: its name in errors.
        key: where in the checkpoint the weights are, ``"outer.inner"`` for a dict in a dict; by default the first of
            `STATE_KEYS` that is there.
        strip_prefix: what to take from the beginning of every name; tensors without it are left out, and that is noted.
        ema: take the exponential moving average (`AVERAGED_KEYS`) in place of the weights; not together with ``key``.

    Raises:
        InputError: ``key`` and ``ema`` are both given, or it cannot be read, holds other objects than tensors, or has
            no weights; one line, with the way out.
    """
    if key is not None and ema:
        raise InputError(f"key is {key!r} and ema is True; give one of them: key may name the moving average")
    if isinstance(given, Network):
        return given
    sha256: str | None = None
    notes: list[str] = []
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        source = path.name or str(path)
        content, sha256 = _read(path, argument)
    elif isinstance(given, nn.Module):
        source, content = "module", given.state_dict()
    elif isinstance(given, Mapping):
        source, content = "state dict", given
    else:
        raise InputError(
            f"{argument} is a {type(given).__name__}; it may be a state dict, a module, or a path of weights ({KINDS})"
        )
    where = f"{argument} ({source})"
    found = _weights(content, where, key, ema, notes)
    state = _tensors(found, where, notes)
    if strip_prefix:
        state = _stripped(state, strip_prefix, where, notes)
    return Network(state=state, source=source, sha256=sha256, notes=tuple(notes))


def read_pair(
    a: Any,
    b: Any,
    *,
    arguments: tuple[str, str] = ("a", "b"),
    key: str | None = None,
    strip_prefix: str = "",
    ema: bool = False,
) -> tuple[Network, Network]:
    """Two networks as `read_network` reads them; a prefix or an average is taken from whichever has it.

    Raises:
        InputError: as `read_network`, or ``strip_prefix`` or ``ema`` is given and neither has it.
    """
    read: list[Network] = []
    without: list[_NoAverage] = []
    for name, given in zip(arguments, (a, b), strict=True):
        try:
            read.append(read_network(given, argument=name, key=key, ema=ema))
        except _NoAverage as error:
            if without:
                raise without[0] from None
            without.append(error)
            plain = read_network(given, argument=name)
            read.append(replace(plain, notes=(*plain.notes, "no moving average is in it: its weights are taken")))
    if not strip_prefix:
        return read[0], read[1]
    having = [any(name.startswith(strip_prefix) for name in network.state) for network in read]
    for index, (name, given) in enumerate(zip(arguments, (a, b), strict=True)):
        network, notes = read[index], [*read[index].notes]
        if isinstance(given, Network):
            continue
        if having[index] or not any(having):
            state = _stripped(network.state, strip_prefix, f"{name} ({network.source})", notes)
        else:
            state = network.state
            notes.append(f"left unchanged: no name begins with {strip_prefix!r}")
        read[index] = replace(network, state=state, notes=tuple(notes))
    return read[0], read[1]


def _read(path: Path, argument: str) -> tuple[Any, str]:
    """The content of a file or folder, and its digest."""
    try:
        if path.is_dir():
            return _read_folder(path, argument)
        if not path.is_file():
            raise InputError(f"{argument} is {str(path)!r}, which is not there; give the path of weights ({KINDS})")
        if path.suffix == ".safetensors":
            return dict(_safetensors(path)), file_sha256(path)
        if path.suffix in PICKLED:
            return _unpickled(path, argument), file_sha256(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{argument} is {str(path)!r}, which cannot be read ({one_line(error)})") from None
    raise InputError(f"{argument} is {str(path)!r}; weights are read from {KINDS}")


def _read_folder(path: Path, argument: str) -> tuple[Any, str]:
    indices = sorted(path.glob("*.index.json"))
    files = sorted(file for file in path.iterdir() if file.suffix in (".safetensors", *PICKLED) and file.is_file())
    if not indices:
        if len(files) != 1:
            raise InputError(
                f"{argument} is the folder {str(path)!r} with {len(files)} files of weights and no *.index.json; name "
                f"one file: {some([file.name for file in files]) or KINDS}"
            )
        return _read(files[0], argument)
    safe = [index for index in indices if "safetensors" in index.name]
    index = (safe or indices)[-1]
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(places.values()))
        if not all(isinstance(name, str) for name in names):
            raise TypeError("a file's name is no text")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{argument}: {index.name} is no index of shards ({one_line(error)}); it must hold weight_map, name → file"
        ) from None
    outside = [name for name in names if Path(name).name != name]
    missing = [name for name in names if name not in outside and not (path / name).is_file()]
    if outside or missing:
        wrong = f"names {some(outside)}, outside its folder" if outside else f"lacks {some(missing)}"
        raise InputError(f"{argument}: {str(path)!r} {wrong}; all shards of {index.name} must lie beside it")
    content: dict[str, Any] = {}
    for name in names:
        wanted = {tensor for tensor, file in places.items() if file == name}
        shard = _safetensors(path / name, wanted) if name.endswith(".safetensors") else None
        content |= dict(shard) if shard is not None else _unpickled(path / name, argument)
    lost = [tensor for tensor in places if tensor not in content]
    if lost:
        raise InputError(f"{argument}: the shards of {index.name} do not hold {some(lost)}; fetch them again")
    digests = [file_sha256(path / name) for name in names]
    return content, hashlib.sha256("".join(digests).encode()).hexdigest()


def _safetensors(path: Path, wanted: set[str] | None = None) -> Iterator[tuple[str, Tensor]]:
    with opened(path) as file:
        for name in file.keys():  # noqa: SIM118  (a safe_open has no iterator)
            if wanted is None or name in wanted:
                yield name, file.get_tensor(name)


def _unpickled(path: Path, argument: str) -> Any:
    try:
        with warnings.catch_warnings():  # of old kinds of tensors, which the preflight tells
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        held = one_line(error).partition("GLOBAL ")[2].split(" ")[0]
        if not held:
            raise _no_checkpoint(argument, path, error) from None
        loaded = f"c = torch.load({path.name!r}, weights_only=False)"
        weights = "c.state_dict() if hasattr(c, 'state_dict') else c['state_dict']"
        convert = shlex.quote(f"import torch; {loaded}; torch.save({weights}, 'weights.pt')")
        raise InputError(
            f"{argument} is {path.name!r}, which holds {held} beside tensors and would run code when read; if you "
            f"trust it, write its weights alone: python -c {convert}"
        ) from None
    except OSError:
        raise
    except Exception as error:  # a damaged file may end in any: IndexError, KeyError, struct.error, …
        raise _no_checkpoint(argument, path, error) from None


def _no_checkpoint(argument: str, path: Path, error: Exception) -> InputError:
    return InputError(f"{argument} is {path.name!r}, which is no checkpoint of torch ({one_line(error, 120)})")


def _weights(content: Any, where: str, key: str | None, ema: bool, notes: list[str]) -> Mapping[str, Any]:
    """The dict of weights inside a checkpoint."""
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if key is not None:
        return _at_key(content, where, key)
    found = dict(_states_in(content))
    if "" in found and not ema:
        return found[""]
    ranks = [AVERAGED_KEYS.index(name) if name in AVERAGED_KEYS else -1 for name in map(_last, found)]
    averaged = [path for path, rank in sorted(zip(found, ranks, strict=True), key=lambda one: one[1]) if rank >= 0]
    plain = [path for path in found if path and path not in averaged]
    if ema and not averaged:
        raise _NoAverage(f"{where} has no moving average; it holds {_listed(found)}: leave ema out, or name a key")
    known = sorted(
        (path for path in plain if _last(path) in STATE_KEYS), key=lambda path: STATE_KEYS.index(_last(path))
    )
    choice = averaged if ema else known or (plain if len(plain) == 1 else []) or ([] if plain else averaged)
    if not choice:
        held = _listed(found) if found else f"a {type(content).__name__}"
        way_out = "name one of them by key" if found else "a state dict has names and tensors"
        raise InputError(f"{where} holds {held}; {way_out}")
    rest = [path for path in found if path and path != choice[0]]
    notes.append(f"took {choice[0]!r}" + (f"; it also holds {_listed(rest)}" if rest else ""))
    return found[choice[0]]


def _at_key(content: Any, where: str, key: str) -> Mapping[str, Any]:
    inner, rest = content, key
    while rest and isinstance(inner, Mapping):
        parts = rest.split(".")
        heads = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
        head = next((head for head in heads if head in inner), None)
        if head is None:
            break
        inner, rest = inner[head], rest[len(head) + 1 :]
    if isinstance(inner, nn.Module):
        inner = inner.state_dict()
    if rest or not isinstance(inner, Mapping):
        keys = [str(name) for name in content] if isinstance(content, Mapping) else []
        raise InputError(f"{where} has no weights under key {key!r}; its keys are {some(keys)}")
    return inner


def _states_in(content: Any, path: str = "", level: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Dotted key → dict that holds tensors by name, outermost first; what optimisers keep is left out."""
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, Mapping) or level > _MOST_LEVELS:
        return
    # arrays alone are weights; an array beside dicts or objects is what a training script keeps
    arrays = bool(content) and all(isinstance(value, np.ndarray) for value in content.values())
    tensors = arrays or any(isinstance(value, Tensor) for value in content.values())
    if tensors and all(isinstance(name, str) for name in content):
        inner = [value for value in content.values() if isinstance(value, Mapping)]
        if not inner:
            yield path, content
            return
    for name, value in content.items():
        if isinstance(name, str) and not name.startswith("optim"):
            yield from _states_in(value, f"{path}.{name}" if path else name, level + 1)


def _tensors(found: Mapping[str, Any], where: str, notes: list[str]) -> StateDict:
    extra = [name for name in found if str(name).rpartition(".")[2] == "_extra_state"]
    if extra:
        notes.append(f"left out {some(extra)}")
    state = {str(name): _as_tensor(value) for name, value in found.items() if name not in extra}
    others = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise InputError(f"{where} holds {some(others)}, not a tensor; name the weights alone by key")
    if not state:
        raise InputError(f"{where} holds no tensor; a state dict has at least one")
    # on the CPU, where two of different devices meet; the preflight names a tensor without values (meta)
    return {name: tensor.detach() if tensor.is_meta else tensor.detach().cpu() for name, tensor in state.items()}


def _as_tensor(value: Any) -> Any:
    """The tensor of an array, where torch has its type; anything else unchanged."""
    try:
        return tensor_of(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else value
    except TypeError:
        return value


def _stripped(state: StateDict, prefix: str, where: str, notes: list[str]) -> StateDict:
    kept = {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
    if not kept:
        raise InputError(f"strip_prefix is {prefix!r}, with which no name of {where} begins; they are {some([*state])}")
    left_out = [name for name in state if not name.startswith(prefix)]
    if left_out:
        notes.append(f"left out {some(left_out)}, whose names do not begin with {prefix!r}")
    return kept


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _listed(paths: Sequence[str] | Mapping[str, Any]) -> str:
    return some([path or "weights" for path in paths])
