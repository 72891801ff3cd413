"""How is a sweep cut into chunks that fit the memory, and what will it take?

The plan is provenance: the same plan on the same machine and libraries gives the same bits. Chunks are sized by memory
and never by the number of steps; time is an estimate and never a budget.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from math import ceil, prod

from workers.sweep.probe import Probe, Tap
from workers.sweep.refusals import BudgetTooSmall, UnknownTap

_LEAST_CHUNK, _CHUNK_BYTES, _MOST_ROWS = 16, 64 << 20, 4096
"""A chunk has 16 rows, where convolution and attention reach their speed, or as many as keep about 64 MiB busy."""

_FLOOR_BYTES = 4 << 20
"""What the first backward pass of a process takes beyond its tensors: kernels, thread-local caches."""

_MOMENTS = 3 * 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the work is cut, which besides model, data and method is all that can change a bit of the result.

    evaluations: passes that each example needs. A chunk holds `points` of them for `examples` examples.
    """

    evaluations: int
    points: int
    examples: int
    device: str
    dtype: str
    threads: int
    memory_bytes: int
    taps: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Plain JSON values; `Plan(**{**value, "taps": tuple(value["taps"])})` reads it back."""
        return {**asdict(self), "taps": list(self.taps)}


@dataclass(frozen=True, slots=True)
class Quote:
    """seconds: an estimate. bytes: resident memory above the process that already holds model and data."""

    seconds: float
    bytes: int


def select(probe: Probe, layers: Collection[str] | None) -> tuple[Tap, ...]:
    """The taps whose key, layer or module is in `layers`; all when None. Raises UnknownTap naming what did not run."""
    if layers is None:
        return probe.taps
    chosen = tuple(tap for tap in probe.taps if {tap.key, tap.layer, tap.module} & set(layers))
    found = {name for tap in chosen for name in (tap.key, tap.layer, tap.module)}
    missing = sorted(set(layers) - found)
    if missing:
        asleep = [name for name in missing if name in probe.silent]
        reason = "they do not run in a forward pass" if asleep == missing else "no such layer ran"
        raise UnknownTap(f"{', '.join(missing)}: {reason}; the layers are {', '.join(tap.key for tap in probe.taps)}")
    return chosen


def plan(
    probe: Probe,
    *,
    examples: int,
    evaluations: int,
    memory_bytes: int,
    threads: int,
    layers: Collection[str] | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    together: int = 1,
) -> Plan:
    """Chunks for `examples` examples within `memory_bytes`. Raises BudgetTooSmall, UnknownTap.

    together: rows that cannot be parted (an example and its baseline), which each evaluation takes.
    """
    taps = _swept(probe, select(probe, layers))
    rows = _rows(probe, taps, memory_bytes, together)
    whole = evaluations
    if rows >= whole:
        points, block = whole, max(1, min(examples, rows // whole))
    else:
        points, block = ceil(whole / ceil(whole / rows)), 1
    return Plan(
        evaluations=evaluations, points=points, examples=block, device=device, dtype=dtype, threads=threads,
        memory_bytes=memory_bytes, taps=tuple(tap.key for tap in taps),
    )  # fmt: skip


def quote(probe: Probe, plan: Plan, examples: int, kept: Collection[str] = (), together: int = 1) -> Quote:
    """What `plan` takes for `examples` examples when the attributions of the taps `kept` are held for each example."""
    taps = [probe.tap(key) for key in plan.taps]
    rows = max(plan.points * plan.examples * together, probe.rows or probe.least_rows)
    chunks = ceil(examples / plan.examples) * ceil(plan.evaluations / plan.points)
    held = sum(tap.bytes_per_example for tap in taps if tap.key in kept) * examples
    chunked = plan.points < plan.evaluations
    peak = _fixed(taps) + _per_example(taps, chunked=chunked) * plan.examples + probe.cost.bytes(rows)
    return Quote(chunks * probe.cost.seconds(rows), peak + held)


def _swept(probe: Probe, taps: Collection[Tap]) -> tuple[Tap, ...]:
    """The taps that must be computed so that each of `taps` that is on the path has its numbers."""
    keys = {probe.own(tap).key for tap in taps if tap.status == "on_path"}
    return tuple(tap for tap in probe.taps if tap.key in keys)


def _rows(probe: Probe, taps: Collection[Tap], memory_bytes: int, together: int) -> int:
    """How many evaluations a chunk holds, each of `together` rows."""
    each = max(1, probe.cost.bytes(1) - probe.cost.bytes(0)) * together
    if probe.rows is not None:
        wanted = least = max(1, probe.rows // together)
    else:
        wanted = min(_MOST_ROWS, max(_LEAST_CHUNK // together, _CHUNK_BYTES // each, 1))
        least = ceil(probe.least_rows / together)
    fixed = _fixed(taps) + _per_example(taps, chunked=True) + probe.cost.bytes(0)
    affordable = (memory_bytes - fixed) // each
    if affordable < least:
        raise BudgetTooSmall(fixed + least * each, memory_bytes)
    return min(wanted, affordable)


def _per_example(taps: Collection[Tap], *, chunked: bool) -> int:
    """The running sum, and between chunks of steps the last value and gradient."""
    return sum(tap.bytes_per_example for tap in taps) * (3 if chunked else 1)


def sums_bytes(probe: Probe, plan: Plan) -> int:
    """What one more question of a sweep along `plan` takes: its running sums, and those over examples."""
    taps = [probe.tap(key) for key in plan.taps]
    return _per_example(taps, chunked=plan.points < plan.evaluations) * plan.examples + _sums(taps)


def held_bytes(probe: Probe, plan: Plan) -> int:
    """What stays of a sweep along `plan` once it is done: the sums over examples of every unit."""
    return _sums([probe.tap(key) for key in plan.taps])


def _fixed(taps: Collection[Tap]) -> int:
    return _FLOOR_BYTES + _sums(taps)


def _sums(taps: Collection[Tap]) -> int:
    return sum(prod(tap.shape) for tap in taps) * _MOMENTS
