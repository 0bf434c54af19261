"""Settings, read from the environment, the configuration file and AWS Parameter Store into a frozen ``Settings``.

Here live the reading of settings (``config``) and of the configuration file (``file``), the declarations of settings,
their types and values (``settings``, ``declarations``, ``declared``, ``values``), the options of each table
(``options``), the search for misspelt names (``spelling``) and the runner's only use of boto3 (``aws``). It imports
``model``, ``logs`` and ``sessions``. Start with ``config``.
"""
