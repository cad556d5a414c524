troth-assembly 1
; image f38339d35362b78c650cc5287692b0eca75e0f35104ad7f75d052f5b859acb9e
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
    open Pair(r0, r1) handlers A -> B = tcp
    set r2 = "done"
    cancel r0 r2
    set r3 = "done"
    cancel r1 r3
    halt
