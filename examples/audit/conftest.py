"""Lets the tests import the package that stands beside this file."""
