"""Deriving the table of symmetry of any network from its computation."""

from lmcbook.permutation.tracing.trace import spec_from_model

__all__ = ["spec_from_model"]
