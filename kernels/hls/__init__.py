"""Programs of integers as C++ for high-level synthesis, AMD's Vitis HLS."""
