"""What is measured, one file per suite."""
