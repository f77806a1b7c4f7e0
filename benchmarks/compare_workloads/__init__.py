"""What benchmarks/compare.py runs in its processes: a file for each style of API. All runs on Python 3.7, for Theano."""
