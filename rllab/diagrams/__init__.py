"""Block diagrams of live graphs, drawn in the lecture's notation."""

from rllab.diagrams.graphs import draw_graph as draw_graph
from rllab.diagrams.networks import count_layers as count_layers
from rllab.diagrams.networks import draw_units as draw_units
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)
