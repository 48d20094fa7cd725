"""A device that refuses what Apple's refuses, on any machine.

Its tensors are computed with on the CPU, and say that they are on ``lazy``: a kind of device that
PyTorch knows everywhere, and that nothing here uses. What ``mps`` refuses is refused: float64 and
complex128, tensors of two devices in one operation, pinned memory, operations for which PyTorch's
own lists name no kernel of that device.
"""

import inspect
import re
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
import torchgen
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

APPLE = torch.device("lazy")
REFUSED = (torch.float64, torch.complex128)
LISTING = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
MOVES = {"_to_copy", "copy_", "_local_scalar_dense"}
"""What takes tensors from one device to another."""


class RefusedError(AssertionError):
    """Something that the device does not do."""


def kernels():
    """Return the operations that run on the device, by PyTorch's lists."""
    entries = {}
    for entry in LISTING.read_text(encoding="utf8").split("\n- func: ")[1:]:
        entries[entry.partition("(")[0]] = entry
    more = re.findall(r'_lib\.impl\(\s*"([\w.]+)"', inspect.getsource(torch.backends.mps))
    return {name for name, entry in entries.items() if _runs(entry, entries)} | set(more)


def _runs(entry, entries):
    delegate = re.search(r"structured_delegate: (\S+)", entry)
    if delegate:
        return _runs(entries[delegate[1]], entries)
    dispatch = re.search(r"\n  dispatch:\n((?:    .*\n?)+)", entry)
    return dispatch is None or bool(re.search(r"\bMPS\b|Composite", dispatch[1]))


KERNELS = kernels()


class Pretended(torch.Tensor):
    """A tensor of the device; ``inner`` holds its values."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, device=APPLE,
        )

    def __init__(self, inner):
        self.inner = inner

    __torch_function__ = torch._C._disabled_torch_function_impl

    def tolist(self):
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return computed(operation, args, kwargs or {})


class Pretending(TorchDispatchMode):
    """Catches what makes tensors on the device out of nothing, or moves them there."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return computed(operation, args, kwargs or {})


def computed(operation, args, kwargs):
    """Do an operation on the CPU, if the device would do it."""
    name = operation._schema.name.partition("::")[2]
    tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
    ours = [tensor for tensor in tensors if isinstance(tensor, Pretended)]
    target = kwargs.get("device")
    here = bool(ours) if target is None else torch.device(target) == APPLE
    if name == "copy_":
        here = isinstance(args[0], Pretended)
    if here or ours:
        _check(operation, name, tensors, ours, kwargs)
    if target is not None:
        kwargs = kwargs | {"device": torch.device("cpu")}
    plain_args, plain_kwargs = tree_map(_inner, (args, kwargs))
    found = operation(*plain_args, **plain_kwargs)
    if not here:
        return found
    found = tree_map(lambda leaf: _outer(leaf, name), found)
    return return_and_correct_aliasing(operation, args, kwargs, found)


def _check(operation, name, tensors, ours, kwargs):
    overload = operation._overloadname
    full = name if overload == "default" else f"{name}.{overload}"
    if full not in KERNELS:
        raise RefusedError(f"{full} has no kernel on the device")
    if name not in MOVES and any(t.ndim for t in tensors if not isinstance(t, Pretended)) and ours:
        raise RefusedError(f"{full} is given tensors of two devices")
    if kwargs.get("pin_memory"):
        raise RefusedError(f"{full} asks for pinned memory")


def _inner(leaf):
    return leaf.inner if isinstance(leaf, Pretended) else leaf


def _outer(leaf, name):
    if not isinstance(leaf, torch.Tensor):
        return leaf
    if leaf.dtype in REFUSED:
        raise RefusedError(f"{name} makes {leaf.dtype} on the device")
    return Pretended(leaf.resolve_conj())


class Generator(torch.Generator):
    """Draws on the CPU, wherever it is asked to."""

    def __new__(cls, device="cpu"):
        return super().__new__(cls, "cpu")


@contextmanager
def pretending(monkeypatch):
    """Have the device while it lasts."""
    tensor = torch.tensor

    def made(values, *, device=None, **options):  # the original does not ask the mode
        here = tensor(values, **options)
        return here if device is None else here.to(device)

    monkeypatch.setattr(torch, "tensor", made)
    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: nullcontext())
    with Pretending():
        yield APPLE
