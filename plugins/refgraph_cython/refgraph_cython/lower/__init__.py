"""How graphs become programs: one file for each family of ops. Each says of its ops which kernels compute them."""

from importlib import import_module
from pathlib import Path

for _file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    import_module(f"{__name__}.{_file.stem}")  # it declares lowerings
