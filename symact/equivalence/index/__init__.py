"""Functions one by one: a number for each distinct function."""
