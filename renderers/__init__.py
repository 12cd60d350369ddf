"""Renderers: images of scenes, and ray casting."""
