"""Elementwise ops, one row each. A row is the whole truth about its op (docs/adr/0001).

In every row z is the output and x, y, w the inputs; `d` gives dz/dx, dz/dy, dz/dw, where a boolean says which elements
the cotangent flows through; `c` is one C99 expression; `on` is where tests draw inputs; `stable_for` lists expressions
that this op should replace. `wirtinger` is said where complex inputs need more than `d` (see families.Elemwise).
Helpers have underscore names, so `from ... import *` means the ops. Names are NumPy's, or SciPy's, or else Theano's.

Derivatives are from the NIST Digital Library of Mathematical Functions (dlmf.nist.gov) where they are not school
mathematics; at ties and boundaries they are Theano's, as the rows say.
"""
# fmt: off

import builtins as _builtins
import functools as _functools
from math import log as _log
from math import pi as _PI
from math import sqrt as _sqrt
from typing import Any as _Any

import numpy as _np

from refgraph.core.errors import DTypeError as _DTypeError
from refgraph.core.errors import GraphTypeError as _GraphTypeError
from refgraph.core.op import declare as _declare
from refgraph.ops.families import Elemwise as _Row
from refgraph.ops.families import Power as _Power
from refgraph.ops.families import Reals as _Reals
from refgraph.ops.families import operands as _operands
from refgraph.ops.tensor import COMPLEXES as _COMPLEXES
from refgraph.ops.tensor import DTYPES as _DTYPES
from refgraph.ops.tensor import TensorConstant as _TensorConstant
from refgraph.ops.tensor import TensorVariable as _TensorVariable
from refgraph.ops.tensor import as_tensor as _as_tensor
from refgraph.ops.tensor import dtype_name as _dtype_name


def _op(name: str, meaning: _Any, kind: type[_Row] = _Row, **row: _Any) -> _Row:
    return _declare(kind(name, meaning, **row))


_INF, _NAN = float("inf"), float("nan")
_SPECIAL = (0.0, -0.0, _INF, -_INF, _NAN, 1e-310, 1e300)
_LN2, _LN10, _2_SQRTPI, _SQRT_2PI = _log(2), _log(10), 2 / _sqrt(_PI), _sqrt(2 * _PI)

_ANY      = _Reals(-4, 4, edges=_SPECIAL)
_NUMBER   = _Reals(-4, 4, edges=_SPECIAL, kinds="iufc")  # NumPy has no loop for bool
_REAL     = _Reals(-4, 4, edges=_SPECIAL, kinds="biuf")
_BITS     = _Reals(-8, 100, kinds="biu")
_SHIFT    = _Reals(0, 7, kinds="biu")
_POSITIVE = _Reals(0.1, 8, edges=_SPECIAL)
_POSITIVE_REAL = _Reals(0.1, 8, edges=_SPECIAL, kinds="biuf")
_UNIT     = _Reals(-0.9, 0.9, edges=(0.0, -0.0, 1.0, -1.0, 1.5, _NAN))
_OPEN_01  = _Reals(0.1, 0.9, edges=(0.0, 1.0, 0.5, _NAN), kinds="bf")  # no integer lies inside
_WIDE     = _Reals(-40, 40, edges=(*_SPECIAL, -800.0, 800.0), kinds="biuf")
_ORDER    = _Reals(0.2, 3, edges=(0.0, 1.0, 2.0), kinds="biuf")
_ARGUMENT = _Reals(0.5, 6, edges=_SPECIAL, kinds="biuf")
_SHAPE    = _Reals(0.3, 5, edges=(1.0, 0.5, 20.0), kinds="biuf")  # a distribution's parameter


# Meanings that are no ufunc, and dtypes of outputs that no ufunc's are.

def _broadcast_second(x: _Any, y: _Any) -> _Any:
    return y if _np.shape(y) == _np.shape(x) else _np.broadcast_to(y, _np.broadcast_shapes(x.shape, y.shape))


def _where(c: _Any, x: _Any, y: _Any) -> _Any:
    return _np.where(c, x, y)


def _round_away(x: _Any) -> _Any:
    if x.dtype.kind != "f":
        return x.copy()
    whole = _np.trunc(x)
    return _np.where(_np.abs(x - whole) >= 0.5, whole + _np.copysign(x.dtype.type(1), x), whole)


def _log1mexp(x: _Any) -> _Any:
    """Both branches are exact on their side (M. Maechler, "Accurately computing log(1 - exp(-|a|))", 2012)."""
    return _np.where(x > -_LN2, _np.log(-_np.expm1(x)), _np.log1p(-_np.exp(x)))


def _sigmoid(x: _Any) -> _Any:
    if x.dtype.char not in "fd":
        x = x.astype(_special("expit").resolve_dtypes((x.dtype, None))[-1])
    z = _np.exp(-x)
    z += 1
    return 1 / z


def _softplus(x: _Any) -> _Any:
    if x.dtype.kind in "biu":
        x = x.astype(_np.logaddexp.resolve_dtypes((x.dtype, x.dtype, None))[-1])
    return _np.maximum(x, 0) + _np.log1p(_np.exp(-_np.abs(x)))


def _complex_of(re: _Any, im: _Any) -> _Any:
    z = _np.empty(_np.broadcast_shapes(_np.shape(re), _np.shape(im)), _complex_dtype(re.dtype, im.dtype))
    z.real, z.imag = re, im
    return z


def _from_polar(r: _Any, theta: _Any) -> _Any:
    dtype = _complex_dtype(r.dtype, theta.dtype)
    part = _np.float32 if dtype == _np.complex64 else _np.float64
    r, theta = _np.asarray(r, part), _np.asarray(theta, part)
    return _complex_of(r * _np.cos(theta), r * _np.sin(theta))


def _special(name: str) -> _Any:
    import scipy.special

    return getattr(scipy.special, name)


def _gammaln(x: _Any) -> _Any:
    z = _special("gammaln")(x)
    if x.dtype.kind != "f":
        return z
    tiny = _np.abs(x) < 1e-300  # where SciPy answers infinity though the logarithm is a number
    return _np.where(tiny & (x != 0), -_np.log(_np.abs(x)), z).astype(z.dtype, copy=False) if tiny.any() else z


def _polygamma(n: _Any, x: _Any) -> _Any:
    dtype = _special("gammainc").resolve_dtypes((n.dtype, x.dtype, None))[-1]
    return _np.asarray(_special("polygamma")(n, x.astype(dtype, copy=False))).astype(dtype, copy=False)


def _tri_gamma(x: _Any) -> _Any:
    return _polygamma(x.dtype.type(1), x)


def _spherical_jn(n: _Any, x: _Any) -> _Any:
    z = _special("spherical_jn")(_np.asarray(n).astype(_np.dtype("long")), _np.asarray(x, _np.float64))
    return _np.asarray(z).astype(_special("gammainc").resolve_dtypes((n.dtype, x.dtype, None))[-1], copy=False)


def _real_dtype(x: _Any) -> _Any:
    return _np.dtype(x.char.lower()) if x.kind == "c" else x


def _complex_dtype(*parts: _Any) -> _Any:
    if any(p.kind == "c" for p in parts):
        raise TypeError("parts are real")
    return _np.result_type(*parts, _np.complex64)


def _same(x: _Any) -> _Any:
    return x


def _nonzero(c: _Any) -> _Any:
    return c if c.type.dtype == "bool" else neq(c, 0)


def _is_real(x: _Any) -> bool:
    return not x.type.is_complex


# Arithmetic

add: _Row = _op("add",  _np.add, commutative=True,         d=(1, 1),  c="{x} + {y}", on=(_ANY, _ANY), nary=True, symbol="+")
sub: _Row = _op("sub",  _np.subtract,    d=(1, -1), c="{x} - {y}", on=(_NUMBER, _NUMBER), symbol="-")
mul: _Row = _op("mul",  _np.multiply, commutative=True,    d=(lambda z, x, y: y, lambda z, x, y: x), c="{x} * {y}", on=(_ANY, _ANY), nary=True, symbol="*")
true_div: _Row = _op("true_div", _np.true_divide, d=(lambda z, x, y: 1 / y, lambda z, x, y: -z / y), c="{x} / {y}", on=(_ANY, _POSITIVE), symbol="/")
neg: _Row = _op("neg",  _np.negative,    d=-1,      c="-{x}", on=_NUMBER, symbol="-")
positive: _Row = _op("positive", _np.positive, d=1, c="{x}", on=_NUMBER)
reciprocal: _Row = _op("reciprocal", _np.reciprocal, d=lambda z, x: -z * z, c="1 / {x}", on=_POSITIVE,
                 doc="1 / x, in the dtype of x: of integers it is the integer part, as NumPy's. `1 / x` gives a float.")
square: _Row = _op("square", _np.square, d=lambda z, x: 2 * x, c="{x} * {x}", on=_ANY)
sqrt: _Row = _op("sqrt",   _np.sqrt,   d=lambda z, x: 0.5 / z, c="sqrt({x})", on=_POSITIVE)
cbrt: _Row = _op("cbrt",   _np.cbrt,   d=lambda z, x: 1 / (3 * (z * z)), c="cbrt({x})", on=_POSITIVE_REAL)


def _pow_by_base(z: _Any, x: _Any, y: _Any) -> _Any:
    """y x^(y - 1), and 0 where y is 0, also at x = 0, where the second factor is infinite."""
    if isinstance(y, _TensorConstant):
        if not y.value.any():
            return 0
        if y.value.all():
            return y * x ** (y - 1)
    return y * x ** switch(eq(y, 0), 1, y - 1)


def _pow_by_exponent(z: _Any, x: _Any, y: _Any) -> _Any:
    """x^y log(x), and x^y * 0 where x is 0: the limit for y > 0, and JAX's convention for y = 0."""
    return z * log(switch(eq(x, 0), 1, x))


pow: _Row = _op("pow", _np.power, kind=_Power, d=(_pow_by_base, _pow_by_exponent), c="pow({x}, {y})", on=(_Reals(0.3, 3, edges=_SPECIAL), _Reals(0.2, 3, edges=(2.0, -2.0, 0.0, 0.5, _NAN))), symbol="**",
          doc="x to the power y. Integers to a negative integer power are refused, as NumPy does: DTypeError when a constant, else DomainError.")
float_power: _Row = _op("float_power", _np.float_power, d=(lambda z, x, y: y * float_power(x, switch(eq(y, 0), 1, y - 1)), _pow_by_exponent), c="pow((double){x}, (double){y})",
                  on=(_Reals(0.3, 3, edges=_SPECIAL), _Reals(0.2, 3, edges=(2.0, -2.0, 0.0, 0.5))), doc="x to the power y, in double precision at least.")
floor_div: _Row = _op("floor_div", _np.floor_divide, d=(0, 0), on=(_REAL, _Reals(1, 4, edges=(-1.0, 0.0, _INF, -2.5), kinds="biuf")), symbol="//",
                doc="The largest integer not above x / y; of integers, 0 where y is 0.")
mod: _Row = _op("mod",  _np.remainder, d=(1, lambda z, x, y: -floor_div(x, y)), on=(_Reals(5.3, 7.6, edges=_SPECIAL, kinds="biuf"), _Reals(4, 5, edges=(-3.0, 2.5, 0.0, _INF), kinds="biuf")), symbol="%",
            doc="x - y * floor(x / y): the remainder with the sign of y, as Python's %.")
fmod: _Row = _op("fmod", _np.fmod, d=(1, lambda z, x, y: -trunc(x / y)), c="fmod({x}, {y})", on=(_Reals(5.3, 7.6, edges=_SPECIAL, kinds="biuf"), _Reals(4, 5, edges=(-3.0, 2.5, 0.0, _INF), kinds="biuf")),
            doc="x - y * trunc(x / y): the remainder with the sign of x, as C's fmod.")
gcd: _Row = _op("gcd", _np.gcd, commutative=True, d=(0, 0), on=(_Reals(-40, 40, kinds="iu"), _Reals(-40, 40, kinds="iu")), doc="The greatest common divisor, never negative.")
lcm: _Row = _op("lcm", _np.lcm, commutative=True, d=(0, 0), on=(_Reals(-10, 10, kinds="iu"), _Reals(-10, 10, kinds="iu")), doc="The least common multiple, never negative.")
hypot: _Row = _op("hypot", _np.hypot, commutative=True, d=(lambda z, x, y: _hypot_by(z, x, y), lambda z, x, y: _hypot_by(z, y, x)), c="hypot({x}, {y})", on=(_REAL, _REAL),
            doc="sqrt(x^2 + y^2) without overflow. The gradient is 0 at the origin, as that of abs, and of length 1 also at infinities: it points along those that are infinite.")


def _hypot_by(z: _Any, x: _Any, y: _Any) -> _Any:
    """x / z, and 0 where both are 0; where x is infinite its sign, over the square root of 2 if y is infinite too."""
    return switch(isinf(x), switch(isinf(y), sign(x) * _sqrt(0.5), sign(x)), x / switch(eq(z, 0) | isinf(x), 1, z))


# Absolute value and sign

abs: _Row = _op("abs",  _np.absolute, d=lambda z, x: sign(x), wirtinger=lambda z, x: sign(x), c="fabs({x})", on=_ANY,
           doc="The absolute value; its derivative at 0 is 0.")
fabs: _Row = _op("fabs", _np.fabs,     d=lambda z, x: sign(x), c="fabs({x})", on=_REAL, doc="The absolute value, in floating point.")
sign: _Row = _op("sign", _np.sign,     d=0, wirtinger=lambda z, x: ((0.5 / abs(x)), -0.5 * (z * z) / abs(x)), c="{x} != {x} ? {x} : ({x} > 0) - ({x} < 0)", on=_NUMBER,
           doc="-1, 0 or 1; of a complex number x / abs(x).")
signbit: _Row = _op("signbit",  _np.signbit,  d=0, c="signbit({x}) != 0", on=_REAL, out="bool")
copysign: _Row = _op("copysign", _np.copysign, d=(lambda z, x, y: sign(x) * copysign(1.0, y), 0), c="copysign({x}, {y})", on=(_REAL, _REAL))
heaviside: _Row = _op("heaviside", _np.heaviside, d=(0, lambda z, x, y: eq(x, 0)), c="{x} == 0 ? {y} : ({x} < 0 ? 0 : {x} > 0 ? 1 : {x})", on=(_REAL, _REAL),
                doc="The step function: 0 where x < 0, y where x is 0, 1 where x > 0.")

# Exponentials and logarithms

exp: _Row = _op("exp",   _np.exp,   d=lambda z, x: z, c="exp({x})", on=_ANY)
exp2: _Row = _op("exp2",  _np.exp2,  d=lambda z, x: z * _LN2, c="exp2({x})", on=_ANY)
expm1: _Row = _op("expm1", _np.expm1, d=lambda z, x: z + 1, c="expm1({x})", on=_ANY, stable_for=(lambda x: exp(x) - 1,))
log: _Row = _op("log",   _np.log,   d=lambda z, x: 1 / x, c="log({x})", on=_POSITIVE)
log2: _Row = _op("log2",  _np.log2,  d=lambda z, x: 1 / (x * _LN2), c="log2({x})", on=_POSITIVE)
log10: _Row = _op("log10", _np.log10, d=lambda z, x: 1 / (x * _LN10), c="log10({x})", on=_POSITIVE)
log1p: _Row = _op("log1p", _np.log1p, d=lambda z, x: 1 / (1 + x), c="log1p({x})", on=_Reals(-0.8, 8, edges=_SPECIAL), stable_for=(lambda x: log(1 + x),))
logaddexp: _Row = _op("logaddexp",  _np.logaddexp, commutative=True,  d=(lambda z, x, y: sigmoid(_gap(x, y)), lambda z, x, y: sigmoid(_gap(y, x))), c="{x} == {y} ? {x} + 0.69314718055994530942 : fmax({x}, {y}) + log1p(exp(-fabs({x} - {y})))",
                 on=(_REAL, _REAL), stable_for=(lambda x, y: log(exp(x) + exp(y)),), doc="log(exp(x) + exp(y)) without overflow. At two equal infinities the gradient is (1/2, 1/2).")
logaddexp2: _Row = _op("logaddexp2", _np.logaddexp2, commutative=True, d=(lambda z, x, y: sigmoid(_gap(x, y) * _LN2), lambda z, x, y: sigmoid(_gap(y, x) * _LN2)), c="{x} == {y} ? {x} + 1 : fmax({x}, {y}) + log1p(exp2(-fabs({x} - {y}))) * 1.44269504088896340736",
                 on=(_REAL, _REAL), stable_for=(lambda x, y: log2(exp2(x) + exp2(y)),), doc="log2(2^x + 2^y) without overflow. At two equal infinities the gradient is (1/2, 1/2).")


def _gap(x: _Any, y: _Any) -> _Any:
    """x - y, and 0 where both are the same infinity."""
    return switch(isinf(x) & eq(x, y), 0, x - y)


log1mexp: _Row = _op("log1mexp", _log1mexp, d=lambda z, x: -1 / expm1(-x), like=_np.cbrt, c="{x} > -0.69314718055994530942 ? log(-expm1({x})) : log1p(-exp({x}))",
               on=_Reals(-8, -0.1, edges=(-0.0, -1e-20, -800.0, -_INF, _NAN), kinds="bif"), stable_for=(lambda x: log(-expm1(x)), lambda x: log1p(-exp(x))), doc="log(1 - exp(x)) for x < 0, without cancellation.")
sigmoid: _Row = _op("sigmoid", _sigmoid, stands_for="scipy.special:expit", d=lambda z, x: z * (1 - z), c="1 / (1 + exp(-{x}))", on=_WIDE,
               stable_for=(lambda x: 1 / (1 + exp(-x)), lambda x: exp(x) / (1 + exp(x))), doc="1 / (1 + exp(-x)), the logistic function.")
softplus: _Row = _op("softplus", _softplus, d=lambda z, x: sigmoid(x), like=lambda x: _np.logaddexp.resolve_dtypes((x, x, None)), c="fmax({x}, 0) + log1p(exp(-fabs({x})))", on=_WIDE,
               stable_for=(lambda x: log1p(exp(x)), lambda x: log(1 + exp(x))), doc="log(1 + exp(x)) without overflow.")
logit: _Row = _op("logit", "scipy.special:logit", d=lambda z, x: 1 / (x * (1 - x)), c="fabs({x} - 0.5) < 0.25 ? log1p(2 * {x} - 1) - log1p(1 - 2 * {x}) : log({x} / (1 - {x}))", on=_Reals(0.1, 0.9, edges=(0.0, 1.0, 0.5, 0.499993, _NAN), kinds="bf"), stable_for=(lambda x: log(x / (1 - x)),), doc="log(x / (1 - x)), the inverse of sigmoid.")
xlogx: _Row = _op("xlogx", lambda x: _special("xlogy")(x, x), d=lambda z, x: 1 + log(x), like="scipy.special:gammaln", c="{x} == 0 ? 0 : {x} * log({x})", on=_POSITIVE_REAL, doc="x log(x), and 0 at 0.")
xlogy: _Row = _op("xlogy", "scipy.special:xlogy", d=(lambda z, x, y: log(y), lambda z, x, y: x / switch(eq(x, 0) & eq(y, 0), 1, y)), c="{x} == 0 && !isnan({y}) ? 0 : {x} * log({y})", on=(_ANY, _POSITIVE), doc="x log(y), and 0 where x is 0 (Theano's xlogy0). There its derivative by y is 0, also at y = 0.")

# Trigonometry

sin: _Row = _op("sin", _np.sin, d=lambda z, x: cos(x),   c="sin({x})", on=_ANY)
cos: _Row = _op("cos", _np.cos, d=lambda z, x: -sin(x),  c="cos({x})", on=_ANY)
tan: _Row = _op("tan", _np.tan, d=lambda z, x: 1 + z * z, c="tan({x})", on=_Reals(-1.2, 1.2, edges=_SPECIAL))
arcsin: _Row = _op("arcsin", _np.arcsin, d=lambda z, x: 1 / sqrt(1 - x * x),  c="asin({x})", on=_UNIT)
arccos: _Row = _op("arccos", _np.arccos, d=lambda z, x: -1 / sqrt(1 - x * x), c="acos({x})", on=_UNIT)
arctan: _Row = _op("arctan", _np.arctan, d=lambda z, x: 1 / (1 + x * x),      c="atan({x})", on=_Reals(-0.9, 0.9, edges=_SPECIAL))
arctan2: _Row = _op("arctan2", _np.arctan2, d=(lambda z, x, y: y / (x * x + y * y), lambda z, x, y: -x / (x * x + y * y)), c="atan2({x}, {y})", on=(_Reals(-4, 4, edges=_SPECIAL, kinds="biuf"), _Reals(0.3, 4, edges=(-1.0, -0.0, 0.0, _INF, -_INF), kinds="biuf")),
              doc="The angle of the point (y, x): that of the complex number y + ix.")
sinh: _Row = _op("sinh", _np.sinh, d=lambda z, x: cosh(x), c="sinh({x})", on=_ANY)
cosh: _Row = _op("cosh", _np.cosh, d=lambda z, x: sinh(x), c="cosh({x})", on=_ANY)
tanh: _Row = _op("tanh", _np.tanh, d=lambda z, x: 1 - z * z, c="tanh({x})", on=_Reals(-1.2, 1.2, edges=_SPECIAL))
arcsinh: _Row = _op("arcsinh", _np.arcsinh, d=lambda z, x: 1 / sqrt(1 + x * x), c="asinh({x})", on=_Reals(-0.9, 0.9, edges=_SPECIAL))
arccosh: _Row = _op("arccosh", _np.arccosh, d=lambda z, x: 1 / (sqrt(x - 1) * sqrt(x + 1)), c="acosh({x})", on=_Reals(1.2, 8, edges=(1.0, 0.5, _INF, _NAN)))
arctanh: _Row = _op("arctanh", _np.arctanh, d=lambda z, x: 1 / (1 - x * x), c="atanh({x})", on=_UNIT)
deg2rad: _Row = _op("deg2rad", _np.deg2rad, d=_PI / 180, c="{x} * 0.017453292519943295769", on=_Reals(-400, 400, edges=_SPECIAL, kinds="biuf"))
rad2deg: _Row = _op("rad2deg", _np.rad2deg, d=180 / _PI, c="{x} * 57.295779513082320877", on=_REAL)
sinc: _Row = _op("sinc", _np.sinc, d=lambda z, x: -_PI * spherical_jn(1, _PI * x), like=lambda x: _np.cbrt.resolve_dtypes((_np.dtype("float64") if x.kind in "biu" else x, None)), c="{x} == 0 ? 1 : sin(3.14159265358979323846 * {x}) / (3.14159265358979323846 * {x})", on=_REAL,
           doc="sin(pi x) / (pi x), and 1 at 0.")

# Rounding

floor: _Row = _op("floor", _np.floor, d=0, c="floor({x})", on=_REAL)
ceil: _Row = _op("ceil",  _np.ceil,  d=0, c="ceil({x})",  on=_REAL)
trunc: _Row = _op("trunc", _np.trunc, d=0, c="trunc({x})", on=_REAL, doc="The integer part, towards zero.")
rint: _Row = _op("rint",  _np.rint,  d=0, c="rint({x})",  on=_ANY,  doc="The nearest integer, ties to the even one.")
round_half_away_from_zero: _Row = _op("round_half_away_from_zero", _round_away, d=0, like=_np.floor, c="round({x})", on=_REAL, doc="The nearest integer, ties away from zero.")
modf_fraction: _Row = _op("modf_fraction", lambda x: _np.modf(x)[0], d=1, like=_np.modf, c="copysign(isinf({x}) ? 0 : {x} - trunc({x}), {x})", on=_Reals(0.1, 0.9, edges=(*_SPECIAL, 2.5, -2.5), kinds="bf"), doc="What follows the point, with the sign of x.")
modf_integral: _Row = _op("modf_integral", lambda x: _np.modf(x)[1], d=0, like=_np.modf, c="trunc({x})", on=_REAL, doc="The integer part, in floating point.")
frexp_mantissa: _Row = _op("frexp_mantissa", lambda x: _np.frexp(x)[0], d=lambda z, x: ldexp(1.0, -frexp_exponent(x)), like=lambda x: _np.frexp.resolve_dtypes((x, None, None))[:2], on=_Reals(1.1, 1.9, edges=(0.0, -0.0, 0.5, 1e-310, 1e300), kinds="bf"),
                     doc="m of x = m * 2^e with 1/2 <= |m| < 1.")
frexp_exponent: _Row = _op("frexp_exponent", lambda x: _np.frexp(x)[1], d=0, like=_np.frexp, on=_Reals(-100, 100, edges=(0.0, -0.0, 0.5, 1e-310, 1e300), kinds="biuf"), doc="e of x = m * 2^e with 1/2 <= |m| < 1, an int32.")
ldexp: _Row = _op("ldexp", _np.ldexp, d=(lambda z, x, y: ldexp(fill(x, 1.0), y), lambda z, x, y: z * _LN2), c="ldexp({x}, {y})", on=(_Reals(-4, 4, kinds="bif"), _Reals(-8, 8, kinds="bi")), doc="x * 2^y for integers y.")
nextafter: _Row = _op("nextafter", _np.nextafter, d=(1, 0), c="nextafter({x}, {y})", on=(_REAL, _REAL))
spacing: _Row = _op("spacing",   _np.spacing,   d=0, on=_REAL, doc="The distance from x to the nearest other number, away from zero.")


# Comparison

eq: _Row = _op("eq",  _np.equal, commutative=True,         d=(0, 0), c="{x} == {y}", on=(_ANY, _ANY), out="bool", symbol="==")
neq: _Row = _op("neq", _np.not_equal, commutative=True,     d=(0, 0), c="{x} != {y}", on=(_ANY, _ANY), out="bool", symbol="!=")
lt: _Row = _op("lt",  _np.less,          d=(0, 0), c="{x} < {y}",  on=(_ANY, _ANY), out="bool", symbol="<")
le: _Row = _op("le",  _np.less_equal,    d=(0, 0), c="{x} <= {y}", on=(_ANY, _ANY), out="bool", symbol="<=")
gt: _Row = _op("gt",  _np.greater,       d=(0, 0), c="{x} > {y}",  on=(_ANY, _ANY), out="bool", symbol=">")
ge: _Row = _op("ge",  _np.greater_equal, d=(0, 0), c="{x} >= {y}", on=(_ANY, _ANY), out="bool", symbol=">=")
isnan: _Row = _op("isnan",    _np.isnan,    d=0, c="isnan({x}) != 0",    on=_ANY, out="bool")
isinf: _Row = _op("isinf",    _np.isinf,    d=0, c="isinf({x}) != 0",    on=_ANY, out="bool")
isfinite: _Row = _op("isfinite", _np.isfinite, d=0, c="isfinite({x}) != 0", on=_ANY, out="bool")
isposinf: _Row = _op("isposinf", lambda x: _np.isinf(x) & ~_np.signbit(x), d=0, like=_np.signbit, c="isinf({x}) && {x} > 0", on=_REAL, out="bool")
isneginf: _Row = _op("isneginf", lambda x: _np.isinf(x) & _np.signbit(x),  d=0, like=_np.signbit, c="isinf({x}) && {x} < 0", on=_REAL, out="bool")

# Choice

maximum: _Row = _op("maximum", _np.maximum, d=(lambda z, x, y: ge(x, y), lambda z, x, y: invert(ge(x, y))), c="{x} >= {y} || isnan({x}) ? {x} : {y}", on=(_ANY, _ANY),
              doc="The larger of both; NaN where either is. At ties the gradient goes to x, as in Theano.")
minimum: _Row = _op("minimum", _np.minimum, d=(lambda z, x, y: le(x, y), lambda z, x, y: invert(le(x, y))), c="{x} <= {y} || isnan({x}) ? {x} : {y}", on=(_ANY, _ANY),
              doc="The smaller of both; NaN where either is. At ties the gradient goes to x, as in Theano.")
fmax: _Row = _op("fmax", _np.fmax, d=(lambda z, x, y: eq(z, x), lambda z, x, y: invert(eq(z, x))), c="fmax({x}, {y})", on=(_ANY, _ANY), doc="The larger of both; where one is NaN, the other.")
fmin: _Row = _op("fmin", _np.fmin, d=(lambda z, x, y: eq(z, x), lambda z, x, y: invert(eq(z, x))), c="fmin({x}, {y})", on=(_ANY, _ANY), doc="The smaller of both; where one is NaN, the other.")
switch: _Row = _op("switch", _where, d=(0, lambda z, x, y, w: _nonzero(x), lambda z, x, y, w: invert(_nonzero(x))), like=lambda x, y, w: [_np.result_type(y, w)], c="{x} ? {y} : {w}", on=(_Reals(-1, 1), _ANY, _ANY), weak=(1, 2),
             doc="y where x is true (not zero), w elsewhere; both are computed.")
_clip: _Row = _op("clip", _np.clip, like=lambda x, y, w: [_np.result_type(x, y, w)],
            d=(lambda z, x, y, w: ge(x, y) & le(x, w), lambda z, x, y, w: lt(x, y) & le(y, w), lambda z, x, y, w: gt(x, w) | gt(y, w)),
            c="({x} >= {y} || {x} != {x} ? {x} : {y}) <= {w} || {x} != {x} || {y} != {y} ? ({x} >= {y} || {x} != {x} ? {x} : {y}) : {w}", on=(_ANY, _Reals(-2, 0), _Reals(1, 3)),
            doc="x where it is between y and w, else the nearer of them. At a bound the gradient goes to x, as in Theano.")

# Logic and bits

logical_and: _Row = _op("logical_and", _np.logical_and, commutative=True, d=(0, 0), c="{x} && {y}", on=(_ANY, _ANY), out="bool", nary=True)
logical_or: _Row = _op("logical_or",  _np.logical_or, commutative=True,  d=(0, 0), c="{x} || {y}", on=(_ANY, _ANY), out="bool", nary=True)
logical_xor: _Row = _op("logical_xor", _np.logical_xor, commutative=True, d=(0, 0), c="!{x} != !{y}", on=(_ANY, _ANY), out="bool", nary=True)
logical_not: _Row = _op("logical_not", _np.logical_not, d=0, c="!{x}", on=_ANY, out="bool")
bitwise_and: _Row = _op("bitwise_and", _np.bitwise_and, commutative=True, d=(0, 0), c="{x} & {y}", on=(_BITS, _BITS), nary=True, symbol="&")
bitwise_or: _Row = _op("bitwise_or",  _np.bitwise_or, commutative=True,  d=(0, 0), c="{x} | {y}", on=(_BITS, _BITS), nary=True, symbol="|")
bitwise_xor: _Row = _op("bitwise_xor", _np.bitwise_xor, commutative=True, d=(0, 0), c="{x} ^ {y}", on=(_BITS, _BITS), nary=True, symbol="^")
invert: _Row = _op("invert",      _np.invert,      d=0, c="~{x}", on=_BITS, symbol="~", doc="Every bit flipped; of bool, not.")
left_shift: _Row = _op("left_shift",  _np.left_shift,  d=(0, 0), c="(size_t){y} < 8 * sizeof({x}) ? {x} << {y} : 0", on=(_BITS, _SHIFT), symbol="<<")
right_shift: _Row = _op("right_shift", _np.right_shift, d=(0, 0), c="(size_t){y} < 8 * sizeof({x}) ? {x} >> {y} : -({x} < 0)", on=(_BITS, _SHIFT), symbol=">>")
bitwise_count: _Row = _op("bitwise_count", _np.bitwise_count, d=0, on=_BITS, doc="How many bits of abs(x) are 1.")

# Complex numbers

real: _Row = _op("real",  lambda x: x.real, d=1, wirtinger=1,  like=lambda x: [_real_dtype(x)], c="creal({x})", on=_ANY, views=(0,), idle=_is_real)
imag: _Row = _op("imag",  lambda x: x.imag, d=0, wirtinger=1j, like=lambda x: [_real_dtype(x)], c="cimag({x})", on=_ANY, views=(0,))
conj: _Row = _op("conj",  _np.conjugate,    d=1, wirtinger=lambda z, x: (0, 1), c="conj({x})", on=_NUMBER, idle=_is_real)
angle: _Row = _op("angle", lambda x: _np.arctan2(x.imag, x.real), d=0, wirtinger=lambda z, x: 1j * x / square(abs(x)), like=lambda x: _np.arctan2.resolve_dtypes((_real_dtype(x),) * 2 + (None,)), c="carg({x})", on=_POSITIVE,
            doc="The angle of a complex number, in (-pi, pi].")
complex: _Row = _op("complex", _complex_of, d=(1, 1j), like=lambda x, y: [_complex_dtype(x, y)], c="{x} + I * {y}", on=(_REAL, _REAL), doc="The complex number x + iy.")
complex_from_polar: _Row = _op("complex_from_polar", _from_polar, d=(lambda z, x, y: complex(cos(y), sin(y)), lambda z, x, y: 1j * z), like=lambda x, y: [_complex_dtype(x, y)], c="{x} * cexp(I * {y})", on=(_REAL, _REAL),
                         doc="The complex number of absolute value x and angle y.")

# Special functions

erf: _Row = _op("erf",     "scipy.special:erf",     d=lambda z, x: _2_SQRTPI * exp(-x * x),  c="erf({x})",  on=_Reals(-2, 2, edges=_SPECIAL))
erfc: _Row = _op("erfc",    "scipy.special:erfc",    d=lambda z, x: -_2_SQRTPI * exp(-x * x), c="erfc({x})", on=_Reals(-2, 2, edges=(*_SPECIAL, 10.0, 30.0)), stable_for=(lambda x: 1 - erf(x),))
erfcx: _Row = _op("erfcx",   "scipy.special:erfcx",   d=lambda z, x: 2 * x * z - _2_SQRTPI,    on=_Reals(-2, 4, edges=(*_SPECIAL, 30.0)), stable_for=(lambda x: exp(square(x)) * erfc(x),), doc="exp(x^2) erfc(x), without overflow for large x.")
erfinv: _Row = _op("erfinv",  "scipy.special:erfinv",  d=lambda z, x: 1 / _2_SQRTPI * exp(z * z),  on=_Reals(-0.9, 0.9, edges=(0.0, -0.0, 1.0, -1.0, 1.5, _NAN), kinds="biuf"))
erfcinv: _Row = _op("erfcinv", "scipy.special:erfcinv", d=lambda z, x: -1 / _2_SQRTPI * exp(z * z), on=_Reals(0.1, 1.9, edges=(0.0, 2.0, 1e-300, 3.0, _NAN), kinds="biuf"))
ndtr: _Row = _op("ndtr",     "scipy.special:ndtr",     d=lambda z, x: exp(-0.5 * x * x) / _SQRT_2PI, c="0.5 * erfc({x} * -0.70710678118654752440)", on=_Reals(-2, 2, edges=(*_SPECIAL, -30.0)), doc="The distribution function of the standard normal.")
log_ndtr: _Row = _op("log_ndtr", "scipy.special:log_ndtr", d=lambda z, x: exp(-0.5 * x * x - z) / _SQRT_2PI, on=_Reals(-4, 4, edges=(*_SPECIAL, -1000.0), kinds="biuf"), stable_for=(lambda x: log(ndtr(x)),), like="scipy.special:gammaln", doc="log(ndtr(x)), also far left.")
ndtri: _Row = _op("ndtri",    "scipy.special:ndtri",    d=lambda z, x: _SQRT_2PI * exp(0.5 * z * z), on=_OPEN_01, doc="The inverse of ndtr: quantiles of the standard normal.")
owens_t: _Row = _op("owens_t",  "scipy.special:owens_t",  d=(lambda z, x, y: exp(-0.5 * x * x) * erf(x * y / _sqrt(2)) / (-2 * _SQRT_2PI), lambda z, x, y: exp(-0.5 * x * x * (1 + y * y)) / (2 * _PI * (1 + y * y))), on=(_REAL, _REAL), doc="Owen's T function (D. B. Owen, 1956).")

gamma: _Row = _op("gamma",     "scipy.special:gamma",     d=lambda z, x: z * psi(x), like="scipy.special:gammaln", c="tgamma({x})", on=_Reals(0.4, 5, edges=(*_SPECIAL, -1.5, -2.0, 200.0), kinds="biuf"))
gammaln: _Row = _op("gammaln",   _gammaln, stands_for="scipy.special:gammaln", d=lambda z, x: psi(x), c="isinf({x}) ? {x} : lgamma({x})", on=_Reals(0.4, 8, edges=(*_SPECIAL, -1.5, -2.0), kinds="biuf"), stable_for=(lambda x: log(gamma(x)),), doc="log(abs(gamma(x))).")
psi: _Row = _op("psi",       "scipy.special:psi",       d=lambda z, x: tri_gamma(x), like="scipy.special:gammaln", on=_Reals(0.4, 8, edges=(*_SPECIAL, -1.5, -2.0), kinds="biuf"), doc="The digamma function, the derivative of gammaln.")
tri_gamma: _Row = _op("tri_gamma", _tri_gamma, d=lambda z, x: polygamma(2, x), like="scipy.special:gammaln", on=_Reals(0.5, 8, edges=(0.0, 1e300, _NAN), kinds="biuf"), doc="The trigamma function, the derivative of psi.")
polygamma: _Row = _op("polygamma", _polygamma, d=(None, lambda z, x, y: polygamma(x + 1, y)), like="scipy.special:gammainc", on=(_Reals(0, 4, kinds="iu"), _Reals(0.5, 8, kinds="biuf")), doc="The derivative number x of psi, at y; x is a whole number.")
betaln: _Row = _op("betaln",    "scipy.special:betaln",    d=(lambda z, x, y: psi(x) - psi(x + y), lambda z, x, y: psi(y) - psi(x + y)), on=(_SHAPE, _SHAPE), doc="The logarithm of the beta function.")
gammainc: _Row = _op("gammainc",  "scipy.special:gammainc",  d=(None, lambda z, x, y: _gamma_density(x, y)),  on=(_SHAPE, _POSITIVE_REAL), doc="The regularized lower incomplete gamma function P(x, y).")
gammaincc: _Row = _op("gammaincc", "scipy.special:gammaincc", d=(None, lambda z, x, y: -_gamma_density(x, y)), on=(_SHAPE, _POSITIVE_REAL), stable_for=(lambda x, y: 1 - gammainc(x, y),), doc="The regularized upper incomplete gamma function Q(x, y).")
gammal: _Row = _op("gammal", lambda x, y: _special("gammainc")(x, y) * _special("gamma")(x),  d=(None, lambda z, x, y: exp((x - 1) * log(y) - y)),  like="scipy.special:gammainc", on=(_SHAPE, _POSITIVE_REAL), doc="The lower incomplete gamma function, not regularized.")
gammau: _Row = _op("gammau", lambda x, y: _special("gammaincc")(x, y) * _special("gamma")(x), d=(None, lambda z, x, y: -exp((x - 1) * log(y) - y)), like="scipy.special:gammainc", on=(_SHAPE, _POSITIVE_REAL), doc="The upper incomplete gamma function, not regularized.")
gammaincinv: _Row = _op("gammaincinv",  "scipy.special:gammaincinv",  d=(None, lambda z, x, y: 1 / _gamma_density(x, z)),  on=(_SHAPE, _OPEN_01), doc="The y with gammainc(x, y) given.")
gammainccinv: _Row = _op("gammainccinv", "scipy.special:gammainccinv", d=(None, lambda z, x, y: -1 / _gamma_density(x, z)), on=(_SHAPE, _OPEN_01), doc="The y with gammaincc(x, y) given.")
chi2sf: _Row = _op("chi2sf", lambda x, y: _special("chdtrc")(y, x), d=(lambda z, x, y: -0.5 * _gamma_density(0.5 * y, 0.5 * x), None), like="scipy.special:owens_t", on=(_POSITIVE_REAL, _SHAPE), doc="The chi-squared survival function at x, with y degrees of freedom.")
betainc: _Row = _op("betainc",    "scipy.special:betainc",    d=(None, None, lambda z, x, y, w: _beta_density(x, y, w)),     on=(_SHAPE, _SHAPE, _OPEN_01), doc="The regularized incomplete beta function I_w(x, y).")
betaincinv: _Row = _op("betaincinv", "scipy.special:betaincinv", d=(None, None, lambda z, x, y, w: 1 / _beta_density(x, y, z)), on=(_SHAPE, _SHAPE, _OPEN_01), doc="The w with betainc(x, y, w) given.")


def _gamma_density(a: _Any, x: _Any) -> _Any:
    """x^(a - 1) exp(-x) / gamma(a): DLMF 8.8.13."""
    return exp((a - 1) * log(x) - x - gammaln(a))


def _beta_density(a: _Any, b: _Any, x: _Any) -> _Any:
    """x^(a - 1) (1 - x)^(b - 1) / B(a, b): DLMF 8.17.1."""
    return exp((a - 1) * log(x) + (b - 1) * log1p(-x) - betaln(a, b))


# Bessel functions: x is the order where there are two inputs; no derivative by the order is written. DLMF 10.6, 10.29.

j0: _Row = _op("j0", "scipy.special:j0", d=lambda z, x: -j1(x), c="j0({x})", on=_REAL)
j1: _Row = _op("j1", "scipy.special:j1", d=lambda z, x: 0.5 * (j0(x) - jv(2, x)), c="j1({x})", on=_REAL)
jv: _Row = _op("jv", "scipy.special:jv", d=(None, lambda z, x, y: 0.5 * (jv(x - 1, y) - jv(x + 1, y))), on=(_ORDER, _ARGUMENT))
y0: _Row = _op("y0", "scipy.special:y0", d=lambda z, x: -y1(x), c="y0({x})", on=_ARGUMENT)
y1: _Row = _op("y1", "scipy.special:y1", d=lambda z, x: 0.5 * (y0(x) - yv(2, x)), c="y1({x})", on=_ARGUMENT)
yv: _Row = _op("yv", "scipy.special:yv", d=(None, lambda z, x, y: 0.5 * (yv(x - 1, y) - yv(x + 1, y))), on=(_ORDER, _ARGUMENT))
i0: _Row = _op("i0", "scipy.special:i0", d=lambda z, x: i1(x), on=_REAL)
i1: _Row = _op("i1", "scipy.special:i1", d=lambda z, x: 0.5 * (i0(x) + iv(2, x)), on=_REAL)
iv: _Row = _op("iv", "scipy.special:iv", d=(None, lambda z, x, y: 0.5 * (iv(x - 1, y) + iv(x + 1, y))), on=(_ORDER, _ARGUMENT))
k0: _Row = _op("k0", "scipy.special:k0", d=lambda z, x: -k1(x), on=_ARGUMENT)
k1: _Row = _op("k1", "scipy.special:k1", d=lambda z, x: -0.5 * (k0(x) + kv(2, x)), on=_ARGUMENT)
kv: _Row = _op("kv", "scipy.special:kv", d=(None, lambda z, x, y: -0.5 * (kv(x - 1, y) + kv(x + 1, y))), on=(_ORDER, _ARGUMENT))
ive: _Row = _op("ive", "scipy.special:ive", d=(None, lambda z, x, y: 0.5 * (ive(x - 1, y) + ive(x + 1, y)) - sign(y) * z), like="scipy.special:owens_t", on=(_ORDER, _ARGUMENT), doc="iv(x, y) exp(-abs(y)).")
kve: _Row = _op("kve", "scipy.special:kve", d=(None, lambda z, x, y: z - 0.5 * (kve(x - 1, y) + kve(x + 1, y))), like="scipy.special:owens_t", on=(_ORDER, _ARGUMENT), doc="kv(x, y) exp(y).")
spherical_jn: _Row = _op("spherical_jn", _spherical_jn, d=(None, lambda z, x, y: (x * spherical_jn(maximum(x - 1, 0), y) - (x + 1) * spherical_jn(x + 1, y)) / (2 * x + 1)), like="scipy.special:gammainc", on=(_Reals(0, 4, kinds="iu"), _REAL),
                   doc="The spherical Bessel function of the first kind, of order x (a whole number) at y. DLMF 10.51.2.")

# Copies

identity: _Row = _op("identity", _same, d=1, like=lambda x: [x], c="{x}", on=_ANY, views=(0,), doc="x itself.")
fill: _Row = _op("fill", _broadcast_second, d=(0, 1), c="{y}", on=(_ANY, _ANY), like=lambda x, y: [y], views=(1,),
           measures=(0,), doc="y broadcast to the shape that x and y have together.")


def _cast_row(dtype: str) -> _Row:
    kind = _np.dtype(dtype).kind

    def result(x: _Any) -> list[_Any]:
        if x.kind == "c" and kind not in "cb":
            raise TypeError("it would lose the imaginary part")
        return [_np.dtype(dtype)]

    # differences of a value rounded to fewer digits say nothing, so a narrow target draws from where no derivative is
    kinds = "biu" if dtype in ("float16", "float32", "complex64") else "biuf" if kind in "iuf" else "biufc"
    on = _Reals(0, 8, kinds=kinds) if kind == "u" else _Reals(-4, 4, kinds=kinds)
    return _op(f"cast{{{dtype}}}", lambda x: x.astype(dtype), d=1, like=result, on=on)


_CASTS = {dtype: _cast_row(dtype) for dtype in _DTYPES}


def cast(x: _Any, dtype: _Any) -> _TensorVariable:
    """x converted to `dtype` ("floatX" too); x itself when it has that dtype. Raises DTypeError from complex to real."""
    given, dtype = _as_tensor(x), _dtype_name(dtype)
    if given.type.dtype == dtype:
        return given
    if given.type.is_complex and dtype not in _COMPLEXES and dtype != "bool":
        raise _DTypeError(f"cast: {given.type} cannot become {dtype}", why="the imaginary part would be lost", help="say which part you want: T.real(x), T.imag(x) or abs(x)", inputs=[given])
    return _CASTS[dtype](given)


# Combinations of the rows

def clip(x: _Any, a_min: _Any = None, a_max: _Any = None) -> _TensorVariable:
    """x where it is between the bounds, else the nearer of them; a bound may be None. Where they cross, `a_max` wins.

    A Python integer beyond the integers of x's dtype bounds as the farthest of them. At a bound the gradient goes to x.
    """
    given = _as_tensor(x)
    a_min, a_max = _representable(given, a_min), _representable(given, a_max)
    if a_min is None:
        return given if a_max is None else minimum(given, a_max)
    return maximum(given, a_min) if a_max is None else _clip(given, a_min, a_max)


def _representable(x: _TensorVariable, bound: _Any) -> _Any:
    if type(bound) is not int or x.type.numpy_dtype.kind not in "iu":
        return bound
    info = _np.iinfo(x.type.numpy_dtype)
    return _builtins.min(_builtins.max(bound, int(info.min)), int(info.max))


def divmod(x: _Any, y: _Any) -> tuple[_TensorVariable, _TensorVariable]:
    """The pair (x // y, x % y)."""
    return floor_div(x, y), mod(x, y)


def modf(x: _Any) -> tuple[_TensorVariable, _TensorVariable]:
    """The pair (fraction, integral part) of x, both with its sign, both floats."""
    return modf_fraction(x), modf_integral(x)


def frexp(x: _Any) -> tuple[_TensorVariable, _TensorVariable]:
    """The pair (m, e) with x = m * 2^e and 1/2 <= |m| < 1."""
    return frexp_mantissa(x), frexp_exponent(x)


def inv(x: _Any) -> _TensorVariable:
    """1 / x, a float for integers too (where NumPy's reciprocal truncates)."""
    return true_div(1, x)


def ceil_intdiv(x: _Any, y: _Any) -> _TensorVariable:
    """x / y rounded up, computed in integers."""
    return floor_div(x, y) + neq(mod(x, y), 0)


def round(x: _Any, decimals: int | str = 0, mode: str | None = None) -> _TensorVariable:
    """x rounded to so many decimals (negative: tens, hundreds, ...), in its own dtype.

    mode: "half_to_even" (the default) or "half_away_from_zero", what happens to ties; it may be the second argument, as
    in Theano. The gradient is 0.
    """
    if isinstance(decimals, str):
        mode, decimals = decimals, 0
    given = _as_tensor(x)
    if mode not in (None, "half_to_even", "half_away_from_zero"):
        raise _GraphTypeError(f"round: no mode {mode!r}", help='use "half_to_even" or "half_away_from_zero"')
    if not given.type.is_continuous and decimals >= 0:
        return given
    nearest = round_half_away_from_zero if mode == "half_away_from_zero" else rint
    if decimals == 0:
        return nearest(given)
    scale = 10.0 ** _builtins.abs(decimals)
    return cast(nearest(given * scale) / scale if decimals > 0 else nearest(given / scale) * scale, given.type.dtype)


def iround(x: _Any, mode: str | None = None) -> _TensorVariable:
    """x rounded to int64."""
    return cast(round(x, mode=mode), "int64")


def isclose(x: _Any, y: _Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> _TensorVariable:
    """Where |x - y| <= atol + rtol * |y|, as NumPy's: infinities are close to themselves, NaN if `equal_nan`."""
    x, y = _operands("isclose", (x, y))
    y = y if y.type.is_continuous else cast(y, _np.result_type(y.type.numpy_dtype, 1.0))
    close = logical_or(logical_and(le(abs(x - y), atol + rtol * abs(y)), isfinite(y)), eq(x, y))
    return logical_or(close, logical_and(isnan(x), isnan(y))) if equal_nan else close


def allclose(x: _Any, y: _Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> _TensorVariable:
    """Whether `isclose` holds everywhere, a bool scalar."""
    return isclose(x, y, rtol, atol, equal_nan).all()


def nan_to_num(x: _Any, nan: _Any = 0.0, posinf: _Any = None, neginf: _Any = None) -> _TensorVariable:
    """x with NaN and the infinities replaced; by default by 0 and the largest finite numbers of the dtype."""
    given = _as_tensor(x)
    if not given.type.is_continuous:
        return given
    if given.type.is_complex:
        return complex(nan_to_num(real(given), nan, posinf, neginf), nan_to_num(imag(given), nan, posinf, neginf))
    info = _np.finfo(given.type.numpy_dtype)
    found = switch(isnan(given), nan, given)
    found = switch(isposinf(given), float(info.max) if posinf is None else posinf, found)
    return switch(isneginf(given), float(info.min) if neginf is None else neginf, found)


def largest(*xs: _Any) -> _TensorVariable:
    """The largest of several tensors, element by element."""
    return _functools.reduce(maximum, xs) if len(xs) > 1 else _as_tensor(*xs)


def smallest(*xs: _Any) -> _TensorVariable:
    """The smallest of several tensors, element by element."""
    return _functools.reduce(minimum, xs) if len(xs) > 1 else _as_tensor(*xs)


round_half_to_even = rint
fix = trunc
