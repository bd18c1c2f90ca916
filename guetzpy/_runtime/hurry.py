"""Quicker compilation, for processes that compile the package's kernels and end.

A quarter of a warm-up's processor time. Numba's classes are changed in place: in anybody else's program
that would be wrong, for it may register an overload later, and must see it. The kernels are the same:
:func:`guetzpy._runtime.kernel.kernel`'s contract, the same operations in the same order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from numba.core import cgutils, errors, event, ir, types
from numba.core.base import BaseContext
from numba.core.callwrapper import PyCallWrapper
from numba.core.postproc import PostProcessor, VariableLifetime
from numba.core.transforms import canonicalize_cfg
from numba.core.typed_passes import NativeLowering, NopythonRewrites
from numba.core.typing import BaseContext as TypingContext
from numba.np import arrayobj

__all__ = ["hurry"]


def hurry(inner_library: type) -> None:
    """Let numba compile quicker from now on, for good.

    No machine code is made of what only compiled functions call. What an operation on numbers and arrays
    returns is found once, not anew at each place; messages about candidates that do not fit, made and
    dropped, get no colours; nobody hears of events; numba's registries are gone through again only after
    imports. Anybody else's program may register an overload later, and must see it.
    """
    plain: Any = errors.termcolor()
    plain._markup = lambda message, *_: message
    silent: Any = event
    silent.start_event = silent.end_event = lambda *_, **__: None

    kinds: Any = types
    values = (kinds.Number, kinds.Boolean, kinds.Array, kinds.UniTuple, kinds.SliceType, kinds.NoneType)
    usual = types.BaseFunction.get_call_type
    known: dict[tuple[Any, Any], Any] = {}

    def get_call_type(self: Any, context: Any, args: Any, keywords: Any) -> Any:
        if keywords or not all(isinstance(arg, values) for arg in args):
            return usual(self, context, args, keywords)
        if (self, args) not in known:
            known[self, args] = usual(self, context, args, keywords)
        return known[self, args]

    types.BaseFunction.get_call_type = get_call_type  # type: ignore[assignment]
    _refresh_after_imports(TypingContext)
    refresh = _refresh_after_imports(BaseContext)

    # What a kernel's own types made numba register on the way is looked for once more when it is missing.
    lowered = BaseContext.get_function

    def get_function(self: Any, fn: Any, sig: Any, _firstcall: bool = True) -> Any:
        try:
            return lowered(self, fn, sig, _firstcall=False)
        except NotImplementedError:
            refresh(self)
            return lowered(self, fn, sig, _firstcall=False)

    BaseContext.get_function = get_function

    lower = NativeLowering.run_pass

    def run_pass(self: Any, state: Any) -> Any:
        if state.library is None and state.flags.no_cpython_wrapper:
            state.library = inner_library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        return lower(self, state)

    NativeLowering.run_pass = run_pass

    # What takes Python's arguments apart is a third of all code, and runs once a call.
    build = PyCallWrapper.build

    def build_plainly(self: Any) -> None:
        build(self)
        for function in self.module.functions:
            if function.blocks:
                function.attributes.add("noinline")
                function.attributes.add("optnone")

    PyCallWrapper.build = build_plainly

    # Each pass goes through all instructions for their variables.
    listed = ir.Inst._rec_list_vars

    def list_variables(self: Any, value: Any) -> Any:
        if type(value) is not dict:
            return listed(self, value)
        found = []
        for item in value.values():
            if type(item) is ir.Var:
                found.append(item)
            elif type(item) is not str and type(item) is not ir.Loc:
                found += self._rec_list_vars(item)
        return found

    ir.Inst._rec_list_vars = list_variables

    # After each pass numba finds out again which variables live where; only generators ask.
    examine = PostProcessor.run

    def run(self: Any, emit_dels: bool = False, extend_lifetimes: bool = False) -> None:
        if self.func_ir.is_generator:
            examine(self, emit_dels, extend_lifetimes)
            return
        self.func_ir.blocks = canonicalize_cfg(self.func_ir.blocks)
        self.func_ir.variable_lifetime = VariableLifetime(self.func_ir.blocks)
        self.func_ir.generator_info = None
        if emit_dels:
            self._insert_var_dels(extend_lifetimes=extend_lifetimes)

    PostProcessor.run = run

    # Fuses expressions of whole arrays; kernels have loops.
    NopythonRewrites.run_pass = lambda *_: False
    _make_array_once()


def _make_array_once() -> None:
    """Let numba make the class that it reads an array's fields by once a type, not at each use.

    Each time it also looks for what subclasses of arrays define, and does not find it.
    """
    usual = arrayobj.make_array

    @lru_cache(None)
    def make_array(array_type: Any) -> Any:
        made = usual(array_type)
        if type(array_type) is types.Array:
            made._make_refs = cgutils.create_struct_proxy(array_type)._make_refs
        return made

    for module in list(sys.modules.values()):
        if getattr(module, "make_array", None) is usual:
            module.make_array = make_array  # type: ignore[attr-defined]


def _refresh_after_imports(context: Any) -> Callable[[Any], None]:
    """Let a context go through numba's registries only after imports; return what does so always."""
    usual: Callable[[Any], None] = context.refresh
    modules: dict[int, int] = {}

    def refresh(self: Any) -> None:
        if modules.get(id(self)) != len(sys.modules):
            usual(self)
            modules[id(self)] = len(sys.modules)

    context.refresh = refresh
    return usual
