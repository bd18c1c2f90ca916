"""A plugin for imageio (v3): ``iio.imwrite("a.jpg", array, plugin=GuetzpyPlugin, distance=1.0)``.

After :func:`register`, the plugin can be named: ``plugin="guetzpy"``. Without ``plugin``, imageio uses its
own plugins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from imageio.core.request import URI_BYTES, InitializationError, IOMode
from imageio.core.v3_plugin_api import PluginV3

from guetzpy import api

if TYPE_CHECKING:
    from imageio.core.request import Request
    from imageio.core.v3_plugin_api import ImageProperties

__all__ = ["GuetzpyPlugin", "register"]

#: The name of the plugin after :func:`register`.
NAME = "guetzpy"


def register() -> None:
    """Register the plugin with imageio as "guetzpy". Further calls change nothing."""
    from imageio.config import known_plugins
    from imageio.config.plugins import PluginConfig

    known_plugins[NAME] = PluginConfig(
        name=NAME, class_name="GuetzpyPlugin", module_name=__name__, is_legacy=False, install_name=NAME
    )


class GuetzpyPlugin(PluginV3):
    """Writes one picture as a JPEG. It cannot read; imageio's own plugins can.

    Parameters
    ----------
    request : imageio.core.Request
        The file to write.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        if request.mode.io_mode != IOMode.write:
            raise InitializationError("guetzpy writes only; read with another plugin, e.g. plugin='pillow'")

    def write(self, ndimage: Any, **options: Any) -> bytes | None:
        """Encode one picture.

        Parameters
        ----------
        ndimage : array_like, shape (H, W), (H, W, 3) or (H, W, 4)
            uint8, uint16 (encoded from all 16 bits), bool, or float from 0 to 1; interpreted as sRGB.
        **options
            Options of :func:`guetzpy.optimize`, for example ``distance=1.0``, ``quality=85`` or
            ``effort="fast"``.

        Returns
        -------
        bytes or None
            The contents of the file if the URI is ``"<bytes>"``, otherwise None. The file is opened after the
            encode has succeeded.
        """
        data = api.optimize(np.asarray(ndimage), **options).data
        self.request.get_file().write(data)
        return data if self.request._uri_type == URI_BYTES else None

    def read(self, *, index: int = 0) -> Any:
        """Raise NotImplementedError."""
        raise NotImplementedError("guetzpy writes only")

    def iter(self) -> Any:
        """Raise NotImplementedError."""
        raise NotImplementedError("guetzpy writes only")

    def properties(self, index: int = 0) -> ImageProperties:
        """Raise NotImplementedError."""
        raise NotImplementedError("guetzpy writes only")

    def metadata(self, index: int = 0, exclude_applied: bool = True) -> dict[str, Any]:
        """Raise NotImplementedError."""
        raise NotImplementedError("guetzpy writes only")
