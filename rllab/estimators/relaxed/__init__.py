"""Relaxations of discrete outputs: biased gradients through continuous stand-ins for bits and choices."""
