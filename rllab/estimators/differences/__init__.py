"""Differences along the coordinates: forward, central and complex steps, and a linear fit to scattered points."""
