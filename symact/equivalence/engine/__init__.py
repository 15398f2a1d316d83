"""From terms to certified classes of functions."""
