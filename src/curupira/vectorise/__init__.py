"""From flagged pixels to polygons: morphology, components, outlines, attributes, matching. Pure."""

from curupira.vectorise.layers import polygons as polygons

__all__ = ["polygons"]
