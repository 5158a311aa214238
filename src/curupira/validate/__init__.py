"""How good warnings are: matching with truth, scores, delays, estimators for samples. Pure."""
