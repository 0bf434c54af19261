"""Reports the end of a run to Slack. A small zip that runs outside the VPC and does not contain ``etl``."""
