"""Weights: what goes in comes out, with its header."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open

from mcdist.errors import StoreError
from mcdist.store import Store
from mcdist.store.location import locate
from mcdist.store.weights import load, load_metadata, load_with_metadata, save

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool]


def test_every_type_and_shape_survives(store: Store) -> None:
    files = locate(store.uri)
    tensors = {f"{d}.{s}": torch.ones(s, dtype=d) for d in DTYPES for s in [(), (0,), (3,), (2, 1, 4)]}
    save(files, "task1", tensors)
    back = load(files, "task1")
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)
    assert load_metadata(files, "task1") == {}
    again, metadata = load_with_metadata(files, "task1")
    assert metadata == {}
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())


def test_views_and_shared_memory_are_written_in_full(store: Store) -> None:
    files = locate(store.uri)
    theta = torch.arange(12.0, requires_grad=True).reshape(3, 4)
    save(files, "task1", {"row": theta[1], "column": theta[:, 2], "tied": theta[1], "turned": theta.t()})
    back = load(files, "task1")
    assert torch.equal(back["column"], theta[:, 2].detach())
    assert torch.equal(back["turned"], theta.t().detach())
    assert torch.equal(back["row"], back["tied"])
    assert not any(tensor.requires_grad for tensor in back.values())


def test_a_module_takes_its_state_back(store: Store) -> None:
    files = locate(store.uri)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    save(files, "task1", model.state_dict())
    twin = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    twin.load_state_dict(load(files, "task1"))
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), twin.state_dict().values(), strict=True))


def test_the_header_is_kept_in_order_and_the_file_is_an_ordinary_one(local_store: Store) -> None:
    files = locate(local_store.uri)
    metadata = {letter: f"é {letter}" for letter in "zyxwvutsrq"}
    save(files, "task1", {"b": torch.ones(3), "a": torch.zeros(2, dtype=torch.uint8)}, metadata)
    assert load_metadata(files, "task1") == load_with_metadata(files, "task1")[1] == metadata
    with safe_open(files.path("weights/ta/task1.safetensors"), "pt") as file:
        assert file.metadata() == metadata
        assert torch.equal(file.get_tensor("b"), torch.ones(3))
    first = files.read("weights/ta/task1.safetensors")
    save(files, "task1", {"b": torch.ones(3), "a": torch.zeros(2, dtype=torch.uint8)}, metadata)
    assert files.read("weights/ta/task1.safetensors") == first


def test_what_is_not_there_is_named(store: Store) -> None:
    assert not store.has_weights("task1")
    for ask in (store.weights, store.weights_with_metadata, store.weights_metadata):
        with pytest.raises(StoreError, match="has no weights of task 'task1'"):
            ask("task1")


@pytest.mark.parametrize("damage", [b"", b"short", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0[]"])
def test_a_damaged_file_is_named(store: Store, damage: bytes) -> None:
    locate(store.uri).write("weights/ta/task1.safetensors", damage)
    for ask in (store.weights, store.weights_with_metadata, store.weights_metadata):
        with pytest.raises(StoreError, match=r"weights/ta/task1.safetensors(: The requested range| is not a readable)"):
            ask("task1")


def test_what_cannot_be_written_is_said(store: Store) -> None:
    with pytest.raises(StoreError, match="the weights of task 'task1' cannot be written"):
        save(locate(store.uri), "task1", {"w": torch.ones(1)}, {"epoch": 3})  # type: ignore[dict-item]
    assert not store.has_weights("task1")
