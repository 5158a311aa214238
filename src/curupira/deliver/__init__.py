"""Warnings out of the house: export formats."""

from curupira.deliver.export import FORMATS, Format, export, format_of

__all__ = ["FORMATS", "Format", "export", "format_of"]
