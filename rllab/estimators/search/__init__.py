"""Directions of search: costs are shaped together before they weigh what was tried; see `engine`."""
