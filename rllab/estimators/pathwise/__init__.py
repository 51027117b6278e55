"""Pathwise gradients: differentiate the cost at a sample, and the sample by its distribution's parameters."""
