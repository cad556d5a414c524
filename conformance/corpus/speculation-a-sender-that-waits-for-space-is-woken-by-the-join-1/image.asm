troth-assembly 1
; image eef8178aa02447276804454f813cd8bf0bd10fd31a35d778d67a620d3b3e5afd
entry main

; protocol 4dbb02e664d09a3dbe684c46022e37773bd465afd74cfae9443ecf02fe441c86
protocol Two(A, B)
  type A
    0: B ! n(f0: int) -> 1
    1: B ! n(f0: int) -> 2
    2: B ? back(f0: int) -> 3
    3: end
  type B
    0: A ? n(f0: int) -> 1
    1: A ? n(f0: int) -> 2
    2: A ! back(f0: int) -> 3
    3: end

program main() registers 8
    open Two(r0, r1) with capacity = 1
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: Two.A) registers 8
    set r1 = 1
    send r0 B!n(r1)
    send r0 B!n(r1)
    recv r0 B?back(r1)
    halt

program b(f0: Two.B) registers 8
    fork L8
    recv r0 A?n(r2)
    yield
    yield
    yield
    yield
    join
    jump L10
L8:
    set r1 = 1
    op r7 = fail(r1)
L10:
    recv r0 A?n(r2)
    send r0 A!back(r2)
    halt
