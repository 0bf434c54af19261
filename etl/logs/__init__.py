"""Log lines: their format, the removal of secrets, and the metrics that CloudWatch reads from them.

It imports ``model``. Start with ``log``.
"""
