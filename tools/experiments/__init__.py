"""`make experiments`: what learning on the device reaches, on real data.

An experiment (`registry`) is a deterministic function of parameters and a seed.  What it returns is
kept (`store`) as soon as it is there, so that a run goes on where the last one ended (`__main__`);
tables (`tables`) and curves (`figures`) of docs/experiments.md are made from what is kept.
"""
