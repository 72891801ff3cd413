"""Declared facts for the networks of the tests."""

from service.contracts.facts import DatasetFacts, ModelFacts

LAYOUTS = {1: ("table", "NF"), 2: ("series", "NTC"), 3: ("image", "NCHW")}


def input_facts(shape: tuple[int, ...], low: float = -1.0, high: float = 1.0) -> dict[str, object]:
    """Facts of one example of `shape`."""
    kind, layout = LAYOUTS[len(shape)]
    return {"kind": kind, "layout": layout, "shape": list(shape), "bounds": {"low": [low], "high": [high]}}


def model_facts(shape: tuple[int, ...], classes: int = 3) -> ModelFacts:
    """A classifier of `classes` classes."""
    return ModelFacts.model_validate(
        {
            "task": "classification",
            "input": input_facts(shape),
            "output": {"kind": "logits", "classes": [f"class {at}" for at in range(classes)]},
        }
    )


def dataset_facts(shape: tuple[int, ...], **changes: object) -> DatasetFacts:
    """Labelled examples for that classifier of three classes."""
    return DatasetFacts.model_validate(
        {"input": input_facts(shape), "classes": [f"class {at}" for at in range(3)], **changes}
    )
