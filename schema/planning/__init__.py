"""The plan as GraphQL shows it, one module per noun."""
