troth-assembly 1
; image 283d563f00ceb89f0a97c1c4c41c020b64a497947d5ae8ae6409fe828ad18b63
entry main

; protocol 6132fa2926cb032595bd2d9f99a2268b70a55ce56be4393bc20661b0f5a31148
protocol P(A, B)
  type A
    0: B ! ping() -> 1
    1: B .
  type B
    0: A ? ping() -> 1
    1: end

program main() registers 8
    halt
