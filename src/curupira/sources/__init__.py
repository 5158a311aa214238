"""The only package that reaches out or opens third-party products."""
