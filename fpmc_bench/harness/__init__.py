"""Running suites: work units, the ledger that makes runs resumable, processes, records."""
