"""What benchmarks/compare.py runs in its processes: a file for each style of API. Theano needs Python 3.7."""
