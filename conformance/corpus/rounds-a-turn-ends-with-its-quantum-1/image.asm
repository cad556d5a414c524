troth-assembly 1
; image b6cb4fe3dcad7c9a5c3513fda887e7ab70ce09220d38c808ee0624cb0a87d239
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
    set r1 = "1"
    op r7 = print(r1)
    set r1 = "2"
    op r7 = print(r1)
    set r1 = "3"
    op r7 = print(r1)
    set r1 = "4"
    op r7 = print(r1)
    set r1 = "5"
    op r7 = print(r1)
    halt
