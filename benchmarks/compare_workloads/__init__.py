"""What benchmarks/compare.py runs in its processes: one file for each style of API. Python 3.7 can run it, for Theano."""
