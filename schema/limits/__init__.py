"""What a document may ask for: static limits, its cost, and each caller's budget."""
