"""T.sharedvar: shared variables and their classes. Names, no logic."""

from refgraph.interp.shared import SharedVariable as SharedVariable
from refgraph.interp.shared import TensorSharedVariable as TensorSharedVariable
from refgraph.interp.shared import shared as shared

tensor_constructor = shared
