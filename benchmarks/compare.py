"""refgraph beside Theano, PyTensor, JAX and PyTorch: how long a call takes, on the CPU.

    uv run benchmarks/compare.py [--threads N ...] [--workloads WORD ...] [--peers PEER ...] [--quick] [--cold]

Each peer is a process in an environment of its own, which is made where it is missing (--environments says where), and
is written as its users would write it: benchmarks/compare_workloads has a file for each style of API. In each round
every peer runs for about 20 ms while all others are stopped; numbers are medians over rounds. Before they are measured
peers must agree on the answers. With --cold: seconds to make a function and call it once, in a process that has
compiled nothing before, and with no cache of earlier compilations.

A whole run writes benchmarks/results/compare.json and a picture beside it (compare_cold.json with --cold).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
from compare_workloads.workloads import ALL, TOLERANCES, WORKLOADS  # type: ignore[import-not-found]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SLICE = 0.02  # seconds that a peer runs in a round
LIMIT = 120.0  # seconds for one answer
POOLS = ("OMP", "OPENBLAS", "MKL", "NUMBA")
OURS = "refgraph"  # the peer that the others are compared with; those whose names begin so are no rivals


class Peer(NamedTuple):
    """Where a peer's workloads are, the environment that it runs in, and what it is told."""

    setup: str
    environment: str
    option: str = ""


PEERS = {
    OURS: Peer("theano_like.refgraphs", "refgraph", "cython"),
    "refgraph on NumPy": Peer("theano_like.refgraphs", "refgraph", "numpy"),
    "JAX": Peer("jax_like.jaxes", "jax"),
    "PyTensor": Peer("theano_like.pytensors", "pytensor"),
    "PyTensor in C": Peer("theano_like.pytensors", "pytensor", "c"),
    "torch": Peer("torch_like.torches", "torch"),
    "torch.compile": Peer("torch_like.torches", "torch", "compile"),
    "Theano": Peer("theano_like.theanos", "theano"),
}
PACKAGES = {
    "jax": ["jax"],
    "pytensor": ["pytensor", "scipy-openblas32"],
    "torch": ["torch==2.13.0", "numpy"],
    "theano": ["numpy<1.21", "scipy", "Theano==1.0.5", "scipy-openblas32"],
}


class Cannot(Exception):
    """Why a peer does not do a workload."""


class Worker:
    """A process of one peer. It is stopped but while it answers: its pools of threads would take the others' time."""

    def __init__(self, peer: Peer, python: Path, threads: int) -> None:
        self.cache = tempfile.mkdtemp(prefix="compare-")
        given = {"peer": peer.setup, "option": peer.option, "threads": threads, "cache": self.cache}
        given["cpus"] = sorted(os.sched_getaffinity(0))[-threads:]
        dropped = ("PYTHON", "THEANO", "REFGRAPH_FLAGS", "REFGRAPHRC")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        environment |= {f"{pool}_NUM_THREADS": str(threads) for pool in POOLS}
        if peer.environment == "refgraph":
            environment["PYTHONPATH"] = os.pathsep.join([str(p) for p in (ROOT, *(ROOT / "plugins").iterdir())])
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(python), str(HERE / "compare_workloads" / "worker.py"), json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
            start_new_session=True,  # with the compilers that it starts
        )
        try:
            self.versions = self.answer(LIMIT)["versions"]
        except Cannot:
            self.close()
            raise

    def ask(self, what: str, argument: Any, limit: float = LIMIT) -> dict[str, Any]:
        assert self.process.stdin
        if self.process.poll() is not None:
            raise Cannot("its process ended")
        self.signal(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps({what: argument}).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Cannot("its process ended") from None
        return self.answer(limit)

    def answer(self, limit: float) -> dict[str, Any]:
        assert self.process.stdout
        if not select.select([self.process.stdout], [], [], limit)[0]:
            self.close()
            raise Cannot(f"took more than {limit:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            said = self.errors.read().decode(errors="replace").strip().splitlines()
            raise Cannot("its process ended" + (": " + said[-1] if said else ""))
        self.signal(signal.SIGSTOP)
        found: dict[str, Any] = json.loads(line)
        if "cannot" in found:
            raise Cannot(found["cannot"])
        return found

    def signal(self, which: int) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, which)

    def close(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.cache, ignore_errors=True)


# Environments


def interpreter(peer: Peer, environments: Path, given: dict[str, str]) -> Path:
    """The Python that a peer runs on, after its environment is made where there is none."""
    name = peer.environment
    if name in given:
        return Path(given[name])
    if name == "refgraph":
        return Path(sys.executable)
    folder = environments / name
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"making an environment for {name} in {folder}", file=sys.stderr)
        environments.mkdir(parents=True, exist_ok=True)
        (environments / ".gitignore").write_text("*\n")
        subprocess.run([old_python() if name == "theano" else sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES[name]], check=True, stdout=sys.stderr)
        (folder / "complete").touch()
    return python


def old_python() -> str:
    """Python 3.7, the newest that Theano and its NumPy run on."""
    found = shutil.which("python3.7")
    if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
        return found
    for path in sorted((Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions").glob("3.7.*")):
        return str(path / "bin" / "python")
    sys.exit("Theano needs Python 3.7: put python3.7 on the PATH, or say --python theano=PATH")


# Measuring


def start(peers: dict[str, Peer], args: argparse.Namespace, threads: int) -> tuple[dict[str, Worker], dict[str, str]]:
    """The processes, and why there is none for some peers."""
    workers, missing = {}, {}
    for name, peer in peers.items():
        try:
            workers[name] = Worker(peer, interpreter(peer, args.environments, args.python), threads)
        except (Cannot, subprocess.CalledProcessError) as e:
            missing[name] = str(e)
    return workers, missing


def disagreement(workload: str, want: list[Any], got: list[Any]) -> str:
    """How answers differ, or nothing."""
    if [d["shape"] for d in got] != [d["shape"] for d in want]:
        return f"its answers have shapes {[d['shape'] for d in got]}, not {[d['shape'] for d in want]}"
    tolerance = TOLERANCES[ALL[workload].dtype]
    for i, (a, b) in enumerate(zip(want, got, strict=True)):
        error = max(abs(x - y) for x, y in zip(a["sums"], b["sums"], strict=True))
        if not error <= tolerance * a["size"]:
            return f"its answer {i} differs by {error:.3g} where absolute values add up to {a['size']:.3g}"
    return ""


def agreeing(workload: str, answers: dict[str, list[Any]]) -> dict[str, str]:
    """Who differs from most of the others, and how."""
    most, found = len(answers) + 1, {}
    for want in answers.values():
        differ = {name: disagreement(workload, want, got) for name, got in answers.items()}
        differ = {name: how for name, how in differ.items() if how}
        if len(differ) < most:
            most, found = len(differ), differ
    return found


def calls_in(worker: Worker, seconds: float) -> int:
    """How many calls take so long."""
    calls = 1
    while (took := worker.ask("run", calls)["seconds"]) < seconds / 4:
        calls = max(2 * calls, min(int(calls * seconds / 2 / max(took, 1e-7)), 100 * calls))
    return max(round(calls * seconds / took), 1)


def warm(workload: str, workers: dict[str, Worker], rounds: int) -> dict[str, Any]:
    """A row of the table: microseconds a call."""
    answers, cannot, calls = {}, {}, {}
    for name, worker in workers.items():
        try:
            answers[name] = worker.ask("prepare", workload)["values"]
        except Cannot as e:
            cannot[name] = str(e)
    cannot |= agreeing(workload, answers)
    for name in [name for name in workers if name not in cannot]:
        try:
            calls[name] = calls_in(workers[name], SLICE)
        except Cannot as e:
            cannot[name] = str(e)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, n in calls.items():
            if name in cannot:
                continue
            try:
                times[name].append(1e6 * workers[name].ask("run", n)["seconds"] / n)
            except Cannot as e:
                cannot[name] = str(e)
    times = {name: found for name, found in times.items() if name not in cannot}
    row: dict[str, Any] = {"workload": workload, "cannot": cannot}
    row["us"] = {name: statistics.median(v) for name, v in times.items()}
    row["least_us"] = {name: min(v) for name, v in times.items()}  # what a busy machine disturbs least
    return row


def cold(workload: str, peers: dict[str, Peer], args: argparse.Namespace, threads: int) -> dict[str, Any]:
    """A row of the table: microseconds to make the function and call it once, in a fresh process."""
    found, cannot, answers = {}, {}, {}
    for name, peer in peers.items():
        times = []
        try:
            for _ in range(args.rounds):
                worker = Worker(peer, interpreter(peer, args.environments, args.python), threads)
                try:
                    made = worker.ask("prepare", workload, args.cold_limit)
                finally:
                    worker.close()
                times.append(1e6 * made["first"])
                answers[name] = made["values"]
            found[name] = statistics.median(times)
        except Cannot as e:
            cannot[name] = str(e)
    wrong = agreeing(workload, answers)
    return {
        "workload": workload,
        "us": {k: v for k, v in found.items() if k not in wrong},
        "cannot": cannot | wrong,
    }


def rated(row: dict[str, Any]) -> dict[str, Any]:
    """With who is the best of the others, and how many times longer it takes than refgraph."""
    rivals = {name: us for name, us in row["us"].items() if is_rival(name)}
    if rivals and OURS in row["us"]:
        row["best"] = min(rivals, key=lambda name: rivals[name])
        row["ratio"] = rivals[row["best"]] / row["us"][OURS]
    return row


def is_rival(name: str) -> bool:
    return not name.startswith(OURS)


def geometric_mean(numbers: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, numbers))) if numbers else math.nan


# Showing


def shown(us: float) -> str:
    """Three digits, with a unit that fits."""
    for unit, scale in (("s", 1e6), ("ms", 1e3), ("µs", 1.0)):
        if us >= scale or unit == "µs":
            number = us / scale
            return f"{number:.{0 if number >= 100 else 1 if number >= 10 else 2}f} {unit}"
    raise AssertionError


def table(rows: list[dict[str, Any]], peers: list[str]) -> str:
    """In Markdown. The last column says how many times longer the best of the others takes than refgraph."""
    notes: list[str] = []
    lines = ["| | " + " | ".join(peers) + " | ratio |", "|---|" + "---:|" * (len(peers) + 1)]
    for row in rows:
        cells = []
        for name in peers:
            if name in row["us"]:
                text = shown(row["us"][name])
                cells.append(f"**{text}**" if row.get("best") == name else text)
            else:
                note = f"{name}: {row['cannot'].get(name, 'not measured')}"
                if note not in notes:
                    notes.append(note)
                cells.append(f"– ({notes.index(note) + 1})")
        ratio = f"{row['ratio']:.2f}" if "ratio" in row else "–"
        lines.append(f"| {row['workload']} | " + " | ".join(cells) + f" | {ratio} |")
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    lines.append("| geometric mean |" + " |" * len(peers) + f" {geometric_mean(ratios):.2f} |")
    return "\n".join([*lines, "", *[f"({i}) {note}" for i, note in enumerate(notes, 1)]])


def picture(report: dict[str, Any], file: Path) -> None:
    """How many times longer each peer takes than refgraph: a row for each workload, a panel for each table."""
    try:
        import matplotlib

        matplotlib.use("svg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("no picture: matplotlib is not installed", file=sys.stderr)
        return
    matplotlib.rcParams["svg.hashsalt"] = "compare"  # the same picture from the same numbers
    tables = report["tables"]
    rows = max(len(t["rows"]) for t in tables)
    rivals = list(dict.fromkeys([name for t in tables for row in t["rows"] for name in row["us"] if is_rival(name)]))
    figure, panels = plt.subplots(1, len(tables), figsize=(3 + 5 * len(tables), 1.5 + 0.3 * rows), squeeze=False)
    for panel, measured in zip(panels[0], tables, strict=True):
        for i, name in enumerate(rivals):
            points = [
                (row["us"][name] / row["us"][OURS], y)
                for y, row in enumerate(measured["rows"])
                if name in row["us"] and OURS in row["us"]
            ]
            if points:
                x, y = zip(*points, strict=True)
                panel.plot(x, y, "osD^vP*X"[i], label=name, alpha=0.8)
        panel.axvline(1, color="black", linewidth=1)
        panel.set_xscale("log")
        panel.set_yticks(range(len(measured["rows"])), [row["workload"] for row in measured["rows"]])
        panel.invert_yaxis()
        panel.grid(alpha=0.3)
        panel.set_title(title(measured))
        panel.set_xlabel("times refgraph's time")
    figure.legend(
        *panels[0][0].get_legend_handles_labels(), loc="lower center", ncols=len(rivals) or 1, fontsize="small"
    )
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(file, metadata={"Date": None})


def title(measured: dict[str, Any]) -> str:
    threads, kind = measured["threads"], "function and first call" if measured["cold"] else "a call"
    return f"{kind}, {threads} thread{'s' if threads > 1 else ''}"


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def pair(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if name not in {OURS, *PACKAGES} or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not ENVIRONMENT=PATH")
    return name, path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="how many threads (default: 1 2)")
    parser.add_argument("--workloads", nargs="+", metavar="WORD", help="those with one of these in their names")
    parser.add_argument("--peers", nargs="+", choices=PEERS, metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--rounds", type=int, help="default: 15; 2 with --quick; 1 with --cold")
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it runs")
    parser.add_argument("--cold", action="store_true", help="measure making functions instead of calling them")
    parser.add_argument("--cold-limit", type=float, default=LIMIT, metavar="SECONDS", help="for one function")
    parser.add_argument("--environments", type=Path, default=ROOT / ".cache" / "compare", metavar="DIR")
    parser.add_argument("--python", type=pair, nargs="+", default=[], metavar="ENVIRONMENT=PATH", help="an interpreter")
    parser.add_argument("--json", type=Path, metavar="FILE", help="for the numbers, and beside it for the picture")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the workers, which may be stopped, end too
    if not (args.json or args.quick or args.workloads or args.peers):  # a whole run is a result
        args.json = HERE / "results" / ("compare_cold.json" if args.cold else "compare.json")
    peers = {name: PEERS[name] for name in args.peers or PEERS}
    args.python = dict(args.python)
    args.rounds = args.rounds or (1 if args.cold else 2 if args.quick else 15)
    workloads = [w for w in WORKLOADS if not args.workloads or any(word in w for word in args.workloads)]

    report: dict[str, Any] = {"versions": {"python": platform.python_version()}, "tables": []}
    report["machine"] = {"platform": platform.platform(), "processor": processor(), "cpus": os.cpu_count()}
    for threads in args.threads:
        workers, missing = start(peers, args, threads)
        rows: list[dict[str, Any]] = []
        report["tables"].append({"threads": threads, "cold": args.cold, "rounds": args.rounds, "rows": rows})
        report["versions"] |= {name: worker.versions for name, worker in workers.items()}
        try:
            for workload in workloads:
                print(workload, file=sys.stderr)
                running = {name: peer for name, peer in peers.items() if name in workers}
                row = cold(workload, running, args, threads) if args.cold else warm(workload, workers, args.rounds)
                row["cannot"] |= missing
                rows.append(rated(row))
                if args.json:
                    args.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        finally:
            for worker in workers.values():
                worker.close()
        print(f"\n{title(report['tables'][-1])}\n\n{table(rows, list(peers))}", flush=True)
    if args.json:
        picture(report, args.json.with_suffix(".svg"))


if __name__ == "__main__":
    main()
