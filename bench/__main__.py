"""Run a part of the bench: ``python -m bench PART [OPTIONS]``; without one, list them."""

from __future__ import annotations

import importlib
import sys

PARTS = {
    "corpus": "list the pictures that the other parts run on, and tell where known sets are to be had",
    "peers": "list other encoders, and which of them are missing here",
    "rate_distortion": "bytes at equal quality, by several metrics, picture by picture",
    "human": "what metrics are worth: against what people said of JPEG files",
    "speed": "time and memory against other encoders; growth with size, threads, stages",
    "start": "from the prompt to help, to an import, to the first small file, cold and warm",
    "compile_time": "what the first start costs: seconds to compile each kernel",
    "clic": "a folder at a total budget of bits per pixel, as the CLIC challenge measures it",
    "jpeg_inputs": "JPEG files made smaller, by quality of the source",
    "fit_search": "fit the open loop's tables, Lagrange multipliers and compensation on training pictures",
    "source_quality": "how well the tables of a JPEG tell how coarse it is",
    "foreign_decoders": "whether other decoders show the same before and after",
    "batch_speedup": "folders on several processes",
    "readme_tables": "write the README's figures from bench/results",
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        print()
        for name, words in PARTS.items():
            print(f"  {name:18} {words}")
        print("\nEach has --help. What it needs: pip install guetzpy[bench]; missing encoders are named.")
        return 0
    name, *rest = arguments
    if name not in PARTS:
        print(f"{name}: expected one of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    sys.argv = [f"python -m bench {name}", *rest]
    importlib.import_module(f"bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
