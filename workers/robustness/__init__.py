"""How strong is a network against attacks? What the engine finds, checked and told as kinds of analysis."""
