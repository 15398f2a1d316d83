"""A Program -> something that runs: torch source, the CPU block interpreter, Triton kernels."""
