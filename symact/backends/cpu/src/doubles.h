// Functions of one number of float64 that vectors leave to scalar code: of large angles, and what few formulas call.
#pragma once

namespace symact {

double sine(double x);
double cosine(double x);
double tangent(double x);
// The derivative of sin(x)/x far from 0.
double sinc_slope(double x);
double i0e(double x);
double i1e(double x);
double i1e_ratio(double x);
double i0e_minus_i1e(double x);

}  // namespace symact
