"""Illegal mining from radar: patches, network, squares, evaluation (Lemes Neto et al. 2025).

Only ``network``, ``dataset``, ``train``, ``model`` and ``classify`` need PyTorch.
"""
