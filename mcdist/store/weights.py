"""Weights of a task: a safetensors file of named tensors, with a header of strings.

torch is imported where it is needed: who reads tables alone does not wait for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from mcdist.errors import StoreError
from mcdist.store.files import Files
from mcdist.store.layout import weights_file
from mcdist.store.local_files import LocalFiles

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["load", "load_metadata", "load_with_metadata", "save"]

_LONGEST_HEADER = 100_000_000  # bytes, by the format
_DAMAGED = (ValueError, AttributeError, OverflowError)


def save(files: Files, task_id: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write the tensors of a task, of any shape and device; tensors that share memory are written each in full."""
    import torch
    from safetensors.torch import save as to_bytes

    own = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    try:
        data = to_bytes(own, metadata=dict(metadata) if metadata else None)
    except (SafetensorError, TypeError, ValueError, KeyError) as error:
        raise StoreError(f"the weights of task {task_id!r} cannot be written: {error}") from error
    files.write(weights_file(task_id), _with_sorted_header(data))


def load(files: Files, task_id: str) -> dict[str, Tensor]:
    """The tensors of a task, on the CPU; StoreError if it has none or the file is damaged."""
    from safetensors.torch import load as from_bytes
    from safetensors.torch import load_file

    name = weights_file(task_id)
    try:
        tensors: dict[str, Tensor]
        tensors = load_file(files.path(name)) if isinstance(files, LocalFiles) else from_bytes(files.read(name))
    except FileNotFoundError as error:
        raise _missing(files, task_id) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(files, name, error) from error
    return tensors


def load_with_metadata(files: Files, task_id: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Both at once: of a remote file, by one request."""
    from safetensors.torch import load as from_bytes

    if isinstance(files, LocalFiles):
        return load(files, task_id), load_metadata(files, task_id)
    name = weights_file(task_id)
    try:
        data = files.read(name)
        return from_bytes(data), _metadata(data[8 : 8 + _header_length(data[:8])])
    except FileNotFoundError as error:
        raise _missing(files, task_id) from error
    except (SafetensorError, *_DAMAGED) as error:
        raise _unreadable(files, name, error) from error


def load_metadata(files: Files, task_id: str) -> dict[str, str]:
    """The strings in the header of a task's weights, read without the weights; errors as for `load`."""
    name = weights_file(task_id)
    try:
        length = _header_length(files.read(name, 0, 8))
        return _metadata(files.read(name, 8, 8 + length))
    except FileNotFoundError as error:
        raise _missing(files, task_id) from error
    except _DAMAGED as error:
        raise _unreadable(files, name, error) from error


def _header_length(start: bytes) -> int:
    length = int.from_bytes(start, "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    return length


def _metadata(header: bytes) -> dict[str, str]:
    return dict(json.loads(header).get("__metadata__", {}))


def _missing(files: Files, task_id: str) -> StoreError:
    return StoreError(f"the store at {files.uri} has no weights of task {task_id!r}")


def _unreadable(files: Files, name: str, error: Exception) -> StoreError:
    return StoreError(f"{files.uri}/{name} is not a readable safetensors file: {error}")


def _with_sorted_header(data: bytes) -> bytes:
    """The same file, its header's strings in order: the library writes them in another order each time."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the format wants the tensors at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + data[8 + length :]
