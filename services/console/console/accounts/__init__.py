"""Who people are, and how they get in: sign-up, proof of the mailbox, sessions, passwords, tokens."""
