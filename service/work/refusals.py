"""How does asking for work fail? With every fault at once, each at its place; or for want of room."""

from collections.abc import Sequence

from service.contracts.problem import Fault


class Invalid(ValueError):
    """A request that cannot be done as it stands; `faults` says where and why, as JSON Pointers into its body."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)


class Conflict(RuntimeError):
    """What was asked for contradicts what is there, such as a name and version that are taken."""


class OverOpenWork(RuntimeError):
    """The tenant has as many open analyses as it may; the same request may succeed later."""
