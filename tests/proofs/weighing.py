"""Workers that do in this process what they are given, through pickle, and weigh what a real one would be sent."""

import pickle
from concurrent.futures import Future

from rllab.executors import Workers


class Weighing(Workers):
    """Count bytes: a function once for each worker, as long as the same object is submitted, and inputs every time.

    Attributes:
        functions, inputs: bytes of them so far.
        recipes: how many submissions were recipes.
    """

    def __init__(self, count=2):
        super().__init__(count)
        self.functions = self.inputs = self.recipes = 0
        self._held = None

    def submit(self, function, /, *inputs, timeout=None):
        if function is not self._held:
            self._held, self._pickled = function, pickle.dumps(function)
            self.functions += self.count * len(self._pickled)
        sent = pickle.dumps(inputs)
        self.inputs += len(sent)
        self.recipes += function.recipe is not None
        future = Future()
        future.set_result(pickle.loads(self._pickled)(*pickle.loads(sent)))
        return future
