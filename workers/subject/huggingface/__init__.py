"""How does a Hugging Face folder become a network? As data by our own reader, and as a stock class that we name.

No AutoConfig, no from_pretrained, no hub, no code of the folder's: `rewrite` keeps the keys, tensors and parts of
tokenizers that have a rule here, `load` builds the class from them. transformers is imported by the first use, or by
the preload.
"""

from pathlib import Path

from service.contracts.facts import ModelFacts
from workers.subject.network import Loaded, Rewritten


def rewrite(source: Path, target: Path, facts: ModelFacts) -> Rewritten:
    """Writes the canonical form of the zipped folder at `source` to `target`. Raises Refusal."""
    from workers.subject.huggingface.rewriting import rewrite as rewritten

    return rewritten(source, target, facts)


def load(canonical: Path, device: str = "cpu") -> Loaded:
    """The network of a canonical form that `rewrite` wrote. Never call it on anything else. Raises Refusal."""
    from workers.subject.huggingface.loading import load as loaded

    return loaded(canonical, device)
