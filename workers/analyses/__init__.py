"""Which questions can be asked? The list, in the order the documentation shows it."""

from workers.analyses import layer_conductance
from workers.kind import Registry

KINDS = Registry(layer_conductance.KIND)
