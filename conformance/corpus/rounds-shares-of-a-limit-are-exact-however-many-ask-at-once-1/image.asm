troth-assembly 1
; image 7067e7ed3300c68c1273e9aef5d5bbe0a4131b4e2ecb59059dae97486296a410
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
    spawn r1 = child()
    spawn r1 = child()
    spawn r1 = child()
    spawn r1 = child()
    spawn r1 = child()
    halt

program child() registers 8
    open Pair(r0, r1)
    set r2 = "mine"
    op r7 = print(r2)
    yield
    yield
    yield
    yield
    yield
    op r7 = fail(r2)
