"""Three-dimensional lookup tables in the format of Adobe's `.cube` files."""

from .table import Cube

__all__ = ["Cube"]
