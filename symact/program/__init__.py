"""The narrow waist: an expression as a Program in SSA form, which identity and back ends both read."""
