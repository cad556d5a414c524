troth-assembly 1
; image 01fb347f33cde81c01c3324bab682232981bc775c6786c1e0d336453df15b616
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
    open Two(r0, r1) with capacity = 1, policy = resize
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: Two.A) registers 8
L0:
    set r1 = 1
    fork L0
    send r0 B!n(r1)
    send r0 B!n(r1)
    join
    recv r0 B?back(r1)
    halt

program b(f0: Two.B) registers 8
    recv r0 A?n(r2)
    recv r0 A?n(r2)
    send r0 A!back(r2)
    halt
