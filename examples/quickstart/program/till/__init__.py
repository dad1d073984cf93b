"""A till: what is bought, and what it costs."""
