"""The bounded buffer of an edge, against the simplest possible model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.vm.buffer import Admission, EdgeBuffer, Envelope, LossyBuffer
from troth.vm.instructions import BufferMode, Policy


def envelope(number: int) -> Envelope:
    return Envelope(0, "m", 0, number, b"", b"", b"", b"", b"", ())


def filled(policy: Policy, capacity: int, resize_max: int, count: int) -> EdgeBuffer:
    buffer = EdgeBuffer(capacity, policy, resize_max)
    for number in range(count):
        buffer.put(envelope(number))
    return buffer


FULL = {
    Policy.BLOCK: Admission.WAIT,
    Policy.ERROR: Admission.REFUSE,
    Policy.DROP: Admission.WAIT,
    Policy.RESIZE: Admission.WAIT,
}


@pytest.mark.parametrize("policy", Policy)
def test_admits_up_to_the_capacity_and_not_one_more(policy: Policy) -> None:
    assert filled(policy, 3, 3, 2).admission() is Admission.ADMIT
    assert filled(policy, 3, 3, 3).admission() is FULL[policy]


@pytest.mark.parametrize("policy", Policy)
def test_only_what_may_be_lost_is_dropped(policy: Policy) -> None:
    wanted = Admission.DROP if policy is Policy.DROP else FULL[policy]
    assert filled(policy, 3, 3, 3).admission(lossy=True) is wanted
    assert filled(policy, 3, 3, 2).admission(lossy=True) is Admission.ADMIT


def test_the_oldest_message_that_may_be_lost_makes_room() -> None:
    buffer = LossyBuffer(3, Policy.ERROR, 3, BufferMode.LATEST, ("frame",))
    for number, label in enumerate(("key", "frame", "frame")):
        buffer.put(envelope(number)._replace(label=label))
    assert buffer.admission() is Admission.OVERWRITE
    assert (buffer.oldest_lossy(), buffer.oldest_lossy(2), buffer.oldest_lossy(3)) == (1, 2, None)
    assert buffer.admission(read=3) is Admission.REFUSE, "what was read stays"
    assert buffer.take(1).sequence == buffer.take(1).sequence - 1 == 1
    for number in (3, 4):
        buffer.put(envelope(number))
    assert buffer.admission() is Admission.REFUSE, "nothing in it may be lost"


def test_the_buffer_of_another_machine_is_counted_by_what_is_in_flight() -> None:
    """The sender grows nothing here: it may have as much in flight as the buffer there can hold."""
    buffer = EdgeBuffer(2, Policy.RESIZE, 5)
    admitted = {count: buffer.admission(count) is Admission.ADMIT for count in range(8)}
    assert [count for count, admits in admitted.items() if admits] == [0, 1, 2, 3, 4]
    assert buffer.admission(5) is Admission.WAIT
    assert (buffer.capacity, len(buffer)) == (2, 0)


@pytest.mark.parametrize("policy", [Policy.BLOCK, Policy.ERROR, Policy.DROP, Policy.RESIZE])
def test_putting_more_than_was_admitted_is_a_bug(policy: Policy) -> None:
    with pytest.raises(AssertionError):
        filled(policy, 2, 2, 3)


def test_resize_doubles_and_never_exceeds_its_maximum() -> None:
    buffer = EdgeBuffer(3, Policy.RESIZE, 8)
    capacities = []
    for number in range(8):
        assert buffer.admission() is Admission.ADMIT
        buffer.put(envelope(number))
        capacities.append(buffer.capacity)
    assert capacities == [3, 3, 3, 6, 6, 6, 8, 8]
    assert buffer.admission() is Admission.WAIT


def test_peek_leaves_the_message_in_its_place() -> None:
    buffer = filled(Policy.BLOCK, 2, 2, 2)
    assert buffer.peek() == buffer.peek() == buffer.take() == envelope(0)
    assert buffer.take() == envelope(1)
    assert buffer.peek() is None


def test_drain_takes_everything_oldest_first() -> None:
    buffer = filled(Policy.BLOCK, 4, 4, 3)
    assert buffer.drain() == (envelope(0), envelope(1), envelope(2))
    assert len(buffer) == 0


@given(
    policy=st.sampled_from(Policy),
    capacity=st.integers(1, 5),
    growth=st.integers(0, 9),
    puts=st.lists(st.booleans(), max_size=60),
)
def test_behaves_as_a_bounded_queue(
    policy: Policy, capacity: int, growth: int, puts: list[bool]
) -> None:
    most = capacity + growth if policy is Policy.RESIZE else capacity
    buffer = EdgeBuffer(capacity, policy, most)
    model: list[Envelope] = []
    for number, put in enumerate(puts):
        before = buffer.capacity
        admitted = buffer.admission() is Admission.ADMIT
        assert (buffer.capacity, len(buffer)) == (before, len(model))
        assert admitted == (len(model) < most)
        if put and admitted:
            buffer.put(envelope(number))
            model.append(envelope(number))
        elif not put and model:
            assert buffer.take() == model.pop(0)
        assert list(buffer.messages) == model
        assert len(model) <= buffer.capacity <= most
