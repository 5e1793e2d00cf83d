"""`kb adapters`: what is registered, where it came from, which one is used, and how two of them differ."""
