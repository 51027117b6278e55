"""What must not be in a layout: things that lie on each other, and edges that end beside their nodes."""


def overlap(a, b):
    """Whether two boxes have a point inside of both."""
    return a.left < b.right and b.left < a.right and a.bottom < b.top and b.bottom < a.top


def holds(box, point):
    """Whether a point lies inside, not on the border."""
    return box.left < point[0] < box.right and box.bottom < point[1] < box.top


def placed(layout, name):
    """Return where a node is."""
    return next(placed for placed in layout.nodes if placed.node.name == name)


def points(route, each=12):
    """Return points along an edge, `each` a curve."""
    found = []
    for p in route.curves:
        for k in range(each + 1):
            t = k / each
            b = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            found.append(tuple(sum(w * q[i] for w, q in zip(b, p, strict=True)) for i in (0, 1)))
    return found


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
    for route in layout.routes:
        for placed in layout.nodes:
            at_its_end = placed.node.name in (route.edge.tail, route.edge.head)
            for box in filter(None, (None if at_its_end else placed.box, placed.label)):
                if any(holds(box, point) for point in points(route)):
                    found.append((f"{route.edge.tail} -> {route.edge.head}", placed.node.name))
    return found


def gaps(layout):
    """How far heads and tails of edges are from the boxes they belong to."""
    found = []
    for route in layout.routes:
        for name, (x, y) in ((route.edge.tail, points(route)[0]), (route.edge.head, points(route)[-1])):
            box = placed(layout, name).box
            found.append(max(box.left - x, x - box.right, box.bottom - y, y - box.top))
    return found
