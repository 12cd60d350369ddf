# mypy: disallow-subclassing-any=False
"""Compiled kernels: one decorator over numba for functions that Python calls and that other kernels call.

A kernel that Python calls is compiled once and kept on disk (`kernel_cache`). A kernel that another kernel calls
becomes a part of that one: it gets no machine code of its own, no wrapper and no file, and LLVM optimises it once, in
the kernel that Python calls. Numba would optimise it and generate code for it again in each kernel on the way up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

from numba.core import config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.registry import CPUDispatcher, cpu_target
from numba.core.targetconfig import ConfigStack
from numba.core.typed_passes import NativeLowering, NopythonRewrites

from mischance.api.kernel_cache import KernelCache

Function = TypeVar("Function", bound=Callable[..., Any])


@overload
def kernel(function: Function) -> Function: ...


@overload
def kernel(*, allocates: bool = False) -> Callable[[Function], Function]: ...


def kernel(function: Function | None = None, *, allocates: bool = False) -> Function | Callable[[Function], Function]:
    """Compile a function: strict floating point, IEEE division by zero as in NumPy, one thread, the GIL released.

    Args:
        function: may call other kernels and read global constants (numbers, tuples, arrays, dtypes), which are fixed
            when it is compiled. A change in any of them, in whatever file, makes what is on disk stale.
        allocates: the function, or a kernel that it calls, makes arrays. Without that there are no reference counts,
            and a slice of an array is free. Only a kernel that Python calls says so; the ones below follow it.
    """

    def decorate(function: Function) -> Function:
        if getattr(config, "DISABLE_JIT", False):
            return function
        return cast("Function", Kernel(function, {}, {"nopython": True, "error_model": "numpy", "_nrt": allocates}))

    return decorate if function is None else decorate(function)


def prepare() -> None:
    """Load what numba loads for the first kernel of a process, whether it is compiled or read: forks need not do it."""
    for context in ("target_context", "typing_context"):  # numba's cached properties have no types
        getattr(cpu_target, context).refresh()


class Kernel(CPUDispatcher):
    """A kernel as Python calls it; other kernels are handed an `_Inner` with their own way of keeping memory."""

    def __init__(self, py_func: Any, locals: Any, targetoptions: dict[str, Any]) -> None:  # noqa: A002  # numba's name
        options = {"nogil": True, "no_cfunc_wrapper": True, **targetoptions}
        super().__init__(py_func, locals, options, pipeline_class=_Compiler)
        self._given = targetoptions
        self._inner: dict[bool, _Inner] = {}  # made when a kernel that is being compiled asks
        self._cache = KernelCache(py_func, options)

    def compile(self, sig: Any) -> Any:
        """Compile for a signature, or load it; other processes that want the same wait and load it then."""
        if tuple(sig) in self.overloads:
            return self.overloads[tuple(sig)].entry_point
        self.targetctx.refresh()
        with self._cache.turn(sig, self.targetctx):
            return super().compile(sig)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Return how the kernel that is being compiled calls this one."""
        return self._of_caller().get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        """Return what the kernel that is being compiled links of this one."""
        return self._of_caller().get_overload(sig)

    def _of_caller(self) -> _Inner:
        flags = ConfigStack.top_or_none()
        counted = bool(flags.nrt if flags else self.targetoptions["_nrt"])
        if counted not in self._inner:
            self._inner[counted] = _Inner(self.py_func, {**self._given, "_nrt": counted})
        return self._inner[counted]


class _Inner(CPUDispatcher):
    """A kernel as other kernels call it."""

    def __init__(self, py_func: Any, targetoptions: dict[str, Any]) -> None:
        options = {**targetoptions, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        super().__init__(py_func, {}, options, pipeline_class=_InnerCompiler)

    def add_overload(self, cres: Any) -> None:
        """Take a compiled signature; unlike numba's, it cannot be called from Python."""
        self.overloads[tuple(cres.signature.args)] = cres


class _InnerLibrary(JITCodeLibrary):
    """The LLVM code of an inner kernel: it is linked into others, and optimised and compiled there."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerInner(NativeLowering):
    """Numba's lowering, into a library that is not executed."""

    _name = "lower_inner_kernel"

    def run_pass(self, state: Any) -> Any:
        """Lower a function and make it known to functions that call it."""
        state.library = _InnerLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        key = object()  # numba looks a compiled function up by its address, which this one has none of
        state["cr"] = state.cr._replace(cfunc=key)
        state.targetctx.insert_user_function(key, state.cr.fndesc, [state.library])
        return True


class _Compiler(CompilerBase):
    """Numba's pipeline without what no kernel needs."""

    lowering = NativeLowering

    def define_pipelines(self) -> list[PassManager]:
        """Return the one pipeline."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        kept = PassManager("kernel")
        for step, about in passes.passes:
            if step is NopythonRewrites and not self.state.flags.nrt:
                continue  # it joins array expressions, which need memory
            kept.add_pass(self.lowering if step is NativeLowering else step, about)
        kept.finalize()
        return [kept]


class _InnerCompiler(_Compiler):
    lowering = _LowerInner
