troth-assembly 1
; image ecebc93abeb113d81e27fc5be8ce5a4835a69c2f8a6c495e93f83f362c9f6c0a
entry main

; protocol ef5e6118362a1cf655ecdaf1023e18fe6158b30d9a30b510d313bc2492505382
protocol P(A, B)
  type A
    0: B ! ping() -> 2
    1: end
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
