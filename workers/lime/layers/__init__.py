"""LIME of hidden layers: the samples that explain a prediction also explain what each layer makes of the example."""
