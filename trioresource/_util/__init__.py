"""Small tools that know nothing of resources."""
