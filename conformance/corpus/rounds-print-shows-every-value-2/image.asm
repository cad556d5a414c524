troth-assembly 1
; image b01f7e23104d4f3f617942400568ab1e8c4a840aadd751ea4e10009376b68840
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
    set r1 = true
    op r7 = print(r1)
    halt
