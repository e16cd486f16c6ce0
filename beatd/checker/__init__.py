"""The checker: what had to happen, worked out from the entries' rules alone, against what did.

It shares no code with what it judges: neither the planner's decisions nor the dispatcher nor the store. Pure.
"""
