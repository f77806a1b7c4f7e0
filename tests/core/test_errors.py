"""Errors: codes, docs, text, pickling, and what becomes of other people's errors at run time."""

import pickle
import subprocess
import sys
from inspect import cleandoc
from pathlib import Path

import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph.__main__ import diagnosis, main
from refgraph.core import errors
from refgraph.core.config import config
from refgraph.core.errors import BoundsError, RefgraphError, ShapeError, by_code, explain, nearest, page
from refgraph.core.graph import Apply
from refgraph.core.op import Op
from refgraph.core.types import generic

KINDS = [c for c in by_code().values() if c is not RefgraphError]
DOCS = Path(__file__).parents[2] / "docs" / "errors.md"


class Pair(Op):
    name = "pair"

    def infer(self, *inputs):
        return (generic,)


def subclasses(c):
    return {c}.union(*map(subclasses, c.__subclasses__()))


def programs(c):
    """The failing and the working program of a class's docstring."""
    blocks = {}
    for line in cleandoc(c.__doc__).splitlines():
        if line in ("Fails:", "Works:"):
            blocks[line[:-1]] = lines = []
        elif blocks:
            lines.append(line.removeprefix("    "))
    return "\n".join(blocks["Fails"]), "\n".join(blocks["Works"])


# docs


def test_codes_are_unique():
    codes = [c.code for c in subclasses(RefgraphError)]

    assert len(set(codes)) == len(codes)
    assert all(code[:2] == "RG" and code[2:].isdigit() and len(code) == 5 for code in codes)


@pytest.mark.parametrize("kind", KINDS)
def test_the_failing_program_of_the_docs_fails_and_the_other_works(kind):
    names = {"refgraph": refgraph, "T": T, "np": np}
    fails, works = programs(kind)

    with refgraph.config.change_flags(floatX=refgraph.config.floatX):  # what a program sets ends with it
        with pytest.raises(kind) as error:
            exec(fails, dict(names))
        exec(works, dict(names))

    assert error.type is kind
    assert len(str(error.value).splitlines()) <= 12


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_also_one_of_pythons(kind):
    assert issubclass(kind, (ValueError, TypeError, IndexError))


def test_the_page_of_errors_is_that_of_the_docstrings():
    """Write it anew with: python -m refgraph explain all"""
    _, _, listed = DOCS.read_text().partition("\n## ")

    assert "## " + listed == page(KINDS)


def test_explain_prints_a_docstring(capsys):
    assert main(["explain", "rg102"]) == 0
    assert capsys.readouterr().out == page([ShapeError])


def test_explain_of_an_unknown_code_names_the_nearest(capsys):
    assert main(["explain", "RG12"]) == 1
    assert "RG102" in capsys.readouterr().err


def test_other_arguments_get_the_usage(capsys):
    assert main(["explane"]) == 2
    assert capsys.readouterr().err.startswith("usage: ")


def test_the_command_line_works():
    done = subprocess.run(
        [sys.executable, "-m", "refgraph", "explain", "RG104"], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("## RG104 DTypeError (caught also as TypeError)")


def test_the_doctor_says_what_there_is(capsys):
    found = dict(diagnosis())

    assert np.__version__ in found["packages"]
    assert "interpreter" in found["backends"]
    assert main(["doctor"]) == 0
    assert f"python    {found['python']}" in capsys.readouterr().out


# text


def line_of(needle):
    return next(n for n, line in enumerate(Path(__file__).read_text().splitlines(), 1) if needle in line)


def test_the_whole_text(monkeypatch):
    monkeypatch.chdir(Path(__file__).parent)
    a, b = generic("a"), generic("b")
    node = Pair()(a, b).owner  # the line
    error = ShapeError("pair: no", why="because", help="do that", node=node, values=[np.ones(3), np.ones((2, 2))])
    number = line_of("# the " + "line")
    gap = " " * len(str(number))

    assert str(error).splitlines() == [
        "[RG102] pair: no",
        f"  --> test_errors.py:{number}, in test_the_whole_text",
        f"{number} |     node = Pair()(a, b).owner  # the line",
        f"{gap} |            ^^^^^^^^^^^^   a: Generic, this call (3,)",
        f"{gap} |                           b: Generic, this call (2, 2)",
        "   = why : because",
        "   = help: do that",
        "   = node: pair. More: python -m refgraph explain RG102",
    ]


def test_an_error_without_anything_else_is_short():
    assert str(RefgraphError("no", origin=())).splitlines() == [
        "[RG000] no",
        "   = more: python -m refgraph explain RG000",
    ]


def test_the_caller_of_a_helper_is_named():
    def helper():
        return RefgraphError("no")

    text = str(helper())

    assert "helper\n      called from " in text
    assert text.count("test_errors.py") == 2


def test_many_operands_are_cut_short():
    inputs = [generic(f"x{i}") for i in range(30)]
    text = str(Pair()(*inputs) and RefgraphError("no", why="w", help="h", inputs=inputs))

    assert "... and 27 more" in text
    assert len(text.splitlines()) <= 12


def test_long_lines_are_cut_around_the_expression():
    program = f"{'_ = 1; ' * 60}error = make(  1){'; _ = 2' * 60}"
    names = {"make": lambda x: RefgraphError("no")}
    import linecache

    linecache.cache["<long>"] = (len(program), None, [program + "\n"], "<long>")
    error = RefgraphError("no", origin=())
    exec(compile(program, "<long>", "exec"), names)
    error.origin = names["error"].origin[1:]
    text, under = str(error).splitlines()[-3:-1]

    assert max(len(text), len(under)) < 130
    assert text[under.index("^") : under.rindex("^") + 1] == "make(  1)"


def test_tabs_do_not_move_the_marks():
    names = {"make": RefgraphError}
    import linecache

    program = "if True:\n\terror = make('no')\n"
    linecache.cache["<tabs>"] = (len(program), None, program.splitlines(True), "<tabs>")
    exec(compile(program, "<tabs>", "exec"), names)
    text, under = str(names["error"]).splitlines()[-3:-1]

    assert text[under.index("^") : under.rindex("^") + 1] == "make('no')"


def test_colours_only_where_asked():
    error = ShapeError("no", help="h")

    assert "\033" not in str(error)
    assert "\033[31m^" in error.render(color=True)


@pytest.mark.parametrize(("caught", "colored"), [(True, False), (False, True)])
def test_colours_only_for_uncaught_errors_on_a_terminal(caught, colored):
    program = "import sys, io; from refgraph.core.errors import ShapeError\nsys.stderr.isatty = lambda: True\n" + (
        "try: raise ShapeError('no')\nexcept ShapeError as e: sys.stderr.write(str(e))"
        if caught
        else "raise ShapeError('no')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PATH": ""}, check=False
    )

    assert "[RG102] no" in done.stderr
    assert ("\033[1m" in done.stderr) is colored


def test_high_verbosity_adds_the_graph_and_the_values():
    node = Pair()(Pair()(generic("a")), generic("b")).owner
    error = ShapeError("no", node=node, values=[np.arange(3), 7])
    low = str(error)
    with config.change_flags(exception_verbosity="high"):
        high = str(error)

    assert high.startswith(low)
    assert " | |a [id C]" in high
    assert "value of b: 7" in high
    assert "array([0, 1, 2])" in high


# details


def test_details_are_attributes():
    a, b = generic("a"), generic("b")
    node = Pair()(a, b).owner
    error = ShapeError("pair: no", why="w", help="h", node=node, values=[np.ones(3), np.ones((2, 2))])

    assert (error.message, error.why, error.help, error.node, error.inputs) == ("pair: no", "w", "h", node, (a, b))
    assert error.shapes == ((3,), (2, 2))
    assert error.made_by == "pair"
    assert error.origin is node.origin


def test_an_error_pickles_with_its_text_and_without_its_graph():
    x = generic("x")
    for _ in range(5000):
        x = Pair()(x)
    error = ShapeError("no", why="w", help="h", node=x.owner, values=[np.ones(3)])
    error.add_note("a note")
    again = pickle.loads(pickle.dumps(error))
    twice = pickle.loads(pickle.dumps(again))

    assert type(twice) is ShapeError
    assert str(twice) == str(again) == str(error)
    assert twice.shapes == ((3,),)
    assert twice.__notes__ == ["a note"]
    assert again.node is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_pickles(kind):
    error = kind("message", help="help")

    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_nearest_names_are_suggested():
    assert nearest("flaotX", ["floatX", "mode"]) == "did you mean floatX?"
    assert nearest("ab", ["abc", "abd", "xyz"]) == "did you mean abd or abc?"
    assert nearest("ab", ["abc", "abd"], most=1) in ("did you mean abc?", "did you mean abd?")
    assert nearest("q", ["abc"]) == ""


# run time


def run(op, *arrays):
    """What explaining makes of the error that `op` raises for `arrays`, and the node it failed at."""
    node = Apply(op, [generic(f"x{i}") for i in range(len(arrays))], [generic()])
    try:
        op.impl(*arrays)
    except Exception as error:
        return explain(error, node, arrays), node
    raise AssertionError("nothing was raised")


def op_of(function, name="thing"):
    op = Op()
    op.name, op.impl = name, function
    return op


SHAPES = {
    "add": (
        np.add,
        (2, 3),
        (4, 3),
        "thing cannot broadcast shapes (2, 3) and (4, 3)",
        "axis 0 is 2 in one operand and 4 in another",
    ),
    "rank": (
        np.add,
        (3,),
        (2, 4),
        "thing cannot broadcast shapes (3,) and (2, 4)",
        "axis 1 is 3 in one operand and 4 in another",
    ),
    "dot": (np.dot, (2, 3), (4, 5), "thing does not accept shapes (2, 3) and (4, 5)", "not aligned"),
    "matmul": (
        np.matmul,
        (2, 3),
        (4, 5),
        "thing does not accept shapes (2, 3) and (4, 5)",
        "mismatch in its core dimension",
    ),
    "join": (
        lambda x, y: np.concatenate([x, y]),
        (2, 3),
        (2, 4),
        "thing does not accept shapes (2, 3) and (2, 4)",
        "dimension",
    ),
}


@pytest.mark.parametrize(("function", "a", "b", "message", "why"), SHAPES.values(), ids=SHAPES)
def test_numpys_errors_about_shapes_become_shape_errors(function, a, b, message, why):
    error, node = run(op_of(function), np.ones(a), np.ones(b))

    assert type(error) is ShapeError
    assert error.message == message
    assert why in error.why
    assert error.shapes == (a, b)
    assert error.node is node
    assert error.origin is node.origin


def test_one_array_that_does_not_fit_is_a_shape_error_too():
    error, _ = run(op_of(lambda x: x.reshape(5)), np.ones(4))

    assert error.message == "thing does not accept shape (4,)"
    assert "cannot reshape array of size 4" in error.why


def test_numpys_index_errors_become_bounds_errors():
    error, _ = run(op_of(lambda x: x[7]), np.ones(4))

    assert type(error) is BoundsError
    assert error.message == "thing: index 7 is out of bounds for axis 0 with size 4"


def test_numpys_axis_errors_become_ours():
    error, _ = run(op_of(lambda x: x.sum(axis=3)), np.ones(4))

    assert type(error) is errors.AxisError


@pytest.mark.parametrize(
    "raised",
    [ZeroDivisionError("1 / 0"), MemoryError(), np.linalg.LinAlgError("singular"), ValueError("odd"), KeyError(1)],
)
def test_other_errors_keep_their_type_and_get_one_note(raised):
    def fail(x):
        raise raised

    error, node = run(op_of(fail), np.ones((2, 3)))
    explain(error, node, [np.ones((2, 3))])
    (note,) = error.__notes__

    assert error is raised
    assert note.startswith("while running thing\n  --> ")
    assert "x0: Generic, this call (2, 3)" in note
    assert "test_errors.py" in note


def test_our_own_errors_get_the_node_and_its_line():
    def fail(x):
        raise ShapeError("thing: not today")

    error, node = run(op_of(fail), np.ones(3))

    assert error.node is node
    assert error.origin is node.origin
    assert error.shapes == ((3,),)


def test_what_an_inner_graph_has_explained_stays():
    error, inner = run(op_of(lambda x: x[7], "inner"), np.ones(4))
    outer = Apply(Pair(), [], [generic()])

    assert explain(error, outer, []) is error
    assert error.node is inner


def test_missing_inputs_say_when_the_name_is_there_but_the_variable_is_not():
    error = errors.MissingInputError.of(generic("x"), None, [generic("x"), generic("y")])

    assert "another variable of that name" in error.why
    assert "another variable" not in errors.MissingInputError.of(generic("z"), None, [generic("x")]).why


@pytest.mark.parametrize(
    ("build", "array", "kind"),
    [
        (T.argmax, [], ShapeError),
        (T.max, [], ShapeError),
        (lambda v: T.cast(v, "int64") ** T.cast(v, "int64"), [2.0, -1.0], errors.DomainError),
    ],
)
def test_value_errors_of_our_ops_become_ours(build, array, kind):
    v = T.dvector("v")
    with pytest.raises(kind, match=r"\[RG") as caught:
        build(v).eval({v: array})

    assert type(caught.value) is kind
    assert caught.value.node is not None


def test_a_users_value_error_inside_an_op_of_ours_is_left_alone():
    def fail(op, value):
        raise ValueError("the list is empty")

    v = T.dvector("v")
    with pytest.raises(ValueError, match="the list is empty") as caught:
        refgraph.printing.Print("v", global_fn=fail)(v).eval({v: [1.0]})

    assert type(caught.value) is ValueError
    assert "while running print" in caught.value.__notes__[0]
