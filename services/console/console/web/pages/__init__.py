"""The pages, a module for each noun; each has `routes`."""
