"""What would it take to run this again, bit for bit?"""

from typing import Annotated

from pydantic import Field, JsonValue

from service.contracts.base import WHOLE, Digest, Value

Word = Annotated[str, Field(max_length=256)]


class Machine(Value):
    """Where it ran; bitwise replay holds on equal CPU capability, threads and versions only."""

    device: Word
    device_name: Word
    cpu_capability: Word
    threads: Annotated[int, Field(ge=1), WHOLE]
    platform: Word
    python: Word
    versions: Annotated[dict[str, Word], Field(max_length=40)] = Field(description="Library name to version.")


class Overlap(Value):
    """How many examples of one role also stand in another: equal raw inputs, to the last bit, whatever their labels."""

    role: Word
    other: Word
    shared: Annotated[int, Field(ge=0), WHOLE] = Field(description="Examples of `role` that also stand in `other`.")
    examples: Annotated[int, Field(ge=1), WHOLE] = Field(description="Examples of `role`.")


def _none(given: object) -> bool:
    """Where one dataset was named there is nothing to compare; such documents stay as they were."""
    return not given


class Provenance(Value):
    """Stored with every outcome."""

    analysis_digest: Digest
    kind: Word
    kind_version: Annotated[int, Field(ge=1), WHOLE]
    model_digest: Digest
    input_digests: dict[str, Digest]
    overlaps: Annotated[tuple[Overlap, ...], Field(max_length=64, strict=False)] = Field(
        (), exclude_if=_none, description="For each pair of roles, how many examples stand in both."
    )
    seed: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] = Field(description="Root seed, derived from the digest.")
    plan: dict[str, JsonValue] = Field(description="Chunks, batch, dtype, memory budget: a replay uses exactly this.")
    deterministic: bool = Field(description="Whether deterministic algorithms were enforced throughout.")
    machine: Machine
    sandbox_level: Word
    seconds: Annotated[float, Field(ge=0)]
    peak_bytes: Annotated[int, Field(ge=0), WHOLE] | None = None
    quoted_seconds: Annotated[float, Field(ge=0)] | None = None
    quoted_bytes: Annotated[int, Field(ge=0), WHOLE] | None = None
    shared_with: Annotated[int, Field(ge=0), WHOLE] = Field(0, description="Other analyses that used the same passes.")
    worker: Word | None = None
    attempt: Annotated[int, Field(ge=1), WHOLE] | None = None
