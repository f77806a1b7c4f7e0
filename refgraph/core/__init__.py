"""What a graph is. Nothing here knows arrays, and nothing here imports from the floors above."""
