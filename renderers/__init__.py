"""Renderers: how a scene becomes images."""
