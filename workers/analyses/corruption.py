"""How much worse does the model do on inputs as cameras, sensors, people and formats spoil them?

Hendrycks and Dietterich 2019, arXiv:1903.12261 (ImageNet-C style, constants differ).
"""

from __future__ import annotations

from workers.corruption.kind import corruption_kind

KIND = corruption_kind()
