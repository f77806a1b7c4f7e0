# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Programs: what a graph was lowered to, as an object that Python calls."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_REFCNT
from libc.stdint cimport int8_t, int32_t, int64_t, uint64_t
from libc.string cimport memcmp, memcpy

import os
from time import perf_counter

cimport numpy as cnp
import numpy as np
from refgraph.backend import commit, values_of

cnp.import_array()

cdef extern from "rg.h" nogil:
    enum: RG_NDIM
    enum: RG_BUFFER, RG_OUTSIDE, RG_VIEW
    enum: RG_ERROR_VALUE, RG_ERROR_INDEX, RG_ERROR_DOMAIN, RG_ERROR_MEMORY, RG_ERROR_PYTHON, RG_ERROR_ELSEWHERE
    const int8_t rg_itemsize[]

    ctypedef struct rg_array:
        char *data
        int64_t shape[8]
        int64_t strides[8]
        int64_t size
        int32_t ndim, dtype, contiguous, buffer, home

    ctypedef struct rg_thunk
    ctypedef struct rg_frame
    ctypedef int (*rg_step)(rg_frame *, rg_thunk *) noexcept

    ctypedef struct rg_kernel:
        const char *name
        rg_step prepare, run

    ctypedef struct rg_thunk:
        rg_step prepare, run
        rg_array **in_ "in"
        rg_array **out
        const int64_t *params
        int32_t nin, nout, node, early, dynamic
        int64_t traffic
        uint64_t cycles, runs
        rg_frame *inner[2]

    ctypedef struct rg_frame:
        rg_array *slots
        rg_thunk *thunks
        int64_t nslots, nthunks
        int32_t prepared, pending, failed, error, profiled, is_short
        int64_t allocations, bytes, traffic
        char message[400]
        rg_frame *within
        int64_t step, steps
        void *python
        void (*detach)(rg_frame *) noexcept

    ctypedef struct rg_template:
        rg_array *slots
        rg_thunk *thunks
        int32_t *places
        int64_t nslots, nthunks, nbuffers
        void *python
        int (*attach)(rg_frame *, void *) noexcept

    ctypedef struct rg_program:
        rg_template made
        int32_t *inputs
        int32_t *outputs
        char *fresh
        int64_t nin, nout

    rg_frame *rg_new_frame(const rg_template *)
    void rg_free_frame(rg_frame *)
    void rg_trim_frame(rg_frame *)
    int rg_prepare(rg_frame *)
    int rg_run(rg_frame *)
    int rg_borrow(rg_frame *, rg_thunk *, int, char *, int, const int64_t *, const int64_t *)
    int rg_fail(rg_frame *, int, const char *, ...)
    int64_t rg_size(int, const int64_t *)
    void rg_copy(const rg_array *, rg_array *)
    int rg_is_contiguous(int, const int64_t *, const int64_t *, int64_t)
    uint64_t rg_ticks()
    int rg_threads()
    void rg_set_threads(int)
    int64_t rg_jobs()

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArrayObject_fields:
        PyObject *weakreflist

cdef extern from "kernels.h" nogil:
    const rg_kernel **rg_tables

cdef int64_t _LARGE = 1 << 16  # bytes from which on the system is asked for fresh pages when memory is given back often

# dtypes

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64", "complex64", "complex128")
"""The names of dtypes in the order of their numbers."""

cdef list _descriptions = [np.dtype(name) for name in DTYPES]
cdef int _numpy_types[14]
for _n, _description in enumerate(_descriptions):
    _numpy_types[_n] = _description.num


cdef bint _is_of(cnp.ndarray array, int dtype) noexcept:
    """Whether an array has that dtype: numbers of NumPy's differ for types of one size."""
    return cnp.PyArray_TYPE(array) == _numpy_types[dtype] or array.dtype == _descriptions[dtype]


# kernels

cdef const rg_kernel *_find(bytes name) except NULL:
    cdef int table = 0
    cdef const rg_kernel *row
    while rg_tables[table] != NULL:
        row = rg_tables[table]
        while row.name != NULL:
            if row.name == name:
                return row
            row += 1
        table += 1
    raise LookupError(f"no kernel {name.decode()}")


def kernels():
    """The names of all kernels."""
    cdef int table = 0
    cdef const rg_kernel *row
    found = []
    while rg_tables[table] != NULL:
        row = rg_tables[table]
        while row.name != NULL:
            found.append((<bytes>row.name).decode())
            row += 1
        table += 1
    return found


# nodes that Python runs: what is called in the middle of a program

cdef class _Calls:
    """What a frame needs for nodes that Python runs: its program, values that are no arrays, and what is kept alive."""

    cdef PyObject *program  # not counted, as it outlives its frames: cycles through what C holds would not be found
    cdef list objects
    cdef object error

    cdef forget(self):
        """Let go of what a call has left."""
        self.objects[:] = (<Program>self.program)._objects
        self.error = None


cdef int _attach(rg_frame *frame, void *program) noexcept with gil:
    try:
        calls = _Calls()
        calls.program, calls.objects = <PyObject *>program, list((<Program>program)._objects)
    except MemoryError:
        return -1
    Py_INCREF(calls)
    frame.python, frame.detach = <void *>calls, _detach
    return 0


cdef void _detach(rg_frame *frame) noexcept with gil:
    calls = <_Calls>frame.python
    frame.python = NULL
    Py_DECREF(calls)


cdef void _forget(rg_frame *frame):
    """Let go of what a call has left in a frame, and in those of inner programs."""
    cdef int64_t t
    cdef int i
    if frame.python:
        (<_Calls>frame.python).forget()
    for t in range(frame.nthunks):
        for i in range(2):
            if frame.thunks[t].inner[i]:
                _forget(frame.thunks[t].inner[i])


cdef int _call_prepare(rg_frame *frame, rg_thunk *thunk) noexcept nogil:
    with gil:
        calls = <_Calls>frame.python
        try:
            _call(frame, thunk, calls)
            return 0
        except BaseException as raised:
            calls.error = raised
            return rg_fail(frame, RG_ERROR_PYTHON, "Python raised")


cdef int _call_run(rg_frame *frame, rg_thunk *thunk) noexcept nogil:
    return 0


cdef _call(rg_frame *frame, rg_thunk *thunk, _Calls calls):
    cdef int k
    cdef rg_array *slot
    call, copies = (<Program>calls.program)._callables[thunk.params[0]]
    given = []
    for k in range(thunk.nin):
        slot = thunk.in_[k]
        if slot.dtype < 0:
            given.append(calls.objects[slot - frame.slots])
        else:
            array = _as_array(slot)
            given.append(array.copy() if copies else array)
    with np.errstate(all="ignore"):
        results = call(*given)
    if thunk.nout == 1:
        results = (results,)
    if len(results) != thunk.nout:
        raise ValueError(f"{len(results)} results of {thunk.nout}")
    for k in range(thunk.nout):
        slot = thunk.out[k]
        value = results[k]
        if slot.dtype >= 0:
            value = np.asarray(value)
            if not _is_of(value, slot.dtype) or cnp.PyArray_NDIM(value) != slot.ndim:
                raise TypeError(f"got {value.dtype} of {value.ndim} axes, not {DTYPES[slot.dtype]} of {slot.ndim}")
            if not cnp.PyArray_ISBEHAVED_RO(value):
                value = np.array(value)
            rg_borrow(frame, thunk, k, cnp.PyArray_BYTES(value), cnp.PyArray_NDIM(value),
                      <int64_t *>cnp.PyArray_DIMS(value), <int64_t *>cnp.PyArray_STRIDES(value))
        calls.objects[slot - frame.slots] = value


cdef _as_array(rg_array *slot):
    """The value of a slot as an array on its memory, which nobody may keep."""
    return cnp.PyArray_New(
        cnp.ndarray, slot.ndim, <cnp.npy_intp *>slot.shape, _numpy_types[slot.dtype], <cnp.npy_intp *>slot.strides,
        slot.data, 0, cnp.NPY_ARRAY_ALIGNED, None)


cdef cnp.ndarray _copy_of(rg_array *slot):
    """The value of a slot as an array of its own."""
    cdef cnp.ndarray made = _new_array(slot)
    cdef rg_array to = slot[0]
    to.data, to.contiguous = cnp.PyArray_BYTES(made), 1
    memcpy(to.strides, cnp.PyArray_STRIDES(made), slot.ndim * sizeof(int64_t))
    with nogil:
        rg_copy(slot, &to)
    return made


cdef cnp.ndarray _new_array(rg_array *slot):
    return cnp.PyArray_EMPTY(slot.ndim, <cnp.npy_intp *>slot.shape, _numpy_types[slot.dtype], 0)


class Elsewhere(Exception):
    """A program does not compute what it was given: this call is to be computed otherwise."""


_KINDS = {
    RG_ERROR_ELSEWHERE: Elsewhere, RG_ERROR_VALUE: ValueError, RG_ERROR_INDEX: IndexError, RG_ERROR_MEMORY: MemoryError, RG_ERROR_DOMAIN: ValueError,
}


cdef class _Frame:
    """A frame as an object that Python counts."""

    cdef rg_frame *frame
    cdef _Frame next  # of those that are free
    cdef list given  # for each output the last large array that was made for it; None at first

    cdef cnp.ndarray given_before(self, int i, int count, rg_array *slot):
        """The array that was made for output i before, if nobody else has it and it is still what a slot wants, or a
        new one.
        """
        if self.given is None:
            self.given = [None] * count
        array = self.given[i]
        if array is None or Py_REFCNT(array) > 2 or not _is_as_made(array, slot):
            array = self.given[i] = _new_array(slot)
        return array

    cdef void release(self) noexcept:
        if self.frame:
            rg_free_frame(self.frame)
            self.frame = NULL

    def __dealloc__(self):
        self.release()


cdef bint _is_as_made(cnp.ndarray array, rg_array *slot) noexcept:
    """Whether nobody refers to an array weakly, or has changed its shape, its type, or what may be done with it."""
    return (
        (<PyArrayObject_fields *>array).weakreflist == NULL
        and cnp.PyArray_TYPE(array) == _numpy_types[slot.dtype]
        and cnp.PyArray_ISBEHAVED(array)
        and cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_OWNDATA)
        and cnp.PyArray_NDIM(array) == slot.ndim
        and memcmp(cnp.PyArray_DIMS(array), slot.shape, slot.ndim * sizeof(int64_t)) == 0
    )


cdef class Program:
    """A graph as a callable from its inputs' values to the list of its outputs' values, each in memory of its own.

    Threads may call it: each call has a frame of its own, out of those that are free.
    """

    cdef rg_program native
    cdef int64_t **params
    cdef list _constants, _callables, _objects
    cdef _Frame _free  # the first of the frames that no call has; a list would be given memory and lose it by turns
    cdef public bint keeps, assumes
    cdef readonly bint calls
    cdef public object otherwise, settled, holder
    cdef readonly dict in_place
    cdef object _alive
    cdef dict _inner
    cdef object _add
    cdef readonly tuple nodes

    def __cinit__(
        self, slots, thunks, int nbuffers, inputs, outputs, in_place=(), nodes=(), alive=()
    ):
        """slots: for each its dtype (-1: no array), number of axes, buffer (-1: none), home, and its value or None.
        thunks: for each the name of its kernel or a callable, its inputs' and outputs' slots, params (int64), the
        number of its node, whether it is early, whether it is dynamic. outputs: for each its slot, and whether it is
        computed in an array that is made before the program runs, not copied afterwards. in_place: pairs of outputs
        and inputs, by number, where the output may be computed in the input's memory. nodes: those that thunks
        compute, by number. alive: what params point to, inner programs among it.

        settled: for each output whether its shape follows from those of the inputs. calls: whether it calls Python, or
        an inner program does. holder: of an inner program, the node whose op holds the graph.
        otherwise: makes what computes the same, for a call that the program does not compute. assumes: whether it may
        be that nothing but an assumption on shapes failed, where a call fails.
        """
        cdef int i, k, n
        cdef rg_array *slot
        cdef rg_thunk *thunk
        self._constants, self._callables, self._objects = [], [], [None] * len(slots)
        self.keeps, self.in_place, self.nodes, self._alive = True, dict(in_place), tuple(nodes), alive
        self._inner = {p.address: p for p in alive if isinstance(p, Program)}
        self.native.made.nslots, self.native.made.nthunks, self.native.made.nbuffers = len(slots), len(thunks), nbuffers
        self.native.made.slots = <rg_array *>PyMem_Calloc(len(slots) + 1, sizeof(rg_array))
        self.native.made.thunks = <rg_thunk *>PyMem_Calloc(len(thunks) + 1, sizeof(rg_thunk))
        self.params = <int64_t **>PyMem_Calloc(len(thunks) + 1, sizeof(int64_t *))
        places = [place for _, ins, outs, *_ in thunks for place in (*ins, *outs)]
        self.native.made.places = <int32_t *>PyMem_Calloc(len(places) + 1, sizeof(int32_t))
        self.native.nin, self.native.nout = len(inputs), len(outputs)
        self.native.inputs = <int32_t *>PyMem_Calloc(len(inputs) + 1, sizeof(int32_t))
        self.native.outputs = <int32_t *>PyMem_Calloc(len(outputs) + 1, sizeof(int32_t))
        self.native.fresh = <char *>PyMem_Calloc(len(outputs) + 1, 1)
        if not (self.native.made.slots and self.native.made.thunks and self.params and self.native.made.places and self.native.inputs
                and self.native.outputs and self.native.fresh):
            raise MemoryError
        for i, place in enumerate(places):
            self.native.made.places[i] = place
        for i, place in enumerate(inputs):
            self.native.inputs[i] = place
        for i, (place, fresh) in enumerate(outputs):
            self.native.outputs[i], self.native.fresh[i] = place, fresh
        for i, (dtype, ndim, buffer, home, value) in enumerate(slots):
            slot = &self.native.made.slots[i]
            slot.dtype, slot.ndim, slot.buffer, slot.home, slot.size = dtype, ndim, buffer, home, -1
            if value is None:
                continue
            if dtype < 0:
                self._objects[i] = value
                continue
            if not cnp.PyArray_ISBEHAVED_RO(value):
                value = np.array(value)
            self._constants.append(value)
            _bind(slot, value)
        for i, (kernel, ins, outs, numbers, node, early, dynamic) in enumerate(thunks):
            thunk = &self.native.made.thunks[i]
            thunk.nin, thunk.nout, thunk.node, thunk.early, thunk.dynamic = len(ins), len(outs), node, early, dynamic
            if not isinstance(kernel, str):
                numbers = [len(self._callables)]
                self._callables.append(kernel)
                thunk.prepare, thunk.run = _call_prepare, _call_run
            else:
                row = _find(kernel.encode())
                thunk.prepare, thunk.run = row.prepare, row.run
            self.params[i] = <int64_t *>PyMem_Calloc(len(numbers) + 1, sizeof(int64_t))
            if not self.params[i]:
                raise MemoryError
            for k, number in enumerate(numbers):
                self.params[i][k] = number
            thunk.params = self.params[i]
        self.calls = len(self._callables) > 0 or any([p.calls for p in self._inner.values()])
        if self._callables or any([dtype < 0 for dtype, *_ in slots]):
            self.native.made.python, self.native.made.attach = <void *>self, _attach

    def __dealloc__(self):
        cdef int i
        cdef _Frame held = self._free
        while held is not None:
            held.release()
            held = held.next
        if self.params:
            for i in range(self.native.made.nthunks):
                PyMem_Free(self.params[i])
        PyMem_Free(self.params)
        PyMem_Free(self.native.made.slots)
        PyMem_Free(self.native.made.thunks)
        PyMem_Free(self.native.made.places)
        PyMem_Free(self.native.inputs)
        PyMem_Free(self.native.outputs)
        PyMem_Free(self.native.fresh)

    def __call__(self, *values):
        cdef _Frame held = self.taken()
        cdef rg_frame *frame = held.frame
        cdef rg_array *slot
        cdef int i
        cdef bint same = frame.prepared
        if len(values) != self.native.nin:
            raise TypeError(f"a program of {self.native.nin} inputs was given {len(values)}")
        kept = []
        try:
            for i in range(self.native.nin):
                slot = &frame.slots[self.native.inputs[i]]
                if slot.dtype < 0:
                    (<_Calls>held.frame.python).objects[self.native.inputs[i]] = values[i]
                    continue
                array = values[i]
                if not _is_of(array, slot.dtype) or cnp.PyArray_NDIM(array) != slot.ndim:
                    what = f"{array.dtype} of {array.ndim} axes"
                    raise TypeError(f"input {i} is {what}, not {DTYPES[slot.dtype]} of {slot.ndim}")
                if not cnp.PyArray_ISBEHAVED_RO(array):
                    array = np.array(array)
                    kept.append(array)
                same &= _bind(slot, array)
            self.prepare(frame, same)
            results = self.results(held, 0)
            self.run(held, results)
            if self._add is not None:
                self.tell(frame)
            return results
        except Elsewhere:
            return self.elsewhere(values)
        finally:
            self.give_back(held)

    @property
    def function_class(self):
        """What makes the class of functions of which this makes whole calls."""
        return _calling

    def time(self, add):
        """Let `add(node, runs, seconds)` be told after each call what each node took, those of inner programs too."""
        self._add = add

    cdef tell(self, rg_frame *frame):
        cdef rg_thunk *thunk
        cdef Program program
        cdef int64_t t
        cdef int i
        for t in range(frame.nthunks):
            thunk = &frame.thunks[t]
            self._told(self.nodes[thunk.node], thunk.runs, thunk.cycles)
            thunk.runs = thunk.cycles = 0
            for i in range(2):
                if thunk.inner[i]:
                    program = self.inner(thunk, i)
                    program._add = self._add
                    program.tell(thunk.inner[i])

    cdef Program inner(self, rg_thunk *thunk, int i):
        """The program that a thunk runs in its inner frame i."""
        return self._inner[thunk.params[i]]

    cdef _told(self, node, uint64_t runs, uint64_t cycles):
        if runs:
            self._add(node, runs, cycles * _seconds_a_tick())

    # what a call is made of

    cdef _Frame taken(self):
        cdef _Frame held = self._free
        if held is None:
            held = _new_frame(self)
        else:
            self._free, held.next = held.next, None
        held.frame.profiled = self._add is not None
        return held

    cdef give_back(self, _Frame held):
        if self.calls:
            _forget(held.frame)
        if not self.keeps:
            rg_trim_frame(held.frame)
        held.next, self._free = self._free, held

    cdef int prepare(self, rg_frame *frame, bint same) except -1:
        cdef int error = 0
        if not same:
            with nogil:
                error = rg_prepare(frame)
        if error:
            raise self.failure(frame)
        return 0

    cdef list results(self, _Frame held, int again):
        """Arrays for the outputs that are computed in such; None for others. They are new, or for the first `again`
        outputs those of the call before, if nobody has them any more: fresh memory is slower (benchmarks/decisions.py).
        """
        cdef int i
        cdef rg_array *slot
        cdef list found = [None] * self.native.nout
        for i in range(self.native.nout):
            if not self.native.fresh[i]:
                continue
            slot = &held.frame.slots[self.native.outputs[i]]
            if i < again and self.keeps and slot.size * rg_itemsize[slot.dtype] >= _LARGE:
                array = held.given_before(i, self.native.nout, slot)
            else:
                array = _new_array(slot)
            slot.data = cnp.PyArray_BYTES(array)
            found[i] = array
        return found

    def free(self):
        """Give back what memory is kept between calls."""
        self._free = None

    cdef int run(self, _Frame held, list results) except -1:
        """Run, and add what was computed elsewhere to the results."""
        cdef rg_frame *frame = held.frame
        cdef rg_array *slot
        cdef int i, error
        if frame.is_short:  # to let other threads run takes longer
            error = rg_run(frame)
        else:
            with nogil:
                error = rg_run(frame)
        if error:
            raise self.failure(frame)
        for i in range(self.native.nout):
            if results[i] is None:
                slot = &frame.slots[self.native.outputs[i]]
                results[i] = (<_Calls>held.frame.python).objects[self.native.outputs[i]] if slot.dtype < 0 else _copy_of(slot)
        return 0

    cdef list elsewhere(self, values):
        """The results where the program does not compute them, each in memory of its own."""
        if self.otherwise is None:
            raise RuntimeError("a call cannot be computed, and there is nothing else to compute it")
        return [np.array(v) if isinstance(v, (np.ndarray, np.generic)) else v for v in self.otherwise()(*values)]

    cdef object failure(self, rg_frame *frame):
        if frame.error == RG_ERROR_PYTHON:
            return self.raised(frame)
        if self.assumes and frame.error != RG_ERROR_MEMORY:
            return Elsewhere(frame.message.decode("utf-8", "replace"))
        return _KINDS.get(frame.error, RuntimeError)(frame.message.decode("utf-8", "replace"))

    cdef object raised(self, rg_frame *frame):
        """What was raised where Python was called, with a word of the steps of loops in which that was."""
        cdef rg_thunk *thunk = &frame.thunks[frame.failed]
        cdef rg_frame *within = frame.within
        cdef Program program
        if within == NULL:
            return (<_Calls>frame.python).error
        program = self.inner(thunk, within == thunk.inner[1])
        found = program.raised(within)
        if within.steps and isinstance(found, Exception):
            program.holder.op.note_step(found, within.step, within.steps)
        return found

    @property
    def address(self):
        """Where the `rg_program` lies, for kernels that run programs themselves."""
        return <uint64_t><size_t>&self.native

    @property
    def counters(self):
        """Over all frames, those of inner programs too: how often memory was taken from the system, and how many bytes
        are held.
        """
        cdef int64_t allocations = 0, bytes = 0, traffic = 0, frames = 0
        cdef _Frame held = self._free
        while held is not None:
            _count(held.frame, &allocations, &bytes, &traffic)
            frames += 1
            held = held.next
        return {"frames": frames, "allocations": allocations, "bytes": bytes}

    @property
    def traffic(self):
        """The bytes of the operands that passes over blocks have read and written, those of inner programs too."""
        cdef int64_t allocations = 0, bytes = 0, traffic = 0
        cdef _Frame held = self._free
        while held is not None:
            _count(held.frame, &allocations, &bytes, &traffic)
            held = held.next
        return traffic


cdef void _count(rg_frame *frame, int64_t *allocations, int64_t *bytes, int64_t *traffic) noexcept:
    """Add what a frame has counted, and the frames of programs that it runs."""
    cdef int64_t t
    cdef int i
    allocations[0] += frame.allocations
    bytes[0] += frame.bytes
    traffic[0] += frame.traffic
    for t in range(frame.nthunks):
        for i in range(2):
            if frame.thunks[t].inner[i]:
                _count(frame.thunks[t].inner[i], allocations, bytes, traffic)


_start = perf_counter(), rg_ticks()


cdef double _seconds_a_tick():
    """How long a tick is, from how many there were since this was loaded."""
    return (perf_counter() - _start[0]) / max(1, rg_ticks() - _start[1])


cdef bint _bind(rg_array *slot, cnp.ndarray array):
    """Let a slot be an array; whether it has the shape and the strides that the slot had."""
    cdef int ndim = cnp.PyArray_NDIM(array)
    cdef size_t bytes = ndim * sizeof(int64_t)
    slot.data = cnp.PyArray_BYTES(array)
    if slot.size >= 0 and slot.ndim == ndim and (
            ndim == 0  # for no bytes at NULL memcmp is slow: vectors that are masked still meet its page
            or memcmp(slot.shape, cnp.PyArray_DIMS(array), bytes) == 0
            and memcmp(slot.strides, cnp.PyArray_STRIDES(array), bytes) == 0):
        return True
    slot.ndim = ndim
    if ndim:
        memcpy(slot.shape, cnp.PyArray_DIMS(array), bytes)
        memcpy(slot.strides, cnp.PyArray_STRIDES(array), bytes)
    slot.size = rg_size(ndim, slot.shape)
    slot.contiguous = rg_is_contiguous(ndim, slot.shape, slot.strides, rg_itemsize[slot.dtype])
    return False


cdef _Frame _new_frame(Program program):
    cdef _Frame made = _Frame()
    made.frame = rg_new_frame(&program.native.made)
    if not made.frame:
        raise MemoryError
    return made


# whole calls

def _calling(function):
    """The class of functions whose calls are made here; `function` is the library's own."""
    if function not in _classes:
        _classes[function] = type(function.__name__, (Call, function), {"__module__": function.__module__})
    return _classes[function]


cdef dict _classes = {}
cdef list _no_values = []


@cython.auto_pickle(False)
cdef class Call:
    """A function whose calls go through Python's code only where something is unusual: keyword arguments, defaults,
    arguments to convert, errors, and values that another call is overwriting.

    It does what the library's `Function` does, which is its other base: checks arguments, reads states, computes, and
    replaces the states, all at one moment. A new value of a state is computed in the memory of the old one where the
    program says that this can be and nobody else holds the array.
    """

    cdef Program program
    cdef int arity, nstates, ntargets, nresults
    cdef bint ready, single, plain
    cdef tuple keys, filters, storages, lengths
    cdef tuple acquires, releases
    cdef list targets
    cdef object commit_is_held

    cdef int get_ready(self) except -1:

        maker = self.maker
        self.program = maker.ran.program
        self.arity = self._arity
        self.filters, self.storages = self._filters, self._storages
        self.nstates = len(self.storages)
        self.single, self.keys = self._single, maker.keys
        self.nresults = len(maker.outputs)
        self.lengths = tuple([
            tuple(x.variable.type.shape) if any([n is not None for n in getattr(x.variable.type, "shape", ())]) else None
            for x in maker.inputs
        ])
        self.acquires = tuple([lock.acquire for lock in self._locks])
        self.releases = tuple([lock.release for lock in self._locks])
        self.commit_is_held = commit.locked
        number = {x: n for n, x in enumerate(maker.fgraph.inputs)}
        self.targets = []
        for k, (x, container) in enumerate(zip(maker.updated, self._targets)):
            output = self.nresults + k
            overwritten = self.program.in_place.get(output, -1)
            if overwritten != number[x] or overwritten < self.arity:
                overwritten = -1
            self.targets.append(_Target(container, output, overwritten))
        self.ntargets = len(self.targets)
        self.ready = True
        return 0

    def __call__(self, *args, **kwargs):
        cdef int i
        cdef bint same
        cdef _Frame held
        cdef rg_frame *frame
        cdef rg_array *slot
        cdef list kept = None
        cdef list storage
        if not self.ready:
            self.get_ready()
        if kwargs or len(args) != self.arity:
            return self.slowly(args, kwargs)
        held = self.program.taken()
        frame = held.frame
        same = frame.prepared
        try:
            for i in range(self.arity):
                slot = &frame.slots[self.program.native.inputs[i]]
                arg = args[i]
                if not _fits(arg, slot, self.lengths[i]):
                    try:
                        arg = self.filters[i](arg)
                    except TypeError:
                        return self.slowly(args, kwargs)
                    if kept is None:
                        kept = list(args)
                    kept[i] = arg
                if slot.dtype < 0:
                    (<_Calls>held.frame.python).objects[self.program.native.inputs[i]] = arg
                    continue
                if not cnp.PyArray_ISBEHAVED_RO(arg):
                    arg = np.array(arg)
                    if kept is None:
                        kept = list(args)
                    kept[i] = arg
                same &= _bind(slot, arg)
            given = args if kept is None else kept
            if self.ntargets:
                results = self.updating(held, given, same)
            else:
                values = self.read()
                if values is None:
                    return self.slowly(args, kwargs)
                same &= self.bind_states(held, values)
                results = self.computed(held, given, values, same)
        finally:
            self.program.give_back(held)
        if self.single:
            return results[0]
        if self.ntargets:
            del results[self.nresults:]
        return results if self.keys is None else dict(zip(self.keys, results))

    def free(self):
        """Give back the memory of values between calls, and of results that nobody has any more."""
        if self.ready:
            self.program.free()

    cdef object slowly(self, args, kwargs):
        """As the library's own class has it."""
        return type(self).__mro__[2].__call__(self, *args, **kwargs)

    cdef list read(self):
        """The values of the states, all of one moment; None where one is being overwritten.

        While this reads nothing else of Python's runs, so it is enough that nobody is in the middle of writing.
        """
        cdef list found, storage
        if not self.nstates:
            return _no_values
        found = []
        if self.nstates > 1 and self.commit_is_held():
            return self.values()
        for storage in self.storages:
            if not storage:
                return None
            found.append(storage[0])
        return found

    cdef list values(self):
        """The values of the states, when nobody is overwriting one."""
        return values_of(self._containers[self.arity:])

    cdef bint bind_states(self, _Frame held, list values) except -1:
        """Let the slots be the states' values; whether shapes and strides are what they were."""
        cdef int i, place
        cdef rg_array *slot
        cdef bint same = True
        for i in range(self.nstates):
            place = self.program.native.inputs[self.program.native.nin - self.nstates + i]
            slot = &held.frame.slots[place]
            value = values[i]
            if slot.dtype < 0:
                (<_Calls>held.frame.python).objects[place] = value
                continue
            if not cnp.PyArray_ISBEHAVED_RO(value):
                value = values[i] = np.array(value)
            same &= _bind(slot, value)
        return same

    cdef list computed(self, _Frame held, object given, list values, bint same):
        """The results; raises what the library makes of a failure."""
        try:
            self.program.prepare(held.frame, same)
            results = self.program.results(held, self.nresults)
            self.program.run(held, results)
            return results
        except Exception as error:
            return self.recovered(error, [*given, *values])

    cdef list recovered(self, error, list values):
        """What the interpreter computes, where a kernel left that to it; raises what is to be said of other failures."""
        try:
            if isinstance(error, Elsewhere):
                return self.program.elsewhere(values)
        except Exception as other:
            error = other
        found = self.maker.ran.explained(error, values)
        raise found from (found.__cause__ if found is error else error)

    cdef list updating(self, _Frame held, object given, bint same):
        """The results, when the new values of the states have replaced the old ones."""
        cdef int count = 0, i
        cdef _Target target
        cdef list values, results, taken = []
        try:
            for acquire in self.acquires:
                acquire()
                count += 1
            values = self.read()
            if values is None:  # another call is overwriting one that this one only reads
                values = self.values()
            same &= self.bind_states(held, values)
            try:
                self.program.prepare(held.frame, same)
                results = self.program.results(held, self.nresults)
                if not held.frame.pending:
                    self.take(held.frame, values, results, taken)
                self.program.run(held, results)
            except Exception as error:
                results = self.recovered(error, [*given, *values])
            if self.ntargets > 1 and self.commit_is_held():
                with commit:
                    self.put(results)
            else:  # nothing else of Python's runs meanwhile: `values` keeps what is replaced
                self.put(results)
            return results
        finally:
            for target in taken:
                target.give_back()
            for i in range(count):
                self.releases[i]()

    cdef int put(self, list results) except -1:
        cdef _Target target
        for target in self.targets:
            target.put(results[target.output])
        return 0

    cdef int take(self, rg_frame *frame, list values, list results, list taken) except -1:
        """Take the arrays that can be overwritten, and let the outputs lie in them."""
        cdef _Target target
        cdef rg_array *old
        cdef rg_array *new
        cdef int i
        for target in self.targets:
            if target.overwritten < 0:
                continue
            old = &frame.slots[self.program.native.inputs[target.overwritten]]
            new = &frame.slots[self.program.native.outputs[target.output]]
            if not (old.contiguous and new.ndim == old.ndim and new.size == old.size
                    and memcmp(new.shape, old.shape, new.ndim * sizeof(int64_t)) == 0):
                continue
            i = target.overwritten - (self.program.native.nin - self.nstates)
            array = values[i]
            if target.take(array, 2):
                taken.append(target)
                new.data = old.data
                results[target.output] = array
        return 0


cdef bint _fits(object arg, rg_array *slot, tuple lengths) except -1:
    """Whether an argument is a value of its type as it is."""
    cdef int a
    if slot.dtype < 0 or type(arg) is not cnp.ndarray:
        return False
    if not _is_of(arg, slot.dtype) or cnp.PyArray_NDIM(arg) != slot.ndim:
        return False
    if lengths is not None:
        for a in range(slot.ndim):
            if lengths[a] is not None and cnp.PyArray_DIM(arg, a) != lengths[a]:
                return False
    return True


cdef class _Target:
    """A state that is replaced: its container, the output that is its new value, and the number of the input that may
    be overwritten by it; -1 for none."""

    cdef object container, acquire, release
    cdef list storage
    cdef int output, overwritten

    def __init__(self, container, int output, int overwritten):
        self.container, self.storage, self.output, self.overwritten = container, container.storage, output, overwritten
        self.acquire, self.release = container.writing.acquire, container.writing.release

    cdef bint take(self, cnp.ndarray array, int ours) except -1:
        """Take the array out of its container to overwrite it, if only the container holds it, and we `ours` times."""
        if not (cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_OWNDATA) and cnp.PyArray_ISWRITEABLE(array)):
            return False
        self.acquire()
        if len(self.storage) == 1 and self.storage[0] is array and Py_REFCNT(array) == ours + 1:
            self.container.taken = array
            self.storage.clear()
            return True
        self.release()
        return False

    cdef int put(self, value) except -1:
        if self.storage:
            self.storage[0] = value
        else:
            self.storage.append(value)
        return 0

    cdef int give_back(self) except -1:
        """Put what was taken back, unless there is a new value."""
        if not self.storage:
            self.storage.append(self.container.taken)
        self.container.taken = None
        self.release()
        return 0


def threads(count=None):
    """How many threads a program may use; sets it, if given."""
    if count is not None:
        rg_set_threads(count)
    return rg_threads()


def jobs():
    """How often work was shared among threads, since this was loaded."""
    return rg_jobs()


# instructions

cdef extern from "instructions.h" nogil:
    ctypedef struct rg_instruction_row:
        const char *name
        int8_t nin
        int8_t in_ "in"[4]
        int8_t out
        void *call
    const rg_instruction_row *const *rg_instructions()
    union rg_number "union { double real; int64_t whole; }":
        double real
        int64_t whole
    ctypedef struct rg_loop_of:
        void *loop
        void *data
        int64_t nin
        int64_t sizes[6]
        uint64_t fixed
        rg_number numbers[6]
    ctypedef void (*rg_instruction)(int64_t, void *, const void *const *, unsigned, const rg_loop_of *) noexcept
    void rg_call_loop(int64_t, void *, const void *const *, unsigned, const rg_loop_of *)

cdef extern from "variants.h" nogil:
    int rg_isa()

_isas = ("base", "v3", "v4")
_asked = os.environ.get("REFGRAPH_CYTHON_ISA", "")
if _asked and _asked != _isas[rg_isa()]:
    raise ImportError(f"REFGRAPH_CYTHON_ISA={_asked}: there are {', '.join(_isas[: rg_isa() + 1])} here")


def isa():
    """The instruction set that is used: base, v3 or v4."""
    return _isas[rg_isa()]


def instructions():
    """For each name and dtypes of inputs the address of the instruction, 0 where the output is the input, and the
    output's dtype.
    """
    cdef const rg_instruction_row *const *tables = rg_instructions()
    cdef const rg_instruction_row *row
    found = {}
    while tables[0] != NULL:
        row = tables[0]
        while row.name != NULL:
            key = ((<bytes>row.name).decode(), tuple([DTYPES[row.in_[k]] for k in range(row.nin)]))
            found[key] = (<size_t>row.call, DTYPES[row.out])
            row += 1
        tables += 1
    return found


cdef class Loop:
    """An inner loop of a ufunc, as an instruction calls it."""

    cdef rg_loop_of native
    cdef object _ufunc

    def __init__(self, ufunc, dtypes, fixed=()):
        """`fixed` are pairs of an input and the number that it is. Raises LookupError where the ufunc has no loop for
        just these dtypes, the output's last.
        """
        cdef cnp.ufunc f = ufunc
        cdef int i, k, n = f.nin + 1
        wanted = [np.dtype(d) for d in dtypes]
        for i in range(f.ntypes):
            if f.nout == 1 and n <= 6 and [np.dtype(c) for c in ufunc.types[i].replace("->", "")] == wanted:
                break
        else:
            raise LookupError(f"{ufunc} has no loop for {dtypes}")
        self.native.loop = <void *>f.functions[i]
        self.native.data = f.data[i] if f.data != NULL else NULL
        self.native.nin = f.nin
        for k in range(n):
            self.native.sizes[k] = np.dtype(dtypes[k]).itemsize
        for k, number in fixed:
            self.native.fixed |= 1 << k
            if dtypes[k] == "float64":
                self.native.numbers[k].real = number
            elif dtypes[k] == "int64" or number == 0:  # 0 has the same bits in all dtypes
                self.native.numbers[k].whole = number
            else:
                raise ValueError(f"a fixed number is 0, a float64 or an int64, not {dtypes[k]}")
        self._ufunc = ufunc

    @property
    def address(self):
        return <size_t>&self.native


CALL_LOOP = <size_t>&rg_call_loop


def run_instruction(size_t address, cnp.ndarray out, inputs, unsigned single=0, Loop loop=None):
    """Run one instruction on contiguous arrays, for those who test it."""
    cdef const void *given[4]
    cdef int k
    for k, x in enumerate(inputs):
        given[k] = cnp.PyArray_DATA(<cnp.ndarray>x)
    (<rg_instruction>address)(cnp.PyArray_SIZE(out), cnp.PyArray_DATA(out), given, single,
                              NULL if loop is None else &loop.native)


# BLAS

from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer

cdef extern from "blas.h" nogil:
    ctypedef struct rg_blas:
        void *gemm[4]
        int (*load)() noexcept nogil
    rg_blas rg_blas_of


def use_blas(capsules):
    """Let products be those of BLAS: `scipy.linalg.cython_blas.__pyx_capi__`."""
    for i, letter in enumerate("sdcz"):
        capsule = capsules[letter + "gemm"]
        rg_blas_of.gemm[i] = PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))


cdef int _load_blas() noexcept nogil:
    with gil:
        try:
            from refgraph_cython import blas
            blas.load()
        except BaseException:
            return -1
    return 0


rg_blas_of.load = _load_blas


cdef extern from "numpy/ndarrayobject.h":
    ctypedef struct PyArray_ArrFuncs:
        void *sort[3]

    PyArray_ArrFuncs *PyDataType_GetArrFuncs(cnp.dtype)


def sorting_loop(str dtype):
    """The address of the function by which NumPy sorts elements that lie together, or 0: `int sort(void *, intp, void *)`."""
    return <size_t>PyDataType_GetArrFuncs(np.dtype(dtype)).sort[<int>cnp.NPY_QUICKSORT]


cdef extern from "blas.h" nogil:
    int rg_way_of_all


def compute_products(int way):
    """Compute all products in this way of native/matmul.c, which must be able to; -1: as it chooses. To measure."""
    global rg_way_of_all
    rg_way_of_all = way
