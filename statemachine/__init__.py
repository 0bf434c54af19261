"""The nightly fan-out: the state machine, its small Lambdas, its queries. Nothing here imports ``etl``."""
