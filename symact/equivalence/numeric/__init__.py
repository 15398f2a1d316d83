"""Terms in float64 on sample grids."""
