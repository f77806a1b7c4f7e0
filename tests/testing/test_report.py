"""What is said of a run of the conformance suite: counts, levels, the file, the pages."""

import itertools
import json

import pytest

from refgraph.core.errors import RefgraphError
from refgraph.ops.tensor import DTYPES
from refgraph.testing.report import (
    LEVELS,
    Loosened,
    Ran,
    Result,
    compare,
    document,
    essence,
    found,
    kernels_said,
    level_said,
    read,
    render,
    summary,
    without_backend,
    write,
)

VERSIONS = {"python": "3.12.1", "refgraph": "1.0"}


def result(level, outcome="passed", name="a", backend="fast", **more):
    return Result(backend, f"suite.test_{level}::test_x[{backend}-{name}]", level, outcome, **more)


def everywhere(*more, backend="fast"):
    """A test passed on every level, and these."""
    return [*[result(n, backend=backend) for n in range(len(LEVELS))], *more]


def of(*results, backend="fast", complete=True, **more):
    return found(backend, results, complete=complete, **more)


def report(*founds):
    return document(founds, VERSIONS, "Linux x86_64", "2026-01-31")


def ran(*uses):
    return everywhere(result(1, name="b", ran=[Ran(*use) for use in uses]))


# levels


def test_all_levels_passed_are_the_highest():
    assert of(*everywhere())["reaches"] == 4


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_a_level_with_a_test_that_did_not_pass_is_not_reached(outcome):
    assert of(*everywhere(result(3, outcome, "b")))["reaches"] == 2


@pytest.mark.parametrize("outcome", ["xfailed", "unsupported"])
def test_a_level_with_what_was_expected_is_reached(outcome):
    assert of(*everywhere(result(3, outcome, "b")))["reaches"] == 4


def test_a_level_without_tests_is_not_reached():
    assert of(result(0), result(1), result(3))["reaches"] == 1


def test_a_failure_of_the_lowest_level_leaves_none():
    assert level_said(of(*everywhere(result(0, "failed", "b")))) == "reaches no level"


def test_a_part_of_the_suite_reaches_no_level():
    assert level_said(of(*everywhere(), complete=False)) == "no level, as not all of the suite ran"


def test_what_was_expected_is_said_beside_the_level():
    results = everywhere(
        result(1, "xfailed", "b"),
        result(2, "xfailed", "c"),
        result(3, "unsupported", "d"),
        result(1, name="e", loosened=[Loosened("exp", "float32", 8.0, 4.0)]),
    )

    assert level_said(of(*results)) == "reaches L4 (2 expected failures, 1 loosened tolerance, 1 unsupported)"


def test_results_of_other_backends_do_not_count():
    assert of(*everywhere(result(0, "failed", backend="other")))["reaches"] == 4


# ops


def test_an_op_that_the_interpreter_ran_is_named():
    said = kernels_said(of(*ran(("add", "int8", False), ("arange", "int64", True, "no kernel"))))

    assert said == "1 of 2 ops have kernels; interpreted: arange"


def test_dtypes_that_are_not_declared_are_said_once():
    results = ran(("add", "float32", False), ("add", "int8", True), ("sum", "float32", False), ("sum", "bool", True))

    assert kernels_said(of(*results, dtypes=[d for d in DTYPES if d not in ("bool", "int8")])) == (
        "2 of 2 ops have kernels; dtypes that it does not declare (bool, int8) are interpreted; interpreted: none"
    )


def test_of_the_dtypes_of_an_op_those_that_are_declared_are_named():
    results = ran(("sum", "float64", False), ("sum", "float32", True), ("sum", "int8", True))
    declared = [d for d in DTYPES if d != "int8"]

    assert kernels_said(of(*results, dtypes=declared)).endswith("; interpreted: in float32: sum")


def test_the_file_keeps_what_is_said_once():
    one = of(*ran(("add", "float32", False), ("add", "int8", True)), dtypes=["float32"])

    assert one["dtypes"] == ["float32"]
    assert one["interpreted"] == {"add": {"float32": [0, 1], "int8": [1, 1]}}


def test_a_use_that_became_other_ops_counts_neither_way():
    opened = Ran("Fused", "float32", False, asked=False)
    results = everywhere(result(1, name="b", ran=[opened, Ran("Fused", "int8", True, "no kernel for Fused")]))

    assert kernels_said(of(*results)) == "0 of 1 ops have kernels; interpreted: Fused"


def test_an_op_that_was_never_asked_for_is_said_apart():
    opened = Ran("Fused", "float32", False, asked=False)
    one = of(*everywhere(result(1, name="b", ran=[opened, Ran("add", "float32", False)])))

    assert one["not_asked"] == ["Fused"]
    assert kernels_said(one) == (
        "1 of 1 ops have kernels; not asked for, or opened into other ops: Fused; interpreted: none"
    )


def test_an_op_with_kernels_for_some_dtypes_is_named_with_the_others():
    said = kernels_said(of(*ran(("add", "float32", False), ("add", "int8", True), ("add", "bool", True))))

    assert said == "1 of 1 ops have kernels; interpreted: in bool, int8: add"


def test_an_op_with_kernels_for_some_cases_of_a_dtype_is_named_with_it():
    said = kernels_said(of(*ran(("sum", "float32", False), ("sum", "float32", True), ("sum", "int8", True))))

    assert said == "1 of 1 ops have kernels; interpreted: in int8, in part float32: sum"


def test_an_op_with_kernels_for_no_case_counts_as_without():
    said = kernels_said(of(*ran(("sum", "float32", True), ("sum", "int8", True))))

    assert said == "0 of 1 ops have kernels; interpreted: sum"


def test_nothing_interpreted_is_said():
    assert kernels_said(of(*ran(("add", "int8", False)))) == "1 of 1 ops have kernels; interpreted: none"


def test_the_interpreter_has_no_kernels_to_count():
    one = of(result(1, backend="numpy", ran=[Ran("add", "int8", False)]), backend="numpy")

    assert kernels_said(one) == "it is the interpreter, which ran all of 1 ops"


def test_the_first_reason_is_kept():
    one = of(*ran(("sum", "int8", True), ("sum", "int8", True, "not for int8"), ("sum", "bool", True, "later")))

    assert one["why"] == {"sum": "not for int8"}


RANKED = "", "bool is not among its dtypes", "no kernel for Reduction", "its kernel for Reduction declined", "too long"


@pytest.mark.parametrize(("less", "more"), [*itertools.pairwise(RANKED)])
def test_the_reason_that_says_most_is_kept(less, more):
    for whys in ((less, more), (more, less)):
        assert of(*ran(*[("sum", "int8", True, why) for why in whys]))["why"] == {"sum": more}


def why_not(*uses):
    """The lines of a page that say why ops have no kernel."""
    one = of(*ran(*uses))
    return render(report(one), one).partition("## Why not\n\n")[2].strip().splitlines()


def test_ops_of_one_reason_stand_on_one_line():
    assert why_not(("max", "int8", True, "not for int8"), ("sum", "int8", True, "not for int8")) == [
        "- not for int8: `max`, `sum`"
    ]


def test_ops_without_kernels_stand_on_one_line():
    assert why_not(("Dot", "int8", True, "no kernel for Dot"), ("Eye", "int8", True, "no kernel for Eye")) == [
        "- no kernel: `Dot`, `Eye`"
    ]


def test_reasons_that_differ_in_the_name_of_the_op_alone_are_one():
    assert why_not(*[(op, "int8", True, f"there is no {op} here") for op in ("i0", "cast{bool}")]) == [
        "- there is no … here: `cast{bool}`, `i0`"
    ]


def test_a_reason_of_a_single_op_is_kept_as_it_is():
    assert why_not(("i0", "int8", True, "there is no i0 here")) == ["- there is no i0 here: `i0`"]


def test_reasons_that_makers_gave_come_first_and_dtypes_last():
    lines = why_not(
        ("all", "bool", True, "bool is not among its dtypes"),
        ("any", "int8", True, "int8 is not among its dtypes"),
        ("Dot", "int8", True, "no kernel for Dot"),
        ("sum", "int8", True, "its kernel for Reduction declined"),
        ("exp", "int8", True, "not yet"),
    )

    assert lines == [
        "- not yet: `exp`",
        "- its kernel for Reduction declined: `sum`",
        "- no kernel: `Dot`",
        "- takes or answers a dtype that the backend does not declare: `all`, `any`",
    ]


def test_of_an_op_with_kernels_no_reason_is_given():
    assert why_not(("sum", "int8", True, "not for int8"), ("sum", "int16", False)) == []


# names and messages


@pytest.mark.parametrize(
    ("id", "want"),
    [
        ("m::test_x[fast-exp-float32-[3,4]]", "m::test_x[exp-float32-[3,4]]"),
        ("m::test_x[fast]", "m::test_x"),
        ("m::test_x", "m::test_x"),
        ("m::test_x[faster-exp]", "m::test_x[faster-exp]"),
    ],
)
def test_an_id_without_the_backend(id, want):
    assert without_backend(id, "fast") == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("AssertionError: add-int8\n3 of 5 differ, the worst by 9 ulp", "3 of 5 differ, the worst by 9 ulp"),
        ("assert 1 == 2\n +  where 1 = f()", "assert 1 == 2"),
        ("AssertionError: assert 1 == 2\n +  where 1 = f()", "AssertionError: assert 1 == 2"),
        ("AssertionError: far off\nassert 1 == 2\n +  where 1 = f()", "AssertionError: far off"),
        ("ShapeError: [RG102] add: no\n  --> m.py:3\n   = more: explain", "ShapeError: [RG102] add: no"),
        ("TypeError: <A at 0x7f1200aa34c0> of /home/me/lib/a.py", "TypeError: <A at 0x...> of a.py"),
        ("dtype float32/float64, see https://a.org/b/c", "dtype float32/float64, see https://a.org/b/c"),
        ("", ""),
    ],
)
def test_the_line_that_says_most(text, want):
    assert essence(text) == want


# what is shown


def test_lines_are_no_wider_than_the_terminal():
    one = of(*ran(*[(f"operation_{i}", "int8", True) for i in range(40)]))

    assert all(len(line) <= 90 for line in summary(one, 90))


def test_the_summary_has_a_row_for_each_level():
    head, *rows = summary(of(*everywhere(result(2, "failed", "b"))))[:6]

    assert head.split() == ["level", "passed", "failed", "xfailed", "unsupported"]
    assert [row.split()[0] for row in rows] == ["L0", "L1", "L2", "L3", "L4"]
    assert rows[2].split()[-4:] == ["1", "1", "0", "0"]


def test_skipped_tests_get_a_column():
    assert summary(of(result(0, "skipped")))[0].split()[-1] == "skipped"


def test_loosened_tolerances_are_shown_once():
    looser = Loosened("exp", "float32", 8.0, 4.0)
    one = of(result(1, loosened=[looser]), result(1, name="b", loosened=[looser]))

    assert summary(one)[-1] == "fast: loosened tolerances: exp float32 8 ulp (not 4)"


def test_patterns_that_match_nothing_are_shown():
    assert summary(of(result(0), stale=["*-gone"]))[-1] == "fast: declarations that are stale: *-gone"


def failure(level, op="", dtype="", name="", **more):
    case = "-".join(filter(None, (op, dtype, name)))
    return result(level, "failed", case, op=op, dtype=dtype, reproduce=f"run {case}", **more)


def involved(*failures):
    """What is said of the ops that most failures are about."""
    text = " ".join(summary(of(*failures), 1000))
    return text.partition("most failures involve: ")[2].partition(" fast: ")[0]


def shown(*failures):
    """Which failures are shown, by what reproduces them."""
    return [line.strip() for line in summary(of(*failures)) if line.startswith("    run ")]


def test_failures_are_counted_by_op():
    failures = [
        failure(1, "max", "int8"),
        *[failure(1, "exp", dtype, name) for dtype in ("float64", "float32") for name in "ab"],
        failure(2, name="a-chain"),
    ]

    assert involved(*failures) == "exp float32, float64 (4 of 6); max int8 (1)"


def test_of_many_ops_that_fail_some_are_named():
    assert involved(*[failure(1, f"op{n}") for n in range(7)]) == (
        "op0 (1 of 7); op1 (1); op2 (1); op3 (1); op4 (1); and 2 more"
    )


def test_of_many_dtypes_that_fail_the_number_is_said():
    assert involved(*[failure(1, "exp", dtype) for dtype in DTYPES[:5]]) == "exp in 5 dtypes (5 of 5)"


def test_failures_of_no_op_are_counted_by_test():
    assert involved(failure(2, name="a"), failure(2, name="b")) == "test_x (2 of 2)"


def test_failures_of_single_ops_are_shown_before_those_of_programs():
    assert shown(failure(2, "Dot"), failure(2, name="chain"), failure(1, "exp")) == ["run exp"]


def test_failures_of_different_ops_are_shown_first():
    exps = [failure(1, "exp", "float32", name) for name in "abc"]

    assert shown(*exps, failure(1, "max", "int8"), failure(1, "sum")) == [
        "run exp-float32-a",
        "run max-int8",
        "run sum",
    ]


def test_without_failures_of_single_ops_others_are_shown():
    assert shown(failure(2, name="chain")) == ["run chain"]


def test_a_failure_is_shown_with_its_message_and_a_line_in_one_piece():
    line = "run " + "a" * 100 + " b"
    one = of(result(0, "failed", message="[3] is wrong", reproduce=line))

    assert summary(one, 60)[-3:] == ["fast: failures to begin with:", "  L0 [3] is wrong", f"    {line}"]


def test_a_message_without_end_is_cut():
    assert summary(of(failure(1, "exp", message="x" * 1000)), 400)[-2] == f"  L1 {'x' * 300}..."


def test_a_page_shows_everything():
    one = of(
        *everywhere(
            result(2, "failed", "b", message="wrong", reproduce="pytest 'x' --backend=fast"),
            result(1, "xfailed", "c", reason="denormals"),
            result(3, "unsupported", "d", reason="declared unsupported: no loops"),
            result(1, name="e", ran=[Ran("sum", "int8", True, "not for int8")]),
            result(1, name="f", loosened=[Loosened("exp", "float32", 8.0, 4.0)]),
        ),
        distribution="refgraph-fast 0.1",
        stale=["*-gone"],
    )
    page = render(report(one), one)

    assert page.startswith("# Conformance of fast\n\nReaches L1 (")
    assert "refgraph-fast 0.1; device cpu; python 3.12.1, refgraph 1.0; Linux x86_64; 2026-01-31." in page
    for part in (
        "- not for int8: `sum`",
        "- exp float32 8 ulp (not 4)",
        "- `suite.test_1::test_x[fast-c]`: denormals",
        "- `suite.test_3::test_x[fast-d]`: declared unsupported: no loops",
        "- *-gone",
        "Most involve: test_x (1 of 1).",
        "`suite.test_2::test_x[fast-b]` (L2): wrong\n\n```\npytest 'x' --backend=fast\n```",
    ):
        assert part in page


def test_columns_line_up():
    one = of(*everywhere())
    table = [line for line in render(report(one), one).splitlines() if line.startswith("|")]

    assert len({len(line) for line in table}) == 1


# compared


def test_levels_stand_side_by_side():
    a, b = of(*everywhere()), of(*everywhere(result(2, "failed", "b", backend="new"), backend="new"), backend="new")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in compare([("", report(a, b))]).splitlines()]

    assert ["level", "fast", "new"] in rows
    assert [f"L2 {LEVELS[2]}", "1 passed", "1 passed, 1 failed"] in rows
    assert ["all", "reaches L4", "reaches L1"] in rows


def test_a_test_that_fails_in_one_is_named_without_a_backend():
    a = of(*everywhere(result(2, name="b")))
    b = of(*everywhere(result(2, "failed", "b", backend="new"), backend="new"), backend="new")

    assert "- `suite.test_2::test_x[b]`: passes in fast, fails in new\n" in compare([("", report(a, b))])


def test_a_test_that_was_expected_to_fail_elsewhere_is_named():
    a = of(*everywhere(result(2, "xfailed", "b")))
    b = of(*everywhere(result(2, "failed", "b", backend="new"), backend="new"), backend="new")

    assert "`: fails as expected in fast, fails in new\n" in compare([("", report(a, b))])


def test_of_another_suite_a_test_may_not_have_run():
    a = of(*everywhere())
    b = of(*everywhere(result(2, "failed", "b", backend="new"), backend="new"), backend="new")

    assert "`: passes, or was not run in fast, fails in new\n" in compare([("", report(a, b))])


def test_a_test_that_fails_in_both_is_no_difference():
    a, b = of(result(2, "failed")), of(result(2, "failed", backend="new"), backend="new")

    assert "not in another\n\nNone." in compare([("", report(a, b))])


def test_kernels_gained_and_lost_are_named():
    a = of(*ran(("add", "int8", True), ("sum", "int8", False)))
    b = of(*ran(("add", "int8", False), ("sum", "int8", True)))
    page = compare([("old", report(a)), ("new", report(b))])

    assert "- fast (new) gained, against fast (old): add\n- fast (new) lost, against fast (old): sum\n" in page


def test_the_interpreter_has_no_kernels_to_lose():
    numpy = of(result(1, backend="numpy", ran=[Ran("add", "int8", False)]), backend="numpy")

    assert "- fast gained, against numpy: add\n" in compare([("", report(numpy, of(*ran(("add", "int8", False)))))])


# the file


def full():
    return of(
        *everywhere(
            result(2, "failed", "b", message="wrong", reproduce="pytest x"),
            result(1, "xfailed", "c", reason="denormals"),
            result(1, name="e", ran=[Ran("sum", "int8", True, "no"), Ran("add", "int8", False)]),
            result(1, name="f", loosened=[Loosened("exp", "float32", 8.0, 4.0)]),
        )
    )


def test_a_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "a.json"
    write(path, report(full()))

    assert read(path) == report(full())


def test_the_order_in_which_tests_ran_does_not_matter():
    results = ran(("sum", "int8", True, "a"), ("add", "int8", False))

    assert json.dumps(of(*results)) == json.dumps(of(*reversed(results)))


def test_results_travel_as_plain_values():
    one = result(1, ran=[Ran("sum", "int8", True, "no")], loosened=[Loosened("exp", "float32", 8.0, 4.0)])

    assert Result.from_plain(json.loads(json.dumps(one.to_plain()))) == one


def changed(change):
    data = report(full())
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "the file is of type list, want an object"),
        ("{}", "the file has no field 'schema'"),
        (changed(lambda d: d.update(schema=2)), "has schema 2, and this version of refgraph reads 1"),
        (changed(lambda d: d.update(versions=[])), "the file.versions is of type list"),
        (changed(lambda d: d.update(backends=[])), "it is of no backend"),
        (changed(lambda d: d.update(backends=[1])), "backends[0] is of type int, want an object"),
        (changed(lambda d: d["backends"][0].pop("levels")), "backends[0] has no field 'levels'"),
        (changed(lambda d: d["backends"][0]["levels"].pop("3")), "backends[0].levels has no field '3'"),
        (changed(lambda d: d["backends"][0]["levels"]["3"].pop("failed")), "levels.3 has no field 'failed'"),
        (changed(lambda d: d["backends"][0]["failures"].append({})), "failures[1] has no field 'id'"),
        (changed(lambda d: d["backends"][0]["interpreted"].update(add=3)), "interpreted.add is not two counts"),
        (changed(lambda d: d["backends"][0]["kernels"].append(3)), "kernels holds what is no text"),
        (changed(lambda d: d["backends"][0]["dtypes"].append(3)), "dtypes holds what is no text"),
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path, text, says):
    path = tmp_path / "a.json"
    path.write_text(text)

    with pytest.raises(RefgraphError) as caught:
        read(path)
    assert caught.value.message.startswith(f"{path} ")
    assert says in caught.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RefgraphError, match="cannot be read: No such file"):
        read(tmp_path / "a.json")
