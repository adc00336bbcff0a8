"""What is written down: suites, studies, records, the facts of protocols, names. No torch."""
