troth-assembly 1
; image 888d420e568888385afcf397869a4cb5220cd444f807e9a57427b24e03d6fad8
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
    set r1 = 5
    select r0 B!item(r1)
    select r0 B!item(r1)
    select r0 B!item(r1)
    set r3 = "enough"
    cancel r0 r3
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
L9:
    branch r0 A? item(r1) -> L10
          | last() -> L12
L10:
    op r7 = print(r1)
    jump L9
L12:
    halt
