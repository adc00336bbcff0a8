"""Fine-tuning: precisions and responses learned against a teacher, one problem a noise level."""
