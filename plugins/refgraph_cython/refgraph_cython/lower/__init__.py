"""How graphs become programs: one file for each family of ops. Each says of its ops which kernels compute them."""

from importlib import import_module
from os import listdir

for _file in sorted(listdir(__path__[0])):
    if _file.endswith(".py") and _file[0] != "_":
        import_module(f"{__name__}.{_file[:-3]}")  # it declares lowerings
