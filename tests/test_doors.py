"""The doors have Theano's names, with Theano's arguments, and nothing but names.

What is listed here is what Theano 1.0 has and real programs use, as far as it is built; other names stand in the doors.
"""

import ast
import importlib
import inspect
import types
from pathlib import Path

import pytest

import refgraph
import refgraph.tensor as T

TOP = Path(__file__).parents[1]

NAMES = {
    "refgraph": """
        function shared grad clone Op Apply Variable Constant Type generic In Out Mode OpFromGraph as_op pp dot constant
        Rop Lop subgraph_grad OrderedUpdates _asarray __version__ config tensor gradient printing SharedVariable
        DebugMode NanGuardMode MonitorMode debugprint as_tensor_variable
        scan map reduce foldl foldr scan_checkpoints scan_module random cuda
    """,
    "refgraph.config": """
        floatX device compute_test_value mode exception_verbosity change_flags on_unused_input gcc.cxxflags optimizer
        allow_gc optimizer_including optimizer_excluding on_opt_error openmp openmp_elemwise_minsize profile
        profile_memory scan.debug compiledir cxx deterministic dnn.conv warn_float64 warn.sum_div_dimshuffle_bug
        warn.subtensor_merge_bug linker
    """,
    "refgraph.tensor": """
        dot grad sqrt sum log exp matrix concatenate mean arange cast tanh maximum switch zeros vector scalar argmax
        set_subtensor sqr max tensor3 ivector zeros_like alloc tensor4 clip neq eq minimum abs_ ones_like ones
        as_tensor_variable TensorType iscalar ge constant stack flatten TensorVariable prod reshape lvector lscalar min
        dmatrix gt imatrix sgn tile eye square sin unbroadcast lt shape_padright repeat shape_padleft Rop inc_subtensor
        addbroadcast tensordot dvector cos le transpose round pow Elemwise dscalar all fmatrix ftensor4 or_ isnan
        Variable lmatrix floor batched_dot patternbroadcast argsort isinf sort any as_tensor diag add TensorConstant erf
        std inv Lop squeeze cumsum horizontal_stack col nnet identity_like cosh sinh matrices mul ceil fvector join var
        Constant erfinv itensor3 row arctan2 mod Tensor and_ expm1 arccos arcsin batched_tensordot bmatrix fscalar icol
        fill largest shape AsTensorError Op stacklists tan where log1p vertical_stack deg2rad nonzero tensor3s
        discrete_dtypes bitwise_or outer power erfc float_dtypes gammaln erfcx jacobian printing Apply
        NotScalarConstantError bitwise_and dmatrices get_scalar_constant_value vectors arctan argmin atan2 btensor3
        cumprod erfcinv fill_diagonal i0 i1 isclose sub wmatrix _shared allclose arctanh bcol bscalar complex dimshuffle
        dtensor3 ftensor3 fvectors gammainc integer_dtypes invert itensor4 log10 log2 lrow roll shape_padaxis take
        tensor verify_grad wvector

        true_div int_div floor_div neg second tensor_copy ceil_intdiv divmod trunc round_half_to_even
        round_half_away_from_zero iround exp2 arcsinh arccosh rad2deg gamma psi tri_gamma gammaincc gammal gammau chi2sf
        j0 j1 jv iv xor bitwise_xor bitwise_not complex_from_polar real imag angle conj max_and_argmax ptp norm smallest
        choose ravel_multi_index unravel_index shape_i specify_shape ravel swapaxes split mgrid ogrid tri tril triu
        diagonal fill_diagonal_offset inverse_permutation permute_row_elements flatnonzero nonzero_values bartlett cov
        to_one_hot bincount unique compress diff searchsorted default get_vector_length topk argtopk topk_and_argtopk
        hessian subgraph_grad consider_constant TensorSharedVariable function shared pp extra_ops nlinalg
        sharedvar scalars rows cols tensor4s tensor5 tensor6 tensor7 zvector cmatrix drow bvector wscalar ltensor3
        all_dtypes int_dtypes uint_dtypes complex_dtypes continuous_dtypes sparse_grad matrix_power kron trace softmax
        log_softmax expit logaddexp logsumexp nan_to_num isfinite isposinf isneginf polygamma betainc digamma einsum
        matmul vecdot empty full full_like linspace logspace geomspace broadcast_to broadcast_arrays broadcast_shape
        expand_dims moveaxis atleast_2d flip pad take_along_axis tril_indices triu_indices meshgrid
    """,
    "refgraph.tensor.nnet": """
        sigmoid softmax softplus binary_crossentropy categorical_crossentropy relu Softmax hard_sigmoid elu
        softmax_with_bias selu softsign ultra_fast_sigmoid logsoftmax softmax_graph sigmoid_binary_crossentropy
        crossentropy_softmax_1hot crossentropy_softmax_1hot_with_bias crossentropy_softmax_max_and_argmax_1hot
        crossentropy_softmax_argmax_1hot_with_bias crossentropy_categorical_1hot confusion_matrix
    """,
    "refgraph.tensor.extra_ops": """
        repeat to_one_hot cumprod cumsum searchsorted squeeze bincount fill_diagonal fill_diagonal_offset diff compress
        unravel_index ravel_multi_index bartlett unique
    """,
    "refgraph.tensor.nlinalg": "diag extract_diag alloc_diag trace matrix_dot matrix_power",
    "refgraph.tensor.sharedvar": "SharedVariable TensorSharedVariable shared tensor_constructor",
    "refgraph.gradient": """
        grad Rop Lop jacobian hessian subgraph_grad disconnected_grad DisconnectedType grad_not_implemented
        grad_undefined grad_clip grad_scale zero_grad consider_constant undefined_grad NullTypeGradError
        DisconnectedInputError verify_grad hessian_vector_product NullType
    """,
    "refgraph.ifelse": "ifelse",
    "refgraph.scan_module": "scan map reduce foldl foldr scan_checkpoints until",
    "refgraph.random": "Stream next_call",
    "refgraph.cuda": "memory_info",
    "refgraph.printing": "Print debugprint pp pprint min_informative_str",
}

OF_VARIABLES = """
    shape ndim dtype broadcastable type owner index name tag T size real imag
    all any arccos arccosh arcsin arcsinh arctan arctanh argmax argmin argsort astype ceil choose clip clone compress
    conj conjugate copy cos cosh cumprod cumsum deg2rad diagonal dimshuffle dot eval exp exp2 expm1 fill flatten floor
    get_parents get_scalar_constant_value log log10 log1p log2 max mean min nonzero nonzero_values norm ones_like prod
    ptp rad2deg ravel repeat reshape round searchsorted sin sinh sort sqrt squeeze std sum swapaxes take tan tanh trace
    transpose trunc var zeros_like
"""
OF_SHARED = "get_value set_value container default_update zero clone"
OF_FUNCTIONS = """
    maker.fgraph maker.fgraph.outputs maker.fgraph.inputs maker.fgraph.toposort maker.fgraph.apply_nodes maker.inputs
    input_storage name profile trust_input copy get_shared free value defaults container
"""

PARAMETERS = """
    refgraph.function   inputs outputs mode updates givens no_default_updates accept_inplace name rebuild_strict \
                        allow_input_downcast profile on_unused_input
    refgraph.shared     value name strict allow_downcast borrow broadcastable
    refgraph.clone      output replace strict share_inputs
    refgraph.In         variable name value update mutable borrow strict allow_downcast autoname implicit
    refgraph.Out        variable borrow
    refgraph.Mode       linker optimizer
    refgraph.as_op      itypes otypes infer_shape
    refgraph.OpFromGraph inputs outputs inline lop_overrides grad_overrides rop_overrides connection_pattern name
    refgraph.grad       cost wrt consider_constant disconnected_inputs add_names known_grads return_disconnected \
                        null_gradients
    refgraph.Rop        f wrt eval_points
    refgraph.Lop        f wrt eval_points consider_constant disconnected_inputs
    refgraph.subgraph_grad wrt end start cost details
    refgraph.gradient.jacobian  expression wrt consider_constant disconnected_inputs
    refgraph.gradient.hessian   cost wrt consider_constant disconnected_inputs
    refgraph.gradient.grad_clip x lower_bound upper_bound
    refgraph.gradient.verify_grad fun pt n_tests rng eps out_type abs_tol rel_tol mode cast_to_output_type no_debug_ref
    refgraph.scan       fn sequences outputs_info non_sequences n_steps truncate_gradient go_backwards mode name \
                        profile allow_gc strict return_list
    refgraph.map        fn sequences non_sequences truncate_gradient go_backwards mode name
    refgraph.reduce     fn sequences outputs_info non_sequences go_backwards mode name
    refgraph.foldl      fn sequences outputs_info non_sequences mode name
    refgraph.foldr      fn sequences outputs_info non_sequences mode name
    refgraph.scan_checkpoints fn sequences outputs_info non_sequences name n_steps save_every_N padding
    refgraph.ifelse.ifelse condition then_branch else_branch name
    refgraph.printing.debugprint obj depth print_type file ids stop_on_name done
    refgraph.printing.Print message attrs global_fn
    T.sum               x axis dtype keepdims acc_dtype
    T.prod              x axis dtype keepdims acc_dtype no_zeros_in_input
    T.var               x axis ddof keepdims corrected
    T.std               x axis ddof keepdims corrected
    T.max               x axis keepdims
    T.min               x axis keepdims
    T.argmax            x axis keepdims
    T.all               x axis keepdims
    T.max_and_argmax    a axis keepdims
    T.norm              x ord axis
    T.cumsum            x axis
    T.concatenate       tensor_list axis
    T.split             x splits_size n_splits axis
    T.arange            start stop step dtype
    T.cast              x dtype
    T.zeros             shape dtype
    T.zeros_like        x dtype
    T.eye               n m k dtype
    T.diag              v k
    T.diagonal          a offset axis1 axis2
    T.tile              x reps ndim
    T.repeat            x repeats axis
    T.reshape           x newshape ndim
    T.flatten           x ndim outdim
    T.roll              x shift axis
    T.shape_padleft     t n_ones
    T.shape_padright    t n_ones
    T.shape_padaxis     t axis
    T.patternbroadcast  x broadcastable
    T.tensordot         a b axes
    T.batched_tensordot x y axes
    T.set_subtensor     x y inplace tolerate_inplace_aliasing
    T.inc_subtensor     x y inplace tolerate_inplace_aliasing set_instead_of_inc
    T.take              a indices axis mode
    T.nonzero           a return_matrix
    T.compress          condition x axis
    T.unravel_index     indices dims order
    T.sort              x axis kind order
    T.argsort           x axis kind order
    T.topk              x kth axis sorted idx_dtype
    T.searchsorted      x v side sorter
    T.bincount          x weights minlength assert_nonneg
    T.diff              x n axis
    T.constant          value name ndim dtype
    T.as_tensor_variable x name ndim
    T.cov               m y rowvar bias ddof fweights aweights
    T.nnet.relu         x alpha
    T.nnet.elu          x alpha
    T.nnet.categorical_crossentropy coding_dist true_dist
    T.nnet.binary_crossentropy      output target
    T.nnet.confusion_matrix         actual pred
    T.extra_ops.to_one_hot          y nb_class dtype
"""

DOORS = [name for name in NAMES if name != "refgraph.config"]


def missing(thing, names):
    """Those of the dotted names that `thing` does not have."""

    def lacks(name):
        found = thing
        for part in name.split("."):
            if not hasattr(found, part):
                return True
            found = getattr(found, part)
        return False

    return [name for name in names.split() if lacks(name)]


def opened(path):
    """What a dotted name means, where T is refgraph.tensor."""
    first, *rest = path.split(".")
    found = {"refgraph": refgraph, "T": T}[first]
    for part in rest:
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("door", NAMES)
def test_theanos_names_are_there(door):
    assert not missing(opened(door), NAMES[door])


def test_variables_have_theanos_methods():
    x = T.dmatrix("x")
    state = refgraph.shared(0.0)
    f = refgraph.function([x], x * state)

    assert not missing(x, OF_VARIABLES)
    assert not missing(state, OF_VARIABLES + OF_SHARED)
    assert not missing(f, OF_FUNCTIONS)


def test_a_missing_name_is_caught():
    assert missing(T, "dot nnet.sigmoid nnet.no_such no.such") == ["nnet.no_such", "no.such"]


@pytest.mark.parametrize("line", PARAMETERS.strip().splitlines(), ids=lambda line: line.split()[0])
def test_arguments_have_theanos_order(line):
    path, *names = line.split()

    assert list(inspect.signature(opened(path)).parameters)[: len(names)] == names


# Doors are only names, and only meant ones


def public(door):
    """What a door offers; names with an @ are pytest's, which watches the assertions of a package that has a plugin."""
    module = importlib.import_module(door)
    return {name: thing for name, thing in vars(module).items() if not name.startswith(("_", "@"))}


def is_ours(thing):
    """Whether a thing, or its class, is made here; sets of names of dtypes may be offered too."""
    if isinstance(thing, (tuple, frozenset)):
        return set(thing) <= set(T.all_dtypes)
    if isinstance(thing, types.ModuleType):
        return thing.__name__.startswith("refgraph.")
    return (getattr(thing, "__module__", None) or type(thing).__module__).startswith("refgraph.")


@pytest.mark.parametrize("door", DOORS)
def test_no_helper_leaks(door):
    assert not [name for name, thing in public(door).items() if not is_ours(thing)]


def test_a_star_import_brings_the_vocabulary_alone():
    names = {}
    exec("from refgraph.tensor import *", names)

    assert {"dot", "dmatrix", "nnet"} <= names.keys()
    assert not {"np", "Any", "annotations", "builtins", "Callable"} & names.keys()


@pytest.mark.parametrize("door", DOORS)
def test_every_name_is_documented(door):
    assert not [name for name, thing in public(door).items() if not getattr(thing, "__doc__", None)]


def logic(source):
    """What a module does beyond naming things and saying what it is for: numbers of lines.

    Names that load late are imported for type checkers, and else found by the one `__getattr__`.
    """
    first, *rest = ast.parse(source).body
    for node in list(rest):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "_typing.TYPE_CHECKING":
            rest += [n for n in node.body + node.orelse if not isinstance(n, ast.AnnAssign)]
            rest.remove(node)
    lookups = [node for node in rest if isinstance(node, ast.FunctionDef) and node.name == "__getattr__"]
    second_names = [n for n in rest if isinstance(n, ast.Assign) and isinstance(n.value, (ast.Name, ast.Attribute))]
    allowed = [n for n in rest if isinstance(n, (ast.Import, ast.ImportFrom))] + second_names + lookups[:1]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return [node.lineno for node in [first] * (not is_docstring) + rest if node not in allowed]


def door_files():
    return [
        TOP / "refgraph/__init__.py",
        TOP / "refgraph/cuda.py",
        TOP / "refgraph/gradient.py",
        TOP / "refgraph/ifelse.py",
        TOP / "refgraph/printing.py",
        TOP / "refgraph/random.py",
        TOP / "refgraph/scan_module.py",
        *sorted((TOP / "refgraph/tensor").rglob("*.py")),
    ]


@pytest.mark.parametrize("path", door_files(), ids=lambda path: str(path.relative_to(TOP)))
def test_doors_have_no_logic(path):
    assert not logic(path.read_text())


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('"""Doc."""\nfrom a import b\ndef __getattr__(name):\n    pass\n', []),
        ('"""Doc."""\nfrom a import b\nc = b\n', []),
        ('"""Doc."""\nif _typing.TYPE_CHECKING:\n    import b\n    c: int\nelse:\n    def __getattr__(n): pass\n', []),
        ('"""Doc."""\nif _typing.TYPE_CHECKING:\n    c = 1\n', [3]),
        ('"""Doc."""\nif sys:\n    from a import b\n', [2]),
        ('"""Doc."""\nfrom a import b\nc = b + 1\n', [3]),
        ('"""Doc."""\ndef f():\n    pass\n', [2]),
        ('"""Doc."""\ndef __getattr__(n): pass\ndef __getattr__(n): pass\n', [3]),
        ("from a import b\n", [1]),
    ],
)
def test_logic_in_a_door_is_caught(source, lines):
    assert logic(source) == lines
