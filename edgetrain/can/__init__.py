"""CAN traffic: frames, readers of recordings, the attack injector and the synthetic bus."""
