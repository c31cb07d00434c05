"""Domains of dm_control's suite: one body, many rewards. Tassa et al. (2018), "DeepMind Control Suite"."""
