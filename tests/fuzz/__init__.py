"""Coverage-guided fuzzing of every text that comes from outside. `make fuzz`; `ARGS="url -max_total_time=600"` for one.

pytest's properties (Hypothesis, in tests/unit) say what is right for what they think of; this looks for what nobody
thought of: an exception that is no clear error, a message of several lines, a secret that is shown.
"""
