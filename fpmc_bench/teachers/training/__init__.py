"""Training a teacher: batches, loss, optimiser, checkpoints, and the session around the steps."""
