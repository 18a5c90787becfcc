"""Charts as SVG, drawn on the server: geometry, pictures of it, and what they tell of samples."""
