"""Before detection. Pure: arrays in, arrays and small records out."""
