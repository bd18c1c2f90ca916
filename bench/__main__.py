"""Run a part of the bench: ``python -m bench PART [OPTIONS]``; without PART, list the parts."""

from __future__ import annotations

import importlib
import sys

PARTS = {
    "corpus": "list the pictures that the other parts use, and where to get known sets",
    "peers": "list other encoders, and which of them are not installed here",
    "rate_distortion": "bytes at equal quality, by several metrics, picture by picture",
    "levers": "bytes that each part of the search saves, by several metrics",
    "constants": "what other values of the search's constants cost, and which do not matter",
    "human": "compare metrics with what people said of JPEG files",
    "speed": "time and memory against other encoders, by picture size, by threads, by module",
    "start": "seconds to --help, to an import and to the first file, with and without a kernel cache",
    "compile_time": "seconds to compile each kernel",
    "screenshots": "draw screenshots to train on and to measure",
    "drawings": "draw graphics of five kinds to measure",
    "clic": "a folder at a total budget of bits per pixel, as the CLIC challenge measures it",
    "jpeg_inputs": "bytes saved on JPEG files, by quality of the source",
    "inks": "bytes of CMYK files for other factors between the tables of their inks",
    "source_quality": "error of the distance that is estimated from the tables of a JPEG",
    "foreign_decoders": "whether other decoders show the same picture before and after transcoding",
    "batch_speedup": "speed of folders on several processes",
    "readme_tables": "write the tables of the README and docs/results.md from bench/results",
}


#: Subpackages of the parts of PARTS that are not modules of ``bench`` itself.
PACKAGES = {
    **dict.fromkeys(("speed", "start", "compile_time", "batch_speedup"), "timing."),
    "human": "viewers.",
    "clic": "sets.",
    **dict.fromkeys(("screenshots", "drawings"), "graphics."),
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        print()
        for name, words in PARTS.items():
            print(f"  {name:18} {words}")
        print("\nEach part has --help. Parts need: pip install guetzpy[bench]. Missing encoders are named.")
        return 0
    name, *rest = arguments
    if name not in PARTS:
        print(f"{name}: expected one of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    sys.argv = [f"python -m bench {name}", *rest]
    importlib.import_module(f"bench.{PACKAGES.get(name, '')}{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
