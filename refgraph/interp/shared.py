"""Shared variables: variables that have a value, which functions read, and replace by their updates."""

from __future__ import annotations

import itertools
from _thread import RLock, allocate_lock  # what threading.RLock and Lock are, without loading all of threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from sys import getrefcount
from typing import Any

import numpy as np

from refgraph.core.errors import BackendError, GraphTypeError, InputError
from refgraph.core.graph import Variable
from refgraph.core.types import Generic, Type, label
from refgraph.interp.backends import Backend, chosen
from refgraph.ops.tensor import DTYPES, TensorType, TensorVariable

commit = allocate_lock()
"""Held for a moment while a function writes its updates or reads several values, so that nobody sees half an update."""

_serials = itertools.count()


def next_serial() -> int:
    """A number that is greater than the serial of every container that there is, and less than those to come."""
    return next(_serials)


class Container:
    """A place that holds one value of a type, as the only item of `storage`.

    A value is replaced; an array that nobody else holds may be overwritten instead, and is `taken` out of the storage
    meanwhile, so that nobody gets hold of it. `lock` is held by whoever computes a new value from the old one,
    `writing` by whoever overwrites it; locks are taken in the order of `serial`.

    With a `backend` the value is kept as an array of that backend's.
    """

    __slots__ = ("allow_downcast", "backend", "lock", "name", "serial", "storage", "strict", "taken", "type", "writing")

    def __init__(
        self,
        type: Type,
        value: Any,
        name: str | None = None,
        *,
        strict: bool = False,
        allow_downcast: bool | None = None,
        backend: Backend | None = None,
    ) -> None:
        """`value` is one of the type: an array of NumPy's, whatever the backend."""
        self.type, self.name, self.strict, self.allow_downcast = type, name, strict, allow_downcast
        self.backend = backend
        self.storage = [value if backend is None else backend.to_device(value)]
        self._make_locks()

    def _make_locks(self) -> None:
        self.lock, self.writing = RLock(), RLock()
        self.taken: Any = None
        self.serial = next(_serials)

    @property
    def value(self) -> Any:
        """The value itself, not a copy; what is assigned must be accepted by the type."""
        try:
            return self.storage[0]
        except IndexError:
            return values_of([self])[0]

    @value.setter
    def value(self, value: Any) -> None:
        self.assign(self.accepted(value))

    def accepted(self, value: Any) -> Any:
        """`value` as the type has it; a value of the backend's comes as one of NumPy's. Raises InputError."""
        backend = self.backend
        if backend is not None and (value.__class__ is self.value.__class__ or backend.owns(value)):
            value = backend.to_numpy(value)
        return self.type.filter(value, strict=self.strict, allow_downcast=self.allow_downcast)

    def assign(self, value: Any) -> None:
        """Replace the value, by one that is accepted. Waits for a running call that updates it."""
        if self.backend is not None:
            value = self.backend.to_device(value)
        with self.lock, commit:
            self.put(value)

    def as_numpy(self, value: Any) -> Any:
        """What the storage holds, or an update brought, as a value of NumPy's: it may share memory with it."""
        return value if self.backend is None else np.asarray(self.backend.to_numpy(value))

    def owned(self, value: Any) -> Any:
        """A copy of what the storage holds, as it is held."""
        return copied(value) if self.backend is None else self.backend.copy(value)

    data = value

    def put(self, value: Any) -> None:
        """Replace the value; for those who hold `lock` and `commit`."""
        self.storage[:] = [value]

    def take(self, arrays: Sequence[Any], number: int) -> bool:
        """Take the value out to overwrite it, if it is the array of that number, and only `arrays` holds it beside us.

        For those who hold `lock`, `writing` and `commit`. Nobody can get hold of what is neither in the storage nor
        held by anybody else.
        """
        if not self.storage:
            return False
        self.taken = self.storage[0]  # before it is out of the storage: an interrupt must not lose it
        self.storage.clear()
        if self.taken is arrays[number] and self._holders() == _ALONE + 1:
            return True
        self.give_back()
        return False

    def _holders(self) -> int:
        """How many references there are to what is taken, with ours and that of the question."""
        return getrefcount(self.taken)

    def give_back(self) -> None:
        """Put what was taken where it was, unless there is a new value; for those who hold what `take` wants held."""
        if not self.storage:
            self.storage.append(self.taken)
        self.taken = None

    def copy(self) -> Container:
        """Another place, with a copy of the value."""
        value = copied(self.as_numpy(self.value))
        return Container(
            self.type,
            value,
            self.name,
            strict=self.strict,
            allow_downcast=self.allow_downcast,
            backend=self.backend,
        )

    def __getstate__(self) -> dict[str, Any]:
        """What to pickle: the value as NumPy has it, in a storage of its own, the backend's name, and no locks."""
        said = {s: getattr(self, s) for s in ("allow_downcast", "name", "strict", "type")}
        on = None if self.backend is None else self.backend.name
        return {**said, "backend": on, "storage": [self.as_numpy(self.value)]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Where the backend cannot run, its values are NumPy's."""
        for name, value in state.items():
            setattr(self, name, value)
        self.backend = _device_of(state["backend"])
        if self.backend is not None:
            self.storage = [self.backend.to_device(value) for value in self.storage]
        self._make_locks()

    def __repr__(self) -> str:
        return f"<{self.value!r}>"


def _alone() -> int:
    """What `_holders` answers when nobody else holds what is taken, in this Python."""
    some = Container(Generic(), None)
    some.taken = object()
    return some._holders()


_ALONE = _alone()


def values_of(containers: Sequence[Container]) -> list[Any]:
    """The values at one moment; waits while one of them is being overwritten.

    A thread that overwrites one, and is interrupted by a signal handler that reads it, sees it as it is then.
    """
    with ExitStack() as held:
        for c in sorted(set(containers), key=lambda c: c.serial):
            held.enter_context(c.writing)
        with commit:
            return [c.storage[0] if c.storage else c.taken for c in containers]


class SharedVariable(Variable):
    """A variable with a value. Functions read it without being given it; an update replaces it.

    `default_update`, when set, is the update in every function that reads the variable and says none. In a loop it is
    made in each step; with `fork` the loop has a value of its own for that, which starts from what `fork` makes of the
    variable, so that the variable itself is updated once, however many steps there are.
    """

    __slots__ = ("_default_update", "container", "fork")
    fork: Callable[[Any], Any] | None

    def __init__(
        self,
        type: Type,
        value: Any = None,
        strict: bool = False,
        allow_downcast: bool | None = None,
        name: str | None = None,
        container: Container | None = None,
        backend: Backend | None = None,
    ) -> None:
        super().__init__(type, None, None, label(name))
        if container is None:
            value = type.filter(value, strict=strict, allow_downcast=allow_downcast)
            container = Container(type, value, name, strict=strict, allow_downcast=allow_downcast, backend=backend)
        self.container = container
        self._default_update: Any = None
        self.fork = None

    @property
    def default_update(self) -> Any:
        """The update that functions make when they say none; None for no update."""
        return self._default_update

    @default_update.setter
    def default_update(self, update: Any) -> None:
        self._default_update = update

    def get_value(self, borrow: bool = False, return_internal_type: bool = False) -> Any:
        """A copy of the value; with `borrow` the value itself, not to be written into while functions run.

        As long as somebody holds that array, no function writes into it either: an update then replaces it.
        return_internal_type: where a backend keeps the value, answer an array of that backend's instead of NumPy's.
        """
        container = self.container
        value = container.value
        if return_internal_type:
            return value if borrow else container.owned(value)
        value = container.as_numpy(value)
        return value if borrow else copied(value)

    def set_value(self, new_value: Any, borrow: bool = False) -> None:
        """Replace the value, by a copy of the new one unless `borrow`. Waits for a running call that updates it.

        Raises InputError (a TypeError) for a value that is not of the variable's type.
        """
        container = self.container
        try:
            value = container.accepted(new_value)
        except InputError as error:
            raise InputError(
                f"set_value of {self}: {error.message}",
                why=error.why or f"a shared variable keeps its type, {self.type}",
                help=error.help or "make it of another type when it is made: shared(value, ...)",
                inputs=[self],
            ) from None
        if not borrow and (value is new_value or container.backend is not None):
            value = copied(value)
        container.assign(value)

    def zero(self, borrow: bool = False) -> None:
        """Set every element to 0; with `borrow` in the very array that holds them."""
        container = self.container
        if borrow and container.backend is None:
            with container.lock, commit:
                container.storage[0][...] = 0
        else:
            self.set_value(np.zeros_like(container.as_numpy(container.value)), borrow=True)

    def clone(self, name: str | None = None) -> SharedVariable:
        """Another variable with the same value, now and later."""
        fresh = type(self)(self.type, name=name or self.name, container=self.container)
        fresh.tag.__dict__.update(self.tag.__dict__)
        return fresh


class TensorSharedVariable(SharedVariable, TensorVariable):
    """A shared variable that holds an array."""

    __slots__ = ()
    type: TensorType


def shared(
    value: Any,
    name: str | None = None,
    strict: bool = False,
    allow_downcast: bool | None = None,
    borrow: bool = False,
    broadcastable: Iterable[bool] | None = None,
    shape: Iterable[int | None] | None = None,
    target: str | None = None,
    backend: str | Backend | None = None,
) -> Any:
    """A variable that holds `value` and keeps its dtype and rank.

    A Python float gives float64, an int int64; arrays keep their dtype, lists become arrays. No length is part of the
    type unless `broadcastable` or `shape` says so. With `borrow` an array is kept itself, not copied. Any other object
    gives a variable of type `generic`.

    backend: keep the array where this backend computes; by default where the flags backend and device say that
        functions run. Functions of other backends may use it all the same. target: Theano's word, "cpu" for NumPy's.
    Raises InputError for an array of a dtype that has no type here, BackendError for a backend that is not there.
    """
    if isinstance(value, Variable):
        raise GraphTypeError(
            f"shared needs a value, got the variable {value}",
            help="use its value: shared(x.eval()) or shared(x.get_value()); a variable needs no sharing",
            inputs=[value],
        )
    array = _as_array(value)
    if array is None:
        if broadcastable is not None or shape is not None:
            raise GraphTypeError(f"shared: a {type(value).__name__} has no shape")
        return SharedVariable(Generic(), value if borrow else copied(value), strict, allow_downcast, name)
    if not borrow:
        array = copied(array)
    given = shape if shape is not None else broadcastable
    lengths: Iterable[Any] = (None,) * array.ndim if given is None else given
    kind = TensorType(array.dtype, lengths)
    keeper = _keeper("numpy" if backend is None and target == "cpu" else backend, kind)
    return TensorSharedVariable(kind, array, strict, allow_downcast, name, backend=keeper)


def _keeper(asked: str | Backend | None, type: TensorType) -> Backend | None:
    """The backend that keeps values of this type; None where they are NumPy's."""
    backend = chosen(asked)
    return None if backend.is_host or not backend.holds(type) else backend


def _device_of(name: str | None) -> Backend | None:
    """The backend of that name, if it keeps arrays of its own and can run here."""
    if name is None:
        return None
    try:
        backend = chosen(name)
    except BackendError:
        return None
    return None if backend.is_host else backend


def _as_array(value: Any) -> np.ndarray[Any, Any] | None:
    """`value` as an array of a dtype of ours, or None when it is something else."""
    if isinstance(value, (np.ndarray, np.generic, bool, int, float, complex, list, tuple)) or hasattr(
        value, "__array__"
    ):
        try:
            array = np.asarray(value)
        except (ValueError, OverflowError) as error:
            raise InputError(f"shared: cannot make an array of {value!r:.60}", why=str(error)) from None
        if array.dtype.name in DTYPES:
            return array
        raise InputError(
            f"shared: an array of dtype {array.dtype} has no type here",
            help="convert it to numbers first",
            why=f"got {value!r:.60}",
        )
    return None


def copied(value: Any) -> Any:
    """A value that shares no memory with this one."""
    if isinstance(value, np.ndarray):
        return np.array(value)
    from copy import deepcopy

    return deepcopy(value)
