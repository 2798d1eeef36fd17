"""EdgeTrain: quantised MLPs that infer and learn on the device, bit for bit as simulated."""
