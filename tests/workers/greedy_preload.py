"""What a worker preloads, but its only kind of analysis, and its inspection of models, meet bounds as they are told."""

import workers.analyses
import workers.child
import workers.preload
from tests.workers.greedy import GREEDY, inspect_greedily
from workers.kind import Registry

workers.analyses.KINDS = Registry(GREEDY)
workers.child.inspect_model = inspect_greedily
initialise_device = workers.preload.initialise_device
