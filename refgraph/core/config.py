"""Flags: what a user may set for a whole program. One table, one row a flag.

Flags of Theano's that nothing reads are taken, so that programs which set them run; their row says so (`Idle`).

Values come, later ones winning, from the table, `~/.theanorc` and `~/.refgraphrc` (or the files that THEANORC
and REFGRAPHRC name), the variables THEANO_FLAGS and REFGRAPH_FLAGS (`"floatX=float32,scan.debug=True"`), and
assignment:

>>> from refgraph.core.config import config
>>> with config.change_flags(floatX="float32"):
...     config.floatX
'float32'

Assignment is for every thread; `change_flags` only for the thread or task that entered it, and there what is
assigned inside it lasts as long. A flag or a value that does not exist raises ConfigError; only in Theano's two
sources, unknown names are warned about instead.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from refgraph.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from contextlib import _GeneratorContextManager

_overrides: ContextVar[Mapping[str, Any] | None] = ContextVar("refgraph flags", default=None)
"""What `change_flags` made of some flags in this context, by name; None where it is not in use."""


class Flag:
    """A row of the table: name, default, what it accepts, what it is for. As a class attribute it is its value."""

    __slots__ = ("accepts", "default", "doc", "name", "parse", "value")

    def __init__(self, name: str, default: Any, accepts: Any, doc: str) -> None:
        self.name, self.default, self.doc = name, default, doc
        self.value = default
        self.parse, self.accepts = _parser(accepts)

    def __get__(self, section: Any, owner: Any = None) -> Any:
        overrides = _overrides.get()
        if overrides is not None and self.name in overrides:
            return overrides[self.name]
        return self.value

    def __set__(self, section: Any, value: Any) -> None:
        value = self.checked(value)
        overrides = _overrides.get()
        if overrides is not None and self.name in overrides:
            _overrides.set({**overrides, self.name: value})
        else:
            self.value = value

    def checked(self, value: Any) -> Any:
        """`value` as this flag takes it, or ConfigError."""
        try:
            return self.parse(value)
        except (TypeError, ValueError):
            raise ConfigError(
                f"{self.name}={value!r} ({type(value).__name__}) is not accepted",
                why=f"{self.name} takes {self.accepts}",
                help=nearest(str(value), self.accepts.split(" | "), 1) or self.doc,
            ) from None


class Idle(Flag):
    """A flag that nothing reads yet: it is taken and shown. Where `loud`, setting it says that nothing will come of it.

    Loud are those that promise to tell of a mistake; the others change speed, memory or what is printed.
    """

    __slots__ = ("loud",)

    def __init__(self, name: str, default: Any, accepts: Any, doc: str, loud: bool = False) -> None:
        super().__init__(name, default, accepts, f"no effect yet: {doc}")
        self.loud = loud

    def checked(self, value: Any) -> Any:
        value = super().checked(value)
        if self.loud and value != self.default:
            warnings.warn(f"{self.name}={value} has no effect yet", stacklevel=4)
        return value


_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, (str, int)) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError


def _str(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError


def _int(value: Any) -> int:
    if isinstance(value, (bool, float)):
        raise ValueError
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    return float(value)


def _optional_bool(value: Any) -> bool | None:
    return None if value is None or value == "None" else _bool(value)


def _device(value: Any) -> str:
    """Theano's names of devices; those of OpenCL are taken for the CPU, with a warning."""
    word = str(value)
    if not word.startswith(("auto", "cpu", "gpu", "cuda", "opencl")):
        raise ValueError
    if word.startswith("opencl"):
        warnings.warn(f"device={word}: there is no backend for OpenCL; functions run on the CPU", stacklevel=4)
        return "cpu"
    return word


_PARSERS: dict[Any, tuple[Callable[[Any], Any], str]] = {
    bool: (_bool, "True | False"),
    int: (_int, "an integer"),
    float: (_float, "a number"),
    str: (_str, "a string"),
    "bool?": (_optional_bool, "None | True | False"),
    "device": (_device, "auto | cpu | cuda | gpu"),
}


def _parser(accepts: Any) -> tuple[Callable[[Any], Any], str]:
    """How to read a value and how to say what is accepted, from a row's third column: a type, or words."""
    if accepts in _PARSERS:
        return _PARSERS[accepts]
    words = accepts.split()

    def choice(value: Any) -> str:
        word = str(value)
        if word not in words:
            raise ValueError
        return word

    return choice, " | ".join(words)


def _no_effect(*names: str, accepts: Any = str, default: Any = "") -> list[Flag]:
    return [Flag(name, default, accepts, "Theano's; no effect here") for name in names]


_TEST_VALUE = "off ignore warn raise pdb"

# fmt: off
FLAGS: dict[str, Flag] = {flag.name: flag for flag in [
    # what a program is
    Flag("floatX",               "float64", "float64 float32 float16", "dtype of T.matrix() and friends, and of a Python float standing alone"),
    Flag("backend",              "auto",    str,                       "backend that functions run on when they name none; auto: the fastest that can run here, on the flag device"),
    Flag("mode",                 "Mode",    "Mode FAST_RUN FAST_COMPILE DebugMode DEBUG_MODE NanGuardMode", "mode of functions that name none"),
    Flag("optimizer",            "o4",      "o4 o3 o2 o1 unsafe fast_run fast_compile merge None",          "how much to rewrite"),
    Flag("optimizer_including",  "",        str,                       "rules to add to every mode: names of rules or phases with : between"),
    Flag("optimizer_excluding",  "",        str,                       "rules to leave out of every mode: names of rules or phases with : between"),
    Flag("optimizer_requiring",  "",        str,                       "rules that every mode must have: names of rules or phases with : between"),
    Flag("optimizer_verbose",    False,     bool,                      "print each change that rewriting makes"),
    Flag("linker",               "vm",      "vm cvm c py c|py c|py_nogc vm_nogc cvm_nogc", "Theano's way of choosing how to run; no effect here"),
    Flag("device",               "auto",    "device",                  "where functions run when neither they nor the flag backend say; auto: anywhere"),
    Flag("force_device",         False,     bool,                      "refuse a device that no backend is there for, instead of running on the CPU with a warning"),
    Flag("allow_input_downcast", None,      "bool?",                   "whether calls convert arguments with loss; None: only a Python float to floatX"),
    Flag("on_unused_input",      "raise",   "raise warn ignore",       "what a function does about an input that nothing reads"),
    Flag("cast_policy",          "custom",  "custom numpy+floatX",     "Theano's, for dtypes of mixed expressions; no effect here, where dtypes are NumPy's"),
    Flag("int_division",         "int",     "int raise floatX",        "Theano's, for Python 2's division of integers; no effect here"),
    Idle("deterministic",        "default", "default more",            "prefer kernels that give the same bits on every run"),
    # finding mistakes
    Idle("compute_test_value",     "off",   _TEST_VALUE,               "compute with x.tag.test_value while the graph is built", loud=True),
    Idle("compute_test_value_opt", "off",   _TEST_VALUE,               "the same while rewriting"),
    Idle("print_test_value",       False,   bool,                      "show test values where variables are printed"),
    Flag("pickle_test_value",      True,    bool,                      "keep test values when pickling"),
    Flag("exception_verbosity",    "low",   "low high",                "high: errors at run time also show the graph near the failing op and its values"),
    Idle("warn_float64",           "ignore", "ignore warn raise pdb",  "what to do when a float64 variable is made", loud=True),
    Idle("check_input",            True,    bool,                      "check types where native code is entered"),
    Idle("check_stack_trace",      "off",   "off log warn raise",      "check that rewriting keeps the user's lines"),
    Flag("on_opt_error",           "warn",  "warn raise pdb ignore",   "what to do when a rule raises, or does not settle"),
    Idle("on_shape_error",         "warn",  "warn raise",              "what to do when shapes cannot be inferred"),
    Flag("assert_no_cpu_op",       "ignore", "ignore warn raise pdb",  "what to do when a function on a device of its own leaves an op to the interpreter; pdb: as raise"),
    Idle("traceback.limit",         8,      int,                       "frames of a user's line to show"),
    Idle("traceback.compile_limit", 0,      int,                       "frames to show of variables that rewriting made"),
    Flag("DebugMode.check_c",       True,   bool,                      "compare what a backend answers with the interpreter"),
    Idle("DebugMode.check_py",      True,   bool,                      "run the interpreter's meaning"),
    Flag("DebugMode.check_finite",  True,   bool,                      "refuse NaN and infinity in outputs"),
    Idle("DebugMode.check_strides", 0,      int,                       "try inputs with other strides"),
    Idle("DebugMode.check_preallocated_output",      "", str,          "ways of handing buffers to ops, with : between"),
    Idle("DebugMode.check_preallocated_output_ndim", 4,  int,          "for arrays of at most this rank"),
    Idle("DebugMode.patience",      10,     int,                       "how often to rewrite, looking for differences"),
    Idle("DebugMode.warn_input_not_reused", True, bool,                "warn where an op in place was not in place"),
    Flag("NanGuardMode.action",       "raise", "raise warn pdb",       "what to do about a value that is refused"),
    Flag("NanGuardMode.nan_is_error", True, bool,                      "refuse NaN"),
    Flag("NanGuardMode.inf_is_error", True, bool,                      "refuse infinity"),
    Flag("NanGuardMode.big_is_error", True, bool,                      "refuse numbers beyond 1e10"),
    # memory and running
    Flag("allow_gc",             False,     bool,                      "give the memory that a compiled function works in back to the system after each call; looked at when it is made"),
    Flag("threads",              0,         int,                       "threads that compiled functions may use; 0: as OMP_NUM_THREADS says, else one for each core; looked at when a function is made"),
    Flag("debug_sync",           False,     bool,                      "wait for the GPU after each launch of a kernel, so that an error is raised by the call that caused it"),
    Idle("openmp",               False,     bool,                      "run loops of native code in several threads"),
    Idle("openmp_elemwise_minsize", 200000, int,                       "elements below which an elementwise loop stays in one thread"),
    Idle("conv.assert_shape",    False,     bool,                      "check at run time the shapes given to convolutions"),
    Idle("scan.allow_gc",        False,     bool,                      "free a loop's intermediate values after every step"),
    Idle("scan.allow_output_prealloc", True, bool,                     "let a loop's step write into the output's memory"),
    Idle("scan.debug",           False,     bool,                      "check a loop's steps one by one"),
    Idle("tensor.cmp_sloppy",    0,         int,                       "0, 1, 2: how near values must be to count as equal"),
    Idle("tensor.local_elemwise_fusion", True, bool,                   "fuse elementwise ops"),
    Flag("tensor.insert_inplace_optimizer_validate_nb", -1, int,       "Theano's; no effect here"),
    Idle("vm.lazy",              None,      "bool?",                   "compute only the branch that is taken"),
    Flag("unpickle_function",    True,      bool,                      "make functions anew when unpickling"),
    Flag("reoptimize_unpickled_function", False, bool,                 "rewrite again when unpickling functions"),
    Idle("optdb.max_use_ratio",  8.0,       float,                     "times the number of nodes that one rewrite may apply"),
    Idle("optdb.position_cutoff", float("inf"), float,                 "leave out the rewrites behind this position"),
    Flag("cycle_detection",      "regular", "regular fast",            "Theano's; no effect here, where graphs are without cycles"),
    # measuring
    Flag("profile",              False,     bool,                      "time every function and print its tables at exit"),
    Flag("profile_memory",       False,     bool,                      "and its memory"),
    Idle("profile_optimizer",    False,     bool,                      "and its rewriting"),
    Idle("print_global_stats",   False,     bool,                      "print times of the whole program at exit"),
    Idle("profiling.debugprint", False,     bool,                      "print the graph with the profile"),
    Idle("profiling.destination", "stderr", str,                       "stderr, stdout or a file's name"),
    Idle("profiling.ignore_first_call", False, bool,                   "leave the first call out"),
    Idle("profiling.min_memory_size", 1024, int,                       "bytes below which a node's memory is not shown"),
    Idle("profiling.min_peak_memory", False, bool,                     "also show the least peak memory"),
    Flag("profiling.n_apply",    20,        int,                       "nodes to show"),
    Flag("profiling.n_ops",      20,        int,                       "ops to show"),
    Idle("profiling.output_line_width", 512, int,                      "characters in a line"),
    Idle("profiling.time_thunks", True,     bool,                      "time every node"),
    Idle("unittests.rseed",      "666",     str,                       "seed of tests, or random"),
    # Theano's, for compilers and devices that are not needed here: taken and without effect
    *_no_effect("compiledir", "base_compiledir", "compiledir_format", "cxx", "contexts", "init_gpu_device", "openblas", "root"),
    *_no_effect("print_active_device", "enable_initial_driver_test", "nocleanup", "gpu.local_elemwise_fusion", accepts=bool, default=False),
    *_no_effect("gcc.cxxflags", "blas.ldflags", "cuda.root", "cuda.include_path", "cuda.library_path", "dnn.enabled", "dnn.include_path", "dnn.library_path"),
    *_no_effect("dnn.conv.algo_fwd", "dnn.conv.algo_bwd_data", "dnn.conv.algo_bwd_filter", "dnn.conv.precision", "nvcc.flags", "nvcc.compiler_bindir"),
    *_no_effect("lib.cnmem", "lib.amdlibm", "gpuarray.preallocate", "gpuarray.sync", "gpuarray.sched", "gpuarray.cache_path", "magma.enabled"),
    *_no_effect("nvcc.fastmath", "cmodule.warn_no_version", "cmodule.debug", "cmodule.remove_gxx_opt", "cmodule.preload_cache", "gpuarray.single_stream", accepts=bool, default=False),
    *_no_effect("cmodule.age_thresh_use", "compile.timeout", "compile.wait", accepts=int, default=0),
    *_no_effect("numpy.seterr_all", "numpy.seterr_divide", "numpy.seterr_over", "numpy.seterr_under", "numpy.seterr_invalid"),
    *_no_effect("warn.ignore_bug_before"),
    *_no_effect("warn.sum_div_dimshuffle_bug", "warn.subtensor_merge_bug", "warn.argmax_pushdown_bug", "warn.gpusum_01_011_0111_bug", "warn.sum_sum_bug",
                "warn.gpu_set_subtensor1", "warn.vm_gc_bug", "warn.signal_conv2d_interface", "warn.reduce_join", "warn.inc_set_subtensor1", "warn.round",
                "warn.inc_subtensor1_opt", "warn.identify_1pexp_bug", "warn.cumsum_bug", "warn.subtensor_merge", accepts=bool, default=False),
]}
# fmt: on

_OPEN = set(
    "blas cmodule compile compiledir ctc cublas cuda dnn experimental gcc gpu gpuarray lib lock magma metaopt numpy "
    "nvcc pycuda warn".split()
)
"""Theano's families for compilers, devices and old bugs: any name in them is taken, and has no effect."""


class Section:
    """The flags whose names begin alike, as attributes: `config.scan.debug`."""

    _prefix = ""

    def __getattr__(self, name: str) -> Any:
        full = self._prefix + name
        if self._prefix.split(".")[0] in _OPEN and not name.startswith("_"):
            return ""
        raise _unknown(full)

    def __setattr__(self, name: str, value: Any) -> None:
        flag = find(self._prefix + name)
        flag.__set__(self, value)

    def __str__(self) -> str:
        return _table(self._prefix)

    def __repr__(self) -> str:
        return f"<flags {self._prefix}*>" if self._prefix else "<flags; print() shows them all>"

    def __iter__(self) -> Iterator[str]:
        return (name for name in FLAGS if name.startswith(self._prefix))


class Config(Section):
    """All flags."""

    floatX: str
    mode: str
    backend: str
    compute_test_value: str
    on_unused_input: str
    exception_verbosity: str
    optimizer: str
    linker: str
    device: str
    profile: bool
    allow_input_downcast: bool | None

    if TYPE_CHECKING:  # the other rows

        def __getattr__(self, name: str) -> Any: ...

    def change_flags(self, flags: Mapping[str, Any] | None = None, /, **more: Any) -> _GeneratorContextManager[None]:
        """Other values for a while, in this thread or task only: a context manager, and a decorator.

        Nested names are spelt `scan__debug=True`, `scan={"debug": True}` or `{"scan.debug": True}`.
        """
        changes = {**(flags or {}), **more}
        return _overriding({flag.name: flag.checked(value) for flag, value in _flatten(changes)})


@contextmanager
def _overriding(values: Mapping[str, Any]) -> Iterator[None]:
    token = _overrides.set({**(_overrides.get() or {}), **values})
    try:
        yield
    finally:
        _overrides.reset(token)


def _flatten(changes: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[Flag, Any]]:
    for name, value in changes.items():
        full = prefix + name.replace("__", ".")
        if isinstance(value, Mapping):
            yield from _flatten(value, full + ".")
        else:
            yield find(full), value


def find(name: str) -> Flag:
    """The row called `name`, or ConfigError naming the nearest."""
    flag = FLAGS.get(name)
    if flag is None:
        family, _, rest = name.partition(".")
        if family not in _OPEN or not rest:
            raise _unknown(name)
        (flag,) = _no_effect(name)
        _place(flag)
    return flag


def _unknown(name: str) -> ConfigError:
    return ConfigError(f"no flag {name!r}", help=nearest(name, FLAGS) or "print(refgraph.config) shows all flags")


def _place(flag: Flag) -> None:
    """Put a row where attributes find it: `dnn.conv.precision` as `precision` of the section `dnn.conv`."""
    FLAGS[flag.name] = flag
    where: type[Section] = Config
    *sections, last = flag.name.split(".")
    for depth, name in enumerate(sections, 1):
        section = where.__dict__.get(name)
        if section is None:
            prefix = ".".join(sections[:depth]) + "."
            section = type(name, (Section,), {"_prefix": prefix, "__slots__": ()})()
            setattr(where, name, section)
        where = type(section)
    setattr(where, last, flag)


def _table(prefix: str) -> str:
    """A line a flag: name, value, what it accepts, what it is for; flags without effect only where set."""
    lines = []
    for name in sorted(FLAGS):
        flag = FLAGS[name]
        value = flag.__get__(None)
        if name.startswith(prefix) and (value != flag.default or not flag.doc.startswith("Theano's")):
            mark = "*" if value != flag.default else " "
            lines.append(f"{mark} {name:<34} {value!r:<12} {flag.accepts:<28} {flag.doc}")
    return "\n".join(lines)


def _pairs(text: str, source: str) -> Iterator[tuple[str, str]]:
    """The items of `"a=b,c.d=e"`."""
    for item in text.split(","):
        name, equals, value = item.partition("=")
        if equals:
            yield name.strip(), value.strip()
        elif item.strip():
            raise ConfigError(f"{source}: {item.strip()!r} is not of the form name=value", origin=())


def _file_pairs(path: str) -> Iterator[tuple[str, str]]:
    """The items of an INI file: those of [global], and those of [section] as section.name."""
    import configparser

    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} cannot be read as an INI file", why=str(e).splitlines()[0], origin=()) from None
    for section in parser.sections():
        prefix = "" if section == "global" else section + "."
        yield from ((prefix + name, value.strip()) for name, value in parser.items(section))


def _take(pairs: Iterator[tuple[str, str]], source: str, forgiving: bool) -> None:
    """Set flags from `source`; names that do not exist raise or, when `forgiving`, are warned about together."""
    unknown = []
    for name, value in pairs:
        try:
            find(name).value = find(name).checked(value)
        except ConfigError as e:
            if forgiving and name not in FLAGS:
                unknown.append(name)
            else:
                raise ConfigError(f"{source}: {e.message}", why=e.why, help=e.help, origin=()) from None
    if unknown:
        warnings.warn(f"{source}: no flags {', '.join(unknown)} in refgraph; they have no effect", stacklevel=2)


def load(environ: Mapping[str, str]) -> None:
    """Set every flag to its default, then to what files and variables say."""
    for flag in FLAGS.values():
        flag.value = flag.default
    for variable, default, forgiving in (
        ("THEANORC", "~/.theanorc", True),
        ("REFGRAPHRC", "~/.refgraphrc", False),
    ):
        for name in environ.get(variable, default).split(os.pathsep):
            path = os.path.expanduser(name)
            if os.path.isfile(path):
                _take(_file_pairs(path), path, forgiving)
    for variable, forgiving in (("THEANO_FLAGS", True), ("REFGRAPH_FLAGS", False)):
        if environ.get(variable):
            _take(_pairs(environ[variable], variable), variable, forgiving)


for _flag in list(FLAGS.values()):
    _place(_flag)
config = Config()
change_flags = config.change_flags
load(os.environ)
