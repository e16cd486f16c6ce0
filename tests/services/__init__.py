"""Private instances of real servers for the tests, one of each per test session.

They listen on free loopback ports, keep everything in one folder outside the repository, start when a
test first asks for them, and are gone when pytest is, however it ended (see `keeper`).
"""
