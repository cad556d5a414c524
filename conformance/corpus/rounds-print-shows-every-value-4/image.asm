troth-assembly 1
; image f7efdc36f8cf001088a0486ce6382f264047fe87ed195ef714d6ab3bde16e16f
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
    set r1 = 2.5
    op r7 = print(r1)
    halt
