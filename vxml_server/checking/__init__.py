"""Checking documents and grammars before a caller meets them."""
