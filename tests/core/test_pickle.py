"""Pickles and copies of expressions: what is equal, what stays shared, how deep, and what cannot be pickled."""

import copy
import gc
import pickle
import sys
import threading

import cloudpickle
import numpy as np
import pytest

import refgraph
import refgraph.tensor as T
from refgraph.core.errors import PickleError
from refgraph.core.graph import Constant, Graph, Variable, ancestors, leaves, toposort
from refgraph.core.op import OPS, GraphOp, Op, declared
from refgraph.core.pickling import _live
from refgraph.testing.cases import cases, name_of

DEEP, SMALL, LARGE = 100_000, 300, 3_000


def again(thing):
    return pickle.loads(pickle.dumps(thing))


BOTH = pytest.mark.parametrize("through", [again, copy.deepcopy], ids=["pickle", "deepcopy"])


class Scale(Op):
    __props__ = ("by",)
    name = "scale"

    def __init__(self, by):
        self.by = by

    def infer(self, x):
        return (x.type,)

    def impl(self, x):
        return x * self.by


class Twins(Op):
    def infer(self, x):
        return x.type, x.type


class Counted(Scale):
    def __reduce__(self):
        return Counted, (self.by + 1,)


twins = Twins()


@refgraph.as_op(T.dvector, T.dvector)
def doubled(x):
    return 2 * x


def tripled(x):
    return 3 * x


# ops


@pytest.mark.parametrize("name", list(OPS))
def test_declared_ops_are_themselves_again(name):
    assert again(OPS[name]) is OPS[name]


def used_ops():
    found = {}
    for case in cases():
        outputs = case.sample.build(*case.variables())
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        for node in toposort([x for x in outputs if isinstance(x, Variable)]):
            found.setdefault((name_of(node.op), repr(node.op)), node.op)
    return list(found.values())


def test_ops_in_use_are_equal_again():
    ops = used_ops()
    kinds = {type(op).__name__ for op in ops}
    assert kinds >= {"Dot", "Reduction", "Index", "Reshape", "Scan", "IfElse", "OpFromGraph", "RandomNormal"}
    for op in ops:
        for other in (again(op), copy.deepcopy(op), copy.copy(op)):
            assert type(other) is type(op)
            assert repr(other) == repr(op)
            if isinstance(op, GraphOp):  # equal only to itself
                assert [len(g.nodes) for g in other.graphs] == [len(g.nodes) for g in op.graphs]
            elif other is not op and not op.__props__:
                assert copy.copy(op) is not op  # a copy is another op; pickle and deepcopy find the one there is
                assert again(op) is op
                assert copy.deepcopy(op) is op
            else:
                assert other == op
                assert hash(other) == hash(op)


def test_ops_of_users_pickle_by_class_and_attributes():
    assert again(Scale(3)) == Scale(3)
    assert again(Scale(3)) != Scale(2)
    assert again(Counted(3)).by == 4


def test_an_op_without_parameters_that_a_module_keeps_is_itself_again():
    assert again(twins) is twins
    assert again(Twins()) is not twins


def test_a_copy_of_an_op_can_be_changed():
    op = Scale(3)
    other = copy.copy(op)
    other.by = 4

    assert (op.by, other.by) == (3, 4)


def test_functions_made_ops_pickle_by_the_name_of_either():
    triple = refgraph.as_op(T.dvector, T.dvector)(tripled)

    assert again(doubled) is doubled
    assert again(triple) == triple
    assert again(triple(T.dvector())).owner.op == triple


def test_an_op_that_is_not_there_is_named():
    with pytest.raises(PickleError, match="'no_such_op'"):
        declared("no_such_op")


def local_function():
    def inner(x):
        return x

    return refgraph.as_op(T.dvector, T.dvector)(inner)


def local_class():
    class Local(Scale):
        def impl(self, x):
            return x

    return Local(1)


def overridden():
    x = T.dvector()
    return refgraph.OpFromGraph([x], [x * 2], lop_overrides=[lambda inputs, outputs, grads: grads[0]], name="half")


@pytest.mark.parametrize(
    ("make", "op", "line"),
    [
        (lambda: refgraph.as_op(T.dvector, T.dvector)(lambda x: 2 * x), "<lambda>", "(lambda x: 2 * x)"),
        (local_function, "inner", "def inner(x):"),
        (local_class, "scale{by=1}", "def impl(self, x):"),
        (overridden, "half", "lop_overrides=[lambda"),
    ],
    ids=["lambda", "local-function", "local-class", "override"],
)
def test_what_has_no_global_name_is_refused_with_its_op_and_line(make, op, line):
    x = T.dvector("x")
    out = make()(x)
    with pytest.raises(pickle.PicklingError) as error:
        pickle.dumps(out)

    assert isinstance(error.value, PickleError)
    assert error.value.message.startswith(f"{op} cannot be pickled")
    assert line in str(error.value)
    assert __file__.rpartition("/")[2] in str(error.value)
    assert repr(copy.deepcopy(out).owner.op) == op  # functions need no copy


def test_picklers_that_keep_functions_by_value_may():
    op = refgraph.as_op(T.dvector, T.dvector)(lambda x: 2 * x)
    x, y = pickle.loads(cloudpickle.dumps([x := T.dvector("x"), op(x)]))

    assert y.eval({x: [1.0]}).tolist() == [2.0]


# expressions


@BOTH
def test_expressions_and_gradients_evaluate_equally(through):
    x, w = T.dmatrix("x"), T.dvector("w")
    cost = (T.tanh(T.dot(x, w)) ** 2).sum() + T.nnet.softmax(x)[0, 1]
    wanted = [cost, *refgraph.grad(cost, [x, w])]
    a, b, *found = through([x, w, *wanted])
    at = np.arange(6.0).reshape(2, 3) / 5, np.array([0.5, -1.0, 2.0])

    for one, other in zip(wanted, found, strict=True):
        assert other.type == one.type
        np.testing.assert_array_equal(
            other.eval(dict(zip((a, b), at, strict=True))), one.eval(dict(zip((x, w), at, strict=True)))
        )


@BOTH
@pytest.mark.parametrize("turn", [1, -1], ids=["causes-first", "causes-last"])
def test_what_is_shared_stays_shared(through, turn):
    x = T.dvector("x")
    h = T.tanh(x)
    y, z = h + 1, h * 2
    x2, h2, y2, z2 = through([x, h, y, z][::turn])[::turn]

    assert y2.owner.inputs[0] is z2.owner.inputs[0] is h2
    assert h2.owner.inputs == (x2,)
    assert h2.owner.outputs == (h2,)
    assert len(ancestors([y2, z2])) == len(ancestors([y, z]))
    assert not {h2, y2, x2} & {h, y, x}


@BOTH
def test_each_expression_may_build_on_the_one_before(through):
    all = [T.dscalar("x")]
    for _ in range(2_000):
        all.append(all[-1] + 1)
    found = through(all)

    assert [x.owner.inputs[0] for x in found[1:]] == found[:-1]


@BOTH
def test_applications_go_with_their_outputs(through):
    x = T.dvector("x")
    first, second = outs = twins(x)
    node, b, a = through([first.owner, second, first])

    assert node.outputs == (a, b)
    assert (a.index, b.index) == (0, 1)
    assert node.op is twins
    assert outs[0].owner.outputs == tuple(outs)
    assert through(first.owner).outputs[1].owner.inputs[0].name == "x"


@BOTH
def test_graphs(through):
    x, y = T.dvector("x"), T.dvector("y")
    h = x + y
    graph = Graph([x, h], [h * x, T.exp(h)])  # one input is in the middle of an expression
    graph.clients  # noqa: B018  (what it keeps is not pickled)
    other = through(graph)

    assert repr(other) == repr(graph)
    assert [n.op for n in other.nodes] == [n.op for n in graph.nodes]
    assert other.inputs[1].owner.inputs[0] is other.inputs[0]


@BOTH
def test_an_op_may_hold_what_stands_around_it(through):
    x = T.dvector("x")
    y = x * 2
    out = refgraph.OpFromGraph([x], [y])(x + 1) + y
    x2, out2 = through([x, out])

    assert out2.eval({x2: [1.0]}).tolist() == [6.0]
    assert out2.owner.inputs[0].owner.op.graphs[0].outputs[0] is out2.owner.inputs[1]


@BOTH
def test_jacobians_and_calls_of_graphs(through):
    x = T.dvector("x")
    jacobian = refgraph.gradient.jacobian(T.tanh(x) * x[0], x)
    x2, j2 = through([x, jacobian])

    np.testing.assert_array_equal(j2.eval({x2: [0.5, 2.0]}), jacobian.eval({x: [0.5, 2.0]}))


@BOTH
def test_labels_survive(through):
    x = T.dvector("x")
    y = x + 1
    y.name, y.tag.test_value, y._shape_hint = "y", np.ones(2), (None, 2)
    y.owner.tag.note = "of the application"
    x.tag.note = [1, 2]
    y2, plain = through([y, x * 2])

    assert (y2.name, y2._shape_hint, y2.owner.tag.note) == ("y", (None, 2), "of the application")
    assert y2.tag.test_value.tolist() == [1, 1]
    assert y2.owner.inputs[0].tag.note == [1, 2]
    assert plain.name is None
    assert not hasattr(plain, "_tag")


def test_test_values_are_left_out_when_the_flag_says_so():
    x = T.dvector("x")
    x.tag.test_value, x.tag.note = np.ones(2), "kept"
    with refgraph.config.change_flags(pickle_test_value=False):
        other = again(x)

    assert vars(other.tag) == {"note": "kept"}
    assert x.tag.test_value.shape == (2,)


@BOTH
@pytest.mark.parametrize("cause_first", [True, False])
def test_causes_may_refer_to_effects(through, cause_first):
    x = refgraph.shared(1.0, name="x")
    y = x + 1
    x.default_update, x.tag.effects, y.tag.itself = y, [y, y.owner], y
    x2, y2 = through([x, y] if cause_first else [y, x])[:: 1 if cause_first else -1]

    assert x2.default_update is y2
    assert x2.tag.effects == [y2, y2.owner]
    assert y2.tag.itself is y2
    assert y2.owner.inputs[0] is x2
    assert y2.eval() == 2


def test_default_updates_may_read_each_other_in_a_long_chain():
    states = [refgraph.shared(0.0)]
    for _ in range(1_000):
        states.append(refgraph.shared(0.0))
        states[-1].default_update = states[-2] + 1

    assert len(leaves([again(states[-1] + 1)])) == 2


@BOTH
def test_constants_stay_constant(through):
    y = T.dvector("x") + T.constant([1.0, 2.0], name="c") + 1
    (c,) = [v for v in ancestors([through(y)]) if v.name == "c"]

    assert isinstance(c, Constant)
    assert c.value.tolist() == [1, 2]
    assert not c.value.flags.writeable


def test_a_shallow_copy_is_another_application():
    x = refgraph.shared(np.ones(2), name="x")
    y = T.tanh(x)
    y.tag.note = 1
    x2, y2, node = copy.copy(x), copy.copy(y), copy.copy(y.owner)

    assert x2.container is x.container
    assert x2 is not x
    assert (y2.owner.op, y2.owner.inputs, y2.tag.note) == (T.tanh, (x,), 1)
    assert len({y, y2, node.out}) == 3
    assert y2.eval().tolist() == y.eval().tolist()


def test_two_threads_pickle_one_graph():
    x = T.dscalar("x")
    y = x
    for _ in range(3_000):
        y = y + 1
    sizes = []

    def work():
        sizes.extend(len(pickle.dumps([y.owner.inputs[0], y])) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

    assert len(sizes) == 20
    assert len(set(sizes)) == 1


# depth


def chain(n):
    x = y = T.dscalar("x")
    for _ in range(n):
        y = y + 0.0
    return x, y


@BOTH
def test_deep_chains(through):
    assert sys.getrecursionlimit() <= 1_000
    x, y = chain(DEEP)
    x2, y2 = through([x, y])

    assert len(toposort([y2])) == DEEP
    assert leaves([y2])[0] is x2


def test_pickles_are_linear():
    few, many = (len(pickle.dumps(chain(n)[1])) for n in (SMALL, LARGE))

    assert many <= few * (LARGE / SMALL) * 1.1
    assert many < 200 * LARGE


def calls(use, y):
    count = 0

    def see(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        use(y)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "use",
    [again, copy.deepcopy, lambda y: again([v for v in ancestors([y]) if v.owner])],
    ids=["pickle", "deepcopy", "every variable"],
)
def test_work_is_linear(use):
    few, many = (calls(use, chain(n)[1]) for n in (SMALL, LARGE))

    assert many <= few * (LARGE / SMALL) * 1.3


def test_nothing_is_kept_when_a_pickler_is_done():
    pickle.dumps(chain(10)[1])
    copy.deepcopy(chain(10)[1])
    with pytest.raises(AttributeError):
        pickle.dumps([chain(10)[1], lambda: 0])
    gc.collect()

    assert not _live.records
    assert not _live.places
