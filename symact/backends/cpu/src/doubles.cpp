// Scalar functions of float64. Where a formula cancels it is computed in long double. Series and asymptotic expansions are
// those of DLMF chapter 10.
#include "doubles.h"

#include <cmath>

namespace symact {

double sine(double x) { return std::sin(x); }
double cosine(double x) { return std::cos(x); }
double tangent(double x) { return std::tan(x); }
double sinc_slope(double x) { return (std::cos(x) - std::sin(x) / x) / x; }

namespace {

typedef long double Wide;
constexpr Wide WIDE_PI = 3.14159265358979323846264338327950288L;

// What the k-th terms of the series below are multiplied by: 1/k^2, 1/(k*(k + 1)), (2*k - 1)^2/k and ((2*k - 1)^2 - 4)/k.
const struct BesselFactors {
    static constexpr int COUNT = 60;
    Wide square[COUNT], product[COUNT], odd[COUNT], odd_less[COUNT];
    BesselFactors() {
        for (int k = 1; k < COUNT; k++) {
            const Wide n = k, o = 2.0L * n - 1.0L;
            square[k] = 1.0L / (n * n), product[k] = 1.0L / (n * (n + 1.0L));
            odd[k] = o * o / n, odd_less[k] = (o * o - 4.0L) / n;
        }
    }
} BESSEL;

// exp(-a)*I0(a) and exp(-a)*I1(a)/a by power series below 20, by DLMF 10.40.1 above.
struct Bessel {
    Wide zero, ratio, difference;
};
Bessel bessel(double x) {
    Wide a = std::fabs(x);
    Bessel b;
    if (a < 20.0L) {
        Wide z = a * a / 4.0L, term = 1.0L, ratio = 0.5L;
        b.zero = term, b.ratio = ratio;
        for (int k = 1; k < BESSEL.COUNT; k++) {
            term *= z * BESSEL.square[k];
            ratio *= z * BESSEL.product[k];
            b.zero += term, b.ratio += ratio;
            if (term < 1e-21L * b.zero) break;
        }
        Wide e = std::exp(-a);
        b.zero *= e, b.ratio *= e;
        b.difference = b.zero - a * b.ratio;
        return b;
    }
    Wide zero = 1.0L, one = 1.0L, p = 1.0L, q = 1.0L, difference = 0.0L, inverse = 0.125L / a;
    for (int k = 1; k < 34; k++) {
        p *= BESSEL.odd[k] * inverse;
        q *= BESSEL.odd_less[k] * inverse;
        zero += p, one += q, difference += p - q;
        if (p < 1e-20L * difference) break;
    }
    Wide s = 1.0L / std::sqrt(2.0L * WIDE_PI * a);
    b.zero = s * zero, b.ratio = s * one / a, b.difference = s * difference;
    return b;
}
bool endless(double x) { return std::isinf(x); }

}  // namespace

double i0e(double x) { return endless(x) ? 0.0 : static_cast<double>(bessel(x).zero); }
double i1e_ratio(double x) { return endless(x) ? 0.0 : static_cast<double>(bessel(x).ratio); }
double i1e(double x) { return endless(x) ? std::copysign(0.0, x) : static_cast<double>(x * bessel(x).ratio); }
double i0e_minus_i1e(double x) {
    if (endless(x)) return 0.0;
    Bessel b = bessel(x);
    return static_cast<double>(x < 0 ? 2.0L * b.zero - b.difference : b.difference);
}

}  // namespace symact
