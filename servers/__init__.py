"""Real PostgreSQL servers without an installation, for the demo, the tests and the benchmarks.

postgres: one server, from initdb to the deletion of its data (start here). programs: where PostgreSQL's programs are.
port: a free port. relay: a way to a server on which bytes are recorded, held or delayed. The demo, the tests and the
benchmarks import this package; it imports none of them, and not etl; etl imports nothing from here.
"""
