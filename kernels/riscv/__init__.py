"""Kernels for the vector extensions of RISC-V cores."""
