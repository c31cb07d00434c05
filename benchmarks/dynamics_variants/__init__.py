"""Dynamics that differ: `python -m benchmarks.dynamics_variants --env dm_control:cartpole --task swingup`.

Masses, friction, damping and other parameters of the dynamics are drawn for every episode of a pool. Four models plan:
one that is told the true parameters, the same with parameters identified online, one that is blind to them, and one
of the nominal dynamics alone, with as many transitions. `ranges` plans in the told model knowing the ranges alone, and
`cvar` counts the worst share of parameters drawn from what is believed (EPOpt).

The first table has one variant after the other, each parameter times each factor; the second, how well parameters are
identified; the third, means and worst tenths over variants drawn from the ranges, or from wider ones with `--beyond`.
"""
