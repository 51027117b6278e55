"""Backprop as the lecture writes it: modules f(z, w) with the chain rule by hand and both Jacobians as objects."""

from rllab.backprop.batches import minibatches as minibatches
from rllab.backprop.branches import Repeat as Repeat
from rllab.backprop.branches import Switch as Switch
from rllab.backprop.chain import Chain as Chain
from rllab.backprop.check import Check as Check
from rllab.backprop.check import check_graph as check_graph
from rllab.backprop.descent import FitHistory as FitHistory
from rllab.backprop.descent import extragradient as extragradient
from rllab.backprop.descent import fit as fit
from rllab.backprop.descent import step as step
from rllab.backprop.gradients import Gradients as Gradients
from rllab.backprop.graph import Graph as Graph
from rllab.backprop.joins import Add as Add
from rllab.backprop.joins import Concatenate as Concatenate
from rllab.backprop.joins import Copy as Copy
from rllab.backprop.joins import Max as Max
from rllab.backprop.joins import Multiply as Multiply
from rllab.backprop.layers import Flatten as Flatten
from rllab.backprop.layers import Linear as Linear
from rllab.backprop.layers import LogSoftmax as LogSoftmax
from rllab.backprop.layers import NearestRow as NearestRow
from rllab.backprop.losses import CrossEntropy as CrossEntropy
from rllab.backprop.losses import InnerProduct as InnerProduct
from rllab.backprop.losses import SquaredDistance as SquaredDistance
from rllab.backprop.losses import ZeroOne as ZeroOne
from rllab.backprop.models import lecture_net as lecture_net
from rllab.backprop.models import linear as linear
from rllab.backprop.models import mlp as mlp
from rllab.backprop.models import nearest_neighbour as nearest_neighbour
from rllab.backprop.module import Module as Module
from rllab.backprop.order import Block as Block
from rllab.backprop.order import Variable as Variable
from rllab.backprop.pointwise import Identity as Identity
from rllab.backprop.pointwise import Pointwise as Pointwise
from rllab.backprop.pointwise import ReLU as ReLU
from rllab.backprop.pointwise import Sigmoid as Sigmoid
from rllab.backprop.pointwise import Softplus as Softplus
from rllab.backprop.pointwise import Tanh as Tanh
from rllab.backprop.wrapped import Wrapped as Wrapped
from rllab.text import with_names as _with_names

__doc__ = _with_names(__doc__, __file__)
