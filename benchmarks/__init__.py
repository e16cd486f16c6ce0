"""Measurements beside raw loops and peers, in one run on one machine. What they print are ratios."""
