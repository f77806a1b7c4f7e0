/* The digamma function where vectors of doubles do not do. */
#ifndef RG_DIGAMMA_H
#define RG_DIGAMMA_H

/* psi(x) of negative x, NaN where that is an integer: to the last digit, near its zeros too. Takes a microsecond. */
double rg_digamma_left(double x);

#endif
