"""Deriving the table of symmetry of any network from its computation."""

from lmcbook.permutation.tracing.trace import derive_spec

__all__ = ["derive_spec"]
