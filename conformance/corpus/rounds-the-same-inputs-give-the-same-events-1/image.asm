troth-assembly 1
; image d9c2c567a1e3850903ec4e74adda8d7a26772b508aa409948bf2a3f59b7f61ab
entry main

; protocol 8901fef28a9be27ed100aae7cc3e1717d41d41bdb847dc4350029d7d9a8a54d9
protocol Pair(A, B)
  type A
    0: B ! m(f0: str) -> 1
    1: end
  type B
    0: A ? m(f0: str) -> 1
    1: end

program main() registers 8
    open Pair(r0, r1)
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: Pair.A) registers 8
    set r1 = "x"
    send r0 B!m(r1)
    halt

program b(f0: Pair.B) registers 8
    recv r0 A?m(r1)
    op r7 = print(r1)
    halt
