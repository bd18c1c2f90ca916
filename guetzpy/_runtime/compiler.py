"""The compiler of kernels: numba's pipeline without the passes that kernels do not need.

Numba's option ``pipeline_class`` takes such a compiler ("Customizing the compiler" in its manual). Only its
list of passes is public. The other classes here derive from numba's internal classes. No class of numba is
changed, so numba compiles functions of other programs as if guetzpy were not imported. The compilation of all
kernels takes a fifth less processor time. The operations of a kernel and their order stay the same.

- Passes for closures, ``with``, literal unrolling, array expressions and object mode are left out.
- The signature of an operation on numbers and arrays is looked up once, instead of at each use.
- Functions that only kernels call get no machine code of their own, because their callers contain copies.
- The code that unpacks Python's arguments is not optimised. It is a third of the code and runs once per call.
"""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import llvmlite.binding as llvm
from numba.core import codegen, compiler, cpu, typed_passes, types, typing, untyped_passes
from numba.core.compiler_machinery import PassManager, register_pass

__all__ = ["InnerLibrary", "KernelCompiler", "LoadingContext"]

# Types of arguments that determine the signature of an operation; for others, numba looks it up at each use.
_kinds: Any = types
_VALUES = (_kinds.Number, _kinds.Boolean, _kinds.Array, _kinds.UniTuple, _kinds.SliceType, _kinds.NoneType)


class _Typing(typing.Context):  # type: ignore[misc]
    """Numba's typing context, which looks up each signature only once.

    All attributes are shared with numba's own context, ``usual``.
    """

    _signatures: ClassVar[dict[tuple[Any, ...], Any]] = {}
    _modules: ClassVar[int] = 0

    def __init__(self, usual: Any) -> None:
        self.__dict__ = usual.__dict__

    def refresh(self) -> None:
        """Read numba's registries again if modules were imported since the last call."""
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
    """Numba's target context, which reads the registries only if modules were imported since the last time.

    All attributes are shared with numba's own context, ``usual``.
    """

    _missing: ClassVar[set[tuple[Any, ...]]] = set()
    _modules: ClassVar[int] = 0

    def __init__(self, usual: Any) -> None:
        self.__dict__ = usual.__dict__

    def refresh(self) -> None:
        """Read numba's registries again if modules were imported since the last call."""
        if _Target._modules != len(sys.modules):
            super().refresh()
            _Target._modules = len(sys.modules)

    def get_function(self, fn: Any, sig: Any, _firstcall: bool = True) -> Any:
        """Return the function that lowers a call; read the registries once for each missing one.

        Numba first tries an operation with the literal values of its arguments. If there is none, it reads
        all registries again each time.
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
    """The machine code of a kernel, and of the wrapper that unpacks its Python arguments."""

    def add_ir_module(self, ir_module: Any) -> None:
        if ir_module.name == "wrapper":
            for function in ir_module.functions:
                if function.blocks:
                    function.attributes.add("noinline")
                    function.attributes.add("optnone")
        super().add_ir_module(ir_module)


class KeptLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]
    """Machine code from the cache.

    The bitcode is parsed only when a kernel that calls this one is compiled. Parsing it at each load took
    half of the loading time.
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
    """The intermediate code of a function that only kernels call; their libraries contain copies of it.

    Numba would also make machine code of the function alone, which nothing would run.
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
        """An object that ignores the address of the function's constants: there is no machine code."""
        return _Nobody


class _Nobody:
    @staticmethod
    def set_env(name: str, environment: Any) -> None:
        pass


class LoadingContext(cpu.CPUContext):  # type: ignore[misc]
    """Numba's target context for kernels that are loaded from the cache."""

    def __init__(self, usual: Any) -> None:
        self.__dict__ = usual.__dict__

    def codegen(self) -> Any:
        """Return the object that makes libraries from cached code."""
        return _Loader(super().codegen())


class _Loader:
    def __init__(self, owner: Any) -> None:
        self._owner = owner

    def unserialize_library(self, kept: Any) -> KeptLibrary:
        return KeptLibrary._unserialize(self._owner, kept)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(typed_passes.NativeLowering):  # type: ignore[misc]
    """Numba's lowering, with the library classes of this module."""

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
        """Return the list of passes."""
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
