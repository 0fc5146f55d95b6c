"""What people do to the plan, one module per noun."""
