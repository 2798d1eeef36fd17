"""What becomes Verilog: expressions, networks of gates and adders, and what wraps them."""
