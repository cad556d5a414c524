troth-assembly 1
; image e7921ba4bb5143c498e93c8f61e222a2b04f7dbf385e49aadd2a556afdcb302e
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
L0:
    yield
    jump L0
