"""What masks are worth: figures by class, regions that are merged or torn, what must be doubted."""
