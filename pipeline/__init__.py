"""Diptych: the same prompt through an image model and its efficient successor, with time and cost.

Nothing is imported here on purpose: ``import pipeline`` must stay instant, because the page has to
answer while torch and diffusers are still loading.
"""

__version__ = "0.1.0"
