troth-assembly 1
; image 69e896211f5bd8b7cb6062fd5ead670f2fa1152b26761a67710d64e02460462d
entry main

; protocol 18375b850164714dc09b661ac8dfec773ee34121401152dd85d7e52f8d998b20
protocol P(A, B)
  type A
    0: B ! a() -> 1
     | b() -> 2
    1: end
    2: end
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
