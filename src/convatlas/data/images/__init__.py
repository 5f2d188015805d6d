"""Images: opening, scanning, reading, caching, resizing and augmenting them."""
