"""People and business units."""
