"""``nightly-jobs``: the scheduler's jobs on the command line, through signed calls of AWS's APIs alone."""
