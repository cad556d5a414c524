troth-assembly 1
; image daf980f50f9837ea890e2e05f9182f0c4e9558a5856c82c7ff753fd122d07020
entry main

; protocol a8bffe582ce98ec4b4b892ec3f69876463678eb6107524f46d2589487bac4c7e
protocol Surplus(A, B)
  type A
    0: B ! m(f0: int) -> 1
    1: B ! m(f0: int) -> 2
    2: end
  type B
    0: A ? m(f0: int) -> 1
    1: end

program main() registers 8
    open Surplus(r0, r1) with linger_ns = 0
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: Surplus.A) registers 8
    set r1 = 5
    send r0 B!m(r1)
    send r0 B!m(r1)
    close r0
    halt

program b(f0: Surplus.B) registers 8
    recv r0 A?m(r1)
    close r0
    halt
