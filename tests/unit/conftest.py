"""Disables hypothesis's deadlines, because the machine that runs the tests may be busy with servers."""

from hypothesis import settings

settings.register_profile("unit", deadline=None, database=None, max_examples=60)
settings.load_profile("unit")
