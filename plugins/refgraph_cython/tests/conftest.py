"""Without the compiled part, as on a machine without a C compiler, there is nothing to test here."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("refgraph_cython") and find_spec("refgraph_cython._native") else ["test_*.py"]
