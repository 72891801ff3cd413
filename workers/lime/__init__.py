"""LIME as kinds of analysis: what they ask, compute, check and say."""
