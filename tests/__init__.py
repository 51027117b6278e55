"""Tests; the tools of exact proof are in proofs."""
