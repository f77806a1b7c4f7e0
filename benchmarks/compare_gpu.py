"""refgraph beside PyTorch and JAX on one NVIDIA GPU: how long a call takes until its results are computed.

    uv run benchmarks/compare_gpu.py [--workloads WORD ...] [--peers PEER ...] [--rounds N] [--quick]

As in compare.py each peer is a process, peers must agree on the answers before they are measured, and they take turns.
PyTorch is measured eager, compiled, and as CUDA graphs. CuPy stands for CUDA's own library: it says how fast memory is
copied and how fast cuBLAS is, and the second table gives refgraph as a fraction of that. Arguments lie on the GPU.
After ten small updates, the device is waited for after many calls: what is measured there is the launch.

Peers run on the Python that runs this, where it has their library, else in environments that are made. A whole run
writes benchmarks/results/compare_gpu.json and a picture beside it. With --quick workloads are small and rounds few;
where there is no GPU refgraph's kernels then run on the host, beside its interpreter, to see that they agree.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "plugins/refgraph_cupy"))
sys.path.insert(0, str(Path(__file__).parent))
import compare
from compare import HERE, OURS, ROOT, Peer
from compare_workloads.workloads import bytes_moved, gpu_workloads

from refgraph_cupy.presence import why_missing

CUDA = "CuPy"  # the peer that does what CUDA's library does
PEERS = {
    OURS: Peer("theano_like.refgraphs_on_device", "refgraph"),
    CUDA: Peer("cupy_like.cupys", "refgraph"),
    "JAX": Peer("jax_like.jaxes", "jax", "cuda"),
    "torch": Peer("torch_like.torches", "torch", "cuda"),
    "torch.compile": Peer("torch_like.torches", "torch", "cuda+compile"),
    "torch, CUDA graph": Peer("torch_like.torches", "torch", "cuda+graph"),
}
WITHOUT_GPU = {OURS: PEERS[OURS], "refgraph on NumPy": Peer("theano_like.refgraphs", "refgraph", "numpy")}


def interpreters(given: dict[str, str]) -> dict[str, str]:
    """The Python for each environment, where this one has the library."""
    here = {name: sys.executable for name in ("jax", "torch") if importlib.util.find_spec(name)}
    return here | given


def fractions(rows: list[dict[str, Any]], workloads: dict[str, Any]) -> dict[str, float]:
    """How fast refgraph is where CUDA's library says how fast one can be: 1 is as fast."""
    times = {row["workload"]: row["us"] for row in rows}
    copy = next((name for name, us in times.items() if workloads[name].family == "copy" and CUDA in us), None)
    found = {}
    for name, us in times.items():
        family = workloads[name].family
        if OURS not in us:
            continue
        if family in ("axpy", "long sum") and copy:
            moved = bytes_moved(workloads[name]) / bytes_moved(workloads[copy])
            found[f"{name}, of the speed of a copy"] = moved * times[copy][CUDA] / us[OURS]
        elif family == "product" and CUDA in us:
            found[f"{name}, of cuBLAS"] = us[CUDA] / us[OURS]
    return found


def measured(workloads: dict[str, Any], args: argparse.Namespace, report: dict[str, Any]) -> None:
    """Fill the report, and write it after each row."""
    workers, missing = compare.start(args.peers, args, args.threads)
    (table,) = report["tables"]
    report["versions"] |= {name: worker.versions for name, worker in workers.items()}
    try:
        for workload in workloads:
            print(workload, file=sys.stderr)
            row = compare.warm(workload, workers, args.rounds)
            row["cannot"] |= missing
            table["rows"].append(compare.rated(row))
            report["fractions"] = fractions(table["rows"], workloads)
            if args.json:
                args.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    finally:
        for worker in workers.values():
            worker.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", metavar="WORD", help="those with one of these in their names")
    parser.add_argument("--peers", nargs="+", choices=PEERS, metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--rounds", type=int, help="default: 15; 2 with --quick")
    parser.add_argument("--quick", action="store_true", help="small workloads and few rounds: to see that it runs")
    parser.add_argument("--environments", type=Path, default=ROOT / ".cache" / "compare", metavar="DIR")
    parser.add_argument(
        "--python", type=compare.pair, nargs="+", default=[], metavar="ENVIRONMENT=PATH", help="an interpreter"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="for the numbers, and beside it for the picture")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the workers, which may be stopped, end too
    peers = {name: PEERS[name] for name in args.peers or PEERS}
    os.environ.pop("REFGRAPH_CUPY_DEVICE", None)
    if why := why_missing():
        print(f"No GPU can be used here: {why}.")
        if not args.quick:
            return 1
        print("refgraph's kernels run on the host, to see that they agree with its interpreter. Times mean nothing.")
        os.environ["REFGRAPH_CUPY_DEVICE"] = "host"
        peers = WITHOUT_GPU
    if not (args.json or args.quick or args.workloads or args.peers):  # a whole run is a result
        args.json = HERE / "results" / "compare_gpu.json"
    args.peers, args.python = peers, interpreters(dict(args.python))
    args.rounds, args.threads = args.rounds or (2 if args.quick else 15), min(4, len(os.sched_getaffinity(0)))
    workloads = gpu_workloads(args.quick)
    workloads = {n: w for n, w in workloads.items() if not args.workloads or any(x in n for x in args.workloads)}

    table: dict[str, Any] = {"threads": args.threads, "cold": False, "rounds": args.rounds, "rows": []}
    report: dict[str, Any] = {"versions": {"python": platform.python_version()}, "tables": [table], "fractions": {}}
    report["machine"] = {"platform": platform.platform(), "processor": compare.processor(), "cpus": os.cpu_count()}
    measured(workloads, args, report)
    print(f"\n{compare.table(table['rows'], list(peers))}")
    for name, fraction in report["fractions"].items():
        print(f"{name}: {fraction:.1%}")
    slower = [row["workload"] for row in table["rows"] if row.get("ratio", 1) < 1]
    print(f"slower than the best of the others: {', '.join(slower) or 'none'}")
    if args.json:
        compare.picture(report, args.json.with_suffix(".svg"))
    differ = [row["workload"] for row in table["rows"] if OURS in row["cannot"]]
    if differ:
        print(f"refgraph does not do: {', '.join(differ)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
