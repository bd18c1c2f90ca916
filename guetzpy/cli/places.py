"""Inputs and outputs: each input is paired with the output that ``-o`` or ``--in-place`` names."""

from __future__ import annotations

import codecs
import errno
import os
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from guetzpy.cli.reporting import say, usage_error
from guetzpy.output import JPEG_SUFFIXES, NOT_IN_PLACE, check_below, remove_temporaries, write
from guetzpy.picture.reading import read_limited, read_path

__all__ = [
    "STANDARD",
    "Place",
    "check_suffix",
    "expand",
    "inputs_of",
    "is_folder",
    "is_there",
    "names_a_jpeg",
    "names_one_file",
    "plan",
    "prepare",
    "read_bytes",
    "refuse_other_suffix",
    "standard_input",
    "write_bytes",
]

#: Suffixes of formats other than JPEG: of Pillow and guetzpy, of raw photographs, and of text and archives.
_OTHER_SUFFIXES = {
    ".apng", ".arw", ".avif", ".avifs", ".blp", ".bmp", ".bufr", ".bw", ".cr2", ".cr3", ".cur", ".dcx",
    ".dds", ".dib", ".dng", ".emf", ".eps", ".exr", ".fit", ".fits", ".flc", ".fli", ".ftc", ".ftu", ".gbr",
    ".gif", ".grib", ".h5", ".hdf", ".hdr", ".heic", ".heics", ".heif", ".heifs", ".hif", ".htm", ".html",
    ".icb", ".icns", ".ico", ".iim", ".im", ".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx", ".json", ".jxl",
    ".jxr", ".md", ".mpeg", ".mpg", ".msp", ".nef", ".orf", ".palm", ".pam", ".pbm", ".pcd", ".pcx", ".pdf",
    ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".ps", ".psb", ".psd", ".pxr", ".qoi", ".raf", ".ras", ".rgb",
    ".rgba", ".rw2", ".sgi", ".svg", ".tga", ".tif", ".tiff", ".txt", ".vda", ".vst", ".webp", ".wmf",
    ".xbm", ".xcf", ".xpm", ".zip",
}  # fmt: skip

#: Largest size of a list of files in bytes: a million names of 256 bytes. A device may have no end.
_LONGEST_LIST = 2**28

#: Byte order marks, and the encoding that each of them declares. UTF-32 comes first, because its
#: little-endian mark begins with the mark of UTF-16.
_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

#: Name of stdin and stdout.
STANDARD = "-"


@dataclass(frozen=True)
class Place:
    """An input and its output; ``output`` is None if nothing is written."""

    input: str
    output: str | None
    in_folder: bool = False
    """Whether -o named a folder, which is made if it is missing."""

    preserve: bool = False
    """Whether the output takes permissions and times of the input."""

    beside: bool = False
    """Whether the output's name follows from the input's, so that it must not replace another file."""


def expand(names: list[str], *, windows: bool = os.name == "nt") -> list[str]:
    """Return the inputs with ``*``, ``?``, ``[...]`` and ``~`` expanded, as the shells of Windows do not.

    The patterns of --include and --exclude are not expanded. A name that exists is not expanded either, such
    as ``photo[1].jpg``. ``**`` matches folders at any depth.
    """
    if not windows:
        return names
    import glob

    expanded: list[str] = []
    for name in names:
        place = os.path.expanduser(name) if name.startswith("~") else name
        if "://" in name or not any(sign in place for sign in "*?[") or os.path.lexists(place):
            expanded.append(place)
            continue
        found = sorted(glob.glob(place, recursive=True))
        if not found:
            usage_error(f"{name}: there is no such file")
        expanded += found
    return expanded


def inputs_of(names: list[str] | None, files_from: str | None) -> list[str]:
    """Return the inputs of a command: those on the command line, then those that a file lists.

    Parameters
    ----------
    names : list of str, optional
        The arguments.
    files_from : str, optional
        File with a name on each line, or with names that end with NUL characters (``find -print0``); ``-`` is
        stdin. Names are taken as they are, without expansion. Relative ones begin in the working folder. A
        list that begins with a byte order mark of UTF-16 is decoded, since ``>`` of PowerShell writes one.
    """
    given = expand(list(names or ()))
    if "" in given:
        usage_error("'': is no name of a file; is a variable of the shell empty?")
    if files_from is None:
        if not given:
            usage_error("no inputs: name pictures, or a list of them with --files-from FILE")
        return _each_once(given)
    if files_from == STANDARD and STANDARD in given:
        usage_error("- (stdin) is either a picture or the list of --files-from")
    try:
        stdin = files_from == STANDARD
        with nullcontext(standard_input()) if stdin else open(files_from, "rb") as stream:
            data = stream.read(_LONGEST_LIST + 1)
    except OSError as error:
        usage_error(f"--files-from {files_from}: {error.strerror or error}")
    if len(data) > _LONGEST_LIST:
        usage_error(
            f"--files-from {files_from}: has more than {_LONGEST_LIST // 10**6} MB; is it a list of names?"
        )
    if data.startswith((b"\xff\xd8\xff", b"\x89PNG")):
        usage_error(f"--files-from {files_from}: is a picture; it takes a list of names, as text")
    try:
        found = given + _listed(data)
    except UnicodeError as error:
        usage_error(f"--files-from {files_from}: is not text: {error}")
    if not found:
        usage_error(f"--files-from {files_from}: lists no files")
    if STANDARD in found[len(given) :]:
        usage_error(f"--files-from {files_from}: lists -; a file of this name is listed as ./-")
    return _each_once(found)


def _each_once(names: list[str]) -> list[str]:
    """Return names without those that repeat an earlier one, such as ``./a.jpg`` after ``a.jpg``.

    A file that was processed twice would be counted twice, or be refused as the output of two inputs.
    """
    if STANDARD in names:
        return names
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name if "://" in name else os.path.abspath(name), name)
    if more := len(names) - len(first):
        say(f"{more} name{'' if more == 1 else 's'} given more than once: each file is processed once")
    return list(first.values())


def _listed(data: bytes) -> list[str]:
    """Return the names in a list of files; UnicodeError if they are not in the list's encoding."""
    for order_mark, encoding in _ORDER_MARKS:
        if data.startswith(order_mark):
            data = os.fsencode(data.decode(encoding))
            break
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\0" in data:  # these names may be of spaces only, or have line breaks
        return [os.fsdecode(name) for name in data.split(b"\0") if name.strip(b"\r\n")]
    return [os.fsdecode(name) for name in data.splitlines() if name.strip()]


def plan(
    inputs: list[str],
    output: str | None,
    in_place: bool,
    write: bool = True,
    jpeg_only: bool = False,
    preserve: bool = False,
    suffix: str | None = None,
    keep_names: bool = False,
) -> list[Place]:
    """Pair inputs with outputs; wrong usage ends with exit code 2 before any file is processed.

    With ``in_place`` and not ``write`` (``--check``), a file that ``--in-place`` refuses is refused. With
    ``jpeg_only`` other files are allowed, since they are skipped. With ``suffix`` outputs are beside their
    inputs. With ``keep_names`` an output in a folder has the name of its input.
    """
    if STANDARD in inputs and len(inputs) > 1:
        usage_error("- (stdin) must be the only input")
    if STANDARD in inputs and preserve:
        usage_error("--preserve keeps permissions and times of a file, and stdin has none")
    if output is not None and in_place:
        usage_error("-o and --in-place contradict each other: give one")
    if suffix is not None:
        check_suffix(suffix, output, in_place)
    for name in inputs:
        if name != STANDARD and os.path.isdir(name):
            usage_error(f"{name}: is a folder; add -r to process the files in it and in its subfolders")
    if in_place:
        for name in inputs:
            if write or name != STANDARD:  # --check may read stdin
                _check_in_place(name, jpeg_only)
    if not write:
        return [Place(name, None) for name in inputs]
    if in_place:
        return [Place(name, name) for name in inputs]
    if suffix is not None:
        return _beside(inputs, suffix, preserve, keep_names)
    if output is None and inputs == [STANDARD]:
        output = STANDARD
    if output is None:
        usage_error(
            "say where the result goes: -o FILE, -o FOLDER/, or --in-place to replace the input; "
            "--suffix -small writes it beside the input"
        )
    if output == STANDARD:
        if len(inputs) > 1:
            usage_error("-o - (stdout) takes one input")
        if sys.stdout is None:
            usage_error("stdout is closed; give -o FILE")
        if sys.stdout.isatty():
            usage_error("stdout is a terminal; redirect it, or give -o FILE")
        return [Place(inputs[0], STANDARD)]
    places = _without_clashes(_into(inputs, output, preserve, keep_names))
    if not places[0].in_folder:
        refuse_other_suffix(output)
    return places


def refuse_other_suffix(output: str) -> None:
    """End with exit code 2 if the name of a file has the suffix of a format other than JPEG."""
    suffix = Path(output).suffix
    if suffix.lower() in _OTHER_SUFFIXES:
        hint = output.removesuffix(suffix) + ".jpg"
        usage_error(f"{output}: guetzpy writes JPEG files, and {suffix} names another format; use -o {hint}")


def _check_in_place(name: str, jpeg_only: bool) -> None:
    """End with exit code 2 if ``--in-place`` cannot replace a file because of its kind."""
    if name == STANDARD:
        usage_error("--in-place cannot replace stdin")
    if os.path.exists(name) and not os.path.isfile(name):
        usage_error(f"{name}: is not a regular file; --in-place replaces files only (use -o)")
    try:
        with open(name, "rb") as stream:
            head = stream.read(3)
    except OSError:
        return  # this error is reported when the file is processed
    called_a_jpeg = Path(name).suffix.lower() in JPEG_SUFFIXES  # then the file is wrong, not the usage
    if head and not head.startswith(b"\xff\xd8") and not called_a_jpeg and not jpeg_only:
        usage_error(f"{name}: {NOT_IN_PLACE}")


def _into(inputs: list[str], output: str, preserve: bool, keep_names: bool) -> list[Place]:
    if len(inputs) > 1 and names_a_jpeg(output):
        usage_error(f"{output}: names a file, which takes one input; give -o FOLDER/ for several")
    if len(inputs) == 1 and not is_folder(output):
        return [Place(inputs[0], output, preserve=preserve)]
    if inputs == [STANDARD]:
        usage_error(f"{output}: is a folder; stdin has no name to use there, give -o FILE")
    if os.path.exists(output) and not os.path.isdir(output):
        usage_error(f"{output}: is not a folder; for several inputs, -o must name one")
    own = os.path.basename if keep_names else _jpeg_name
    return [Place(name, os.path.join(output, own(name)), True) for name in inputs]


def check_suffix(suffix: str, output: str | None, in_place: bool) -> None:
    """End with exit code 2 if ``--suffix`` cannot be the end of a name, or contradicts another option."""
    if output is not None or in_place:
        usage_error(f"--suffix and {'--in-place' if in_place else '-o'} contradict each other: give one")
    if not suffix.strip() or any(sign in suffix for sign in ("/", "\\", "\0")):
        usage_error(f"--suffix {suffix!r}: expected the end of a file's name, such as --suffix -small")
    extension = Path("x" + suffix).suffix.lower()
    if extension in JPEG_SUFFIXES | _OTHER_SUFFIXES:
        short = suffix[: -len(extension)] or "-small"
        usage_error(f"--suffix {suffix}: outputs keep the extension of their inputs; give --suffix {short}")


def _beside(inputs: list[str], suffix: str, preserve: bool, keep_names: bool) -> list[Place]:
    """Pair inputs with outputs beside them. Outputs of an earlier run among the inputs are left out."""
    if STANDARD in inputs:
        usage_error("--suffix names a file beside the input, and stdin has none; give -o FILE")
    made = [name for name in inputs if Path(name).stem.endswith(suffix)] if len(inputs) > 1 else []
    if made:
        count = f"{len(made)} file{'' if len(made) == 1 else 's'}"
        say(f"skipped: {count} whose name ends with {suffix}, as outputs do (first: {made[0]})")
    places = []
    for name in inputs:
        if name in made:
            continue
        path = Path(name if keep_names else os.path.join(os.path.dirname(name), _jpeg_name(name)))
        output = os.path.join(os.path.dirname(name), path.stem + suffix + path.suffix)
        places.append(Place(name, output, preserve=preserve, beside=True))
    if not places:
        usage_error(f"the name of every input ends with {suffix}; give another --suffix")
    return _without_clashes(places)


def names_a_jpeg(output: str) -> bool:
    """Return whether -o names a JPEG file rather than a folder."""
    return Path(output).suffix.lower() in JPEG_SUFFIXES and not is_folder(output)


def names_one_file(inputs: list[str], output: str | None) -> bool:
    """Return whether -o names the JPEG file that is made from a single input."""
    return bool(output) and len(inputs) == 1 and names_a_jpeg(str(output)) and not os.path.isdir(inputs[0])


def is_folder(output: str) -> bool:
    """Return whether -o has the form of a folder, or is an existing folder."""
    return output.endswith(tuple(filter(None, (os.sep, os.altsep)))) or os.path.isdir(output)


def _jpeg_name(name: str) -> str:
    path = Path(name)
    return path.name if path.suffix.lower() in JPEG_SUFFIXES else path.with_suffix(".jpg").name


def _without_clashes(places: list[Place]) -> list[Place]:
    taken: dict[str, str] = {}
    for place in places:
        assert place.output is not None
        key = os.path.normcase(os.path.realpath(place.output))
        if key in taken:
            usage_error(f"{place.input} and {taken[key]} would both be written to {place.output}")
        taken[key] = place.input
    for place in places:
        key = os.path.normcase(os.path.realpath(place.input))
        if place.input != STANDARD and key in taken:
            usage_error(
                f"{place.input}: is an input and an output; give another -o, or --in-place to replace a JPEG"
            )
    return places


def prepare(places: list[Place]) -> None:
    """Make sure that the folders of the outputs exist, before any file is processed.

    Temporary files that a killed run left there are removed.
    """
    folders = set()
    for place in places:
        if place.output is None or place.output == STANDARD:
            continue
        folder = os.path.dirname(os.path.realpath(place.output))
        above = folder if os.path.islink(place.output) else os.path.dirname(place.output) or os.curdir
        if place.in_folder:
            os.makedirs(folder, exist_ok=True)
        if not os.path.isdir(folder):
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", above)
        if not os.access(folder, os.W_OK) and not os.path.exists(place.output):
            raise PermissionError(errno.EACCES, "the folder cannot be written", above)
        folders.add(folder)
    for folder in folders:
        remove_temporaries(folder)


def is_there(place: Place) -> bool:
    """Return whether there is an input to read."""
    return place.input == STANDARD or os.path.exists(place.input)


def standard_input() -> BinaryIO:
    """Return stdin; OSError if it is closed."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "stdin is closed: there is nothing to read")
    return sys.stdin.buffer


def read_bytes(
    place: Place, max_input: int, max_memory: int | None = None
) -> tuple[bytes, os.stat_result | None]:
    """Return an input's contents and its state when read (None for stdin), within the limits on inputs."""
    if place.input == STANDARD:
        return read_limited(standard_input(), max_input, max_memory), None
    return read_path(place.input, max_input, max_memory)


def write_bytes(place: Place, data: bytes, state: os.stat_result | None) -> None:
    """Write a result to its place; in place only if the input is unchanged since it was read."""
    if place.output is None:
        return
    if place.output == STANDARD:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    if place.in_folder:
        check_below(place.output, os.path.dirname(place.output))
    if place.output == place.input:
        if data != Path(place.input).read_bytes():
            write(place.output, data, expected=state)
        return
    write(place.output, data, like=place.input if place.preserve else None, keep_times=place.preserve)
