"""Fused Triton kernels."""
