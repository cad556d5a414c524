troth-assembly 1
; image 9b3a9a68374700d162a1b59b5d4cec904e8b539c3ef4b655b1473450703fcdc5
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
    set r1 = ()
    op r7 = print(r1)
    halt
