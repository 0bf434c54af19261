"""Coverage-guided fuzzing of every text from outside. `make fuzz`; `ARGS="url -max_total_time=600"` for one target.

The properties in tests/unit (Hypothesis) check expected behaviour. Fuzzing finds unexpected mistakes: an exception that
is not a clear error, a message of several lines, a visible secret.
"""
