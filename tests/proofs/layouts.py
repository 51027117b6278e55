"""What must not be in a layout: things that lie on each other, and edges that end beside their nodes."""

import numpy as np

SIDES = ("left", "bottom", "right", "top")


def overlap(a, b):
    """Whether two boxes have a point inside of both."""
    return a.left < b.right and b.left < a.right and a.bottom < b.top and b.bottom < a.top


def placed(layout, name):
    """Return where a node is."""
    return next(placed for placed in layout.nodes if placed.node.name == name)


def points(route, each=12):
    """Return points along an edge, `each` a curve, (n, 2)."""
    t = np.linspace(0, 1, each + 1)
    weights = np.stack(((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3), 1)
    return np.concatenate([weights @ np.array(curve) for curve in route.curves])


def faults(layout):
    """Pairs that lie on each other: boxes and labels among themselves, and edges on boxes and labels."""
    found = []
    for i, a in enumerate(layout.nodes):
        for box in filter(None, (a.box, a.label)):
            if box.left < 0 or box.bottom < 0 or box.right > layout.width or box.top > layout.height:
                found.append((a.node.name, "the border"))
        for b in layout.nodes[i + 1 :]:
            boxes = [(r, s) for r in (a.box, a.label) for s in (b.box, b.label) if r and s]
            found += [(a.node.name, b.node.name) for r, s in boxes if overlap(r, s)]
        if a.label and overlap(a.label, a.box) and a.node.kind in ("observed", "computed", "parameter", "gradient"):
            found.append((a.node.name, "its own label"))
    held = [(p.node.name, box is p.label, box) for p in layout.nodes for box in (p.box, p.label) if box]
    left, bottom, right, top = (np.array([getattr(box, side) for *_, box in held]) for side in SIDES)
    for route in layout.routes:
        ends, (x, y) = (route.edge.tail, route.edge.head), points(route).T[..., None]
        inside = ((left < x) & (x < right) & (bottom < y) & (y < top)).any(0)
        for k in inside.nonzero()[0]:
            name, is_label, _ = held[k]
            if is_label or name not in ends:  # an edge may touch the boxes it belongs to
                found.append((f"{route.edge.tail} -> {route.edge.head}", name))
    return found


def gaps(layout):
    """How far heads and tails of edges are from the boxes they belong to."""
    found = []
    for route in layout.routes:
        first, *_, last = points(route)
        for name, (x, y) in ((route.edge.tail, first), (route.edge.head, last)):
            box = placed(layout, name).box
            found.append(max(box.left - x, x - box.right, box.bottom - y, y - box.top))
    return found
