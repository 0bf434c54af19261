"""Settings: from the environment, AWS Parameter Store and the options' file to one frozen ``Settings``.

Here live the reading of settings (``config``), their types (``settings``), the options of each table (``options``),
the search for misspelt names (``spelling``) and the only use of boto3 in the runner (``aws``). It imports ``model``,
``logs`` and ``sessions``. Start with ``config``.
"""
