"""Executors for tests, which run in this process and do exactly what a test is about."""

from collections import Counter
from concurrent.futures import BrokenExecutor, Future


def rows_of(inputs):
    """Return how many rows are sent, as arrays, or as (block, start, stop) of a recipe."""
    return inputs[2] - inputs[1] if isinstance(inputs[0], int) else len(inputs[0])


class Late:
    """A future that is not one of concurrent.futures; it has `done`, `result` and `cancel`."""

    def __init__(self, pool, function, inputs):
        self.pool, self.function, self.inputs = pool, function, inputs
        self.value = self.error = None
        self.is_done = self.is_cancelled = False

    def run(self):
        self.is_done = True
        self.value = self.function(*self.inputs)

    def fail(self, error):
        self.is_done, self.error = True, error

    def done(self):
        self.pool.look()
        return self.is_done

    def result(self):
        assert self.is_done
        if self.error is not None:
            raise self.error
        return self.value

    def cancel(self):
        self.is_cancelled = not self.is_done
        return self.is_cancelled


class Backwards:
    """Do what was submitted last first, one at each look.

    Attributes:
        sizes: rows of each submission.
        most: how many were waiting at a time.
    """

    def __init__(self):
        self.waiting, self.sizes, self.most = [], [], 0

    def submit(self, function, /, *inputs):
        self.waiting.append(late := Late(self, function, inputs))
        self.sizes.append(rows_of(inputs))
        self.most = max(self.most, len(self.waiting))
        return late

    def look(self):
        if self.waiting:
            self.waiting.pop().run()


class Timed:
    """Answer at once, and say that every row took so many seconds."""

    def __init__(self, seconds):
        self.seconds, self.sizes = seconds, []

    def submit(self, function, /, *inputs):
        future, rows = Future(), rows_of(inputs)
        self.sizes.append(rows)
        future.set_result(function(*inputs)._replace(seconds=self.seconds * rows))
        return future


class Fading:
    """Answer the first few submissions, and none after them."""

    def __init__(self, few):
        self.few, self.futures = few, []

    def submit(self, function, /, *inputs):
        self.futures.append(Future())
        if len(self.futures) <= self.few:
            self.futures[-1].set_result(function(*inputs))
        return self.futures[-1]


class Losing:
    """Lose every submission with a row whose first number is one of `places`, the first few times it comes."""

    def __init__(self, places, times=1):
        self.left, self.submitted = Counter(dict.fromkeys(places, times)), 0

    def submit(self, function, /, *inputs):
        self.submitted += len(inputs[0])
        future = Future()
        hit = [int(row[0]) for row in inputs[0] if self.left[int(row[0])] > 0]
        for place in hit:
            self.left[place] -= 1
        if hit:
            future.set_exception(OSError("a machine went away"))
        else:
            future.set_result(function(*inputs))
        return future


class Pools:
    """Make pools that break at rows whose first number is one of `places`, a few times each, and lose all they have.

    Attributes:
        made: how many pools were made.
        alive: how many were not shut down.
    """

    def __init__(self, places, times):
        self.left, self.made, self.alive = Counter(dict.fromkeys(places, times)), 0, 0

    def __call__(self):
        self.made += 1
        self.alive += 1
        return Pool(self)


class Pool:
    """A pool of one process, which does things in the order of their submission."""

    def __init__(self, pools):
        self.pools, self.waiting, self.broken = pools, [], False

    def submit(self, function, /, *inputs):
        if self.broken:
            raise BrokenExecutor("broken")
        self.waiting.append(late := Late(self, function, inputs))
        return late

    def look(self):
        if not self.waiting:
            return
        place = next((int(row[0]) for row in self.waiting[0].inputs[0] if self.pools.left[int(row[0])] > 0), None)
        if place is None:
            self.waiting.pop(0).run()
            return
        self.pools.left[place] -= 1
        self.broken = True
        for late in self.waiting:
            late.fail(BrokenExecutor("broken"))
        self.waiting.clear()

    def shutdown(self, wait=True):
        self.pools.alive -= 1
