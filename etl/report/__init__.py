"""What people see of a run: a terminal's bars and tables, and the only use of rich.

It imports ``commands`` and what that imports. Start with ``console``.
"""
