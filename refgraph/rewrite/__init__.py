"""Graphs to graphs that compute the same, better. Rules by purpose; `interp/modes.py` says when they run."""
