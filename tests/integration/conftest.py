from tests.processes import install, measured, pytest_terminal_summary  # noqa: F401
