"""Sessions on both servers: opening them, keeping them alive, detecting dead sessions, and sending statements.

Here live the URLs (``url``), the connections of either side (``postgres``, ``pair``), the watch over them
(``session``, ``watch``, ``protocol``), the statements of ``etl/sql`` (``query``), the stages that statements name
(``stage``), and retries. The read side is asyncpg, the write side psycopg. It imports ``model``. Start with
``postgres``.
"""
