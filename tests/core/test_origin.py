"""Origins: the user's frames, their lines and their columns."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from refgraph.core import origin
from refgraph.core.origin import here, made_for, places


def mark():
    return places(here())


def under(place):
    return place.text[slice(*place.columns)]


def in_library(body, **names):
    """A function of the given body whose code claims to be refgraph's."""
    exec(compile(body, origin._LIBRARY + "made_up.py", "exec"), names)
    return names["f"]


def test_the_line_comes_first_then_its_callers():
    def inner():
        return here()

    first, second, *_ = places(inner())

    assert Path(first.file) == Path(second.file) == Path(__file__)
    assert first.function.endswith("inner")
    assert under(first) == "here()"
    assert under(second) == "inner()"


def test_at_most_three_frames_are_kept():
    def down(n):
        return down(n - 1) if n else here()

    assert len(down(10)) == 3


def test_frames_of_the_library_are_left_out():
    add = in_library("def f(x, y): return here()", here=here)

    place, *_ = places(add(2, (3, 4)))

    assert under(place) == "add(2, (3, 4))"


def test_a_package_beside_ours_whose_name_begins_alike_is_not_ours():
    names = {"here": here}
    file = origin._LIBRARY.rstrip("/\\") + "_experiments/train.py"
    exec(compile("def f(): return here()", file, "exec"), names)

    assert places(names["f"]())[0].file == file


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda add: [add(i) for i in (1,)].pop(), "add(i)"),
        (lambda add: next(add(i) for i in (1,)), "add(i)"),
        (lambda add: {1: add(7)}[1], "add(7)"),
        (lambda add: (lambda x: add(x))(1), "add(x)"),
        (lambda add: list(map(add, [1])).pop(), "list(map(add, [1]))"),
        (lambda add: ("é", add("ü"))[1], 'add("ü")'),
    ],
    ids=["list", "generator", "dict", "lambda", "map", "not ascii"],
)
def test_columns_are_exact(make, text):
    place, *_ = make(in_library("def f(x): return places(here())", here=here, places=places))

    assert under(place) == text


def test_an_expression_of_several_lines_is_marked_on_its_first():
    add = in_library("def f(x, y): return places(here())", here=here, places=places)
    # fmt: off
    place, *_ = add(1,
                    2)
    # fmt: on

    assert under(place) == "add(1,"


def test_the_function_is_the_one_around_a_lambda_or_comprehension():
    assert [mark()[0].function for _ in (1,)] == ["mark"]
    place = [places(here())[0] for _ in (1,)].pop()
    assert place.function == "test_the_function_is_the_one_around_a_lambda_or_comprehension"


def test_code_without_source_still_has_a_line():
    names = {"here": here}
    exec(compile("\n\ndef f():\n    return here()", "<made>", "exec"), names)

    place = places(names["f"]())[0]

    assert (place.file, place.line, place.function, place.text) == ("<made>", 4, "f", "")


def test_programs_on_the_command_line_have_lines():
    program = "from refgraph.core.origin import here, places\n\nprint(*places(here())[0][:3])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "<string> 3 <module>\n"


def test_made_for_gives_its_origin_to_what_is_made_inside_and_nests():
    first, second = here(), here()
    with made_for(first):
        assert here() is first
        with made_for(second):
            assert here() is second
        with made_for(()):
            assert here() is first
        assert here() is first
    assert here() is not first


def test_made_for_ends_when_its_body_raises():
    with pytest.raises(KeyError), made_for(here()):
        raise KeyError
    assert under(places(here())[0]) == "here()"


def test_places_pickle_and_stand_for_an_origin():
    found = places(here())
    again = pickle.loads(pickle.dumps(found))

    assert again == found
    assert places(again) == found
