"""The rules of inviting: state in, new state and facts out. No I/O, no clock, no framework."""
