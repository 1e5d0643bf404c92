"""The invitation chain measured, beside its floor. `python -m bench`, or `make bench`."""
