"""Which questions can be asked? The list, in the order the documentation shows it."""

from workers.analyses import layer_conductance, layer_gradient_x_activation
from workers.kind import Registry

KINDS = Registry(layer_conductance.KIND, layer_gradient_x_activation.KIND)
