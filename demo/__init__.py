"""What ``make demo`` runs: embedded servers, a shop's data, a local Parameter Store."""
