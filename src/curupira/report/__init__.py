"""The report: figures, maps and tables of plain data, in one self-contained HTML page."""

from curupira.report.data import (
    Chip,
    Coverage,
    ReportData,
    SarImage,
    Series,
    ThresholdMap,
)
from curupira.report.page import render

__all__ = ["Chip", "Coverage", "ReportData", "SarImage", "Series", "ThresholdMap", "render"]
