"""Black boxes: a block without a gradient in a graph that has one."""
