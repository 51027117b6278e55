"""Agents: which way of getting a gradient teaches a policy."""
