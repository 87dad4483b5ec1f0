"""Trains the tiny models of `weights/` on the photographs of SDC_SHARED."""
