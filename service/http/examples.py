"""What does a request look like? One for each body, true to life: the documentation shows them, a test sends them."""

from typing import Any

DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
IMAGE: dict[str, Any] = {
    "kind": "image",
    "layout": "NCHW",
    "shape": [1, 8, 8],
    "bounds": {"low": [0], "high": [16]},
    "unit": "grey level 0-16",
    "preprocessing": {"mean": [8], "std": [8]},
}
DIGITS = [str(digit) for digit in range(10)]
EXAMPLES: dict[str, dict[str, Any]] = {
    "create_model": {
        "name": "digits-cnn",
        "version": "2026.11",
        "blob": DIGEST,
        "facts": {
            "task": "classification",
            "input": IMAGE,
            "output": {"kind": "logits", "classes": DIGITS},
            "accuracy": 0.97,
            "risk_tier": "minimal",
        },
    },
    "create_dataset": {
        "name": "digits-test",
        "version": "1",
        "blob": DIGEST,
        "facts": {
            "input": IMAGE,
            "classes": DIGITS,
            "inputs_array": "inputs",
            "labels_array": "labels",
            "example_names": "digit",
        },
    },
    "create_audit": {
        "title": "digits-cnn before release",
        "model": "0193530a-6c1e-7b5c-9d0a-4f2f9a3b1c2d",
        "inputs": {"evaluation": {"dataset": "0193530a-7d2f-7c11-8a55-1b2c3d4e5f60"}},
        "analyses": [{"kind": "layer_conductance", "parameters": {"steps": 50}}],
    },
    "create_principal": {"name": "nightly-pipeline", "kind": "service"},
    "create_key": {
        "principal": "0193530a-5b0d-7a4b-8c9f-3e1e8a2b0c1d",
        "label": "nightly pipeline, November",
        "scopes": ["read", "submit"],
        "days": 90,
    },
}
