"""The conformance suite: `pytest --pyargs refgraph.testing --backend=NAME` holds a backend against the interpreter."""
