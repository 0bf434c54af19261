"""Sessions on both servers: opening them, keeping them alive, detecting dead sessions, and sending statements.

Here live the URLs (``url``), the connections to both databases (``postgres``, ``pair``), the watch over sessions
(``session``, ``watch``, ``protocol``), the statements of ``etl/sql`` (``query``), the stages named in statements
(``stage``), advisory locks (``advisory``) and retries (``retry``). asyncpg reads the source, psycopg writes to the
target. It imports ``model``. Start with ``postgres``.
"""
