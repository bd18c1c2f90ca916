"""How kernels are compiled: numba's pipeline, without what kernels do not use.

Numba offers this for a decorator of one's own (``pipeline_class``, "Customizing the compiler" in its
manual). None of its classes is changed: other programs' functions are compiled as ever. The time of a
warm-up falls by a fifth; the operations of a kernel and their order stay the same.

- Passes for closures, ``with``, literal unrolling, array expressions and object mode are left out.
- The signature that an operation on numbers and arrays has is found once, not anew at each place.
- Functions that only kernels call get no machine code of their own: their callers contain copies.
- What takes Python's arguments apart is not optimised. It is a third of the code and runs once a call.
"""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import llvmlite.binding as llvm
from numba.core import codegen, compiler, cpu, typed_passes, types, typing, untyped_passes
from numba.core.compiler_machinery import PassManager, register_pass

__all__ = ["InnerLibrary", "KernelCompiler", "LoadingContext"]

# Kinds of arguments by which alone the signature of an operation is found.
_kinds: Any = types
_VALUES = (_kinds.Number, _kinds.Boolean, _kinds.Array, _kinds.UniTuple, _kinds.SliceType, _kinds.NoneType)


class _Typing(typing.Context):  # type: ignore[misc]
    """Numba's typing context, with which it shares all that it holds."""

    _signatures: ClassVar[dict[tuple[Any, ...], Any]] = {}
    _modules: ClassVar[int] = 0

    def __init__(self, usual: Any) -> None:
        self.__dict__ = usual.__dict__

    def refresh(self) -> None:
        """Go through numba's registries, if modules were imported that may have added to them."""
        if _Typing._modules != len(sys.modules):
            super().refresh()
            _Typing._modules = len(sys.modules)

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        """Return the signature of a call."""
        plain = not kws and not isinstance(func, types.Dispatcher)
        if not plain or not all(isinstance(arg, _VALUES) for arg in args):
            return super().resolve_function_type(func, args, kws)
        found = self._signatures.get((func, args))
        if found is None:
            found = super().resolve_function_type(func, args, kws)
            if found is not None:
                self._signatures[func, args] = found
        return found


class _Target(cpu.CPUContext):  # type: ignore[misc]
    """Numba's context of the processor, with which it shares all that it holds."""

    _missing: ClassVar[set[tuple[Any, ...]]] = set()
    _modules: ClassVar[int] = 0

    def __init__(self, usual: Any) -> None:
        self.__dict__ = usual.__dict__

    def refresh(self) -> None:
        """As that of the typing context."""
        if _Target._modules != len(sys.modules):
            super().refresh()
            _Target._modules = len(sys.modules)

    def get_function(self, fn: Any, sig: Any, _firstcall: bool = True) -> Any:
        """Return what lowers a call; look through the registries once for what is missing.

        Numba tries an operation with the literal values of its arguments first, and goes through all
        registries each time that there is no such operation.
        """
        try:
            return super().get_function(fn, sig, _firstcall=False)
        except NotImplementedError:
            if (fn, sig.args) in self._missing:
                raise
            self._missing.add((fn, sig.args))
            super().refresh()
            return super().get_function(fn, sig, _firstcall=False)


class _Library(codegen.JITCodeLibrary):  # type: ignore[misc]
    """Machine code of a kernel and of what takes its Python arguments apart."""

    def add_ir_module(self, ir_module: Any) -> None:
        if ir_module.name == "wrapper":
            for function in ir_module.functions:
                if function.blocks:
                    function.attributes.add("noinline")
                    function.attributes.add("optnone")
        super().add_ir_module(ir_module)


class KeptLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]
    """Machine code from the cache.

    Its bitcode, half of the time that loading took, is parsed only when a kernel that calls it is
    compiled.
    """

    _bitcode = b""
    _shared_module: Any

    @classmethod
    def _unserialize(cls, owner: Any, state: Any) -> KeptLibrary:
        name, code, bitcode, symbols = state
        self = cls(owner, name) if code else InnerLibrary(owner, name)
        self._bitcode = bitcode
        if code:
            self.enable_object_caching()
            self._set_compiled_object(code)
            owner._engine._defined_symbols.update(symbols)
        self._finalize_final_module()
        return self

    def _get_module_for_linking(self) -> Any:
        if self._shared_module is None and self._bitcode:
            self._shared_module = llvm.parse_bitcode(self._bitcode)
        return super()._get_module_for_linking()


class InnerLibrary(KeptLibrary):
    """Intermediate code of what only compiled functions call, whose libraries get copies of it.

    Numba else makes machine code of it alone as well, which nothing runs.
    """

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    def _get_compiled_object(self) -> bytes:
        return b""

    def get_pointer_to_function(self, name: str) -> int:
        return 0

    @property
    def codegen(self) -> Any:
        """Who is told where a function's Python constants lie: nobody, as there is no machine code."""
        return _Nobody


class _Nobody:
    @staticmethod
    def set_env(name: str, environment: Any) -> None:
        pass


class LoadingContext(cpu.CPUContext):  # type: ignore[misc]
    """Numba's context of the processor, which takes kernels from the cache."""

    def __init__(self, usual: Any) -> None:
        self.__dict__ = usual.__dict__

    def codegen(self) -> Any:
        """Return what makes libraries of kept code."""
        return _Loader(super().codegen())


class _Loader:
    def __init__(self, owner: Any) -> None:
        self._owner = owner

    def unserialize_library(self, kept: Any) -> KeptLibrary:
        return KeptLibrary._unserialize(self._owner, kept)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(typed_passes.NativeLowering):  # type: ignore[misc]
    """Numba's lowering, into libraries of our kinds."""

    _name = "kernel_lowering"

    def run_pass(self, state: Any) -> Any:
        if state.library is None:
            kind = InnerLibrary if state.flags.no_cpython_wrapper else _Library
            state.library = kind(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        return super().run_pass(state)


class KernelCompiler(compiler.CompilerBase):  # type: ignore[misc]
    """Numba's compiler for the decorator of kernels."""

    def __init__(self, typingctx: Any, targetctx: Any, *others: Any) -> None:
        super().__init__(_Typing(typingctx), _Target(targetctx), *others)

    def define_pipelines(self) -> list[Any]:
        """Return the one list of passes; the names say what each does."""
        manager = PassManager("kernel")
        for kind in (
            untyped_passes.TranslateByteCode,
            untyped_passes.FixupArgs,
            untyped_passes.IRProcessing,
            untyped_passes.GenericRewrites,
            untyped_passes.InlineInlinables,
            untyped_passes.ReconstructSSA,
            typed_passes.NopythonTypeInference,
            typed_passes.PreLowerStripPhis,
            typed_passes.IRLegalization,
            _Lowering,
            typed_passes.NoPythonBackend,
        ):
            manager.add_pass(kind, kind.__name__)
        manager.finalize()
        return [manager]
