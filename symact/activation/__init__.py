"""Compiled functions and modules, and their place in other people's models."""
