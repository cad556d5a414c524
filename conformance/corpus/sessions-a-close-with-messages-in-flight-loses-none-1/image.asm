troth-assembly 1
; image 410584badd31d0607092c60860d6d81c751e0768c79e16ab1f7e671ee5c9c5fa
entry main

; protocol 60c72996db78298d107502675fa2db9f34b473dd28cb8e507be5bc14df72f9ce
protocol Burst(A, B)
  type A
    0: B ! item(f0: int) -> 0
     | last() -> 1
    1: end
  type B
    0: A ? item(f0: int) -> 0
     | last() -> 1
    1: end

program main() registers 8
    open Burst(r0, r1)
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: Burst.A) registers 8
    set r1 = 0
    select r0 B!item(r1)
    set r1 = 1
    select r0 B!item(r1)
    set r1 = 2
    select r0 B!item(r1)
    set r1 = 3
    select r0 B!item(r1)
    set r1 = 4
    select r0 B!item(r1)
    select r0 B!last()
    close r0
    halt

program b(f0: Burst.B) registers 8
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
L50:
    branch r0 A? item(r1) -> L51
          | last() -> L53
L51:
    op r7 = print(r1)
    jump L50
L53:
    halt
