"""What a point is judged on: data sets, models, classification."""
