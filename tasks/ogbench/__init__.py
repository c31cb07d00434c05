"""OGBench's manipulation workcells: a UR5e arm, a cube, buttons that lock things. Park et al. (2025), "OGBench"."""
