"""How does intake say no? By naming the part of the file that is wrong and what would make it right."""

import re

import torch

from service.contracts.problem import Fault, Reason


class Refusal(Exception):
    """The file does not come in. Always permanent: the same bytes are refused again. faults: where several are."""

    def __init__(self, code: str, detail: str, remedy: str | None = None, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.code, self.detail, self.remedy, self.faults = code, detail, remedy, faults

    def reason(self) -> Reason:
        """As the child answers with it; long texts are cut to what the contract holds."""
        remedy = self.remedy and self.remedy[:4000]
        return Reason(code=self.code, detail=self.detail[:4000], remedy=remedy, faults=self.faults[:200])


_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[/\\][\w.@+\-]+){2,}")


_NOT_AS_WRITTEN = "a part of it is not as torch.export writes it"
_OF_PYTHON = re.compile(r"<class '[\w.]*'>|\b\w+(Error|Exception)\b:? ?|object at 0x\w+|\bTraceback\b.*")


def without_paths(text: str) -> str:
    """A message of a library as a customer may see it: no path of this machine in it."""
    return _PATH.sub("(path)", text)


def in_words(error: BaseException) -> str:
    """What torch says of a program: its first cause, without classes and places of its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, KeyError | AttributeError | TypeError | AssertionError | NameError | RecursionError):
        return _NOT_AS_WRITTEN
    text = " ".join(without_paths(str(error)).split())
    return _OF_PYTHON.sub("", text)[:1000].strip() or _NOT_AS_WRITTEN


def out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, which says nothing of the file; torch reports it as a RuntimeError of its allocator."""
    said = ("DefaultCPUAllocator", "not enough memory", "std::bad_alloc")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in said)
    )


def quoted(text: object, limit: int = 80) -> str:
    """A name from a customer's file as an error may show it: printable ASCII, escaped, short."""
    shown = ascii(text)
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."
