"""What people ask of the other services, and what becomes of it."""
