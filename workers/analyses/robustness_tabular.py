"""How little must change in a row, within the rules of its columns, until the model decides otherwise?

Croce and Hein 2020, arXiv:2003.01690; Simonetto, Ghamizi and Cordy 2024, arXiv:2406.00775.
"""

from __future__ import annotations

from workers.robustness.tabular.kind import tabular_kind

KIND = tabular_kind()
