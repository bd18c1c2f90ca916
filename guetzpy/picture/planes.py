"""Convert PIL images and arrays to planes of codes, with the colours that the codes mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from guetzpy.errors import SourceTypeError, UnsupportedError
from guetzpy.options import background_codes
from guetzpy.picture.declarations import declarations
from guetzpy.picture.declared import Colour, colour_of_image
from guetzpy.picture.deep import own_samples
from guetzpy.picture.metadata import Metadata, metadata_of
from guetzpy.picture.transform import Codes, Transform

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Pixels", "codes_of", "pixels_of", "planes_of"]


@dataclass(frozen=True, eq=False)
class Pixels:
    """The codes of a PIL image, with their colour and metadata.

    Attributes
    ----------
    codes : ndarray, shape (1, H, W) or (3, H, W)
        Codes, uint8 or uint16.
    colour : Colour
        The meaning of the codes.
    metadata : Metadata
        Metadata of the image; its ICC profile is that of ``colour``.
    """

    codes: Codes
    colour: Colour
    metadata: Metadata


def planes_of(source: Any, *, background: Any = None) -> tuple[Codes, Transform]:
    """Return a picture's codes and their transform to linear light.

    Parameters
    ----------
    source : ndarray or PIL image
        Array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16, bool or float (0..1, as in
        scikit-image), which counts as sRGB. Or any PIL image of RGB, gray or palette kind, with the colours
        that it declares by a profile or otherwise. The Orientation is not applied.
    background : str, int or tuple, optional
        Colour that replaces transparent parts, in a form of Pillow's ``ImageColor`` (``"white"``,
        ``"#fff"``) or as codes (``(255, 255, 255)``). Codes are blended, not linear light.

    Returns
    -------
    codes : ndarray, shape (1, H, W) or (3, H, W)
        uint8, uint16, or float32 on the 0..255 scale. C-contiguous.
    transform : Transform
        From these codes to linear light.

    Raises
    ------
    UnsupportedError
        If a pixel is transparent and there is no ``background``. For CMYK and other colour models without
        a fixed meaning. (Alpha that is opaque everywhere is dropped.)
    TypeError, ValueError
        If the source is not a picture; the message says what is expected.
    """
    if isinstance(source, np.ndarray):
        return _planes_of_array(source, background), Transform()
    if hasattr(source, "getbands") and hasattr(source, "convert"):
        pixels = pixels_of(source, background=background)
        return pixels.codes, pixels.colour.transform
    raise SourceTypeError(
        f"expected a NumPy array or a PIL image, not {type(source).__name__}; "
        "open files with PIL.Image.open, convert other arrays with numpy.asarray"
    )


def _planes_of_array(array: npt.NDArray[Any], background: Any) -> Codes:
    if np.ma.is_masked(array):
        raise ValueError("array with masked pixels, which have no value; give them one by a.filled(...)")
    array = np.asarray(array)  # a matrix stays two-dimensional when it is indexed
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or array.size == 0:
        hint = (
            " (channels first? use numpy.moveaxis(a, 0, -1))"
            if array.ndim == 3 and len(array) in (1, 3)
            else ""
        )
        raise ValueError(f"array of shape {array.shape}; expected (H, W), (H, W, 3) or (H, W, 4){hint}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif np.issubdtype(array.dtype, np.floating):
        # The test is false for NaN too. Resampling and round trips exceed the range by up to 1e-5.
        if not (array.min() >= -1e-5 and array.max() <= 1 + 1e-5):
            raise ValueError(
                "float array outside 0..1 (or NaN); scale it to 0..1, or pass uint8 or uint16 codes"
            )
        array = np.clip(array.astype(np.float32), 0, 1) * np.float32(255)
    elif array.dtype not in (np.uint8, np.uint16):
        raise SourceTypeError(f"array of {array.dtype}; {_fix_for(array.dtype)}")
    if array.shape[2] == 4:
        array = _without_alpha(array, background)
    planes: Codes = np.array(np.moveaxis(array, 2, 0), order="C")
    return planes


def _fix_for(dtype: np.dtype[Any]) -> str:
    """Return advice for an array of an unsupported dtype, whose scale only the caller knows."""
    if np.issubdtype(dtype, np.integer):
        return (
            "convert it by what its values mean: a.astype(numpy.uint8) for 0..255, "
            "a.astype(numpy.uint16) for 0..65535, skimage.util.img_as_ubyte(a) for the type's whole range"
        )
    if np.issubdtype(dtype, np.complexfloating):
        return "a picture has real values: take numpy.abs(a) or a.real, scaled to 0..1"
    return "expected uint8, uint16, bool or float (0..1); stack pictures held as objects with numpy.stack"


def _without_alpha(array: npt.NDArray[Any], background: Any) -> npt.NDArray[Any]:
    """Drop the last channel; blend with the background where the picture is not opaque."""
    colour, alpha = array[:, :, :-1], array[:, :, -1:]
    top = 65535.0 if array.dtype == np.uint16 else 255.0
    if alpha.min() >= top:
        return colour
    if background is None:
        raise UnsupportedError(
            "the picture has transparent parts, which JPEG cannot hold; "
            'give a background colour (--background, background="white")'
        )
    paper = np.array(background_codes(background), np.float64) * (top / 255.0)
    if colour.shape[2] == 1 and np.ptp(paper) > 0:
        colour = np.repeat(colour, 3, axis=2)
    paper = paper[: colour.shape[2]]
    part = alpha / top
    blended = colour * part + paper * (1.0 - part)
    if array.dtype != np.float32:
        blended = np.rint(blended)
    return blended.astype(array.dtype)


#: Modes whose conversion to RGB or gray by Pillow is defined exactly.
_CONVERTED = {
    "1": "L",
    "P": "RGB",
    "PA": "RGBA",
    "La": "LA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "YCbCr": "RGB",
    "HSV": "RGB",
}


def _fits_16_bits(image: Image.Image) -> bool:
    codes = np.asarray(image)
    return bool(codes.min() >= 0 and codes.max() <= 65535)


def pixels_of(image: Image.Image, *, background: Any = None) -> Pixels:
    """Return the codes of a PIL image with all their bits, and their colour.

    Parameters
    ----------
    image : PIL image
        An image of RGB, gray or palette kind.
    background : str, int or tuple, optional
        As :func:`planes_of` takes it.

    Raises
    ------
    UnsupportedError
        In the cases of :func:`planes_of`, and for high dynamic range.
    """
    declared = declarations(image)
    codes = codes_of(image, background)
    metadata = metadata_of(image)  # after the pixels, because a PNG may have its Exif after them
    colour = colour_of_image(image, len(codes), metadata.exif, declared)
    return Pixels(codes, colour, replace(metadata, icc=colour.icc))


def codes_of(image: Image.Image, background: Any) -> Codes:
    """Return the codes of a PIL image as :func:`planes_of` does, without their colour."""
    mode = image.mode
    if mode in ("CMYK", "LAB"):
        raise UnsupportedError(
            f'{mode} pictures depend on an output profile; convert to RGB first (im.convert("RGB"), '
            "or PIL.ImageCms.profileToProfile for exact colour)"
        )
    own = own_samples(image)
    if own is not None:
        gray_and_alpha = own.ndim == 3 and own.shape[2] == 2
        return _planes_of_array(_without_alpha(own, background) if gray_and_alpha else own, background)
    if mode == "F" or (mode == "I" and not _fits_16_bits(image)):
        raise UnsupportedError(
            f'mode "{mode}" has no fixed white; scale to 0..1 and pass numpy.asarray(im) / white'
        )
    if mode.startswith("I"):  # 16-bit gray: "I;16", "I;16B", "I;16L", "I;16N", and "I" of older files
        deep: npt.NDArray[Any] = np.asarray(image).astype(np.uint16)
        return _planes_of_array(deep, background)
    if "transparency" in image.info and mode in ("1", "L", "P", "RGB"):
        image = image.convert("RGBA" if mode in ("P", "RGB") else "LA")
    elif mode in _CONVERTED:
        image = image.convert(_CONVERTED[mode])
    codes = np.asarray(image)
    if image.mode == "LA":
        codes = _without_alpha(codes, background)
    return _planes_of_array(codes, background)
