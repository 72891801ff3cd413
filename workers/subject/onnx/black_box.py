"""What can be seen of an ONNX network? Its outputs: it runs in onnxruntime, without layers and without gradients."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from workers.subject.network import ONLY_OUTPUTS, Loaded
from workers.subject.onnx.runtime import RunFailed, Session
from workers.subject.refusal import Refusal, without_paths

_DTYPES = {
    "tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(float16)": torch.float16,
    "tensor(int64)": torch.int64, "tensor(int32)": torch.int32, "tensor(int16)": torch.int16,
    "tensor(int8)": torch.int8, "tensor(uint8)": torch.uint8, "tensor(bool)": torch.bool,
}  # fmt: skip
_AGAIN = "Export the model again, run it once with onnxruntime yourself, and send it."

T = TypeVar("T")
Axes = tuple[int | str | None, ...]
"""Sizes as onnxruntime tells them: a number, or a name or None for one that the file leaves open."""


class GradientAsked(RuntimeError):
    """Gradients through a black box were asked for; there are none."""


class BlackBox(nn.Module):
    """Maps its input tensors to the chosen output tensor, on the CPU, outside autograd.

    axes: what the file declares of each input; dtypes: one per input. Raises GradientAsked where an input needs a
    gradient, ValueError where an input is of another dtype or shape, RunFailed where onnxruntime fails.
    """

    def __init__(self, session: Session, axes: tuple[Axes, ...], dtypes: tuple[torch.dtype, ...], chosen: int) -> None:
        super().__init__()
        self._session, self._axes, self._dtypes, self._chosen = session, axes, dtypes, chosen

    def forward(self, *inputs: Tensor) -> Tensor:
        """The chosen output, one row per row of the inputs, on the device of the first input."""
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
            raise GradientAsked(f"no gradient goes through this network: {ONLY_OUTPUTS}")
        if len(inputs) != len(self._axes):
            raise ValueError(f"the network takes {len(self._axes)} inputs, not {len(inputs)}")
        for at, (tensor, axes, dtype) in enumerate(zip(inputs, self._axes, self._dtypes, strict=True)):
            if tensor.dtype != dtype or not _fits(tuple(tensor.shape), axes):
                raise ValueError(
                    f"input {at} is {list(tensor.shape)} of {tensor.dtype}; the network reads {list(axes)} of {dtype}"
                )
        arrays = [tensor.detach().to("cpu").contiguous().numpy() for tensor in inputs]
        (found,) = self._session.run(arrays, [self._chosen])
        return torch.from_numpy(found).to(inputs[0].device)


def load(canonical: Path, device: str = "cpu") -> Loaded:  # noqa: ARG001  # a black box computes on the CPU
    """The network of a file that `rewrite` wrote. Never call it on anything else. Raises Refusal."""
    session = _explained("not-loadable", "the model cannot be read by onnxruntime", lambda: Session(canonical))
    axes = tuple(axes for _, _, axes in session.inputs)
    dtypes = tuple(_DTYPES[kind] for _, kind, _ in session.inputs)
    if not axes[0]:
        raise Refusal("inputs", "the model's input has no axes", "The first axis must be the batch.")
    kinds = [_DTYPES[kind] for _, kind, _ in session.outputs]
    chosen = next((at for at, kind in enumerate(kinds) if kind.is_floating_point), None)
    if chosen is None:
        raise Refusal(
            "no-output", "the model gives no floating-point tensor", "Export a model that gives logits or values."
        )
    batch = axes[0][0] if isinstance(axes[0][0], int) else None
    shapes, batch, notes = _measured(session, axes, dtypes, batch)
    sizes = _Sizes()
    return Loaded(
        model=BlackBox(session, axes, dtypes, chosen).eval(),
        inputs=tuple(sizes.tensor(each, kind, batch) for each, kind in zip(axes, dtypes, strict=True)),
        outputs=tuple(sizes.tensor(shape, kind, batch) for shape, kind in zip(shapes, kinds, strict=True)),
        chosen=chosen,
        batch=batch,
        black_box=True,
        type_based=ONLY_OUTPUTS,
        notes=notes,
    )


def _fits(shape: tuple[int, ...], axes: Axes) -> bool:
    return len(shape) == len(axes) and all(
        size == axis for size, axis in zip(shape, axes, strict=True) if isinstance(axis, int)
    )


def _measured(
    session: Session, axes: tuple[Axes, ...], dtypes: tuple[torch.dtype, ...], batch: int | None
) -> tuple[list[Axes], int | None, tuple[str, ...]]:
    """The outputs' shapes as passes of zeros give them, "batch" for the axis that follows it; the batch; notes.

    What a file declares of its outputs may be missing or wrong. Where inputs have other open sizes than the batch,
    no pass can be made up, and what the file says is all there is.
    """
    if any(not isinstance(axis, int) for each in axes for axis in each[1:]):
        return [_declared(shape, batch) for _, _, shape in session.outputs], batch, ()

    def shapes(rows: int) -> list[tuple[int, ...]]:
        given = [
            torch.zeros([rows, *each[1:]] if each else [], dtype=kind).numpy()  # type: ignore[list-item]  # ints, see above
            for each, kind in zip(axes, dtypes, strict=True)
        ]
        return [found.shape for found in session.run(given, list(range(len(session.outputs))))]

    notes: tuple[str, ...] = ()
    if batch is None:
        try:
            pairs = zip(shapes(2), shapes(3), strict=True)
            return [_following(two, three) for two, three in pairs], None, ()
        except RunFailed:
            notes = ("the file leaves the batch open, but two rows fail: it is run one row at a time",)
    rows = batch or 1
    found = _explained("does-not-run", f"a pass of {rows} rows of zeros fails", lambda: shapes(rows))
    return list(found), rows, notes


def _following(two: tuple[int, ...], three: tuple[int, ...]) -> Axes:
    """The axes of an output that was seen with two rows and with three."""
    if len(two) != len(three):
        raise Refusal("output-shape", "an output has another number of axes with another number of rows", _AGAIN)
    sizes = enumerate(zip(two, three, strict=True))
    return tuple("batch" if at == 0 and (a, b) == (2, 3) else a if a == b else None for at, (a, b) in sizes)


def _declared(shape: Axes, batch: int | None) -> Axes:
    if not shape:
        raise Refusal(
            "output-shape",
            "the file does not say how many axes an output has",
            "Infer the shapes and save it again: onnx.save(onnx.shape_inference.infer_shapes(model), path)",
        )
    first = "batch" if batch is None and not isinstance(shape[0], int) else shape[0]
    return (first, *(axis if isinstance(axis, int) else None for axis in shape[1:]))


class _Sizes:
    """Tensors without data, whose open sizes are symbols; all that follow the batch share one."""

    def __init__(self) -> None:
        self._shapes = ShapeEnv()
        self._mode = FakeTensorMode(shape_env=self._shapes, allow_non_fake_inputs=True)
        self._batch: Any = self._shapes.create_unbacked_symint()

    def tensor(self, axes: Axes, dtype: torch.dtype, batch: int | None) -> Tensor:
        """A tensor on the meta device with these axes; "batch" and the first open one are the batch."""
        sizes: list[Any] = [
            axis if isinstance(axis, int) else self._open(at == 0, batch) for at, axis in enumerate(axes)
        ]
        with self._mode:
            return torch.empty(sizes, dtype=dtype, device="meta")

    def _open(self, first: bool, batch: int | None) -> Any:
        if not first:
            return self._shapes.create_unbacked_symint()
        return self._batch if batch is None else batch


def _explained(code: str, what: str, attempt: Callable[[], T]) -> T:
    try:
        return attempt()
    except RunFailed as error:
        text = " ".join(without_paths(str(error)).split())
        raise Refusal(code, f"{what}: {text[:1500]}", _AGAIN) from error
