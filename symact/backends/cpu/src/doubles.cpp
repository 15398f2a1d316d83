// The float64 path: scalar mathematics, correct rather than fast. Where a formula cancels it is computed
// in long double. Series and asymptotic expansions are those of DLMF chapters 7 and 10.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

#include <algorithm>
#include <cmath>
#include <limits>

#include "operations.h"

namespace symact {
namespace {

typedef long double Wide;
constexpr Wide WIDE_PI = 3.14159265358979323846264338327950288L;
const Wide TWO_OVER_ROOT_PI = 2.0L / std::sqrt(WIDE_PI);

double copy(double a) { return a; }
double negate(double a) { return -a; }
double absolute(double a) { return std::fabs(a); }
double sign(double a) { return a > 0 ? 1.0 : a < 0 ? -1.0 : 0.0; }
double whole(double a) { return std::floor(a); }
double root(double a) { return std::sqrt(a); }
double exp_(double a) { return std::exp(a); }
double expm1_(double a) { return std::expm1(a); }
double log_(double a) { return std::log(a); }
double log1p_(double a) { return std::log1p(a); }
double sin_(double a) { return std::sin(a); }
double cos_(double a) { return std::cos(a); }
double tan_(double a) { return std::tan(a); }
double sinh_(double a) { return std::sinh(a); }
double cosh_(double a) { return std::cosh(a); }
double tanh_(double a) { return std::tanh(a); }
double asinh_(double a) { return std::asinh(a); }
double atan_(double a) { return std::atan(a); }
double erf_(double a) { return std::erf(a); }
double erfc_(double a) { return std::erfc(a); }
double add(double a, double b) { return a + b; }
double subtract(double a, double b) { return a - b; }
double multiply(double a, double b) { return a * b; }
double divide(double a, double b) { return a / b; }
double maximum(double a, double b) { return (b != b) | (b > a) ? b : a; }
double minimum(double a, double b) { return (b != b) | (b < a) ? b : a; }
double is_less(double a, double b) { return a < b ? 1.0 : 0.0; }
double is_less_equal(double a, double b) { return a <= b ? 1.0 : 0.0; }
double is_equal(double a, double b) { return a == b ? 1.0 : 0.0; }
double power(double a, double b) { return std::pow(a, b); }
double product_rest(double a, double b) {
    double rest = std::fma(a, b, -(a * b));
    return std::isfinite(rest) ? rest : 0.0;
}
double sum_rest(double a, double b) {
    double s = a + b, c = s - a;
    return (a - (s - c)) + (b - c);
}
double sin_sum(double a, double b) { return std::sin(a) * std::cos(b) + std::cos(a) * std::sin(b); }
double cos_sum(double a, double b) { return std::cos(a) * std::cos(b) - std::sin(a) * std::sin(b); }
double hypot1(double a) { return std::hypot(1.0, a); }

double sigmoid(double x) {
    double e = std::exp(-std::fabs(x));
    return (x < 0 ? e : 1.0) / (1.0 + e);
}
double softplus(double x) { return (x < 0 ? 0.0 : x) + std::log1p(std::exp(-std::fabs(x))); }
double logsigmoid(double x) { return -softplus(-x); }
double sinc(double x) { return x == 0 ? 1.0 : std::sin(x) / x; }

double sinc_grad(double x) {
    if (!(std::fabs(x) < 1.0)) return (std::cos(x) - std::sin(x) / x) / x;
    // The sum of (-1)^k 2k x^(2k-1)/(2k+1)!.
    double z = x * x, term = x, total = 0.0;
    for (int k = 1; k < 14; k++) {
        term *= (k == 1 ? -1.0 : -z) / ((2.0 * k) * (2.0 * k + 1.0));
        total += 2.0 * k * term;
    }
    return total;
}

double logcosh(double x) {
    double a = std::fabs(x);
    if (a < 1.0) {
        double s = std::sinh(0.5 * a);
        return std::log1p(2.0 * s * s);
    }
    return (a - 0.693147180559945309417) + std::log1p(std::exp(-2.0 * a));
}

// The sum from the first of 1 - 1/(2x^2) + 3/(4x^4) - ... on, or from the second (DLMF 7.12.1).
Wide erfc_series(Wide x, bool skip_first) {
    Wide z = 0.5L / (x * x), term = 1.0L, total = skip_first ? 0.0L : 1.0L;
    for (int k = 1; k < 24; k++) {
        Wide next = -term * z * (2 * k - 1);
        if (std::fabs(next) >= std::fabs(term)) break;
        term = next;
        total += term;
    }
    return total;
}

Wide wide_erfcx(double x) {
    if (x > 10.0) return 0.5L * TWO_OVER_ROOT_PI / x * erfc_series(x, false);
    return std::exp(static_cast<Wide>(x) * x) * std::erfc(static_cast<Wide>(x));
}
double erfcx(double x) { return static_cast<double>(wide_erfcx(x)); }
double erfcx_grad(double x) {
    if (x > 10.0) return static_cast<double>(TWO_OVER_ROOT_PI * erfc_series(x, true));
    return static_cast<double>(2.0L * x * wide_erfcx(x) - TWO_OVER_ROOT_PI);
}

double ndtr(double x) { return static_cast<double>(0.5L * std::erfc(-x * std::sqrt(0.5L))); }
double log_ndtr(double x) {
    Wide u = x * std::sqrt(0.5L);
    if (x > 0) return static_cast<double>(std::log1p(-0.5L * std::erfc(u)));
    if (x > -10.0) return static_cast<double>(std::log(0.5L * std::erfc(-u)));
    return static_cast<double>(std::log(0.25L * TWO_OVER_ROOT_PI / -u * erfc_series(-u, false)) - u * u);
}

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
double i0e(double x) { return endless(x) ? 0.0 : static_cast<double>(bessel(x).zero); }
double i1e_ratio(double x) { return endless(x) ? 0.0 : static_cast<double>(bessel(x).ratio); }
double i1e(double x) { return endless(x) ? 0.0 : static_cast<double>(x * bessel(x).ratio); }
double i0e_minus_i1e(double x) {
    if (endless(x)) return 0.0;
    Bessel b = bessel(x);
    return static_cast<double>(x < 0 ? 2.0L * b.zero - b.difference : b.difference);
}

typedef Frame<double> DoubleFrame;

// A constant is read once, so that loops over whole blocks are vectorized where the function can be.
template <double (*f)(double)>
void unary(const Step& s, const DoubleFrame& t) {
    const double* a = t.at[s.a];
    double* y = t.at[s.y];
    if (t.mask[s.a])
        for (int64_t i = 0; i < t.n; i++) y[i] = f(a[i]);
    else
        std::fill_n(y, t.n, f(a[0]));
}
template <double (*f)(double, double)>
void binary(const Step& s, const DoubleFrame& t) {
    const double *a = t.at[s.a], *b = t.at[s.b], c = a[0], d = b[0];
    double* y = t.at[s.y];
    if (!t.mask[s.a] && !t.mask[s.b])
        std::fill_n(y, t.n, f(c, d));
    else if (!t.mask[s.a])
        for (int64_t i = 0; i < t.n; i++) y[i] = f(c, b[i]);
    else if (!t.mask[s.b])
        for (int64_t i = 0; i < t.n; i++) y[i] = f(a[i], d);
    else
        for (int64_t i = 0; i < t.n; i++) y[i] = f(a[i], b[i]);
}
void where(const Step& s, const DoubleFrame& t) {
    const double *a = t.at[s.a], *b = t.at[s.b], *c = t.at[s.c];
    double* y = t.at[s.y];
    if (t.mask[s.a] && t.mask[s.b] && t.mask[s.c]) {
        for (int64_t i = 0; i < t.n; i++) y[i] = a[i] != 0 ? b[i] : c[i];
        return;
    }
    for (int64_t i = 0; i < t.n; i++) y[i] = a[i & t.mask[s.a]] != 0 ? b[i & t.mask[s.b]] : c[i & t.mask[s.c]];
}

}  // namespace

#define UNARY(name, function) unary<function>,
#define BINARY(name, function) binary<function>,
extern const Kernel<double> double_kernels[OP_public + 1] = {SYMACT_UNARY(UNARY) SYMACT_BINARY(BINARY) where,
                                                             unary<copy>};

}  // namespace symact
