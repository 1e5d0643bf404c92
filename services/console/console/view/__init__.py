"""What console knows of organizations, members and invitations, from the topics."""
