"""What a circuit takes on an FPGA, and proofs that it is the one that was meant."""
