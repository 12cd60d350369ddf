"""Layer 3: the dataset folder: parts, shards, ledger, manifest."""
