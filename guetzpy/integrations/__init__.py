"""guetzpy inside other programs' pipelines: one module a package, imported by name, none by itself.

``pillow``, ``imageio`` and ``skimage`` for arrays and images; ``willow`` (Wagtail), ``thumbor``, ``django``,
``nikola`` and ``pelican`` for the web.
"""
