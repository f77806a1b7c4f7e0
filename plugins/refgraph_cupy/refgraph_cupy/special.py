"""Special functions: SciPy's own, which CuPy brings as headers for devices (xsf), called with the names of rows.

All of them compute in float64, or complex128. What xsf has for the host only (AMOS: jv, yv, kv, ive, kve), or so that
a compiler for devices takes a minute for it (betainc and betaincinv, which SciPy has of Boost), has no kernel.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Function(NamedTuple):
    """A function of x, y and w, of which the last is the argument: the headers of xsf that it needs, and its value."""

    headers: str
    value: str
    arity: int = 1


REAL = {
    "erfcx": Function("erf", "xsf::erfcx(x)"),
    "erfinv": Function(
        "cephes/erfinv",
        "::fabs(x) > 0.5 ? ::copysign(xsf::cephes::erfcinv(1 - ::fabs(x)), x) : xsf::cephes::erfinv(x)",
    ),
    "erfcinv": Function("cephes/erfinv", "xsf::cephes::erfcinv(x)"),
    # log1p(-erfc(t) / 2), and by erfcx where that cancels, with t = x / sqrt(2)
    "log_ndtr": Function(
        "erf",
        "x < -1 ? ::log(xsf::erfcx(-x * 0.70710678118654752440) / 2) - x * x / 2"
        " : ::log1p(-::erfc(x * 0.70710678118654752440) / 2)",
    ),
    "ndtr": Function("cephes/ndtr", "xsf::cephes::ndtr(x)"),
    "ndtri": Function("cephes/ndtri", "xsf::cephes::ndtri(x)"),
    "owens_t": Function("cephes/owens_t", "xsf::cephes::owens_t(x, y)", 2),
    "psi": Function("digamma", "xsf::digamma(x)"),
    "tri_gamma": Function("cephes/zeta", "xsf::cephes::zeta(2, x)"),
    # (-1)^(x + 1) x! zeta(x + 1, y): DLMF 25.11.12
    "polygamma": Function(
        "digamma cephes/zeta",
        "x == 0 ? xsf::digamma(y) : (::fmod(x, 2.0) == 0 ? -1 : 1) * ::tgamma(x + 1) * xsf::cephes::zeta(x + 1, y)",
        2,
    ),
    "betaln": Function("beta", "xsf::betaln(x, y)", 2),
    "gammainc": Function("cephes/igam", "xsf::cephes::igam(x, y)", 2),
    "gammaincc": Function("cephes/igam", "xsf::cephes::igamc(x, y)", 2),
    "gammal": Function("cephes/igam", "xsf::cephes::igam(x, y) * ::tgamma(x)", 2),
    "gammau": Function("cephes/igam", "xsf::cephes::igamc(x, y) * ::tgamma(x)", 2),
    "gammaincinv": Function("cephes/igami", "xsf::cephes::igami(x, y)", 2),
    "gammainccinv": Function("cephes/igami", "xsf::cephes::igamci(x, y)", 2),
    "chi2sf": Function("cephes/chdtr", "xsf::cephes::chdtrc(y, x)", 2),
    "j0": Function("cephes/j0", "::fabs(x) > 25 ? hankel(0, false, ::fabs(x)) : xsf::cephes::j0(x)"),
    "j1": Function("cephes/j1", "::fabs(x) > 25 ? (x < 0 ? -1 : 1) * hankel(1, false, ::fabs(x)) : xsf::cephes::j1(x)"),
    "y0": Function("cephes/j0", "x > 25 ? hankel(0, true, x) : xsf::cephes::y0(x)"),
    "y1": Function("cephes/j1", "x > 25 ? hankel(1, true, x) : xsf::cephes::y1(x)"),
    "i0": Function("cephes/i0", "xsf::cephes::i0(x)"),
    "i1": Function("cephes/i1", "xsf::cephes::i1(x)"),
    "k0": Function("cephes/k0", "xsf::cephes::k0(x)"),
    "k1": Function("cephes/i1 cephes/k1", "xsf::cephes::k1(x)"),
    "iv": Function("cephes/scipy_iv", "xsf::cephes::iv(x, y)", 2),
    "spherical_jn": Function("error", "spherical(x, y)", 2),
}
COMPLEX = {
    "erf": Function("erf", "xsf::erf(x)"),
    "erfc": Function("erf", "xsf::erfc(x)"),
    "erfcx": Function("erf", "xsf::erfcx(x)"),
    "ndtr": Function("erf", "0.5 * xsf::erfc(-x * 0.70710678118654752440)"),
}
"""Those of complex numbers, in xsf's type of these."""

_CALLED = re.compile(r"\bspecial::(complex_)?(\w+)\(")


def text(name: str, is_complex: bool) -> str:
    """A row as a call, of inputs that are float64 or complex128."""
    found = (COMPLEX if is_complex else REAL)[name]
    return f"special::{'complex_' * is_complex}{name}({', '.join(['{' + v + '}' for v in 'xyw'[: found.arity]])})"


def defined(body: str) -> str:
    """The definitions of the functions that a text calls. Each is called, not copied: they are long."""
    called = sorted(set(_CALLED.findall(body)))
    functions = [(mark + name, (COMPLEX if mark else REAL)[name], bool(mark)) for mark, name in called]
    headers = sorted({header for _, function, _ in functions for header in function.headers.split()})
    lines = [f"#include <cupy/xsf/{header}.h>" for header in headers]
    lines += ['#include "special.h"', "namespace rg {", "namespace special {"]
    for name, function, is_complex in functions:
        given = ", ".join([f"{'Complex' if is_complex else 'float64'} {v}" for v in "xyw"[: function.arity]])
        if is_complex:
            lines.append(f"RG_CALLED complex128 {name}(complex128 z) {{")
            lines += ["    const Complex x = given(z);", f"    return found({function.value});", "}"]
        else:
            lines += [f"RG_CALLED float64 {name}({given}) {{", f"    return {function.value};", "}"]
    return "\n".join([*lines, "}", "}"])
