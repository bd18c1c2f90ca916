"""The compiler of kernels compared with numba's own, and the parts of numba that it uses."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from guetzpy._runtime import compiler as _jit_compiler
from guetzpy._runtime import kernel as _jit
from guetzpy._runtime import kernel_cache as _cache
from guetzpy.metrics._fused import fma

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels")


def in_a_process(script: str, *arguments: str, cache: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        # The package has no compiled kernels for the processor "generic".
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), "NUMBA_CPU_NAME": "generic"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def instructions(assembly: str) -> list[str]:
    """Return the operations of a kernel's own function, without the wrapper for Python's arguments."""
    found = []
    inside = False
    for line in assembly.splitlines():
        if line.startswith("_ZN"):
            inside = not line.startswith("_ZN7cpython")
        elif inside and line.startswith("\t") and not line.strip().startswith("."):
            found.append(line.split()[0])
    return found


def test_the_sum_of_a_product_is_rounded_once() -> None:
    """1 + 2**-12 squared is 1 + 2**-11 + 2**-24, of which float32 keeps the first two terms."""
    one, half = np.float32(1.0 + 2.0**-12), np.float32(-1.0)
    kernel = numba.njit(lambda a, b, c: fma(a, b, c))
    assert kernel(one, one, half) == np.float32(2.0**-11 + 2.0**-24)
    assert np.float32(one * one) + half == np.float32(2.0**-11)


@pytest.mark.slow
def test_own_pipeline_makes_the_same_machine_code_as_numbas(tmp_path: Path) -> None:
    """The passes that are left out change no instruction of kernels that call no other kernel."""
    script = (
        "import json, sys\nfrom guetzpy._runtime import kernel as _jit\n"
        "if sys.argv[1] == 'usual':\n"
        "    from numba.core.compiler import Compiler\n    _jit.KernelCompiler = Compiler\n"
        "_jit.import_kernels()\n"
        "parts = 'colorspace', 'malta', '.dct'\n"
        "names = [name for name in _jit.kernels() if any(part in name for part in parts)]\n"
        "list(_jit.warm(names))\n"
        "found = {name: _jit.kernels()[name][0] for name in names}\n"
        "assert all(k.targetoptions for k in found.values())\n"
        "print(json.dumps({n: k.inspect_asm(k.signatures[0]) for n, k in found.items()}))"
    )
    made = []
    for way in ("own", "usual"):
        output = in_a_process(script, way, cache=tmp_path / way)
        made.append({name: instructions(code) for name, code in json.loads(output).items()})
    own, usual = made
    assert sum(len(code) > 50 for code in usual.values()) >= 8
    assert own.keys() == usual.keys()
    for name in usual:
        assert own[name] == usual[name], name


def test_other_programs_functions_are_compiled_by_numba_as_ever(tmp_path: Path) -> None:
    """Compiling and loading kernels changes no class and no module of numba."""
    script = (
        "import sys, types\n"
        "import numba, numba.core.compiler, numba.np.arrayobj, numba.np.arraymath\n"
        "numba.njit(lambda x: x + 1)(1)\n"
        "def state():\n"
        "    found = {}\n"
        "    for name, module in sorted(sys.modules.items()):\n"
        "        if module is None or not name.startswith(('numba', 'llvmlite')):\n"
        "            continue\n"
        "        for key, value in list(vars(module).items()):\n"
        "            if callable(value):\n"
        "                found[name, key] = id(value)\n"
        "            if isinstance(value, type) and value.__module__ == name:\n"
        "                for inner, function in vars(value).items():\n"
        "                    if isinstance(function, (types.FunctionType, property, classmethod)):\n"
        "                        found[name, key, inner] = id(function)\n"
        "    return found\n"
        "import guetzpy._runtime.kernel as jit\n"
        "before = state()\n"
        "from guetzpy.metrics import blur\n"
        "list(jit.warm([name for name in jit.kernels() if name.startswith(blur.__name__)]))\n"
        "after = state()\n"
        "print([key for key in before if after[key] != before[key]], len(before) > 5000)\n"
        "print(numba.core.registry.cpu_target.target_context.codegen()._library_class.__module__)\n"
    )
    for _ in range(2):
        output = in_a_process(script, cache=tmp_path)
        assert output.splitlines() == ["[] True", "numba.core.codegen"]


def test_nothing_is_faked_among_the_modules() -> None:
    for path in Path(_jit.__file__).parents[1].rglob("*.py"):
        assert "sys.modules[" not in path.read_text().replace('sys.modules["guetzpy"]._BEGAN', ""), path


#: Numba's classes from which the package's derive, or whose methods it calls, with the methods it depends on.
TOUCHED = {
    "numba.core.caching": {
        "_CacheLocator": ("get_cache_path", "get_source_stamp", "get_disambiguator", "ensure_cache_path"),
        "CompileResultCacheImpl": ("reduce", "rebuild", "check_cachable"),
        "FunctionCache": ("load_overload", "save_overload", "_index_key"),
    },
    "numba.core.codegen": {
        "JITCPUCodegen": ("magic_tuple",),
        "JITCodeLibrary": (
            "add_ir_module", "_finalize_final_module", "_finalize_dynamic_globals", "get_pointer_to_function",
            "_verify_declare_only_symbols", "_get_compiled_object", "_set_compiled_object",
            "_get_module_for_linking", "enable_object_caching",
        ),
    },
    "numba.core.compiler": {"CompilerBase": ("__init__", "define_pipelines", "compile_extra")},
    "numba.core.cpu": {"CPUContext": ("refresh", "get_function", "codegen")},
    "numba.core.typing": {"Context": ("refresh", "resolve_function_type")},
    "numba.core.typed_passes": {
        "NativeLowering": ("run_pass",), "NopythonTypeInference": ("run_pass",),
        "NoPythonBackend": ("run_pass",),
        "PreLowerStripPhis": ("run_pass",), "IRLegalization": ("run_pass",),
    },
    "numba.core.untyped_passes": {
        "TranslateByteCode": ("run_pass",), "FixupArgs": ("run_pass",), "IRProcessing": ("run_pass",),
        "GenericRewrites": ("run_pass",), "InlineInlinables": ("run_pass",), "ReconstructSSA": ("run_pass",),
    },
    "numba.core.event": {"Listener": ("on_start", "on_end")},
}  # fmt: skip


def test_numba_has_what_the_package_touches() -> None:
    """Run with the lowest and the newest numba that pyproject.toml allows."""
    for module, classes in TOUCHED.items():
        for name, methods in classes.items():
            kind = getattr(importlib.import_module(module), name)
            for method in methods:
                assert callable(getattr(kind, method)), f"{module}.{name}.{method}"
    touched = {f"{module}.{name}" for module, classes in TOUCHED.items() for name in classes}
    for ours in [*vars(_jit).values(), *vars(_cache).values(), *vars(_jit_compiler).values()]:
        if isinstance(ours, type) and ours.__module__ in (
            _jit.__name__,
            _cache.__name__,
            _jit_compiler.__name__,
        ):
            for base in ours.__mro__[1:2]:
                if base.__module__.startswith("numba"):
                    assert any(base is getattr(importlib.import_module(t.rpartition(".")[0]),
                               t.rpartition(".")[2]) for t in touched), ours  # fmt: skip


def test_inner_kernels_are_left_to_their_callers(tmp_path: Path) -> None:
    """An inner kernel has no machine code. Its callers link it, also if it is loaded from the cache."""
    script = (
        "import numpy as np\n"
        "from guetzpy.metrics import blur\n"
        "taps, plane = blur.half_kernel(1.2), np.random.default_rng(1).random((20, 30), np.float32)\n"
        "gains, out = (blur.edge_gain(20, 1.2), blur.edge_gain(30, 1.2)), np.empty_like(plane)\n"
        "blur.blur_rows(plane, 0, 20, taps, *gains, blur.scratch_rows(30, taps), out)\n"
        "print(out.tobytes().hex(), sum(blur.blur_rows.stats.cache_hits.values()))\n"
        "print(sum(blur._add_pairs.stats.cache_hits.values()))\n"
    )
    pixels, outer, inner = in_a_process(script, cache=tmp_path).split()
    assert (outer, inner) == ("0", "0")
    assert in_a_process(script, cache=tmp_path).split() == [pixels, "1", "0"]
    (kept,) = tmp_path.rglob("_add_pairs-*.bin")
    (caller,) = tmp_path.rglob("blur_rows-*.bin")
    assert b"ELF" not in pickle.loads(kept.read_bytes()[32:])[0][1]
    caller.unlink()
    assert in_a_process(script, cache=tmp_path).split() == [pixels, "0", "1"]
