"""A mailbox for one machine: takes letters over SMTP as a provider would, and shows them as a person would see them."""
