troth-assembly 1
; image 9229241f86e8f011b81b1e6b137904721c58ce3ebf06fd201f804495337e784e
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

program main() registers 10
    halt
