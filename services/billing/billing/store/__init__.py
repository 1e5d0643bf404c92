"""billing's SQL, a file per noun."""
