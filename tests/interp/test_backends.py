"""Backends: what one may say of itself, how it is found, and which one a function runs on."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import refgraph as rg
import refgraph.tensor as T
from refgraph.backend import (
    Backend,
    Capabilities,
    Dot,
    Elemwise,
    Fused,
    Graph,
    Op,
    Reduction,
    Scan,
    get_backend,
    installed,
)
from refgraph.core.errors import BackendError, PickleError
from refgraph.interp import backends
from refgraph.interp.backends import NUMPY, chosen

SOUND = """
from refgraph.backend import Backend, Elemwise, hookimpl

backend = Backend({name!r}, speed={speed}, device={device!r}, available=lambda: {unavailable!r})

@backend.kernel(Elemwise)
def kernel(node):
    return node.op.impl

@hookimpl
def refgraph_backend():
    return backend
"""

x = T.dvector("x")


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Makes a distribution with one plugin, of this source, found under this name while the test runs."""
    made = []

    def make(name, source=SOUND, speed=0.0, device="cpu", unavailable="", attr=""):
        module = f"plugin_{name}_{len(made)}"
        text = source.format(name=name, speed=speed, device=device, unavailable=unavailable)
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[refgraph.backends]\n{name} = {module}{attr}\n")
        if not made:
            monkeypatch.syspath_prepend(str(tmp_path))
        made.append(module)
        backends.forget()

    yield make
    for module in made:
        sys.modules.pop(module, None)
    backends.forget()


pytestmark = pytest.mark.usefixtures("automatic")


# what one says


def test_of_two_makers_the_one_for_the_very_op_is_asked():
    backend = Backend("two")
    backend.kernel(Elemwise)(lambda node: "the family")
    backend.kernel(T.exp)(lambda node: "the op")

    assert backend.find(T.exp(x).owner) == "the op"
    assert backend.find(T.log(x).owner) == "the family"
    assert not backend.has_maker(x.sum().owner.op)


def test_of_two_families_the_nearest_is_asked():
    backend = Backend("near")
    backend.kernel(Op)(lambda node: "any op")
    backend.kernel(Elemwise)(lambda node: "elementwise")

    assert backend.find((x**2.0).owner) == "elementwise"
    assert backend.find(x.sum().owner) == "any op"


def test_one_maker_may_serve_several_families():
    backend = Backend("several")
    backend.kernel(Elemwise, Dot)(lambda node: np.positive)

    assert backend.find(T.exp(x).owner) is backend.find(T.dot(x, x).owner) is np.positive


@pytest.mark.parametrize(
    ("answer", "why"), [(None, "its kernel for Elemwise declined"), ("not today", "not today"), (np.exp, np.exp)]
)
def test_a_maker_answers_a_kernel_or_why_not(answer, why):
    backend = Backend("answers")
    backend.kernel(Elemwise)(lambda node: answer)

    assert backend.find(T.exp(x).owner) is why or backend.find(T.exp(x).owner) == why


def test_a_node_of_a_dtype_that_is_not_declared_is_not_asked_about():
    backend = Backend("floats", capabilities=Capabilities(dtypes=["float32"]))
    backend.kernel(Elemwise)(lambda node: np.exp)

    assert backend.find(T.exp(x).owner) == "float64 is not among its dtypes"
    assert backend.find(T.exp(T.fvector("x")).owner) is np.exp


def test_a_node_without_a_maker_is_left_to_the_interpreter():
    assert Backend("empty").find(x.sum().owner) == "no kernel for Reduction"


def test_a_maker_may_take_a_compiler_for_inner_graphs():
    backend = Backend("inner")
    seen = []
    backend.kernel(Scan)(lambda node, compile: seen.append(compile(node.op.graph)))
    outs, _ = rg.scan(lambda a, h: h * a + 1, [x], T.constant(1.0))
    rg.function([x], outs, backend=backend)

    (program,) = seen
    np.testing.assert_array_equal(program(np.array(3.0), np.array(2.0)), [7.0])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Backend("a", to_device=np.asarray), "to_device without to_numpy"),
        (lambda: Backend("a", device="tpu"), "device='tpu' is not one of cpu, cuda"),
        (lambda: Backend("a").kernel(3), "kernels are made for op classes or ops, got 3"),
        (lambda: Backend("a").kernel(int), "kernels are made for op classes or ops"),
        (lambda: Backend("a").kernel(), "kernel() of what?"),
        (lambda: Backend("a").kernel(Elemwise)(lambda: None), "takes 0 arguments"),
        (lambda: Backend("a").kernel(Elemwise)(lambda a, b, c: None), "takes 3 arguments"),
        (lambda: Backend(""), "a backend's name is that of its entry point, got ''"),
        (lambda: Backend("numpy"), "numpy is the interpreter"),
        (lambda: get_backend(Backend), "a backend is named, or given as a Backend, got <class"),
        (lambda: Capabilities(dtypes=["float46"]), "no dtype 'float46'"),
        (lambda: Capabilities(dtypes="float32"), "dtypes is a list of dtypes, got 'float32' (str)"),
        (lambda: Capabilities(without=["scan"]), "without is a dict from features to reasons, got ['scan'] (list)"),
        (lambda: Capabilities(without={"scam": "why"}), "no feature 'scam'"),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(BackendError) as error:
        make()

    assert says in str(error.value)


def test_a_second_maker_of_one_kind_is_refused():
    backend = Backend("twice")
    backend.kernel(Elemwise)(lambda node: None)

    with pytest.raises(BackendError, match="has kernels for Elemwise already"):
        backend.kernel(Fused, Elemwise)(lambda node: None)
    assert not backend.has_maker(Fused(Graph([x], [x * 2.0])))


def test_a_second_maker_of_programs_is_refused():
    backend = Backend("twice")
    backend.program(lambda graph: None)

    with pytest.raises(BackendError, match="makes programs already"):
        backend.program(lambda graph: None)


def test_a_maker_that_raises_is_named_with_the_op_and_both_lines():
    backend = Backend("odd")
    backend.kernel(Elemwise)(lambda node: {}[node.op.name])

    with pytest.raises(BackendError, match="backend 'odd' failed to make a kernel for exp: KeyError: 'exp'") as error:
        rg.function([x], T.exp(x), backend=backend)
    assert "test_backends.py:" in error.value.why
    assert "T.exp(x)" in str(error.value)
    assert isinstance(error.value.__cause__, KeyError)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda a: None, "answers None (NoneType) as exp.0, which is float64[?]"),
        (lambda a: [1.0, 2.0, 3.0, "x"], "which is float64[?]"),
        (lambda a: (np.exp(a),), "which is float64[?]"),
        (lambda a: np.exp(a).astype("float32"), "answers an array of float32 and shape (2,) as exp.0"),
        (lambda a: np.exp(a)[None], "answers an array of float64 and shape (1, 2) as exp.0"),
    ],
)
def test_a_kernel_that_answers_something_else_is_refused(answer, says):
    backend = Backend("odd")
    backend.kernel(T.exp)(lambda node: answer)
    w = rg.shared(np.zeros(2), "w", backend="numpy")
    f = rg.function([x], T.exp(x), updates=[(w, w + 1)], backend=backend)

    with pytest.raises(BackendError) as error:
        f(np.zeros(2))
    assert says in str(error.value)
    np.testing.assert_array_equal(w.get_value(), 0)


def test_what_is_no_kernel_is_refused_with_the_line_of_the_user():
    backend = Backend("odd")
    backend.kernel(Elemwise)(lambda node: 3)

    with pytest.raises(BackendError, match="made 3") as error:
        rg.function([x], T.exp(x), backend=backend)
    assert error.value.node is not None


# how they are found


def test_the_interpreter_is_always_there():
    assert get_backend("numpy") is NUMPY
    assert "numpy" in installed()


def test_a_plugin_is_found_by_its_name_and_loaded_once(plugin):
    plugin("fancy")

    assert "fancy" in installed()
    assert get_backend("fancy") is get_backend("fancy")
    assert rg.function([x], T.exp(x), backend="fancy").report().rows[0].where == "fancy"


def test_a_plugin_is_not_imported_before_somebody_asks_for_it(plugin):
    plugin("broken", source="raise RuntimeError('{name}: no driver')")
    plugin("fancy")

    assert "broken" in installed()
    assert get_backend("fancy").name == "fancy"


def test_a_plugin_that_cannot_be_imported_is_reported_when_it_is_asked_for(plugin):
    plugin("broken", source="raise RuntimeError('{name}: no driver')")

    with pytest.raises(BackendError) as error:
        rg.function([x], T.exp(x), backend="broken")
    assert "the plugin of backend 'broken' cannot be loaded: RuntimeError: broken: no driver" in str(error.value)
    assert "plugin_broken_0.py:1" in error.value.why
    np.testing.assert_array_equal(rg.function([x], x + 1)(np.zeros(2)), [1, 1])


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("name = {name!r}", "answers nothing"),
        (SOUND.replace("{name!r}", "'other'"), "answers Backend('other')"),
        (SOUND.replace("return backend", "return 3"), "answers 3"),
        (SOUND.replace("refgraph_backend():", "refgraph_backend(node):"), "its hook is not what it should be"),
        (
            SOUND.replace("refgraph_backend():", "refgraph_backend(node):"),
            "Argument(s) {'node'} are declared in the hookimpl",
        ),
        (SOUND.replace("@hookimpl", ""), "mark its function refgraph_backend with @hookimpl"),
        (SOUND.replace("speed={speed}", "spede={speed}"), "cannot be loaded: TypeError"),
    ],
)
def test_a_plugin_that_answers_no_backend_of_its_name_is_refused(plugin, source, says):
    plugin("wrong", source=source)

    with pytest.raises(BackendError) as error:
        get_backend("wrong")
    assert says in str(error.value)


def test_an_entry_point_of_an_object_is_refused_with_the_module_to_write(plugin):
    plugin("wrong", attr=":backend")

    with pytest.raises(BackendError, match="answers nothing") as error:
        get_backend("wrong")
    assert "the value of the entry point is the module alone, 'plugin_wrong_0'" in error.value.help


def test_a_name_that_is_not_installed_is_refused_with_what_is(plugin):
    plugin("fancy")

    with pytest.raises(BackendError, match="no backend named 'fanzy'; installed: ") as error:
        rg.function([x], T.exp(x), backend="fanzy")
    assert "did you mean fancy" in str(error.value)


def test_who_asks_for_a_gpu_is_told_what_to_install():
    with pytest.raises(BackendError, match="no backend named 'cuda'") as error:
        get_backend("cuda")
    assert "pip install 'refgraph[cuda]'" in str(error.value)


def test_importing_refgraph_and_running_loads_no_plugin_machinery():
    code = (
        "import sys, refgraph as rg, refgraph.tensor as T\n"
        "x = T.dvector('x'); rg.function([x], x + 1)([1.0])\n"
        "assert 'pluggy' not in sys.modules, 'pluggy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# pickle


def test_a_backend_is_pickled_and_copied_as_itself(plugin):
    plugin("fancy")
    backend = get_backend("fancy")

    assert pickle.loads(pickle.dumps(backend)) is backend
    assert copy.deepcopy(backend) is copy.copy(backend) is backend


def test_a_backend_that_is_not_installed_cannot_be_pickled():
    f = rg.function([x], T.exp(x), backend=Backend("stray"))

    with pytest.raises(PickleError, match="the backend 'stray' cannot be pickled"):
        pickle.dumps(f)


def test_a_function_is_on_its_backend_again_when_it_is_unpickled(plugin):
    plugin("fancy")
    again = pickle.loads(pickle.dumps(rg.function([x], T.exp(x), backend="fancy", strict=True)))

    assert again.report().backend == "fancy"
    np.testing.assert_array_equal(again(np.zeros(2)), [1, 1])


def test_a_function_that_the_flags_place_is_placed_anew_when_it_is_unpickled(plugin):
    plugin("fancy")
    with rg.config.change_flags(backend="fancy"):
        f = rg.function([x], T.exp(x))
        assert f.report().backend == "fancy"
        data = pickle.dumps(f)

    assert pickle.loads(data).report().backend == "numpy"


# which one


def test_automatically_the_fastest_that_can_run_here_is_chosen(plugin):
    plugin("slow", speed=2)
    plugin("quick", speed=9)
    plugin("absent", speed=99, unavailable="no such device")
    plugin("shy")

    assert chosen().name == "quick"


def test_automatically_a_broken_plugin_is_passed_over(plugin):
    plugin("broken", source="raise RuntimeError('{name}: no driver')")

    assert chosen() is NUMPY


def test_no_backend_is_chosen_that_does_not_say_that_it_is_fast(plugin):
    plugin("shy")

    assert chosen() is NUMPY


def test_the_flag_backend_chooses_for_functions_that_name_none(plugin):
    plugin("fancy")
    with rg.config.change_flags(backend="fancy"):
        assert rg.function([x], T.exp(x)).report().backend == "fancy"
        assert rg.function([x], T.exp(x), backend="numpy").report().backend == "numpy"


def test_a_backend_that_cannot_run_here_is_refused_with_the_reason(plugin):
    plugin("absent", unavailable="no such device")

    with pytest.raises(BackendError, match="the backend 'absent' cannot run here: no such device"):
        rg.function([x], T.exp(x), backend="absent")


def test_a_backend_that_fails_to_say_whether_it_can_run_cannot():
    def available():
        raise OSError("libcuda.so is missing")

    assert Backend("odd", available=available).why_unavailable() == "OSError: libcuda.so is missing"


@pytest.mark.parametrize("device", ["cuda", "cuda0", "gpu", "gpu1"])
def test_theanos_words_for_a_gpu_choose_among_backends_of_gpus(plugin, device):
    plugin("card", speed=3, device="cuda")
    plugin("quick", speed=9)

    with rg.config.change_flags(device=device):
        assert chosen().name == "card"
    with rg.config.change_flags(device="cpu"):
        assert chosen().name == "quick"


def test_a_gpu_that_is_not_there_is_warned_about_and_functions_run_on_the_cpu(plugin):
    plugin("card", speed=3, device="cuda", unavailable="no driver")

    with rg.config.change_flags(device="cuda"), pytest.warns(UserWarning, match="card: no driver"):
        assert rg.function([x], T.exp(x)).report().backend == "numpy"


def test_a_gpu_that_is_not_there_is_refused_where_the_device_is_forced(plugin):
    plugin("card", speed=3, device="cuda", unavailable="no driver")

    with rg.config.change_flags(device="cuda"), pytest.warns(UserWarning, match="card: no driver"):
        rg.function([x], T.exp(x))
    with rg.config.change_flags(device="cuda", force_device=True), pytest.raises(BackendError, match="device=cuda"):
        rg.function([x], T.exp(x))


# what a device has


def test_a_gpus_memory_is_what_its_backend_says(plugin):
    plugin("card", SOUND.replace("speed=", "memory=lambda: (3, 8), speed="), device="cuda")

    assert rg.cuda.memory_info() == (3, 8)
    assert rg.cuda.memory_info().total == 8


def test_where_no_gpu_can_be_used_memory_info_says_what_is_missing(plugin):
    with pytest.raises(BackendError, match="no GPU") as error:
        rg.cuda.memory_info()
    assert "pip install 'refgraph[cuda]'" in str(error.value)

    source = SOUND.replace("speed=", "memory=lambda: (3, 8), speed=")
    plugin("card", source, device="cuda", unavailable="no driver")
    with pytest.raises(BackendError, match="card: no driver"):
        rg.cuda.memory_info()


def test_a_reduction_has_a_family_of_its_own():
    backend = Backend("sums")
    backend.kernel(Reduction)(lambda node: (lambda a: a.sum()) if node.op.name == "sum" else None)

    assert callable(backend.find(x.sum().owner))
    assert backend.find(x.max().owner) == "its kernel for Reduction declined"
