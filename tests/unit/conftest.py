"""Hypothesis's examples: the same each time, so that a failure of CI is one of the change.

ETL_TEST_EXAMPLES=2000 tries random ones: so many of each property that has no number of its own. There are no
deadlines, because the machine that runs the tests may be busy with servers.
"""

import os

from hypothesis import settings

EXAMPLES = os.environ.get("ETL_TEST_EXAMPLES")

settings.register_profile(
    "unit", deadline=None, database=None, max_examples=int(EXAMPLES or 60), derandomize=EXAMPLES is None
)
settings.load_profile("unit")
