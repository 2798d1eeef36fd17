"""Kernels for the instruction sets of Cortex-M cores."""
