"""Recorded passes: the torch operations of a pass, replayed without making a tensor; see tape."""
