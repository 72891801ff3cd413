"""How few words or tokens must change until the model decides otherwise?

Ebrahimi et al. 2018, arXiv:1712.06751; Gao et al. 2018, arXiv:1801.04354; Jin et al. 2020, arXiv:1907.11932.
"""

from __future__ import annotations

from workers.robustness.text.kind import text_kind

KIND = text_kind()
