"""Graphs as text: formulas, trees, and what a notebook shows."""

import io

import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph.core.errors import GraphTypeError
from refgraph.core.graph import Graph, Variable
from refgraph.core.show import brief, debugprint, html, min_informative_str, pp
from refgraph.printing import Print


@pytest.fixture
def x():
    return T.dscalar("x")


def tree(obj, **options):
    return debugprint(obj, file="str", **options).splitlines()


# formulas


def formulas():
    x, y, z = T.dscalars("x", "y", "z")
    v, m, i = T.dvector("v"), T.dmatrix("m"), T.lscalar("i")
    return {
        "((x + 1) * y)": (x + 1) * y,
        "(-x)": -x,
        "((tanh(z) * 2) + square(z))": T.tanh(z) * 2 + T.sqr(z),
        "((fill((x ** 2), 1.0) * 2) * (x ** (2 - 1)))": refgraph.grad(x**2, x),
        "(m.T + v)": m.T + v,
        "v.dimshuffle('x', 0)": v.dimshuffle("x", 0),
        "v[1:i]": v[1:i],
        "m[i, ::2]": m[i, ::2],
        "sum(m, axis=(0,))": m.sum(axis=0),
        "dot(m, v)": T.dot(m, v),
        "(x > y)": x > y,
        "(x - 0.5)": x - 0.5,
        "x": x,
        "3.5": T.constant(3.5),
        "TensorConstant{[1. 2.]}": T.constant([1.0, 2.0]),
        "TensorConstant{float64(20, 30)}": T.constant(np.zeros((20, 30))),
    }


@pytest.mark.parametrize("text", formulas())
def test_formulas(text):
    assert pp(formulas()[text]) == text


def test_a_formula_of_repeated_parts_is_cut(x):
    for _ in range(200):
        x = x * x
    text = pp(x)

    assert text.count("*") == 1000
    assert text.count("...") == 1001


def test_the_cut_keeps_what_is_nearest():
    x = T.dscalar("x")
    y = T.exp(x + 1)
    y.name = "y"

    assert pp(T.tanh(y * 2) - x, most=3) == "(tanh((y * 2)) - x)"
    assert pp(T.tanh(T.exp(x)), most=1) == "tanh(...)"


# trees


def test_a_tree(x):
    y = T.dscalar("y")
    z = (x + 1.5) * y - T.exp(x + 1.5)
    z = z - z.owner.inputs[0]
    z.name = "z"

    assert tree(z) == [
        "sub [id A] 'z'",
        " |sub [id B] ''",
        " | |mul [id C] ''",
        " | | |add [id D] ''",
        " | | | |x [id E]",
        " | | | |1.5 [id F]",
        " | | |y [id G]",
        " | |exp [id H] ''",
        " |   |add [id I] ''",
        " |     |x [id E]",
        " |     |1.5 [id J]",
        " |mul [id C] ''",
    ]


def test_types_and_depth_and_ids(x):
    z = T.exp(T.tanh(x))

    assert tree(z, print_type=True, depth=2, ids="int") == [
        "exp [id 0] <TensorType(float64[])> ''",
        " |tanh [id 1] <TensorType(float64[])> ''",
    ]
    assert tree(z, ids="") == ["exp ''", " |tanh ''", "   |x"]
    assert tree(z, ids="id", depth=1) == [f"exp [id {id(z.owner)}] ''"]


def test_stop_on_name(x):
    y = T.exp(x)
    y.name = "y"

    assert tree(T.tanh(y), stop_on_name=True) == ["tanh [id A] ''", " |exp [id B] 'y'"]


def test_lists_share_ids_and_what_is_done(x):
    y = T.exp(x)

    assert tree([y, T.tanh(y)]) == ["exp [id A] ''", " |x [id B]", "tanh [id C] ''", " |exp [id A] ''"]
    done, used = {}, {}
    assert tree(y, done=done, used_ids=used) == ["exp [id A] ''", " |x [id B]"]
    assert tree(T.tanh(y), done=done, used_ids=used) == ["tanh [id C] ''", " |exp [id A] ''"]


def test_ids_go_on_after_z():
    ids = [line.split("[id ")[1][:-1] for line in tree(list(T.dscalars(*[f"x{i}" for i in range(30)])))]

    assert (ids[0], ids[25], ids[26], ids[29]) == ("A", "Z", "BA", "BD")


def test_graphs_number_their_nodes_and_name_readers(x):
    y = T.exp(x)
    graph = Graph([x], [y + T.tanh(y)])

    assert tree(graph) == [
        "add [id A] '' 2",
        " |exp [id B] '' 0",
        " | |x [id C]",
        " |tanh [id D] '' 1",
        "   |exp [id B] '' 0",
    ]
    assert sorted(tree(graph, print_clients=True)[1].partition(" clients:")[2].split("'")[1::2]) == ["add", "tanh"]


def test_outputs_of_one_application_are_numbered():
    parts = T.split(T.dvector("v"), [1, 2], 2)

    assert ".1 [id A] ''" in tree(parts[1])[0]


def test_functions_are_printed(x):
    f = refgraph.function([x], T.exp(x), name="f")
    lines = tree(f)

    assert lines[0].startswith("exp [id A] ''")
    assert lines[0].endswith("0")
    assert "x [id B]" in lines[1]


def test_storage_shows_constants_and_shared_values(x):
    state = refgraph.shared(np.arange(3.0), name="state")
    text = debugprint(x * state, print_storage=True, file="str")

    assert " |x [id B]\n" in text
    assert "state [id C] [[0. 1. 2.]]" in text


def test_graphs_in_ops_come_last(x):
    y = refgraph.OpFromGraph([x], [T.exp(x) * 2])(x)
    lines = tree(y + 1)
    inner = lines.index("Inner graphs:")

    assert lines[0] == "add [id A] ''"
    assert lines[inner + 2].endswith("[id B]")
    assert lines[inner + 3].startswith(" >mul [id ")
    assert lines[inner + 4].startswith(" > |exp [id ")


def test_files(x, capsys):
    debugprint(x)
    assert capsys.readouterr().out == "x [id A]\n"
    file = io.StringIO()
    assert debugprint(x, file=file) is file
    assert file.getvalue() == "x [id A]\n"


def test_wrong_uses_are_refused(x):
    with pytest.raises(GraphTypeError, match="ids='letters'"):
        debugprint(x, ids="letters")
    with pytest.raises(GraphTypeError, match="got 3"):
        debugprint(3)


def test_an_application_is_a_tree_too(x):
    assert tree(T.exp(x).owner) == ["exp [id A] ''", " |x [id B]"]


def test_min_informative_str(x):
    y = T.exp(x)
    z = y * x + y
    z.name = "z"

    assert min_informative_str(z).splitlines() == ["A. add", " B. mul", "  C. exp", "   D. x", "  <D>", " <C>"]


# values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (np.float32(0.5), "0.5"),
        (np.array([[1, 2], [3, 4]]), "[[1 2] [3 4]]"),
        (np.zeros((3, 4), "int8"), "int8(3, 4)"),
        ("a" * 100, "a" * 57 + "..."),
    ],
    ids=str,
)
def test_brief_values(value, text):
    assert brief(value) == text


# notebooks


def test_html_is_escaped_and_runs_nothing(x):
    y = T.dscalar("<script>") > x
    text = y._repr_html_()

    assert "(&lt;script&gt; &gt; x)" in text
    assert "<script>" not in text
    assert "float64[]" in html(x)


def test_html_of_a_function_lists_inputs_and_outputs(x):
    text = refgraph.function([x], [T.exp(x), x + 1])._repr_html_()

    assert "function of (x), 2 applications" in text
    assert "<code>exp(x)</code>" in text
    assert "<code>(x + 1)</code>" in text


def test_html_of_a_large_graph_is_cut(x):
    for _ in range(3000):
        x = T.exp(x) + x

    assert len(html(x)) < 60_000


# printing at run time


def test_print_prints_when_it_is_computed(x, capsys):
    f = refgraph.function([x], Print("x is")(x) * 2)

    assert capsys.readouterr().out == ""
    assert f(3) == 6
    assert capsys.readouterr().out == "x is __str__ = 3.0\n"


def test_print_takes_attributes_and_functions(capsys):
    v, seen = T.dvector("v"), []
    f = refgraph.function(
        [v],
        [Print("v", attrs=["shape", "max"])(v), Print("w", global_fn=lambda op, a: seen.append((op.message, a)))(v)],
    )
    f([1.0, 5.0])

    assert capsys.readouterr().out == "v shape = (2,)\nv max = 5.0\n"
    assert seen[0][0] == "w"
    assert str(Print("w")) == "print{'w'}"


def test_the_gradient_passes_through_print(x):
    y = Print("y", global_fn=lambda op, a: None)(x)

    assert refgraph.function([x], refgraph.grad(y**3, x))(2.0) == 12.0
    assert isinstance(y, Variable)


def test_nothing_is_shown_behind_the_inputs_of_a_function():
    x = T.dvector("x")
    a, b = T.split(x, [2, 2], 2)
    a.name, y = "a", T.exp(x)
    lines = tree(refgraph.function([x, a], a + b))

    assert [line.split("[")[0].strip() for line in lines] == ["add", "|a", "|split{axis=0, sizes=(2, 2)}.1", "|x"]
    assert tree(Graph([y], [T.log(y)]))[1:] == [" |exp.0 [id B]"]
    assert "log(exp.0)" in html(Graph([y], [T.log(y)]))
    assert tree(refgraph.OpFromGraph([y], [T.log(y)])(x))[-2:] == [" >log [id C] ''", " > |exp.0 [id D]"]
