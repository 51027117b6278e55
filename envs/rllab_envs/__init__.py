"""Environments for rllab; each is registered under the id `rllab/<Name>-v0`."""
