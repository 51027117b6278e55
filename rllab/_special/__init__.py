"""Special functions that costs with a known gradient are made of."""
