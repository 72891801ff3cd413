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
    "create_baseline": {
        "model_name": "digits-cnn",
        "audit": "0193530a-8e3a-7d22-9b66-2c3d4e5f6071",
        "reason": "The audit before release 2026.11, read by the model-risk group.",
    },
    "create_policy": {
        "name": "models that grant credit",
        "content": {
            "tier": "high",
            "role": "deployer",
            "declared": {"accuracy": 0.95, "robust_accuracy": 0.6, "epsilon": 1.0},
            "frameworks": ["EUAIA", "NIST"],
            "overrides": [
                {
                    "control": "XAI-06",
                    "threshold": 0.9,
                    "owner": "Model risk",
                    "reason": "Explanations are sent to customers, who compare them.",
                }
            ],
            "owners": {"ROB-01": "Security"},
        },
    },
    "create_waiver": {
        "control": "ROB-04",
        "model_name": "digits-cnn",
        "reason": "The scanner that adds this blur is replaced in January.",
        "compensating": "Blurred scans are read by a person.",
    },
    "decide_on_waiver": {"decision": "granted", "comment": "Until the scanner is replaced, not longer."},
    "create_attestation": {
        "control": "GOV-01",
        "model_name": "digits-cnn",
        "role": "product owner",
        "statement": "Purpose, domain of inputs and known limits are recorded in the model file, section 2.",
        "document_title": "Model file digits-cnn, section 2",
        "expires_at": "2026-12-31T00:00:00Z",
    },
    "create_hold": {"model_name": "digits-cnn", "reason": "Claim 2026/117 of 4 November: nothing of it may go."},
    "lift_hold": {"reason": "The claim was settled on 12 December; counsel agrees."},
    "create_webhook": {"url": "https://hooks.example.org/lamina", "least": "medium"},
    "create_recipient": {"address": "model-risk@example.org", "least": "high"},
    "create_schedule": {
        "name": "digits-cnn, every Monday",
        "model_name": "digits-cnn",
        "cron": "30 6 * * 1",
        "zone": "Europe/Berlin",
        "triggers": ["new_version"],
        "task": {
            "purpose": "audits",
            "title": "digits-cnn, weekly",
            "inputs": {"evaluation": {"name": "digits-test"}},
            "analyses": [{"kind": "layer_conductance", "parameters": {"steps": 50}}],
        },
    },
    "preview_schedule": {"cron": "30 2 * * *", "zone": "Europe/Berlin", "n": 5},
    "create_compliance_report": {
        "title": "digits-cnn, November",
        "model_name": "digits-cnn",
        "frameworks": ["EUAIA", "NIST"],
        "window_from": "2026-11-01T00:00:00Z",
        "window_to": "2026-12-01T00:00:00Z",
        "zone": "Europe/Berlin",
    },
    "create_sign_off": {
        "step": "approved",
        "digest": DIGEST,
        "role": "model-risk officer",
        "comment": "Robustness is to be measured on more examples next month.",
    },
    "create_link": {"form": "html", "hours": 72},
    "create_principal": {"name": "nightly-pipeline", "kind": "service"},
    "create_key": {
        "principal": "0193530a-5b0d-7a4b-8c9f-3e1e8a2b0c1d",
        "label": "nightly pipeline, November",
        "scopes": ["read", "submit"],
        "days": 90,
    },
}
