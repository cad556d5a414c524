troth-assembly 1
; image 8ac3f20c53470e7128ce09bc4ebfadd43f59a62658b6802e63107758fc76a85b
entry main

; protocol 4de9a46b0e0ee3153ac6a38172ef14e4e33fe2e61563b62dacc07472eee1182d
protocol Stream(A, B)
  type A
    0: B ! item(f0: int) -> 0
     | last() -> 1
    1: end
  type B
    0: A ? item(f0: int) -> 0
     | last() -> 1
    1: end

program main() registers 8
    open Stream(r0, r1) with replay = nullifier
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: Stream.A) registers 8
    set r1 = 1
    select r0 B!item(r1)
    set r1 = 2
    select r0 B!item(r1)
    select r0 B!last()
    halt

program b(f0: Stream.B) registers 8
    yield
    yield
    yield
    yield
    yield
L5:
    branch r0 A? item(r1) -> L6
          | last() -> L8
L6:
    op r7 = print(r1)
    jump L5
L8:
    halt
