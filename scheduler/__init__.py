"""Many copies, each on its schedule: a registry of jobs, three small Lambdas, and the tool ``nightly-jobs``."""
