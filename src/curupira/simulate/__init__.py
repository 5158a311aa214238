"""Districts with known truth: landscape, disturbances, and what Sentinel-1 sees of them. Pure."""
