"""What billing decides, and how money moves. Pure: state in, new state and facts out."""
