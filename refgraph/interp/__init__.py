"""Runs graphs. `evaluate` is the definition; `plan` gives the same answers faster; `function` is what users call."""
