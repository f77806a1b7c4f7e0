"""A process that runs one peer: it reads a line of JSON from its parent, does that, and answers a line of JSON.

    python worker.py '{"peer": "jax_like.jaxes", "option": "", "threads": 1, "cpus": [1], "cache": "/tmp/cache"}'

{"prepare": WORKLOAD}  {"first": seconds to make the function and call it once, "values": digests of its answers}
{"run": CALLS}         {"seconds": of so many calls}
What cannot be done is answered by {"cannot": the reason}.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from typing import Any

sys.path[0] = os.path.dirname(sys.path[0])


class Worker:
    """The peer of this process, and the function that it made last."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.made: Any = None
        self.wait: Any = None
        self.waits_for_each = False

    def prepare(self, name: str) -> dict:
        """States are seen by how far they moved: their changes are small beside themselves."""
        from compare_workloads.workloads import ALL, CALLS_BEFORE_CHECK, IN_A_ROW, STATEFUL, arrays, digest

        self.made = None
        gc.collect()
        workload = ALL[name]
        given = arrays(workload)
        begin = [a.copy() for a in given.parameters] if workload.family in STATEFUL else []
        start = time.perf_counter()
        self.made = self.peer.make(workload, given)
        self.wait = self.made.wait or (lambda: None)
        self.waits_for_each = self.made.wait is not None and workload.family not in IN_A_ROW
        outputs = self.made.call()
        self.wait()
        first = time.perf_counter() - start
        for _ in range(CALLS_BEFORE_CHECK - 1):
            outputs = self.made.call()
        self.wait()
        values = self.made.values(outputs)
        for i, a in enumerate(begin, len(values) - len(begin)):
            values[i] = values[i].astype("float64") - a
        return {"first": first, "values": [digest(a) for a in values]}

    def run(self, calls: int) -> dict:
        """Once more before, because another process has had the caches."""
        call = self.waited if self.waits_for_each else self.made.call
        call()
        self.wait()
        gc.disable()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        self.wait()
        seconds = time.perf_counter() - start
        gc.enable()
        return {"seconds": seconds}

    def waited(self) -> None:
        self.made.call()
        self.wait()


def main() -> None:
    given = json.loads(sys.argv[1])
    os.sched_setaffinity(0, given["cpus"])  # before the libraries are loaded, which count the CPUs
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer

    def answer(reply: Any) -> None:
        answers.write(json.dumps(reply) + "\n")
        answers.flush()

    file, _, setup = given["peer"].partition(".")
    start = time.perf_counter()
    try:
        module = importlib.import_module("compare_workloads." + file)
        worker = Worker(getattr(module, setup)(given["option"], given["threads"], given["cache"]))
    except Exception as e:
        answer({"cannot": reason(e)})
        return
    answer({"versions": worker.peer.versions, "import": time.perf_counter() - start})
    for line in sys.stdin:
        ((what, argument),) = json.loads(line).items()
        try:
            answer(getattr(worker, what)(argument))
        except Exception as e:
            worker.made = None
            answer({"cannot": reason(e)})


def reason(e: Exception) -> str:
    lines = str(e).strip().splitlines()
    return type(e).__name__ + (": " + lines[0][:200] if lines else "")


if __name__ == "__main__":
    main()
