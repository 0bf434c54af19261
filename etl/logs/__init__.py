"""Log lines: their format, the secrets that they must not show, and the metrics that CloudWatch makes of them.

It imports ``model``. Start with ``log``.
"""
