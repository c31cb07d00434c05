"""Identification of hidden parameters of the dynamics from transitions."""
