"""A Stripe for one machine: localstripe, and in front of it what Stripe does and localstripe does not."""
