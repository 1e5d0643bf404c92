"""Invitations: issue, supersede, revoke, decline, accept, remind, expire."""
