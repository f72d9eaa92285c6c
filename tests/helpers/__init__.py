"""What several test files share: made-up records, small networks, pairs and chapters."""
