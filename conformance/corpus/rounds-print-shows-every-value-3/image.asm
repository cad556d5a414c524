troth-assembly 1
; image cdbe6bf9974b44f821d0d81a335f6d9cb5a2a596fd33c27fc8aca241e86b1b61
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
    set r1 = 3
    op r7 = print(r1)
    halt
