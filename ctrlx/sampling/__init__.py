"""Plans, and the one loop that draws them."""
