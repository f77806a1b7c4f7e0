// What special functions are written in: complex numbers in the type that xsf has for them, on the device and the host.

namespace rg {
namespace special {
typedef std::complex<double> Complex;
RG_DEVICE Complex given(complex128 z) { return Complex(z.real(), z.imag()); }
RG_DEVICE complex128 found(Complex z) { return complex128(z.real(), z.imag()); }
} // namespace special
} // namespace rg
