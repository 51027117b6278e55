"""Zeroth order: gradients from values of a cost at perturbed parameters."""
