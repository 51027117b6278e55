"""Random directions: gradients of a smoothed cost from its values, or its derivatives, along them."""
