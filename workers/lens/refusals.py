"""Why can hidden states not be read by this model's own head?"""

from __future__ import annotations

from workers.sweep.refusals import SweepRefused


class NoLens(SweepRefused):
    """The states of this model's layers cannot be given to its head."""
