troth-assembly 1
; image fb7c77b7dd57739064d19d921339ac09390ebf6767adff1ad6c5d9c8a779af15
entry main

; protocol 8901fef28a9be27ed100aae7cc3e1717d41d41bdb847dc4350029d7d9a8a54d9
protocol Pair(A, B)
  type A
    0: B ! m(f0: str) -> 1
    1: end
  type B
    0: A ? m(f0: str) -> 1
    1: end

effect double(f0: int) -> int

program main() registers 8
    set r1 = 21
    invoke r2 = double(r1)
    op r7 = print(r2)
    halt
