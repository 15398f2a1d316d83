"""Which expressions are the same function: sample, group, prove, certify. No torch."""
