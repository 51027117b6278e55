"""Score functions: gradients of expected costs from samples of an output."""
