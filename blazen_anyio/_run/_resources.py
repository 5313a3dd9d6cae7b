"""Resources: live objects that the engine opens on first use and closes when their scope ends.

Each resource that outlives a step has a *host*: a task of its own, outside the steps' task group,
that enters the opener's context, keeps it open, and leaves it. So scopes and task groups inside an
opener are left in the task that entered them, and no step's cancellation reaches them. Concurrent
first uses share one opening; a failed one is not remembered. Resources are closed one after the
other, in the reverse order of their opening. Hosts are shielded, so that closing may await even
while everything around is being cancelled, but then not for longer than a grace time.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from contextvars import copy_context
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import anyio
import attrs

from .._exceptions import WorkflowError
from .._markers import Resource, ResourceScope
from .._openers import Opener, name_of
from ._failures import without_cancellations
from ._groups import leave_group

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

__all__ = ["CLOSING_GRACE", "Hosts"]

CLOSING_GRACE = 10.0
"""Seconds that closing may take when the block around it was cancelled."""

Key = Callable[..., object]


@attrs.define(eq=False, repr=False)
class _Host:
    """The task that keeps one resource open.

    Attributes:
        name: of the opener.
        scope: its own; cancelled if it is still opening, or takes too long to close.
        opened: set when ``value`` or ``error`` is there.
        close: set when it is time to close.
        closed: set when its task is over.
    """

    name: str
    scope: anyio.CancelScope = attrs.field(factory=lambda: anyio.CancelScope(shield=True))
    opened: anyio.Event = attrs.field(factory=anyio.Event)
    close: anyio.Event = attrs.field(factory=anyio.Event)
    closed: anyio.Event = attrs.field(factory=anyio.Event)
    value: Any = None
    error: BaseException | None = None


class Hosts:
    """The open resources of a run or of a workflow, as an asynchronous context manager.

    Args:
        level: whose resources these are, ``"run"`` or ``"workflow"``.
        openers: all openers of the workflow, by function.
        replacements: what to use instead, by function: a value, or a ``Resource`` with another
            opener.
        outer: where the resources of the workflow are, for those of a run.

    Attributes:
        errors: what openers raised while they closed.
    """

    def __init__(
        self,
        level: ResourceScope,
        openers: Mapping[Key, Opener],
        replacements: Mapping[Key, object],
        outer: Hosts | None = None,
    ) -> None:
        self._level = level
        self._openers = openers
        self._replacements = replacements
        self._outer = outer
        self._hosts: dict[Key, _Host] = {}
        self._open: list[_Host] = []
        self._group: TaskGroup | None = None
        self._context_vars = copy_context()
        self.errors: list[BaseException] = []

    async def __aenter__(self) -> Hosts:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        group, self._group = self._group, None
        assert group is not None
        try:
            await self._close_all(math.inf if exc is None else CLOSING_GRACE)
        finally:
            with anyio.CancelScope(shield=True):
                await self._close_all(CLOSING_GRACE)
            await leave_group(group, exc)

    # ---- opening -------------------------------------------------------------------------------

    def homeless(self, resources: Iterable[Resource]) -> list[str]:
        """The names of the openers that need ``async with workflow`` around, which is not there."""
        found: dict[str, None] = {}
        for resource in resources if self._outer is None else ():
            if self._belongs_to_workflow(resource):
                found[name_of(resource.opener)] = None
            else:
                found.update(dict.fromkeys(self.homeless(self._needs(resource).values())))
        return list(found)

    async def get(self, resource: Resource) -> Any:
        """Return a resource, opened if it is not yet.

        Raises:
            BaseException: what the opener raised; the next call opens anew.
        """
        if self._outer is not None and self._belongs_to_workflow(resource):
            return await self._outer.get(resource)
        host = self._hosts.get(resource.opener) or self._start(resource)
        await host.opened.wait()
        if host.error is not None:
            raise host.error
        return host.value

    @asynccontextmanager
    async def for_attempt(
        self, needs: Mapping[str, Resource]
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """Open what an attempt needs, by parameter; scope ``"step"`` lives as long as the block."""
        opened: dict[Key, Any] = {}
        async with AsyncExitStack() as stack:
            yield {name: await self._for(need, stack, opened) for name, need in needs.items()}

    async def _for(self, resource: Resource, stack: AsyncExitStack, opened: dict[Key, Any]) -> Any:
        if resource.scope != "step":
            return await self.get(resource)
        if resource.opener not in opened:
            values = {
                name: await self._for(need, stack, opened)
                for name, need in self._needs(resource).items()
            }
            entered = self._opening(resource, values)
            opened[resource.opener] = await stack.enter_async_context(entered)
        return opened[resource.opener]

    def _belongs_to_workflow(self, resource: Resource) -> bool:
        """Whether it is shared between runs: not what a run replaces, nor what depends on that."""
        return resource.scope == "workflow" and not self._is_replaced(resource)

    def _is_replaced(self, resource: Resource) -> bool:
        return resource.opener in self._replacements or any(
            self._is_replaced(need) for need in self._openers[resource.opener].needs.values()
        )

    def _needs(self, resource: Resource) -> Mapping[str, Resource]:
        """What an opener asks for; a replacement asks for nothing."""
        if resource.opener in self._replacements:
            return {}
        return self._openers[resource.opener].needs

    def _opening(
        self, resource: Resource, values: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[Any]:
        if resource.opener not in self._replacements:
            return _entered(resource.opener, values)
        replacement = self._replacements[resource.opener]
        if isinstance(replacement, Resource):
            return _entered(replacement.opener, {})
        return nullcontext(replacement)

    # ---- hosts ---------------------------------------------------------------------------------

    def _start(self, resource: Resource) -> _Host:
        name = name_of(resource.opener)
        if self._group is None:
            raise WorkflowError(
                f"resource {name} can't be opened any more: the block of its {self._level} is left"
            )
        host = self._hosts[resource.opener] = _Host(name)
        self._group.create_task(
            self._keep_open(resource, host),
            name=f"resource {name}",
            context=self._context_vars.copy(),
        )
        return host

    async def _keep_open(self, resource: Resource, host: _Host) -> None:
        """Open, wait until it is time to close, and close: the life of a host."""
        try:
            with host.scope:
                needs = self._needs(resource)
                values = {name: await self.get(need) for name, need in needs.items()}
                async with self._opening(resource, values) as host.value:
                    self._open.append(host)
                    host.opened.set()
                    await host.close.wait()
        except BaseException as error:
            host.error = error
            if host in self._open and (failure := without_cancellations(error)) is not None:
                self.errors.append(failure)
        finally:
            if host not in self._open:
                host.error = host.error or anyio.ClosedResourceError()
                del self._hosts[resource.opener]
            host.opened.set()
            host.closed.set()

    async def _close_all(self, grace: float) -> None:
        """Close the open ones, last first; what is still opening is cancelled."""
        for host in self._hosts.values():
            if not host.opened.is_set():
                host.scope.cancel()
        deadline = anyio.current_time() + grace
        while self._open:
            await self._close(self._open[-1], deadline)
            self._open.pop()

    async def _close(self, host: _Host, deadline: float) -> None:
        """Close one; when its time is up, what it awaits is cancelled."""
        host.close.set()
        with anyio.CancelScope(deadline=deadline) as patience:
            await host.closed.wait()
        if patience.cancelled_caught:
            host.scope.cancel()
            await host.closed.wait()
        if host.scope.cancelled_caught:
            self.errors.append(TimeoutError(f"resource {host.name} was not closed in time"))


@asynccontextmanager
async def _entered(opener: Key, values: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
    """Open with any kind of opener: one that makes a context manager, a coroutine, or a value."""
    opened: Any = opener(**values)
    if inspect.isawaitable(opened):
        opened = await opened
    if isinstance(opened, AbstractAsyncContextManager):
        async with cast("AbstractAsyncContextManager[Any]", opened) as value:
            yield value
    elif isinstance(opened, AbstractContextManager):
        with cast("AbstractContextManager[Any]", opened) as value:
            yield value
    else:
        yield opened
