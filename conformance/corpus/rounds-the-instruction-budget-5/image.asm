troth-assembly 1
; image 6aa2406f33651d8ab621385b86db1d9b47495c27742e53f659daf520f3207fea
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
    yield
    yield
    yield
    yield
    halt
