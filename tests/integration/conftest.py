from tests.processes import install, measured  # noqa: F401
