"""Routes of the web application, by subject."""
