"""Every reader of labeled photos, and the cache of their embeddings."""
