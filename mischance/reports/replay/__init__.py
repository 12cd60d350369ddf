"""One run as a page to scrub through, or as a film."""
