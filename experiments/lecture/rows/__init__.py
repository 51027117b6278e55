"""Rows of the lecture that need no script of their own."""
