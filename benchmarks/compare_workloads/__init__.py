"""What benchmarks/compare.py and compare_gpu.py run in their processes: a file for each style of API.

Theano needs Python 3.7.
"""
