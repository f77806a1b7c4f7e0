"""Flags: where their values come from, what they accept, and who sees a change."""

import asyncio
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from refgraph.core import config as module
from refgraph.core.config import FLAGS, change_flags, config, load
from refgraph.core.errors import ConfigError

THEANOS = """
DebugMode.check_c=True DebugMode.check_finite=True DebugMode.check_preallocated_output=
DebugMode.check_preallocated_output_ndim=4 DebugMode.check_py=True DebugMode.check_strides=0 DebugMode.patience=10
DebugMode.warn_input_not_reused=True NanGuardMode.action=raise NanGuardMode.big_is_error=True
NanGuardMode.inf_is_error=True NanGuardMode.nan_is_error=True assert_no_cpu_op=ignore cast_policy=custom
check_input=True check_stack_trace=off compute_test_value=off compute_test_value_opt=off conv.assert_shape=False
cycle_detection=regular deterministic=default force_device=False exception_verbosity=low floatX=float64 int_division=int
linker=vm mode=Mode on_opt_error=warn on_shape_error=warn on_unused_input=raise openmp=False
openmp_elemwise_minsize=200000 optdb.max_use_ratio=8.0 optdb.position_cutoff=inf optimizer=o4 optimizer_excluding=
optimizer_including= optimizer_requiring= optimizer_verbose=False pickle_test_value=True print_global_stats=False
print_test_value=False profile=False profile_memory=False profile_optimizer=False profiling.debugprint=False
profiling.destination=stderr profiling.ignore_first_call=False profiling.min_memory_size=1024
profiling.min_peak_memory=False profiling.n_apply=20 profiling.n_ops=20 profiling.output_line_width=512
profiling.time_thunks=True reoptimize_unpickled_function=False scan.allow_gc=False scan.allow_output_prealloc=True
scan.debug=False tensor.cmp_sloppy=0 tensor.insert_inplace_optimizer_validate_nb=-1 tensor.local_elemwise_fusion=True
traceback.compile_limit=0 traceback.limit=8 unittests.rseed=666 unpickle_function=True vm.lazy=None warn_float64=ignore
""".split()


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Every flag at its default, no files, and as before when the test is over."""
    before = {name: flag.value for name, flag in FLAGS.items()}
    monkeypatch.setenv("HOME", str(tmp_path))
    load({})
    yield
    for name, flag in FLAGS.items():
        flag.value = before.get(name, flag.default)


@pytest.mark.parametrize("row", THEANOS)
def test_theanos_flags_have_theanos_defaults(row):
    name, _, default = row.partition("=")
    value = config
    for part in name.split("."):
        value = getattr(value, part)

    assert str(value) == default


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_every_flag_accepts_its_default_and_says_what_it_is_for(name):
    assert FLAGS[name].checked(FLAGS[name].default) == FLAGS[name].default
    assert FLAGS[name].doc
    assert FLAGS[name].accepts


def test_assignment_is_read_back():
    config.floatX = "float32"
    config.scan.debug = "True"
    config.profiling.n_ops = "7"

    assert (config.floatX, config.scan.debug, config.profiling.n_ops) == ("float32", True, 7)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("floatX", "float46", "float64 | float32 | float16"),
        ("floatX", 32, "floatX=32 (int)"),
        ("profile", "maybe", "True | False"),
        ("profile", 0.0, "True | False"),
        ("allow_input_downcast", "maybe", "None | True | False"),
        ("openmp_elemwise_minsize", "many", "an integer"),
        ("openmp_elemwise_minsize", 1.5, "an integer"),
        ("optdb.max_use_ratio", True, "a number"),
        ("optimizer_including", None, "a string"),
        ("device", "tpu", "auto | cpu | cuda | gpu"),
        ("on_unused_input", "rase", "did you mean raise?"),
    ],
)
def test_a_wrong_value_is_refused_and_changes_nothing(name, value, says):
    before = str(config)

    with pytest.raises(ConfigError) as error:
        config.change_flags({name: value})

    assert says in str(error.value)
    assert str(config) == before


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda: config.floatx, "did you mean floatX?"),
        (lambda: setattr(config, "floatx", "float32"), "did you mean floatX?"),
        (lambda: config.scan.dbug, "did you mean scan.debug?"),
        (lambda: setattr(config.scan, "dbug", True), "did you mean scan.debug?"),
        (lambda: config.change_flags(no_such_thing=1), "print(refgraph.config) shows all flags"),
        (lambda: setattr(config, "scan", True), "no flag 'scan'"),
    ],
)
def test_an_unknown_flag_is_refused_with_the_nearest(use, says):
    with pytest.raises(ConfigError) as error:
        use()

    assert says in str(error.value)
    assert isinstance(error.value, (ValueError, AttributeError))


def test_hasattr_tells_whether_a_flag_exists():
    assert hasattr(config, "floatX")
    assert not hasattr(config, "floatY")


@pytest.mark.parametrize(
    "name", ["gcc.cxxflags", "warn.sum_div_dimshuffle_bug", "dnn.conv.algo_fwd", "cuda.no_such", "compiledir"]
)
def test_theanos_flags_for_compilers_and_devices_are_taken(name):
    with config.change_flags({name: "False"}):
        assert FLAGS[name].__get__(config) in ("False", False)


def test_unset_flags_of_such_families_are_empty():
    assert config.cuda.never_heard_of == ""
    assert config.gcc.cxxflags == ""


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda1", "gpu", "gpu0"])
def test_theanos_devices_are_taken_as_they_are_written(name):
    config.device = name

    assert config.device == name


def test_opencl_is_warned_about_and_the_device_is_the_cpu():
    with pytest.warns(UserWarning, match="no backend for OpenCL"):
        config.device = "opencl0:0"

    assert config.device == "cpu"


# change_flags


@pytest.mark.parametrize(
    "change",
    [{"scan__debug": True}, {"scan": {"debug": True}}, {"scan.debug": True}, {"scan": {"debug": "yes"}}],
    ids=str,
)
def test_nested_flags_change_in_each_spelling(change):
    with config.change_flags(**change):
        assert config.scan.debug is True
    assert config.scan.debug is False


def test_changes_nest_and_end():
    with change_flags(floatX="float32"):
        with change_flags(floatX="float16", profile=True):
            assert (config.floatX, config.profile) == ("float16", True)
        assert (config.floatX, config.profile) == ("float32", False)
    assert config.floatX == "float64"


def test_changes_end_when_the_body_raises():
    with pytest.raises(KeyError), config.change_flags(floatX="float32"):
        raise KeyError
    assert config.floatX == "float64"


def test_a_decorated_function_sees_the_change_at_every_call():
    @config.change_flags(floatX="float32")
    def inner(n):
        return [config.floatX, *(inner(n - 1) if n else [])]

    assert inner(1) == ["float32", "float32"]
    assert config.floatX == "float64"
    assert inner(0) == ["float32"]


def test_other_threads_do_not_see_a_change_but_see_an_assignment():
    seen = []

    def look():
        seen.append((config.floatX, config.profile))

    config.profile = True
    with config.change_flags(floatX="float32"):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    assert seen == [("float64", True)]


def test_tasks_do_not_see_each_others_changes():
    async def work(dtype):
        with config.change_flags(floatX=dtype):
            await asyncio.sleep(0)
            return config.floatX

    async def both():
        return await asyncio.gather(work("float16"), work("float32"))

    assert asyncio.run(both()) == ["float16", "float32"]


def test_what_is_assigned_inside_a_change_lasts_as_long_as_the_change():
    with config.change_flags(floatX="float32"):
        config.floatX = "float16"
        config.profile = True
        assert config.floatX == "float16"

    assert (config.floatX, config.profile) == ("float64", True)


# sources


def test_variables_set_flags_and_refgraphs_wins():
    load({"THEANO_FLAGS": "floatX=float32, scan.debug=1,,gcc.cxxflags=-O2 -g=1", "REFGRAPH_FLAGS": "floatX=float16"})

    assert (config.floatX, config.scan.debug, config.gcc.cxxflags) == ("float16", True, "-O2 -g=1")


def test_unknown_theano_flags_are_warned_about_together_and_the_rest_holds():
    with pytest.warns(UserWarning, match="THEANO_FLAGS: no flags lr, momentum in refgraph") as warned:
        load({"THEANO_FLAGS": "lr=1,floatX=float32,momentum=2"})

    assert len(warned) == 1
    assert config.floatX == "float32"


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"REFGRAPH_FLAGS": "floatx=float32"}, "REFGRAPH_FLAGS: no flag 'floatx'"),
        ({"REFGRAPH_FLAGS": "floatX"}, "'floatX' is not of the form name=value"),
        ({"THEANO_FLAGS": "floatX=float8"}, "THEANO_FLAGS: floatX='float8'"),
    ],
)
def test_wrong_variables_are_refused(environ, says):
    with pytest.raises(ConfigError, match=says):
        load(environ)


def test_files_set_flags_and_variables_win(tmp_path):
    (tmp_path / ".theanorc").write_text("[global]\nfloatX = float32\nmode = FAST_RUN\n[scan]\ndebug = True\n")
    ours = tmp_path / "elsewhere.ini"
    ours.write_text("[global]\nmode = FAST_COMPILE\noptimizer_including = 50%\n")
    load({"REFGRAPHRC": str(ours), "REFGRAPH_FLAGS": "scan.debug=False"})

    assert (config.floatX, config.mode, config.scan.debug) == ("float32", "FAST_COMPILE", False)
    assert config.optimizer_including == "50%"


def test_unknown_names_in_files_are_warned_about_in_theanos_and_refused_in_ours(tmp_path):
    (tmp_path / "rc").write_text("[global]\nflotX = float32\n[nothing]\nat = all\n")

    with pytest.warns(UserWarning, match=r"rc: no flags flotX, nothing\.at in refgraph"):
        load({"THEANORC": str(tmp_path / "rc")})
    with pytest.raises(ConfigError, match="rc: no flag 'flotX'"):
        load({"REFGRAPHRC": str(tmp_path / "rc")})


def test_a_file_that_is_no_ini_is_refused_by_name(tmp_path):
    (tmp_path / "rc").write_text("floatX = float32\n")

    with pytest.raises(ConfigError, match="rc cannot be read as an INI file"):
        load({"REFGRAPHRC": str(tmp_path / "rc")})


def test_without_files_no_parser_is_imported(tmp_path):
    program = "import sys, refgraph.core.config; print('configparser' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"HOME": str(tmp_path)}, check=True
    )

    assert done.stdout == "False\n"


# showing


def test_printing_shows_every_flag_and_marks_what_was_set():
    config.floatX = "float32"
    lines = {line[2:].split()[0]: line for line in str(config).splitlines()}

    assert lines["floatX"].startswith("* floatX")
    assert "'float32'" in lines["floatX"]
    assert lines["scan.debug"].startswith("  scan.debug")
    assert "gcc.cxxflags" not in lines
    assert str(config.scan).splitlines() == [lines[f"scan.{x}"] for x in ("allow_gc", "allow_output_prealloc", "debug")]
    assert list(config.scan) == ["scan.allow_gc", "scan.allow_output_prealloc", "scan.debug"]


def test_flags_are_listed_for_completion():
    assert {"floatX", "scan", "change_flags"} <= set(dir(config))
    assert module.config is config


# what has no effect


def test_every_flag_is_read_or_says_that_it_has_no_effect():
    folder = Path(module.__file__).parents[1]
    files = [*folder.rglob("*.py"), *(Path(__file__).parents[2] / "plugins").rglob("*.py")]
    source = "".join(path.read_text() for path in files if path.name != "config.py")
    for name, flag in FLAGS.items():
        family, _, last = name.rpartition(".")
        read = re.search(rf"\bconfig\.{re.escape(name)}\b", source) or (
            f"config.{family}\n" in source and re.search(rf"\bflags\.{last}\b", source)
        )
        assert bool(read) != ("no effect" in flag.doc), name


def test_flags_without_effect_are_silent_but_for_those_that_promise_to_find_mistakes():
    load({"THEANO_FLAGS": "allow_gc=False,linker=py,optimizer_including=local_add,compute_test_value=off"})

    with pytest.warns(UserWarning, match="warn_float64=raise has no effect yet") as warned:
        load({"THEANO_FLAGS": "warn_float64=raise"})
    assert len(warned) == 1
    with pytest.warns(UserWarning, match="compute_test_value=warn has no effect yet") as warned:
        config.compute_test_value = "warn"
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert "no effect yet" in str(config)
