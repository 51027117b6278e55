"""The lecture, statement by statement: its table, and the scripts that prove rows of it."""
