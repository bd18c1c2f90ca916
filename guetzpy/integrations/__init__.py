"""Integrations of guetzpy into other packages, one module for each. None is imported by guetzpy itself.

``pillow``, ``imageio`` and ``skimage`` encode images and arrays. ``willow`` (Wagtail), ``thumbor``,
``django``, ``nikola`` and ``pelican`` optimise the JPEG files of web sites.
"""
