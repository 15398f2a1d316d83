"""Scripts that make what is committed: coefficients of kernels, the picture and the table of the rooms."""
