"""symact: a compiler for activation functions and a toolkit that discovers new ones."""
