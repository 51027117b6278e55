"""Random DAGs of modules: the generator of the experiment on three ways to one gradient."""

from random_graphs import random_graph as random_graph
from random_graphs import values_of as values_of
