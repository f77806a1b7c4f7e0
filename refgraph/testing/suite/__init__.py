"""The conformance suite: it holds a backend against the interpreter, `python -m pytest --pyargs refgraph.testing`."""
